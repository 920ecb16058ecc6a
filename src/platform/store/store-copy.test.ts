import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { type Revision, type Uid, utf8 } from '#base/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createNodeDisk, createNodeRandom } from '#platform/io/node/mod.ts';
import {
  type Change,
  type CommittedBatch,
  createStoreCopy,
  type ObjectKey,
  openFeed,
  openStore,
  type OwnedStore,
  type StoreCopy,
} from './mod.ts';

async function withStore(run: (store: OwnedStore) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-copy-'));
  const disk = createNodeDisk(folder);
  const ports = { disk, random: createNodeRandom(), logger: silentLogger };
  const store = await openStore(ports, { indexes: { first: ({ key }) => [key.name.slice(0, 1)] } });
  try {
    await run(store);
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const keyOf = (name: string): ObjectKey => ({ resource: 'things', namespace: 'default', name });
const put = (name: string, uid: string, text: string, note?: string): Change => ({
  ...{ type: 'put', key: keyOf(name), uid: uid as Uid, facet: 'intent', bytes: utf8(text) },
  ...(note === undefined ? {} : { note }),
});
const drop = (name: string, uid: string): Change => ({
  ...{ type: 'delete', key: keyOf(name), uid: uid as Uid },
});

const commit = (store: OwnedStore, ...changes: Change[]): Promise<unknown> =>
  store.transact(() => ({ changes, result: undefined }));

/** What a reader can tell of a batch. */
const plain = (batches: readonly CommittedBatch[]): unknown =>
  JSON.parse(
    JSON.stringify(batches, (key, value: unknown) => (key === 'decoded' ? undefined : value)),
  );

async function follow(store: OwnedStore, copy: StoreCopy): Promise<{ close(): Promise<void> }> {
  const feed = openFeed(store);
  const fed = (async () => {
    for await (const message of feed.messages()) copy.take(message);
  })();
  await copy.reached(store.revision);
  return {
    async close() {
      feed.close();
      await fed;
    },
  };
}

it('a copy holds what the store holds and passes on every transaction as the store does', () =>
  withStore(async (store) => {
    await commit(store, put('apple', 'u1', '{"a":1}', 'who'), put('pear', 'u2', '{}'));
    const copy = createStoreCopy({ indexes: { first: ({ key }) => [key.name.slice(0, 1)] } });
    const feed = await follow(store, copy);
    const seen: CommittedBatch[] = [];
    const seenOfCopy: CommittedBatch[] = [];
    store.watch(store.revision, (batch) => seen.push(batch));
    copy.watch(copy.revision, (batch) => seenOfCopy.push(batch));
    await commit(store, put('apple', 'u1', '{"a":2}', 'whom'));
    await commit(store, drop('pear', 'u2'), put('plum', 'u3', '{}'));
    // Gone and there again under one key, within one transaction.
    await commit(store, drop('apple', 'u1'), put('apple', 'u4', '{"a":3}'));
    await copy.reached(store.revision);
    assert.deepEqual(plain(seenOfCopy), plain(seen));
    assert.deepEqual(copy.head(), store.head());
    assert.deepEqual(copy.list('things'), store.list('things'));
    assert.deepEqual(copy.lookup('first', 'p'), store.lookup('first', 'p'));
    assert.equal(copy.get(keyOf('apple'))?.uid, 'u4');
    await feed.close();
  }));

it('a copy that begins later refuses watches from before, and follows a store under load', () =>
  withStore(async (store) => {
    for (let at = 0; at < 300; at += 1) await commit(store, put(`n${at}`, `u${at}`, `{"x":${at}}`));
    const copy = createStoreCopy();
    const writing = Array.from({ length: 200 }, (_, at) =>
      commit(store, put(`n${at}`, `u${at}`, `{"y":${at}}`)),
    );
    const feed = await follow(store, copy);
    await Promise.all(writing);
    await copy.reached(500);
    assert.deepEqual(copy.list('things'), store.list('things'));
    assert.throws(() => copy.watch(7 as Revision, () => {}), { code: 'STORE_COMPACTED' });
    await assert.rejects(() => copy.transact(() => ({ changes: [], result: 1 })), {
      code: 'STORE_LATCHED',
    });
    await feed.close();
  }));

it('a message that does not follow is refused', () =>
  withStore(async (store) => {
    const messages: Uint8Array[] = [];
    await commit(store, put('a', 'u', '{}'));
    const feed = openFeed(store);
    await commit(store, put('a', 'u', '{"b":1}'));
    for await (const message of feed.messages()) {
      messages.push(message);
      if (messages.length === 3) feed.close();
    }
    const copy = createStoreCopy();
    const [objects, begins, transactions] = messages;
    assert.ok(objects !== undefined && begins !== undefined && transactions !== undefined);
    assert.throws(() => copy.take(transactions), /after the first state/);
    copy.take(objects);
    copy.take(begins);
    assert.throws(() => copy.take(objects), /before the first transaction/);
    copy.take(transactions);
    assert.throws(() => copy.take(transactions), /no gap/);
    assert.throws(() => copy.take(utf8('x')), RangeError);
  }));
