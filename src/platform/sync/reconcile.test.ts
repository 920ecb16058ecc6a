// Comparing by digests where a cursor no longer serves: what it costs, that it is whole
// or nothing, and what becomes of those who do not play by the rules.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, type JsonObject, utf8 } from '#base/mod.ts';
import type { OwnedStore, StoredObject } from '#platform/store/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { DigestTree } from './digest-tree.ts';
import { encodeRangeQuestion } from './range-messages.ts';
import { encodeSliceMessage, type SliceBatch, type SliceChange } from './slice-messages.ts';
import {
  assertSame,
  everything,
  heldBy,
  keyOf,
  put,
  remove,
  serverOf,
  SyncWorld,
} from './sync-world.contract.ts';
import { createSliceServer } from './slice-server.ts';
import type { Replica } from './types.ts';

const smallMessageBytes = 1_200;
const someKilobytes = 16 * 1024;

function pods(store: OwnedStore): readonly StoredObject[] {
  return store.list('pods');
}

/** A follower that has all of `count` pods, and an owner that keeps only few transactions. */
async function pair(count: number, seed = 1) {
  const world = new SyncWorld(seed);
  const owner = world.host('owner');
  const store = await world.store(owner, { historyMaxTransactions: 4 });
  const all = Array.from({ length: count }, (_, n) => put(`pods/p${n}`, { n, text: `text ${n}` }));
  if (count > 0) await world.write(store, ...all);
  const server = serverOf(owner, store);
  const host = world.host('n1');
  const replica = await world.replica(host);
  const link = await world.follow(owner, server, host, replica);
  await world.until('it has all', () => replica.cursor?.sequence === store.revision);
  const current = (): boolean => replica.cursor?.sequence === store.revision;
  const follow = () => world.follow(owner, server, host, replica);
  /** So many transactions that the follower's cursor is no longer served. */
  const forget = async (): Promise<void> => {
    for (let count = 0; count < 6; count += 1) {
      await world.write(store, put('others/o', { count }));
    }
  };
  return { world, owner, store, server, host, replica, link, follow, current, forget };
}

test('the digest of a range is that of its objects, however they came together', () => {
  const object = (name: string, revision: number) =>
    ({
      key: keyOf(`pods/${name}`),
      uid: `uid-${name}`,
      createdRevision: 1,
      revision,
      facets: { intent: { revision, bytes: utf8(`${revision}`) } },
    }) as unknown as StoredObject;
  const tree = new DigestTree();
  const held = new Map<string, StoredObject>();
  let state = 7;
  const next = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  for (let step = 0; step < 6_000; step += 1) {
    const name = `p${next(400)}`;
    // Grows, then shrinks to nothing, so that ranges split and become one again.
    if (next(6_000) > step) {
      const one = object(name, next(50));
      held.set(name, one);
      tree.put(one);
    } else {
      held.delete(name);
      tree.remove(keyOf(`pods/${name}`));
    }
    if (step % 500 !== 0) continue;
    const fresh = DigestTree.of([...held.values()].reverse());
    for (const prefix of ['', '3', 'a', 'a7', 'f', '00f']) {
      assert.equal(tree.digestOf(prefix), fresh.digestOf(prefix));
      assert.equal(tree.countOf(prefix), fresh.objectsIn(prefix).length);
    }
    assert.equal(tree.count, held.size);
  }
  for (const name of held.keys()) tree.remove(keyOf(`pods/${name}`));
  assert.equal(tree.digestOf(''), new DigestTree().digestOf(''));
});

test('three differences among 2,000 objects cost some kilobytes, none a small message each way', async () => {
  const { world, store, replica, link, follow, current, forget } = await pair(2_000);
  const whole = link.down();
  link.end();
  await forget();
  const unchanged = await follow();
  await world.until('nothing to do', current);
  assert.ok(unchanged.down() < smallMessageBytes, `${unchanged.down()} bytes down`);
  assert.ok(unchanged.up() < smallMessageBytes, `${unchanged.up()} bytes up`);
  unchanged.end();

  const changes: string[] = [];
  replica.onChange((list) =>
    changes.push(...list.map(({ type, object }) => `${type} ${object.key.name}`)),
  );
  await world.write(store, put('pods/p7', { n: 7, text: 'another' }), remove('pods/p8'));
  await world.write(store, put('pods/new', { n: -1 }));
  await forget();
  const again = await follow();
  await world.until('the three', current);
  assert.deepEqual(changes.toSorted(), ['delete p8', 'put new', 'put p7']);
  assertSame(replica, pods(store));
  const moved = again.down() + again.up();
  assert.ok(moved < someKilobytes, `${moved} bytes moved, all of it would be ${whole}`);
  // And it goes on from there, with what came while they compared.
  await world.write(store, put('pods/after', {}));
  await world.until('goes on', current);
  assertSame(replica, pods(store));
  again.end();
});

