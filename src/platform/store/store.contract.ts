/**
 * What the store promises over any disk: the same cases run over the real driver
 * and over the simulated one, which can also cut its power at any moment.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Revision, textOf, type Uid, utf8 } from '#base/mod.ts';
import { contractCase, rejection, SkipCase, type TimedHarness } from '../io/harness.contract.ts';
import { type Clock, type Disk, type Random, silentLogger, type Timers } from '../io/mod.ts';
import { failingDisk } from '../log/failing-disk.contract.ts';
import { StoreFullError, StoreLatchedError } from './errors.ts';
import {
  type Change,
  CompactedError,
  type CommittedBatch,
  FutureRevisionError,
  keyText,
  type ObjectKey,
  openStore,
  type Store,
  type StoreOptions,
} from './mod.ts';

/** What a store needs of the machine that it runs on. */
export interface StoreMachine {
  readonly disk: Disk;
  readonly random: Random;
  readonly timers: Timers;
  readonly clock: Clock;
}

export interface StoreHarness extends TimedHarness {
  readonly machine: StoreMachine;
  /** Cuts the power and gives the machine as it starts afterwards, where the driver can. */
  readonly cutPower?: () => Promise<StoreMachine>;
}

interface Folder {
  readonly open: (options?: StoreOptions) => Promise<Store>;
}

interface Opened extends StoreHarness, Folder {
  readonly within: (folder: string) => Folder;
}

