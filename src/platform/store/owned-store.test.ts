import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { concatBytes, type Uid, utf8 } from '#base/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createNodeDisk, createNodeRandom } from '#platform/io/node/mod.ts';
import { openStore } from './mod.ts';
import type { OwnedStore, Store } from './types.ts';

const random = createNodeRandom();

async function withFolders(
  work: (open: (name: string) => Promise<OwnedStore>, folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-owned-'));
  const open = (name: string): Promise<OwnedStore> =>
    openStore({ disk: createNodeDisk(join(folder, name)), random, logger: silentLogger });
  try {
    await work(open, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function write(store: Store, name: string): Promise<void> {
  const key = { resource: 'configmaps', namespace: 'default', name };
  const bytes = utf8(`{"data":{"name":"${name}"}}`);
  await store.transact(() => ({
    changes: [{ type: 'put', key, uid: `uid-${name}` as Uid, facet: 'intent', bytes }],
    result: undefined,
  }));
}

async function copyInto(store: OwnedStore, folder: string): Promise<void> {
  const disk = createNodeDisk(folder);
  await disk.makeDirectory('log');
  for (const file of await store.copy()) {
    const parts: Uint8Array[] = [];
    for await (const part of file.read()) parts.push(part);
    const bytes = concatBytes(parts);
    assert.equal(bytes.length, file.sizeBytes);
    await disk.writeFileAtomic(file.path, bytes);
  }
}

test('a copy of a store opens as the same history and goes on from its revision', () =>
  withFolders(async (open, folder) => {
    const store = await open('first');
    for (const name of ['a', 'b', 'c']) await write(store, name);
    const head = store.head();
    await copyInto(store, join(folder, 'copy'));
    await write(store, 'lost');
    const lost = store.head();
    await store.close();

    const copy = await open('copy');
    assert.deepEqual(copy.head(), head);
    assert.deepEqual(
      copy.list('configmaps').map(({ key }) => key.name),
      ['a', 'b', 'c'],
    );
    await write(copy, 'other');
    const other = copy.head();
    assert.equal(other.sequence, lost.sequence);
    assert.notEqual(other.chainHash, lost.chainHash);
    await copy.close();
    assert.deepEqual((await open('copy')).head(), other);
  }));

test('a store without a record can be copied too', () =>
  withFolders(async (open, folder) => {
    const store = await open('first');
    await copyInto(store, join(folder, 'copy'));
    const copy = await open('copy');
    assert.deepEqual(copy.head(), store.head());
    await store.close();
    await copy.close();
  }));

test('a new incarnation keeps the history, outlives a restart and is in copies', () =>
  withFolders(async (open, folder) => {
    let store = await open('first');
    await write(store, 'a');
    const before = store.head();
    await store.beginIncarnation();
    const after = store.head();
    assert.notEqual(after.incarnation, before.incarnation);
    assert.deepEqual([after.sequence, after.chainHash], [before.sequence, before.chainHash]);
    assert.deepEqual(store.formerIncarnations, [before.incarnation]);
    await store.close();
    store = await open('first');
    assert.deepEqual(store.head(), after);
    await copyInto(store, join(folder, 'copy'));
    await store.close();
    const copy = await open('copy');
    assert.deepEqual(copy.head(), after);
    assert.deepEqual(copy.formerIncarnations, [before.incarnation]);
    await copy.close();
  }));