test('what changes while the two compare comes after it, and nothing is lost', async () => {
  const { world, store, replica, link, follow, current, forget } = await pair(600);
  link.end();
  const many = Array.from({ length: 300 }, (_, n) => put(`pods/p${n * 2}`, { n, text: 'changed' }));
  await world.write(store, ...many);
  await forget();
  const writes = Promise.all(
    Array.from({ length: 40 }, (_, count) =>
      store.transact(() => ({
        changes: [put(`pods/p${count * 3}`, { count }), put('pods/extra', { count })],
        result: undefined,
      })),
    ),
  );
  await follow();
  await world.run(writes);
  await world.until('all of it', current);
  assertSame(replica, pods(store));
});

test('a follower behind compaction does not take a new object for the old of its name', async () => {
  const { world, store, replica, link, follow, current, forget } = await pair(40);
  link.end();
  const changes: string[] = [];
  replica.onChange((list) =>
    changes.push(...list.map(({ type, object }) => `${type} ${object.uid}`)),
  );
  await world.write(store, remove('pods/p3'), remove('pods/p4'));
  await world.write(store, put('pods/p3', { n: 3, text: 'text 3' }, 'uid-again'));
  await forget();
  await follow();
  await world.until('it is current', current);
  assert.deepEqual(changes.toSorted(), [
    'delete uid-pods/p3',
    'delete uid-pods/p4',
    'put uid-again',
  ]);
  assertSame(replica, pods(store));
});

test('a copy that is not what its cursor says is found out and mended', async () => {
  const { world, owner, store, server, host, replica, link, current } = await pair(50);
  link.end();
  await world.pass(50);
  // An owner that forgot to tell of a deletion: the copy keeps p5, at the right cursor.
  await world.write(store, remove('pods/p5'));
  const { sequence, chainHash, incarnation } = store.head();
  const false_ = await world.connect(owner, host, (_method, _parameters, stream) => {
    stream.onMessage(() => {});
    void stream.send(
      encodeSliceMessage({
        type: 'progress',
        epoch: 1,
        after: replica.cursor?.sequence ?? 0,
        sequence,
        chainHash,
      }),
    );
  });
  replica.follow(false_.session);
  await world.until('it believes', current);
  assert.equal(replica.cursor?.incarnation, incarnation);
  assert.ok(heldBy(replica).includes('pods/p5'));
  false_.end();
  await world.pass(50);
  await world.follow(owner, server, host, replica);
  await world.until('it is mended', () => !heldBy(replica).includes('pods/p5 '));
  assertSame(replica, pods(store));
});

test('a reconcile is on disk as a whole or not at all, whenever the power goes', async () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const { world, owner, store, server, host, replica, link, forget } = await pair(120, seed);
    link.end();
    await world.pass(50);
    const before = [...pods(store)];
    await world.write(
      store,
      ...Array.from({ length: 60 }, (_, n) =>
        n % 3 === 0 ? remove(`pods/p${n}`) : put(`pods/p${n}`, { n, text: 'x'.repeat(3_000) }),
      ),
    );
    await forget();
    let cutMs = seed;
    host.machineDisk.afterNextWrite(() => {
      cutMs = 0;
      host.crashMachine();
    });
    await world.follow(owner, server, host, replica);
    await world.until('the power goes', () => cutMs === 0);
    host.boot();
    const reopened = await world.replica(host);
    const isOld = reopened.cursor?.sequence !== store.revision;
    assertSame(reopened, isOld ? before : pods(store));
    await world.follow(owner, server, host, reopened);
    await world.until('it is current', () => reopened.cursor?.sequence === store.revision);
    assertSame(reopened, pods(store));
  }
});

