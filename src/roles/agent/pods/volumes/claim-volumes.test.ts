import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type JsonObject, utf8 } from '#base/mod.ts';
import type { Volume } from '#platform/api/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createNodeDisk, createNodeFileTree } from '#platform/io/node/mod.ts';
import type { ObjectKey, StoredObject } from '#platform/store/mod.ts';
import type { UpwardEntry } from '#platform/sync/mod.ts';
import { AgentError } from '../../errors.ts';
import type { PodFacts } from '../pod-fields.ts';
import { createClaimVolumes } from './claim-volumes.ts';

const volume: Volume = { name: 'data', persistentVolumeClaim: { claimName: 'c' } };

function podWith(uid: string, ip: string): PodFacts {
  return {
    uid,
    namespace: 'default',
    name: uid,
    metadata: {},
    spec: { containers: [], volumes: [volume] },
    ip,
    nodeName: 'n',
    hostAddress: '192.0.2.1',
    allocatable: undefined,
  };
}

function openPlace(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'claims-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const objects = new Map<string, StoredObject>();
  const entries: UpwardEntry[] = [];
  const users = new Set<string>();
  const hub = { incarnation: 'i' };
  const tree = createNodeFileTree();
  const open = () =>
    createClaimVolumes(
      {
        disk: createNodeDisk(folder),
        tree,
        replica: {
          get cursor() {
            return { incarnation: hub.incarnation, sequence: 1 as never, chainHash: '' };
          },
          get: ({ name }) => objects.get(name),
          list: () => [...objects.values()],
        },
        outbox: {
          put(entry) {
            entries.push(entry);
            return Promise.resolve({ incarnation: 'i', sequence: entries.length });
          },
        },
        logger: silentLogger,
      },
      {
        nodeName: 'n',
        userIdOf: (ip) => 100_000 + Number(ip.split('.')[3]),
        isUsed: (_namespace, _name, except) => [...users].some((uid) => uid !== except),
      },
    );
  function put(facets: Record<string, JsonObject>, uid = 'u'): void {
    const key: ObjectKey = {
      resource: 'persistentvolumeclaims',
      namespace: 'default',
      name: 'c',
    };
    const revision = 1 as never;
    const encoded = Object.entries(facets).map(([facet, value]) => [
      facet,
      { revision, bytes: utf8(JSON.stringify(value)) },
    ]);
    objects.set('c', {
      ...{ key, uid: uid as never, createdRevision: revision, revision },
      facets: Object.fromEntries(encoded),
    });
  }
  const claim = (metadata: JsonObject = {}, nodeName = 'n'): Record<string, JsonObject> => ({
    intent: { metadata, spec: { resources: { requests: { storage: '64Ki' } } } },
    assignment: { nodeName },
  });
  return { folder, tree, objects, entries, users, hub, open, put, claim };
}

const refusal = (expected: RegExp) => (error: unknown) =>
  error instanceof AgentError && error.code === 'CONTAINER_CONFIG' && expected.test(error.message);

test('data is there for the next pod, as its own, and is not taken from one that has it', async (context) => {
  const { folder, tree, users, open, put, claim } = openPlace(context);
  put(claim());
  const [first, second] = [podWith('p1', '127.1.0.1'), podWith('p2', '127.1.0.2')];
  users.add('p1');
  const mount = await open().resolve(tree, first, volume);
  assert.deepEqual(mount, {
    ...{ source: join(folder, 'claims/u'), below: [], isFile: false, isReadOnly: false },
  });
  assert.equal(statSync(join(folder, 'claims')).mode & 0o777, 0o700);
  writeFileSync(join(mount.source, 'file'), 'kept');
  const ownerOf = (path: string): number => statSync(join(mount.source, path)).uid;
  users.add('p2');
  await open().resolve(tree, second, volume);
  assert.equal(ownerOf(''), 100_001, 'the other one has it still');
  users.delete('p1');
  await open().resolve(tree, second, volume);
  assert.deepEqual([ownerOf(''), ownerOf('file')], [100_002, 100_002]);
  const readOnly = { name: 'data', persistentVolumeClaim: { claimName: 'c', readOnly: true } };
  assert.equal((await open().resolve(tree, second, readOnly)).isReadOnly, true);
});

