import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { utf8 } from '#base/mod.ts';
import { packScriptImage } from '#engines/image-layout/mod.ts';
import type { PodReport } from '#platform/api/mod.ts';
import { NetError, silentLogger, type Net } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeRandom,
  createNodeSpawn,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { openStore, type Change, type ObjectKey } from '#platform/store/mod.ts';
import { createSliceServer, serveOutbox } from '#platform/sync/mod.ts';
import { createConnectionPair, openLink, type LinkSession } from '#platform/wire/mod.ts';
import { createAgent, type Agent } from './agent.ts';
import { facetOf } from './pods/desired-pod.ts';

const clock = createNodeClock();
const timers = createNodeTimers();
const random = createNodeRandom();
const logger = silentLogger;
const nodeKey: ObjectKey = { resource: 'nodes', namespace: '', name: 'n1' };
const podKey: ObjectKey = { resource: 'pods', namespace: 'default', name: 'web' };

const image = packScriptImage({
  files: [{ path: 'main.mjs', bytes: utf8('setInterval(() => {}, 1000);'), mode: 0o644 }],
  entrypoint: ['main.mjs'],
  env: {},
  labels: {},
});

/** The parent's end: a real store, served over a link in memory that can be cut. */
async function openHub(folder: string) {
  const disk = createNodeDisk(join(folder, 'hub'));
  await disk.makeDirectory('');
  const store = await openStore({ disk, clock, random, logger });
  const slices = createSliceServer({
    store,
    timers,
    rules: {
      slicesOf: () => ['all'],
      membersOf: () => [...store.list('nodes'), ...store.list('pods')],
    },
  });
  let session: LinkSession | undefined;
  let isReachable = true;
  let heartbeats = 0;
  /** Of each outbox. */
  const applied = new Map<string, number>();
  const gaps: string[] = [];
  const net: Net = {
    listen: () => Promise.reject(new NetError('NET_IO', 'an agent does not listen')),
    connect() {
      if (!isReachable) return Promise.reject(new NetError('NET_REFUSED', 'cut'));
      const [parent, child] = createConnectionPair();
      void openLink(
        { connection: parent, clock, timers, logger },
        {
          role: 'parent',
          product: 'hub',
          onOpen: (opened) => {
            session = opened;
            opened.onBeat(() => {
              heartbeats += 1;
            });
          },
          onStream(method, parameters, stream) {
            if (method === 'slice.follow') {
              slices.serve(stream, parameters, 'all');
            } else if (method === 'outbox.deliver') {
              serveOutbox(stream, parameters, {
                lastApplied: (incarnation) => applied.get(incarnation) ?? 0,
                async apply(incarnation, entries, lastSequence) {
                  applied.set(incarnation, lastSequence);
                  for (const { entry } of entries) if (entry.type === 'gap') gaps.push(entry.cause);
                  const changes = entries.flatMap(({ entry }): Change[] =>
                    entry.type === 'report'
                      ? [put(entry.key, entry.uid, 'report', entry.report)]
                      : [],
                  );
                  await store.transact(() => ({ changes, result: undefined }));
                },
              });
            } else {
              assert.equal(method, 'blob.fetch');
              const bytes = image.blobs.get(parameters['digest'] as `sha256:${string}`);
              assert.ok(bytes);
              stream.onMessage(() => {});
              void stream.send(bytes).then(() => stream.end());
            }
          },
        },
      );
      return Promise.resolve(child);
    },
  };
  return {
    net,
    store,
    heartbeats: () => heartbeats,
    gaps,
    write: (...changes: Change[]) => store.transact(() => ({ changes, result: undefined })),
    cut(reachable: boolean) {
      isReachable = reachable;
      if (!reachable) session?.close({ code: 'CUT', message: 'cut by the test' });
    },
    report: () => {
      const object = store.get(podKey);
      return object === undefined
        ? undefined
        : (facetOf(object, 'report') as unknown as PodReport | undefined);
    },
  };
}

function put(
  key: ObjectKey,
  uid: string,
  facet: 'intent' | 'assignment' | 'report',
  value: object,
): Change {
  return { type: 'put', key, uid: uid as never, facet, bytes: utf8(JSON.stringify(value)) };
}

function intent(metadata: object): object {
  return {
    metadata: { name: 'web', namespace: 'default', ...metadata },
    spec: { containers: [{ name: 'main', image: 'app:1' }], terminationGracePeriodSeconds: 3 },
  };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < 15_000; waitedMs += 20) {
    if (holds()) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  assert.fail(`not within 15 s: ${what}`);
}