test('a follower whose disk is full keeps what it had, and follows once there is room', async () => {
  const { world, owner, store, server, host, replica, link, forget } = await pair(30);
  link.end();
  await world.pass(50);
  const before = [...pods(store)];
  await world.write(store, put('pods/p1', { text: 'y'.repeat(100_000) }), remove('pods/p2'));
  await forget();
  const free = host.faults.capacityBytes;
  host.faults.capacityBytes = 1;
  let ended = '';
  const full = await world.follow(owner, server, host, replica);
  full.session.onClose((failure) => (ended = failure?.message ?? 'over'));
  await world.until('it gives up', () => ended !== '');
  assert.match(ended, /sync does not hold/);
  assertSame(replica, before);
  host.faults.capacityBytes = free;
  await world.follow(owner, server, host, replica);
  await world.until('it is current', () => replica.cursor?.sequence === store.revision);
  assertSame(replica, pods(store));
});

/** Follows an owner that says whatever `speak` does; answers with what the follower said to that. */
async function whatComesOf(
  speak: (stream: LinkStream, parameters: Readonly<Record<string, unknown>>) => void,
): Promise<{ readonly codes: readonly string[]; readonly replica: Replica }> {
  const { world, owner, store, host, replica, link } = await pair(20);
  link.end();
  await world.pass(50);
  const before = [...pods(store)];
  const { cursor } = replica;
  let changeCount = 0;
  replica.onChange(() => (changeCount += 1));
  const codes: string[] = [];
  const bad = await world.connect(owner, host, (_method, parameters, stream) => {
    stream.onMessage(() => {});
    stream.onClose((failure) => codes.push(failure?.code ?? 'ended'));
    speak(stream, parameters);
  });
  replica.follow(bad.session);
  await world.until('it refuses', () => codes.length > 0);
  assert.equal(changeCount, 0);
  assert.deepEqual(replica.cursor, cursor);
  assertSame(replica, before);
  bad.end();
  await world.pass(50);
  const reopened = await world.replica(world.host('n1'));
  assertSame(reopened, before);
  return { codes, replica };
}

const object = (name: string, revision: number, intent: JsonObject): StoredObject => ({
  key: keyOf(`pods/${name}`),
  uid: `uid-pods/${name}` as StoredObject['uid'],
  createdRevision: 1 as StoredObject['revision'],
  revision: revision as StoredObject['revision'],
  facets: {
    intent: {
      revision: revision as StoredObject['revision'],
      bytes: utf8(JSON.stringify(intent)),
    },
  },
});

function batch(
  parameters: Readonly<Record<string, unknown>>,
  changes: readonly SliceChange[],
  other: Partial<SliceBatch> = {},
): Uint8Array {
  const cursor = parameters['cursor'] as { incarnation: string; sequence: number };
  return encodeSliceMessage({
    type: 'batch',
    isReset: false,
    part: 0,
    hasMore: false,
    incarnation: cursor.incarnation,
    epoch: 1,
    after: cursor.sequence,
    sequence: cursor.sequence + 1,
    chainHash: 'ab'.repeat(32),
    changes,
    ...other,
  });
}

test('an owner that lies or stammers ends the stream, says why, and changes nothing', async () => {
  const gone: SliceChange = {
    type: 'delete',
    key: keyOf('pods/p1'),
    uid: 'uid-pods/p1' as StoredObject['uid'],
    revision: 9 as StoredObject['revision'],
  };
  const changed: SliceChange = { type: 'put', extent: 'changed', object: object('p1', 9, {}) };
  const unknown: SliceChange = { type: 'put', extent: 'changed', object: object('q', 9, {}) };
  const complete = { count: 1, digest: '0'.repeat(32) };
  const cases: readonly [
    string,
    string,
    (parameters: Readonly<Record<string, unknown>>) => Uint8Array,
  ][] = [
    ['noise', 'SYNC_MALFORMED', () => utf8('what is this')],
    ['nothing', 'SYNC_MALFORMED', () => new Uint8Array()],
    ['half a batch', 'SYNC_MALFORMED', (p) => batch(p, [gone]).subarray(0, 60)],
    ['more than a batch', 'SYNC_MALFORMED', (p) => concatBytes([batch(p, [gone]), utf8('x')])],
    ['another place', 'SYNC_OUT_OF_SEQUENCE', (p) => batch(p, [gone], { after: 7, sequence: 8 })],
    ['a later part first', 'SYNC_OUT_OF_SEQUENCE', (p) => batch(p, [gone], { part: 1 })],
    ['a stranger changed', 'SYNC_OUT_OF_SEQUENCE', (p) => batch(p, [gone, unknown])],
    ['deleted, then changed', 'SYNC_OUT_OF_SEQUENCE', (p) => batch(p, [gone, changed])],
    ['false completeness', 'SYNC_INCOMPLETE', (p) => batch(p, [gone], { complete, after: 0 })],
    [
      'an empty slice that comes to something',
      'SYNC_INCOMPLETE',
      (p) => batch(p, [], { complete, isReset: true, after: 0 }),
    ],
    ['an older place', 'SYNC_DIVERGED', (p) => batch(p, [], { isReset: true, sequence: 0 })],
    ['an older epoch', 'SYNC_SUPERSEDED', (p) => batch(p, [gone], { epoch: 0 })],
    [
      'another incarnation of the same epoch',
      'SYNC_SUPERSEDED',
      (p) => batch(p, [], { isReset: true, incarnation: 'ff', sequence: 900 }),
    ],
    [
      'a question of an older epoch',
      'SYNC_SUPERSEDED',
      () => encodeRangeQuestion({ sequence: 1, epoch: 0, prefixes: [''] }),
    ],
    [
      'a question about no range',
      'SYNC_MALFORMED',
      () => encodeRangeQuestion({ sequence: 1, epoch: 1, prefixes: ['xyz'] }),
    ],
  ];
  for (const [name, code, message] of cases) {
    const { codes } = await whatComesOf((stream, parameters) => {
      stream.send(message(parameters)).catch(() => undefined);
    });
    assert.equal(codes[0], code, name);
  }
});