function folderOf(machine: StoreMachine, disk: Disk): Folder {
  return { open: (options) => openStore({ ...machine, disk, logger: silentLogger }, options) };
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

/** Registers the cases. `open` gives an empty disk each time. */
export function storeContract(name: string, open: () => Promise<StoreHarness>): void {
  const check = (behaviour: string, body: (opened: Opened) => Promise<void>): void =>
    contractCase(`store (${name}): ${behaviour}`, open, (harness) => {
      const { machine } = harness;
      const within = (folder: string): Folder => folderOf(machine, machine.disk.within(folder));
      return body({ ...harness, ...folderOf(machine, machine.disk), within });
    });

  check(
    'what was acknowledged is there after the store is opened again, at the same revision',
    async ({ open }) => {
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
    },
  );

  check(
    'the note of a facet stays until it is replaced or taken away, over snapshots and restarts',
    async ({ open }) => {
      const store = await open();
      const noted = (name: string, value: string, note: string): Change => ({
        ...(put(name, value) as Change & { readonly type: 'put' }),
        note,
      });
      const long = 'ü'.repeat(300);
      await write(store, noted('a', '1', 'by me'), noted('b', '1', long), put('c', '1'));
      await write(store, put('a', '2'));
      const notesOf = (of: Store): unknown =>
        of.list('things').map(({ key: { name }, facets }) => [name, facets.intent?.note]);
      const expected = [
        ['a', 'by me'],
        ['b', long],
        ['c', undefined],
      ];
      assert.deepEqual(notesOf(store), expected);
      await store.close();
      const again = await open();
      assert.deepEqual(notesOf(again), expected);
      await again.compact();
      await write(again, noted('b', '1', ''));
      await again.close();
      const last = await open();
      assert.deepEqual(notesOf(last), [
        ['a', 'by me'],
        ['b', undefined],
        ['c', undefined],
      ]);
      await last.close();
    },
  );

  check('a decision sees the transactions before it that are not yet on disk', async ({ open }) => {
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

  check('a watch has every transaction once and in order, over a restart too', async ({ open }) => {
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

  check('snapshots come less often as the store grows', async ({ open, machine }) => {
    const store = await open({ snapshotEveryBytes: 2_000 });
    const seen = new Set<string>();
    for (let count = 1; count <= 120; count += 1) {
      await write(store, put(`n${count}`, 'x'.repeat(500)));
      for (const { name } of await machine.disk.list('log')) {
        if (name.startsWith('snapshot-')) seen.add(name);
      }
    }
    // With one for every 2,000 bytes there would be thirty.
    assert.ok(seen.size >= 3 && seen.size <= 10, `${seen.size} snapshots`);
    await store.close();
  });

  check('a watch of one resource has every transaction that touches it, once', async ({ open }) => {
    const store = await open();
    const other: Change = { ...put('o', '1'), key: { ...key('o'), resource: 'others' } };
    const seen: Revision[] = [];
    const late: Revision[] = [];
    const begin = store.revision;
    const watch = store.watch(begin, ({ revision }) => seen.push(revision), 'things');
    const brief = store.watch(begin, () => brief.close(), 'things');
    await write(store, put('a', '1'));
    await write(store, other);
    await write(store, put('b', '1'), other, put('c', '1'));
    const again = store.watch(2 as Revision, ({ revision }) => late.push(revision), 'things');
    brief.close();
    await write(store, remove('a'));
    watch.close();
    again.close();
    await write(store, put('d', '1'));
    assert.deepEqual(seen, [1, 3, 4]);
    assert.deepEqual(late.slice(-2), [3, 4]);
    await store.close();
  });

  check('a watch from before what is kept is refused, not served with a gap', async ({ open }) => {
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

  check(
    'an index finds what a function took from the objects, pending ones for decisions',
    async ({ open }) => {
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
    },
  );

  check(
    'a ring keeps the newest and deletes the oldest in the same transaction',
    async ({ open }) => {
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
    },
  );

  check('a decision that throws changes nothing and reaches its caller', async ({ open }) => {
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

  check(
    'after any history the state is the fold of the log, with snapshots anywhere',
    async ({ within }) => {
      let runCount = 0;
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
          const { open } = within(`history-${(runCount += 1)}`);
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
        }),
        { numRuns: 25 },
      );
    },
  );

  check('a failed sync latches the store: writes are refused, reads go on', async (opened) => {
    const { machine, cutPower } = opened;
    const failing = failingDisk(machine.disk);
    const store = await folderOf(machine, failing.disk).open();
    await write(store, put('a', '1'));
    failing.failSyncs = 1;
    const both = [put('a', '2'), put('b', '2')].map((change) => rejection(write(store, change)));
    for (const thrown of await Promise.all(both)) assert.ok(thrown instanceof StoreLatchedError);
    assert.ok((await rejection(write(store, put('c', '3')))) instanceof StoreLatchedError);
    assert.equal(store.isLatched, true);
    assert.deepEqual(contentOf(store), { a: '1' });
    await store.close();
    const after = cutPower === undefined ? machine : await cutPower();
    const again = await folderOf(after, after.disk).open();
    assert.equal(again.isLatched, false);
    const { a, b } = contentOf(again);
    assert.ok(a === '1' || a === '2');
    assert.ok(b === undefined || (b === '2' && a === '2'), 'what followed is not there alone');
    await write(again, put('c', '3'));
    await again.close();
  });

  check('no space refuses every write that waits, changes nothing, and passes', async (opened) => {
    const { machine } = opened;
    const failing = failingDisk(machine.disk);
    const store = await folderOf(machine, failing.disk).open();
    const seen: number[] = [];
    store.watch(0 as Revision, (batch) => seen.push(batch.revision));
    await write(store, put('a', '1'));
    for (const roomBytes of [0, 50, 150]) {
      failing.roomBytes = roomBytes;
      const all = [put('a', '2'), put('b', '2'), put('a', '3')].map((change) =>
        rejection(write(store, change)),
      );
      for (const thrown of await Promise.all(all)) assert.ok(thrown instanceof StoreFullError);
      assert.deepEqual([contentOf(store), store.isLatched], [{ a: '1' }, false]);
    }
    failing.roomBytes = undefined;
    const { result } = await store.transact((view) => ({
      changes: [put('b', '4')],
      result: [view.revision, view.get(key('b'))],
    }));
    assert.deepEqual(result, [1, undefined], 'decisions have forgotten what was refused');
    assert.deepEqual(seen, [1, 2]);
    await store.close();
    const again = await opened.open();
    assert.deepEqual([contentOf(again), again.revision], [{ a: '1', b: '4' }, 2]);
    await again.close();
  });

  check('no space for a snapshot is told, and writes go on', async (opened) => {
    const failing = failingDisk(opened.machine.disk);
    const store = await folderOf(opened.machine, failing.disk).open();
    await write(store, put('a', '1'));
    failing.roomBytes = 90;
    assert.ok((await rejection(store.compact())) instanceof StoreFullError);
    failing.roomBytes = undefined;
    await write(store, put('a', '2'));
    await store.compact();
    await store.close();
    const again = await opened.open();
    assert.deepEqual(contentOf(again), { a: '2' });
    await again.close();
  });

  check(
    'after power cuts at any moment the store is a whole prefix of what was sent',
    async (opened) => {
      const { cutPower } = opened;
      if (cutPower === undefined) throw new SkipCase('this driver cannot cut its power');
      let { machine } = opened;
      let runCount = 0;
      const burst = fc.record({
        writes: fc.integer({ min: 1, max: 8 }),
        pauseMs: fc.double({ min: 0, max: 4, noNaN: true }),
        compacts: fc.boolean(),
        cuts: fc.boolean(),
      });
      const property = fc.asyncProperty(
        fc.array(burst, { minLength: 1, maxLength: 20 }),
        async (bursts) => {
          const folder = `cuts-${(runCount += 1)}`;
          const options: StoreOptions = { segmentBytesMax: 700 };
          const openAgain = (): Promise<Store> =>
            folderOf(machine, machine.disk.within(folder)).open(options);
          let acknowledged = 0;
          let sent = 0;
          let store = await openAgain();
          for (const { writes, pauseMs, compacts, cuts } of bursts) {
            for (let count = 0; count < writes; count += 1) {
              const revision = (sent += 1);
              // Both objects or neither, and the history of the store is its own revision.
              const value = String(revision);
              void write(store, put('left', value), put('right', value)).then((told) => {
                assert.equal(told.revision, revision);
                acknowledged = Math.max(acknowledged, revision);
              });
            }
            if (compacts) void store.compact();
            await opened.passTime(pauseMs);
            if (!cuts) continue;
            machine = await cutPower();
            store = await openAgain();
            const { revision } = store;
            assert.ok(revision >= acknowledged && revision <= sent, `${revision} of ${sent}`);
            const value = String(revision);
            assert.deepEqual(contentOf(store), revision === 0 ? {} : { left: value, right: value });
            const seen: number[] = [];
            store.watch(store.oldestWatchable, (batch) => seen.push(batch.revision)).close();
            assert.deepEqual(
              seen,
              Array.from(
                { length: revision - store.oldestWatchable },
                (_, index) => store.oldestWatchable + index + 1,
              ),
            );
            sent = revision;
            acknowledged = revision;
          }
          await store.close();
        },
      );
      await fc.assert(property, { numRuns: 60, endOnFailure: true });
    },
  );
}