async function openPlace() {
  const folder = mkdtempSync(join(tmpdir(), 'agent-whole-'));
  const hub = await openHub(folder);
  const disk = createNodeDisk(join(folder, 'agent'));
  await disk.makeDirectory('');
  const start = (): Promise<Agent> =>
    createAgent(
      {
        disk,
        net: hub.net,
        spawn: createNodeSpawn(),
        clock,
        timers,
        random,
        logger,
        javascriptRuntimePath: process.execPath,
      },
      {
        nodeName: 'n1',
        hubAddress: { host: '127.0.0.1', port: 1 },
        tls: () => ({ trustPem: '' }),
        heartbeatIntervalMs: 50,
        startupGraceMs: 300,
        facts: {
          architecture: 'amd64',
          osImage: 'Test',
          kernelVersion: '1',
          cpuMillis: 2000,
          memoryBytes: 1024 ** 3,
          podsMax: 10,
          hostAddress: '127.0.0.1',
          bootId: 'b',
          machineId: 'm',
        },
        version: '0.0.0',
      },
    );
  return { folder, hub, disk, start };
}

test('an agent runs its slice, reports, goes on without its hub, and ends what is deleted', async () => {
  const { folder, hub, disk, start } = await openPlace();
  let agent = await start();
  try {
    await hub.write(
      put(nodeKey, 'node-1', 'intent', { metadata: { name: 'n1' }, spec: {} }),
      put(nodeKey, 'node-1', 'assignment', { podCIDR: '127.1.78.0/24' }),
    );
    await until('the node report', () => {
      const node = hub.store.get(nodeKey);
      return node !== undefined && facetOf(node, 'report')?.['platforms'] !== undefined;
    });
    await hub.write(
      put(podKey, 'pod-1', 'intent', intent({})),
      put(podKey, 'pod-1', 'assignment', {
        nodeName: 'n1',
        images: { 'app:1': image.index.digest },
      }),
    );
    await until('running', () => hub.report()?.status.phase === 'Running');
    assert.ok(hub.heartbeats() > 1);
    const before = JSON.stringify(hub.report());
    const revision = hub.store.revision;

    // Cut off, and restarted while it is cut off: nothing changes, nothing is said again.
    hub.cut(false);
    await agent.stop({ pods: 'leave' });
    agent = await start();
    await new Promise((resolve) => {
      setTimeout(resolve, 600);
    });
    hub.cut(true);
    const seen = hub.heartbeats();
    await until('the link again', () => hub.heartbeats() > seen + 2);
    assert.equal(JSON.stringify(hub.report()), before);
    assert.equal(hub.store.revision, revision);

    // Stopped with its pods and started again: the same pod runs once more.
    await agent.stop({ pods: 'stop' });
    agent = await start();
    await until('restarted', () => {
      const [container] = hub.report()?.status.containerStatuses ?? [];
      return container?.restartCount === 1 && container.ready;
    });
    assert.equal(hub.report()?.status.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 143);

    const deletion = { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 3 };
    await hub.write(put(podKey, 'pod-1', 'intent', intent(deletion)));
    await until('terminated', () => hub.report()?.terminated === true);
    await hub.write({ type: 'delete', key: podKey, uid: 'pod-1' as never });
    for (let waited = 0; (await disk.list('pods')).length > 0; waited += 1) {
      assert.ok(waited < 500, 'its folder goes');
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
  } finally {
    await agent.stop({ pods: 'stop' });
    await hub.store.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('what a disk lost of an outbox before delivery is declared, and reported again', async () => {
  const { folder, hub, start } = await openPlace();
  const log = join(folder, 'agent/outbox/log/segment-0000000000000001.log');
  let agent = await start();
  try {
    await hub.write(
      put(nodeKey, 'node-1', 'intent', { metadata: { name: 'n1' }, spec: {} }),
      put(nodeKey, 'node-1', 'assignment', { podCIDR: '127.1.79.0/24' }),
      put(podKey, 'pod-1', 'intent', intent({})),
      put(podKey, 'pod-1', 'assignment', {
        nodeName: 'n1',
        images: { 'app:1': image.index.digest },
      }),
    );
    await until('running', () => hub.report()?.status.phase === 'Running');
    await until('all is told', () => agent.state().outboxPending === 0);
    const told = statSync(log).size;
    hub.cut(false);
    const statePath = join(folder, 'agent/pods/pod-1/main/state.json');
    const { workloadPid } = JSON.parse(readFileSync(statePath, 'utf8')) as { workloadPid: number };
    process.kill(workloadPid, 'SIGKILL');
    const recordPath = join(folder, 'agent/pods/pod-1/pod.json');
    await until('it runs again, and the report waits', () => {
      const { report } = JSON.parse(readFileSync(recordPath, 'utf8')) as { report: PodReport };
      const [container] = report.status.containerStatuses ?? [];
      return container?.restartCount === 1 && container.ready;
    });
    await agent.stop({ pods: 'leave' });
    assert.ok(statSync(log).size > told);
    truncateSync(log, told);
    agent = await start();
    hub.cut(true);
    await until('it is reported all the same', () => {
      const [container] = hub.report()?.status.containerStatuses ?? [];
      return container?.restartCount === 1 && container.ready;
    });
    await until('what was lost is declared', () => hub.gaps.length > 0);
    await agent.stop({ pods: 'leave' });
    agent = await start();
    await until('all is told', () => agent.state().isLinked && agent.state().outboxPending === 0);
    assert.deepEqual(hub.gaps, ['disk'], 'once');
  } finally {
    await agent.stop({ pods: 'stop' });
    await hub.store.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('an agent sets aside what is damaged on its disk and goes on with what runs', async () => {
  const { folder, hub, start } = await openPlace();
  const agentFolder = join(folder, 'agent');
  const workload = (): { restartCount: number; workloadPid: number } =>
    JSON.parse(readFileSync(join(agentFolder, 'pods/pod-1/main/state.json'), 'utf8')) as never;
  const isLeftBehind = (path: string): boolean => {
    const name = `${path.split('/').at(-1)}.damaged-`;
    return readdirSync(join(agentFolder, path, '..')).some((entry) => entry.startsWith(name));
  };
  let agent = await start();
  try {
    await hub.write(
      put(nodeKey, 'node-1', 'intent', { metadata: { name: 'n1' }, spec: {} }),
      put(nodeKey, 'node-1', 'assignment', { podCIDR: '127.1.79.0/24' }),
      put(podKey, 'pod-1', 'intent', intent({})),
      put(podKey, 'pod-1', 'assignment', {
        nodeName: 'n1',
        images: { 'app:1': image.index.digest },
      }),
    );
    await until('running', () => hub.report()?.status.phase === 'Running');
    const { workloadPid } = workload();
    const { status } = hub.report() ?? {};
    const damages = ['replica', 'outbox', 'pods/pod-1/pod.json', 'pods/pod-1/main/state.json'];
    for (const path of [...damages, 'all']) {
      hub.cut(false);
      await agent.stop({ pods: 'leave' });
      for (const one of path === 'all' ? damages : [path]) spoil(join(agentFolder, one));
      // What the outbox had not delivered is lost with it, and so must be said again.
      await hub.write(put(podKey, 'pod-1', 'report', { status: { phase: 'Pending' } }));
      if (path !== 'all' && path !== 'outbox') {
        await hub.write(put(podKey, 'pod-1', 'report', { status }));
      }
      agent = await start();
      await new Promise((resolve) => {
        setTimeout(resolve, 400);
      });
      assert.equal(workload().workloadPid, workloadPid, `nothing is stopped: ${path}`);
      hub.cut(true);
      await until(`the report, after ${path}`, () => hub.report()?.status.phase === 'Running');
      assert.ok(path === 'all' || isLeftBehind(path), path);
      const hasLost = path === 'all' || path === 'outbox';
      if (hasLost) await until('what was lost is declared', () => hub.gaps.length > 0);
      assert.deepEqual(hub.gaps.splice(0), hasLost ? ['disk'] : [], path);
      assert.equal(hub.report()?.status.podIP, status?.podIP);
      assert.equal(workload().workloadPid, workloadPid, path);
      assert.equal(workload().restartCount, 0, path);
    }

    // The image on disk: what starts next is what the digest says.
    await agent.stop({ pods: 'leave' });
    const [name = ''] = readdirSync(join(agentFolder, 'images'));
    spoil(join(agentFolder, 'images', name));
    for (const part of readdirSync(join(agentFolder, 'blobs/blobs'))) {
      spoil(join(agentFolder, 'blobs/blobs', part));
    }
    agent = await start();
    process.kill(workloadPid, 'SIGKILL');
    await until('it runs again', () => {
      const [container] = hub.report()?.status.containerStatuses ?? [];
      return container?.restartCount === 1 && container.ready;
    });
    assert.ok(isLeftBehind(`images/${name}`));
    const module = readFileSync(join(agentFolder, 'images', name, 'main.mjs'), 'utf8');
    assert.equal(module, 'setInterval(() => {}, 1000);');
  } finally {
    await agent.stop({ pods: 'stop' });
    await hub.store.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Damages a file, or every file of a folder, in its first bytes. */
function spoil(path: string): void {
  if (statSync(path).isDirectory()) {
    for (const name of readdirSync(path)) spoil(join(path, name));
    return;
  }
  const bytes = readFileSync(path);
  for (let at = 0; at < Math.min(bytes.length, 8); at += 1) bytes[at] = (bytes[at] ?? 0) ^ 0x55;
  writeFileSync(path, bytes);
}
