import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { textOf, type Revision, type Uid, utf8 } from '#base/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createNodeDisk, createNodeRandom } from '#platform/io/node/mod.ts';
import {
  type Change,
  CompactedError,
  type CommittedBatch,
  FutureRevisionError,
  keyText,
  openStore,
  type ObjectKey,
  type Store,
  type StoreOptions,
} from './mod.ts';

async function withFolder(
  work: (open: (options?: StoreOptions) => Promise<Store>) => Promise<void>,
) {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-store-'));
  const ports = { disk: createNodeDisk(folder), random: createNodeRandom(), logger: silentLogger };
  try {
    await work((options) => openStore(ports, options));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const key = (name: string, namespace = 'a'): ObjectKey => ({ resource: 'things', namespace, name });
const put = (name: string, value: string, uid = `uid-${name}`): Change => ({
  type: 'put',
  key: key(name),
  uid: uid as Uid,
  facet: 'intent',
  bytes: utf8(value),
});
const remove = (name: string, uid = `uid-${name}`): Change => ({
  type: 'delete',
  key: key(name),
  uid: uid as Uid,
});
const write = (store: Store, ...changes: Change[]) =>
  store.transact(() => ({ changes, result: undefined }));
const contentOf = (store: Store): Record<string, string> =>
  Object.fromEntries(
    store
      .list('things')
      .map((object) => [object.key.name, textOf(object.facets.intent?.bytes ?? new Uint8Array())]),
  );

test('what was acknowledged is there after the store is opened again, at the same revision', async () => {
  await withFolder(async (open) => {
    const store = await open();
    await write(store, put('b', '1'), put('a', '2'));
    await write(store, put('a', '3'));
    await write(store, remove('b'));
    const head = store.head();
    await store.close();
    const again = await open();
    assert.deepEqual(contentOf(again), { a: '3' });
    assert.deepEqual(again.head(), head);
    assert.equal(again.get(key('a'))?.createdRevision, 1);
    assert.equal(again.get(key('a'))?.revision, 2);
    await again.close();
  });
});

test('a decision sees the transactions before it that are not yet on disk', async () => {
  await withFolder(async (open) => {
    const store = await open();
    const increments = Array.from({ length: 50 }, () =>
      store.transact((view) => {
        const before = view.get(key('n'))?.facets.intent?.bytes;
        const next = (before === undefined ? 0 : Number(textOf(before))) + 1;
        return { changes: [put('n', String(next))], result: next };
      }),
    );
    assert.equal(store.get(key('n')), undefined, 'readers see nothing before it is durable');
    const results = await Promise.all(increments);
    assert.deepEqual(
      results.map(({ result }) => result),
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
    assert.deepEqual(contentOf(store), { n: '50' });
    await store.close();
  });
});

test('a watch has every transaction once and in order, over a restart too', async () => {
  await withFolder(async (open) => {
    let store = await open();
    for (let count = 1; count <= 5; count += 1) await write(store, put('a', String(count)));
    await store.close();
    store = await open();
    const seen: CommittedBatch[] = [];
    const watch = store.watch(2 as Revision, (batch) => seen.push(batch));
    await Promise.all([write(store, put('b', '6')), write(store, remove('a'))]);
    watch.close();
    await write(store, put('c', '8'));
    assert.deepEqual(
      seen.map((batch) => [
        batch.revision,
        batch.events.map((event) => [event.type, event.object.key.name, event.previous?.revision]),
      ]),
      [
        [3, [['put', 'a', 2]]],
        [4, [['put', 'a', 3]]],
        [5, [['put', 'a', 4]]],
        [6, [['put', 'b', undefined]]],
        [7, [['delete', 'a', 5]]],
      ],
    );
    assert.throws(() => store.watch(99 as Revision, () => {}), FutureRevisionError);
    await store.close();
  });
});

test('a watch from before what is kept is refused, not served with a gap', async () => {
  await withFolder(async (open) => {
    let store = await open({ historyMaxTransactions: 3 });
    for (let count = 1; count <= 6; count += 1) await write(store, put('a', String(count)));
    assert.equal(store.oldestWatchable, 3);
    assert.throws(() => store.watch(2 as Revision, () => {}), CompactedError);
    await store.compact();
    const head = store.head();
    await store.close();
    store = await open({ historyMaxTransactions: 3 });
    assert.deepEqual(contentOf(store), { a: '6' });
    assert.deepEqual(store.head(), head);
    await store.close();
  });
});

test('an index finds what a function took from the objects, pending ones for decisions', async () => {
  await withFolder(async (open) => {
    const store = await open({
      indexes: { byValue: (object) => [textOf(object.facets.intent?.bytes ?? new Uint8Array())] },
    });
    await write(store, put('a', 'x'), put('b', 'y'), put('c', 'x'));
    const names = (view: Pick<Store, 'lookup'>): string[] =>
      view.lookup('byValue', 'x').map((object) => object.key.name);
    const [, inside] = await Promise.all([
      write(store, put('b', 'x'), put('a', 'z')),
      store.transact((view) => ({ changes: [], result: names(view) })),
    ]);
    assert.deepEqual(inside.result, ['b', 'c']);
    assert.deepEqual(names(store), ['b', 'c']);
    await store.close();
  });
});

test('a ring keeps the newest and deletes the oldest in the same transaction', async () => {
  await withFolder(async (open) => {
    const options: StoreOptions = { retain: { resource: 'things', objectsMax: 3 } };
    let store = await open(options);
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => write(store, put(name, name))));
    assert.deepEqual(Object.keys(contentOf(store)), ['c', 'd', 'e']);
    await store.compact();
    await store.close();
    store = await open(options);
    await write(store, put('f', 'f'));
    assert.deepEqual(Object.keys(contentOf(store)), ['d', 'e', 'f']);
    await store.close();
  });
});

test('a decision that throws changes nothing and reaches its caller', async () => {
  await withFolder(async (open) => {
    const store = await open();
    await assert.rejects(
      store.transact(() => {
        throw new Error('no');
      }),
      /no/,
    );
    assert.equal(store.revision, 0);
    await store.close();
  });
});

test('after any history the state is the fold of the log, with snapshots anywhere', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('put' as const),
        name: fc.constantFrom('a', 'b', 'c', 'd'),
        value: fc.string({ maxLength: 8 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('delete' as const),
        name: fc.constantFrom('a', 'b', 'c', 'd'),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('reopen' as const, 'compact' as const) }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      await withFolder(async (open) => {
        let store = await open();
        const model = new Map<string, string>();
        let generation = 0;
        const uids = new Map<string, string>();
        for (const item of steps) {
          if (item.do === 'put') {
            if (!uids.has(item.name)) uids.set(item.name, `uid-${(generation += 1)}`);
            model.set(item.name, item.value);
            await write(store, put(item.name, item.value, uids.get(item.name)));
          } else if (item.do === 'delete') {
            if (!model.delete(item.name)) continue;
            await write(store, remove(item.name, uids.get(item.name)));
            uids.delete(item.name);
          } else if (item.do === 'compact') {
            await store.compact();
          } else {
            await store.close();
            store = await open();
          }
          assert.deepEqual(
            contentOf(store),
            Object.fromEntries([...model].sort(([left], [right]) => (left < right ? -1 : 1))),
          );
        }
        for (const object of store.list('things')) {
          assert.equal(store.get(object.key), object, keyText(object.key));
        }
        await store.close();
      });
    }),
    { numRuns: 25 },
  );
});