test('a claim of another node, of none or on its way out is not made here', async (context) => {
  const { folder, tree, objects, open, put, claim } = openPlace(context);
  const pod = podWith('p1', '127.1.0.1');
  await assert.rejects(open().resolve(tree, pod, volume), refusal(/has no data on this node/));
  put(claim({}, 'other'));
  await assert.rejects(open().resolve(tree, pod, volume), refusal(/has no data on this node/));
  put(claim({ deletionTimestamp: '2026-01-01T00:00:00Z' }));
  await assert.rejects(open().resolve(tree, pod, volume), refusal(/is being deleted/));
  objects.clear();
  assert.equal(existsSync(join(folder, 'claims')), false);
});

test('data goes when its claim is being deleted and nobody has it, and the hub hears of it after', async (context) => {
  const { folder, tree, objects, entries, users, open, put, claim } = openPlace(context);
  const volumes = open();
  put(claim());
  users.add('p1');
  const { source } = await volumes.resolve(tree, podWith('p1', '127.1.0.1'), volume);
  users.clear();
  await volumes.releaseUnused();
  const known = objects.get('c');
  objects.clear();
  await volumes.releaseUnused();
  assert.ok(existsSync(source), 'neither disuse nor absence takes it');
  assert.ok(known !== undefined);

  put(claim({ deletionTimestamp: '2026-01-01T00:00:00Z' }));
  users.add('p1');
  await volumes.releaseUnused();
  assert.ok(existsSync(source), 'a pod has it');
  users.clear();
  await volumes.releaseUnused();
  await volumes.releaseUnused();
  assert.equal(existsSync(source), false);
  const reports = entries.map((entry) => (entry.type === 'report' ? entry.report : undefined));
  assert.deepEqual(reports, [{ status: {}, isReleased: true }]);
  await assert.rejects(
    volumes.resolve(tree, podWith('p2', '127.1.0.2'), volume),
    refusal(/is being deleted/),
  );

  // Another agent, and a claim of the same name.
  const released = claim({ deletionTimestamp: '2026-01-01T00:00:00Z' });
  put({ ...released, report: { status: {}, isReleased: true } });
  await open().releaseUnused();
  assert.equal(entries.length, 1);
  put(claim(), 'u2');
  const next = await volumes.resolve(tree, podWith('p2', '127.1.0.2'), volume);
  assert.equal(next.source, join(folder, 'claims/u2'));
});

test('a hub that was restored hears again that data is gone', async (context) => {
  const { entries, hub, open, put, claim } = openPlace(context);
  const volumes = open();
  const deleted = claim({ deletionTimestamp: '2026-01-01T00:00:00Z' });
  put(deleted);
  await volumes.releaseUnused();
  put({ ...deleted, report: { status: {}, isReleased: true } });
  await volumes.releaseUnused();
  assert.equal(entries.length, 1);
  // What the one before it was told it does not know.
  put(deleted);
  hub.incarnation = 'ii';
  await volumes.releaseUnused();
  await volumes.releaseUnused();
  assert.equal(entries.length, 2);
  const told = entries.map((entry) => (entry.type === 'report' ? entry.report : undefined));
  assert.deepEqual(told[1], told[0]);
});

test('a claim that holds more than it may is noticed', async (context) => {
  const { tree, open, put, claim } = openPlace(context);
  put(claim());
  const pod = podWith('p1', '127.1.0.1');
  const volumes = open();
  const { source } = await volumes.resolve(tree, pod, volume);
  assert.equal(await volumes.overuse(tree, pod), undefined);
  writeFileSync(join(source, 'large'), new Uint8Array(128 * 1024));
  assert.match(
    (await volumes.overuse(tree, pod)) ?? '',
    /^Usage of volume "data" exceeds the 65536 bytes of its claim c\.$/,
  );
});