test('an owner cut off in the middle of a batch has said nothing', async () => {
  const { world, owner, store, server, host, replica, link, forget } = await pair(20);
  link.end();
  await world.pass(50);
  const before = [...pods(store)];
  const half = await world.connect(owner, host, (_method, parameters, stream) => {
    stream.onMessage(() => {});
    const drop: SliceChange = {
      type: 'delete',
      key: keyOf('pods/p1'),
      uid: 'uid-pods/p1' as StoredObject['uid'],
      revision: 9 as StoredObject['revision'],
    };
    stream.send(batch(parameters, [drop], { hasMore: true })).catch(() => undefined);
  });
  replica.follow(half.session);
  await world.pass(2_000);
  half.end();
  await world.pass(50);
  assertSame(replica, before);
  await forget();
  await world.follow(owner, server, host, replica);
  await world.until('it is current', () => replica.cursor?.sequence === store.revision);
  assertSame(replica, before);
});

test('a follower that answers nonsense, or without end, is told so and costs no more', async () => {
  const inner = `\u0004${JSON.stringify([Array(16).fill('ab'.repeat(16)).join()])}`;
  const cases: readonly [string, (count: number) => Uint8Array, RegExp][] = [
    ['noise', () => utf8('?'), /MALFORMED/],
    ['too few', () => utf8('\u0004[]'), /MALFORMED/],
    ['no digests', () => utf8('\u0004["a,b"]'), /MALFORMED/],
    ['an object of another range', () => utf8('\u0004[[["pods","d","n",5,"x"]]]'), /MALFORMED/],
    ['without end', (count) => answerAll(count), /MALFORMED/],
  ];
  function answerAll(count: number): Uint8Array {
    const one = (JSON.parse(inner.slice(1)) as string[])[0];
    return utf8(`\u0004${JSON.stringify(Array(count).fill(one))}`);
  }
  for (const [name, answer, expected] of cases) {
    const { world, owner, store, host } = await pair(100);
    const server = createSliceServer({
      store,
      timers: owner.ports.timers,
      rules: everything(store),
    });
    const link = await world.connect(owner, host, (_method, parameters, stream) =>
      server.serve(stream, parameters, 'all'),
    );
    await world.write(store, put('pods/p1', { changed: true }));
    for (let count = 0; count < 6; count += 1) await world.write(store, put('x/y', { count }));
    const stream = link.session.open('control', 'slice.follow', {
      cursor: store.cursorAt(1 as StoredObject['revision']),
      ...{ epoch: 1, count: 100, digest: 'cd'.repeat(16) },
    });
    let code = '';
    let questions = 0;
    stream.onClose((failure) => (code = failure?.code ?? 'ended'));
    stream.onMessage((message) => {
      questions += 1;
      const { prefixes } = JSON.parse(new TextDecoder().decode(message.subarray(1))) as {
        prefixes: string[];
      };
      stream.send(answer(prefixes.length)).catch(() => undefined);
    });
    await world.until(name, () => code !== '');
    assert.match(code, expected, name);
    assert.ok(questions < 400, `${questions} questions`);
  }
});
