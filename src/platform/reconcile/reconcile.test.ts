import assert from 'node:assert/strict';
import test from 'node:test';
import { type ApiObject, resources, StatusError } from '#platform/api/mod.ts';
import type { Client, WatchHandlers } from '#platform/client/mod.ts';
import { silentLogger, sleep } from '#platform/io/mod.ts';
import { createWorld, type World } from '#platform/sim/mod.ts';
import { createInformer, createWorkQueue, runController } from './mod.ts';
import { type Change, keyOf, ObjectCache } from './object-cache.ts';

const openWorld = (): World =>
  createWorld({ seed: 7, drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)) });

function pod(name: string, uid: string, revision: number, owner?: string): ApiObject {
  const ownerReferences =
    owner === undefined ? [] : [{ apiVersion: 'v1', kind: 'X', name: owner, uid: owner }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'd', uid, resourceVersion: String(revision), ownerReferences },
  };
}

function openCache(): { cache: ObjectCache<ApiObject>; told: string[] } {
  const told: string[] = [];
  const tell = ({ type, object }: Change): void => {
    told.push(`${type} ${keyOf(object)} ${object.metadata.uid} ${object.metadata.resourceVersion}`);
  };
  return { cache: new ObjectCache({}, tell), told };
}

test('the answer to a write is seen at once and never undoes what the watch told', () => {
  const { cache, told } = openCache();
  cache.replace([pod('a', 'a1', 3)], 5);
  cache.observe(pod('b', 'b1', 6, 'set'));
  assert.equal(cache.lookup('owner', 'set').length, 1);
  cache.put(pod('b', 'b1', 6, 'set'));
  cache.put(pod('a', 'a1', 7));
  cache.delete(pod('b', 'b1', 8));
  // The answer to an update that the deletion has overtaken.
  cache.observe(pod('b', 'b1', 7));
  cache.put(pod('a', 'a1', 4));
  assert.deepEqual(told, [
    'added d/a a1 3',
    'added d/b b1 6',
    'updated d/a a1 7',
    'deleted d/b b1 6',
  ]);
  assert.equal(cache.lookup('owner', 'set').length, 0);
});

test('a new list tells of what went and of another object under an old name', () => {
  const { cache, told } = openCache();
  cache.replace([pod('a', 'a1', 1), pod('b', 'b1', 2), pod('c', 'c1', 3)], 5);
  cache.observe(pod('new', 'n1', 9));
  told.length = 0;
  cache.replace([pod('a', 'a1', 1), pod('b', 'b2', 7)], 8);
  assert.deepEqual(told, ['deleted d/c c1 3', 'deleted d/b b1 2', 'added d/b b2 7']);
  assert.ok(cache.get('d/new'));
});

test('a key waits once, is worked on once at a time, and comes back when it was added meanwhile', () => {
  const world = openWorld();
  const queue = createWorkQueue({ ...world, random: world.random('queue') });
  queue.add('a');
  queue.add('a');
  queue.add('b');
  assert.deepEqual([queue.take(), queue.take(), queue.take()], ['a', 'b', undefined]);
  queue.add('a');
  assert.equal(queue.take(), undefined);
  queue.done('a');
  assert.equal(queue.take(), 'a');
  queue.close();
});

test('of two times for one key the earlier wins, whenever it was said', async () => {
  const world = openWorld();
  const queue = createWorkQueue({ ...world, random: world.random('queue') });
  queue.addAfter('a', 1_000);
  await world.run(900);
  queue.addAfter('a', 500);
  await world.run(1_001);
  assert.equal(queue.take(), 'a');
  queue.close();
});

test('a failing key is tried again ever later, and others go on', async () => {
  const world = openWorld();
  const queue = createWorkQueue({ ...world, random: world.random('queue') });
  const failures: number[] = [];
  let others = 0;
  const controller = runController({
    name: 'test',
    queue,
    logger: silentLogger,
    concurrencyMax: 1,
    async reconcile(key) {
      await sleep(world.timers, 1);
      if (key === 'good') {
        others += 1;
        return { againAfterMs: 1_000 };
      }
      failures.push(world.clock.monotonicMs());
      throw new Error('never works');
    },
  });
  queue.add('bad');
  queue.add('good');
  await world.run(10_000);
  const gaps = failures.slice(1).map((atMs, i) => atMs - (failures[i] ?? 0));
  assert.ok(failures.length >= 8 && failures.length <= 12, `${failures.length} tries`);
  assert.ok((gaps.at(-1) ?? 0) > 20 * (gaps[0] ?? 0));
  assert.ok(others >= 9);
  await controller.close();
});

test('an informer goes on after a cut and lists again where history has ended', async () => {
  const world = openWorld();
  const watches: { from: string; handlers: WatchHandlers }[] = [];
  let listed: ApiObject[] = [pod('a', 'a1', 3)];
  let revision = 5;
  // The two calls of the client that an informer uses, answered by hand to order the failures.
  const client = {
    list: () => Promise.resolve({ items: listed, resourceVersion: String(revision) }),
    watch(_resource: unknown, options: { resourceVersion: string }, handlers: WatchHandlers) {
      watches.push({ from: options.resourceVersion, handlers });
      return { close() {} };
    },
  } as unknown as Client;
  const random = world.random('informer');
  const options = { timers: world.timers, random, logger: silentLogger };
  const informer = createInformer(client, resources.pods, options);
  const told: string[] = [];
  informer.onChange(({ type, object }) => told.push(`${type} ${keyOf(object)}`));
  informer.start();
  await world.run(10);
  watches[0]?.handlers.onEvent({ type: 'ADDED', object: pod('b', 'b1', 6) });
  watches[0]?.handlers.onEvent({ type: 'BOOKMARK', resourceVersion: '8' });
  watches[0]?.handlers.onEnd(new Error('cut'));
  await world.run(1_000);
  listed = [pod('b', 'b1', 6)];
  revision = 20;
  watches[1]?.handlers.onEnd(new StatusError('Expired', 'too old'));
  await world.run(3_000);
  assert.deepEqual(
    watches.map(({ from }) => from),
    ['5', '8', '20'],
  );
  assert.deepEqual(told, ['added d/a', 'added d/b', 'deleted d/a']);
  informer.close();
});
