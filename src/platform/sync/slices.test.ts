// What is in a slice and what enters and leaves it, over real stores, copies and links.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isJsonObject, type JsonObject, strictTextOf } from '#base/mod.ts';
import type { Store, StoredObject, StoreOptions } from '#platform/store/mod.ts';
import { assertSame, heldBy, keyOf, put, remove, SyncWorld } from './sync-world.contract.ts';
import { createSliceServer } from './slice-server.ts';
import type { Replica, ReplicaChange, SliceRules } from './types.ts';

function intentOf(object: StoredObject): JsonObject {
  const value: unknown = JSON.parse(strictTextOf(object.facets.intent?.bytes ?? new Uint8Array()));
  assert.ok(isJsonObject(value));
  return value;
}

/** Pods are in the slice of their node, and name configmaps and secrets. */
function nodeRules(store: Store): SliceRules {
  const nodeOf = (object: StoredObject): string =>
    object.key.resource === 'pods' ? (intentOf(object)['node'] as string) : '';
  return {
    slicesOf: (object) => (object.key.resource === 'pods' ? [nodeOf(object)] : []),
    membersOf: (slice) => store.list('pods').filter((pod) => nodeOf(pod) === slice),
    related: (member) => ((intentOf(member)['names'] ?? []) as string[]).map((name) => keyOf(name)),
  };
}

const pod = (name: string, node: string, ...names: string[]) =>
  put(`pods/${name}`, { node, names });

async function fleet(options: StoreOptions = {}) {
  const world = new SyncWorld();
  const owner = world.host('owner');
  const store = await world.store(owner, options);
  const server = createSliceServer({
    store,
    timers: owner.ports.timers,
    rules: nodeRules(store),
    formerIncarnations: () => store.formerIncarnations,
  });
  const host = world.host('n1');
  const replica = await world.replica(host);
  const changes: string[] = [];
  replica.onChange((list: readonly ReplicaChange[]) => {
    for (const { type, object } of list) changes.push(`${type} ${object.key.name}`);
  });
  const follow = () => world.follow(owner, server, host, replica, 'n1');
  const current = (): boolean => replica.cursor?.sequence === store.revision;
  return { world, owner, store, server, host, replica, changes, follow, current };
}

test('what a member names enters with it, whole, and leaves with the last one that names it', async () => {
  const { world, store, replica, changes, follow } = await fleet();
  await world.write(store, put('configmaps/c', { v: 1 }), put('secrets/s', { v: 1 }));
  await world.write(store, put('secrets/other', {}), pod('a', 'n1', 'configmaps/c'));
  await follow();
  await world.until('the first', () => heldBy(replica) === 'configmaps/c pods/a');

  await world.write(store, pod('b', 'n1', 'configmaps/c', 'secrets/s', 'secrets/late'));
  await world.until('b and its secret', () => heldBy(replica).endsWith('pods/b secrets/s'));
  await world.write(store, put('secrets/late', { v: 1 }));
  await world.until('one that comes late', () => heldBy(replica).includes('secrets/late'));
  changes.length = 0;
  await world.write(store, put('configmaps/c', { v: 2 }), put('secrets/other', { v: 2 }));
  await world.until('a change of it', () => changes.length > 0);
  assert.deepEqual(changes, ['put c']);
  await world.write(store, remove('secrets/late'));
  await world.until('its deletion', () => !heldBy(replica).includes('secrets/late'));
  assert.equal(changes.at(-1), 'delete late');
  await world.write(store, put('secrets/late', { v: 2 }, 'uid-again'));
  await world.until('its return', () => heldBy(replica).includes('secrets/late'));

  changes.length = 0;
  await world.write(store, pod('b', 'n2', 'configmaps/c', 'secrets/s', 'secrets/late'));
  await world.until('b is gone', () => heldBy(replica) === 'configmaps/c pods/a');
  assert.deepEqual(changes.toSorted(), ['leave b', 'leave late', 'leave s']);
  await world.write(store, pod('a', 'n1'));
  await world.until('nobody names c', () => heldBy(replica) === 'pods/a');
  // What is no longer named is no longer told.
  changes.length = 0;
  await world.write(store, put('configmaps/c', { v: 3 }));
  await world.pass(20_000);
  assert.deepEqual(changes, []);
});

