// What scheduling decides and tells of pods, over the real store in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, utf8 } from '#base/mod.ts';
import { builtInDefinitions } from '#platform/api/mod.ts';
import { BlobError, type ImageCatalog } from '#platform/blobs/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { type Change, openStore, type StoredObject } from '#platform/store/mod.ts';
import { Scheduling } from './scheduling.ts';
import { hubIndexes, readFacet } from './stored-facets.ts';

const limitMs = 60_000;
const mediaType = 'application/vnd.oci.image.index.v1+json';

/** Every image is there but `nope:1`; its digest is its name. */
const images = {
  onChange() {},
  resolve(name: string) {
    if (name === 'nope:1') throw new BlobError('BLOB_NOT_FOUND', 'no image nope:1');
    const platforms = ['script/javascript'];
    return Promise.resolve({ digest: `digest of ${name}`, mediaType, platforms, byPlatform: {} });
  },
} as unknown as ImageCatalog;

async function openScheduling() {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 7, drainMicrotasks });
  const { clock, timers, random, disk, logger } = world.host('server').ports;
  const act = <Result>(work: Promise<Result>): Promise<Result> => world.settle(work, limitMs);
  const store = await act(
    openStore({ disk: disk.within('log'), random, logger }, { indexes: hubIndexes }),
  );
  const said: string[] = [];
  const nodeDefinition = builtInDefinitions.find(({ kind }) => kind === 'Node');
  assert.ok(nodeDefinition !== undefined);
  const scheduling = new Scheduling({
    store,
    clock,
    timers,
    logger,
    images,
    nodeDefinition,
    events: {
      record: (_component, { key }, _severity, reason) => said.push(`${reason} ${key.name}`),
      deliver: () => Promise.resolve(true),
    },
  });
  store.watch(store.revision, (batch) => scheduling.look(batch));
  const keyOf = (resource: string, name: string) => ({
    resource,
    namespace: resource === 'pods' ? 'default' : '',
    name,
  });
  const put = (resource: string, name: string, facets: Record<string, JsonObject>) => {
    const key = keyOf(resource, name);
    const uid = `uid-${name}` as StoredObject['uid'];
    const changes = Object.entries(facets).map(([facet, value]): Change => ({
      type: 'put',
      key,
      uid,
      facet: facet as 'intent',
      bytes: utf8(JSON.stringify(value)),
    }));
    return act(store.transact(() => ({ changes, result: undefined })));
  };
  return {
    said,
    put,
    facet(name: string, facet: 'assignment' | 'verdict'): JsonObject | undefined {
      const pod = store.get(keyOf('pods', name));
      return pod === undefined ? undefined : readFacet(pod, facet);
    },
    pass: (): Promise<void> => world.run(clock.monotonicMs() + 2_000),
    async [Symbol.asyncDispose]() {
      await act(scheduling.close());
      await act(store.close());
    },
  };
}

const podWith = (name: string, image: string): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'main', image }] },
});

test('a pod that asks for another image keeps its node, and is not told of as if it were new', async () => {
  await using hub = await openScheduling();
  await hub.put('nodes', 'n1', {
    intent: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } },
  });
  await hub.put('pods', 'p', {
    intent: podWith('p', 'app:1'),
    assignment: { nodeName: 'n1', images: {} },
  });
  await hub.pass();
  const assigned = (image: string) => ({
    nodeName: 'n1',
    images: { [image]: `digest of ${image}` },
  });
  assert.deepEqual(hub.facet('p', 'assignment'), assigned('app:1'));
  assert.deepEqual(hub.said, ['Scheduled p']);

  await hub.put('pods', 'p', { intent: podWith('p', 'app:2') });
  await hub.pass();
  assert.deepEqual(hub.facet('p', 'assignment'), assigned('app:2'));
  await hub.put('pods', 'p', { intent: podWith('p', 'nope:1') });
  await hub.pass();
  const { conditions, imagesUnknown } = hub.facet('p', 'verdict') ?? {};
  assert.deepEqual(Object.keys(imagesUnknown ?? {}), ['nope:1'], 'its node is told why');
  assert.match(JSON.stringify(conditions), /"PodScheduled","status":"True"/);
  assert.deepEqual(hub.said, ['Scheduled p'], 'of its image its node tells');

  await hub.put('pods', 'p', { intent: podWith('p', 'app:3') });
  await hub.pass();
  assert.deepEqual(hub.facet('p', 'verdict')?.['imagesUnknown'], undefined);
});