test('a follower that comes back gets what entered, left and changed meanwhile, at once', async () => {
  const { world, store, replica, changes, follow, current } = await fleet();
  await world.write(store, put('configmaps/c', { v: 1 }), put('secrets/s', { v: 1 }));
  await world.write(store, put('secrets/t', { v: 1 }), put('secrets/u', { v: 1 }));
  await world.write(store, pod('a', 'n1', 'configmaps/c', 'secrets/s', 'secrets/u'));
  await world.write(store, pod('b', 'n1'), pod('d', 'n1'));
  const link = await follow();
  await world.until('all is there', current);
  link.end();
  await world.pass(100);

  await world.write(store, put('configmaps/c', { v: 2 }), put('secrets/t', { v: 2 }));
  await world.write(store, remove('pods/b'), remove('secrets/u'));
  await world.write(store, put('pods/b', { node: 'n1', names: ['secrets/t'] }, 'uid-b2'));
  await world.write(store, pod('a', 'n1', 'configmaps/c'));
  await world.write(store, pod('d', 'n2'), pod('e', 'n1', 'secrets/t'));
  await world.write(store, pod('f', 'n1'));
  await world.write(store, remove('pods/f'));
  changes.length = 0;
  const again = await follow();
  await world.until('it has caught up', current);
  assert.equal(heldBy(replica), 'configmaps/c pods/a pods/b pods/e secrets/t');
  assert.deepEqual(changes.toSorted(), [
    ...['delete b', 'delete u', 'leave d', 'leave s'],
    ...['put a', 'put b', 'put c', 'put e', 'put t'],
  ]);
  assertSame(
    replica,
    ['configmaps/c', 'pods/a', 'pods/b', 'pods/e', 'secrets/t'].map((text) => {
      const object = store.get(keyOf(text));
      assert.ok(object);
      return object;
    }),
  );
  // And goes on from there.
  await world.write(store, remove('pods/b', 'uid-b2'), pod('e', 'n2', 'secrets/t'));
  await world.until('t leaves too', () => heldBy(replica) === 'configmaps/c pods/a');
  again.end();
});

test('a follower that takes nothing for a while costs one entry an object, and gets the newest', async () => {
  const { world, store, host, replica, follow, current } = await fleet();
  const text = 'x'.repeat(100_000);
  const big = (name: string, value: number) =>
    put(`pods/${name}`, { node: 'n1', names: ['configmaps/c'], text, value });
  await world.write(store, put('configmaps/c', { v: 0 }));
  const link = await follow();
  await world.until('it follows', current);
  host.freeze(5_000);
  for (let value = 0; value < 100; value += 1) {
    await world.write(store, big(`p${value % 20}`, value), put('configmaps/c', { v: value }));
  }
  await world.until('it has all', current);
  const downBytes = link.down();
  assert.equal(replica.list('pods').length, 20);
  assertSame(replica, [...store.list('pods'), ...store.list('configmaps')]);
  // Some were on their way when it fell asleep; the others came once.
  assert.ok(downBytes < 60 * text.length, `${downBytes} bytes`);
});

test('a member of every slice goes to all, and a commit that concerns nobody wakes nobody', async () => {
  const world = new SyncWorld();
  const owner = world.host('owner');
  const store = await world.store(owner);
  let asked = 0;
  const server = createSliceServer({
    store,
    timers: owner.ports.timers,
    rules: {
      slicesOf(object) {
        asked += 1;
        return object.key.resource === 'services' ? 'every' : [object.key.name];
      },
      membersOf: (slice) => [
        ...store.list('services'),
        ...store.list('pods').filter(({ key }) => key.name === slice),
      ],
    },
  });
  const replicas: Replica[] = [];
  for (let index = 0; index < 20; index += 1) {
    const host = world.host(`n${index}`);
    const replica = await world.replica(host);
    replicas.push(replica);
    await world.follow(owner, server, host, replica, `n${index}`);
  }
  await world.write(store, put('services/web', {}), put('pods/n3', {}));
  const all = ['pods', 'services'];
  await world.until('all have it', () =>
    replicas.every((replica) => heldBy(replica, all).includes('services/web')),
  );
  assert.equal(replicas.filter((replica) => replica.list('pods').length > 0).length, 1);
  asked = 0;
  for (let count = 0; count < 10; count += 1) await world.write(store, put('pods/none', { count }));
  await world.pass(100);
  assert.ok(asked <= 2 * 10, `${asked} questions for ten commits and twenty followers`);
});
