import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { concatBytes, utf8 } from '#base/mod.ts';
import { createNodeDisk, createNodeRandom } from '#platform/io/node/mod.ts';
import { openBlobStore, type BlobStoreOptions } from './blob-store.ts';
import { digestOf } from './digest.ts';
import { BlobError } from './errors.ts';
import type { BlobStore, Digest } from './types.ts';

async function withStore(
  run: (store: BlobStore, again: () => Promise<BlobStore>, folder: string) => Promise<void>,
  options: BlobStoreOptions = {},
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'blobs-'));
  const open = (): Promise<BlobStore> =>
    openBlobStore({ disk: createNodeDisk(folder), random: createNodeRandom() }, options);
  try {
    await run(await open(), open, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function refusedWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof BlobError && error.code === code;
}

async function bytesOf(store: BlobStore, digest: Digest, offset?: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of store.read(digest, offset)) parts.push(part);
  return concatBytes(parts);
}

test('what was put is read back whole, from any offset, and by a store opened later', () =>
  withStore(async (store, again) => {
    const bytes = Uint8Array.from({ length: 200_000 }, (_, index) => index % 251);
    const digest = await store.put(bytes);
    assert.equal(digest, digestOf(bytes));
    assert.equal(await store.put(bytes), digest);
    const later = await again();
    assert.equal(await later.sizeBytes(digest), bytes.length);
    assert.deepEqual(await bytesOf(later, digest), bytes);
    assert.deepEqual(await bytesOf(later, digest, 70_001), bytes.slice(70_001));
    await assert.rejects(later.readAll(digest, 1000), refusedWith('BLOB_TOO_LARGE'));
    await later.remove(digest);
    assert.equal(await later.sizeBytes(digest), undefined);
    await assert.rejects(bytesOf(later, digest), refusedWith('BLOB_NOT_FOUND'));
  }));

test('a blob that was damaged ends in an error, is set aside, and a push replaces it', () =>
  withStore(async (store, again, folder) => {
    const bytes = Uint8Array.from({ length: 200_000 }, (_, index) => index % 251);
    const digest = await store.put(bytes);
    const path = join(folder, 'blobs', digest.slice(7, 9), digest.slice(7));
    const changed = bytes.slice();
    changed[150_000] = 255;
    for (const damaged of [changed, bytes.slice(0, 100_000)]) {
      for (const opened of [store, await again()]) {
        for (const [read, code] of [
          [() => bytesOf(opened, digest), 'BLOB_DAMAGED'],
          [() => opened.readAll(digest, 1_000_000), 'BLOB_DAMAGED'],
          [() => bytesOf(opened, digest, 70_000), 'BLOB_NOT_FOUND'],
        ] as const) {
          await writeFile(path, damaged);
          await assert.rejects(read(), refusedWith(code));
          assert.equal(await opened.sizeBytes(digest), undefined);
          assert.deepEqual(
            new Uint8Array(await readFile(join(folder, 'damaged', digest.slice(7)))),
            damaged,
          );
        }
        await writeFile(path, damaged);
        assert.equal(await opened.intactSizeBytes(digest), undefined);
        await writeFile(path, damaged);
        // Whoever brings it does not ask first.
        const upload = await opened.begin();
        await upload.append(bytes);
        await upload.commit(digest);
        assert.deepEqual(await bytesOf(opened, digest), bytes);
        await writeFile(path, damaged);
        await opened.put(bytes);
        assert.equal(await opened.intactSizeBytes(digest), bytes.length);
      }
    }
  }));

test('bytes that differ from the digest, and a cut upload, leave nothing behind', () =>
  withStore(async (store, again, folder) => {
    const expected = digestOf(utf8('what was promised'));
    const wrong = await store.begin();
    await wrong.append(utf8('something else'));
    await assert.rejects(wrong.commit(expected), refusedWith('BLOB_DIGEST_MISMATCH'));
    assert.equal(store.upload(wrong.id), undefined);
    const cut = await store.begin();
    await cut.append(utf8('what was'));
    const later = await again();
    assert.equal(await later.sizeBytes(expected), undefined);
    assert.equal(later.upload(cut.id), undefined);
    assert.deepEqual(await readdir(join(folder, 'uploads')), []);
    assert.deepEqual(await readdir(join(folder, 'blobs')), []);
  }));

test('an upload in pieces, called without waiting, arrives in order', () =>
  withStore(async (store) => {
    const upload = await store.begin();
    const pieces = Array.from({ length: 50 }, (_, index) => utf8(`piece ${index};`));
    const whole = concatBytes(pieces);
    const calls = pieces.map((piece) => upload.append(piece));
    await Promise.all([...calls, upload.commit(digestOf(whole))]);
    assert.deepEqual(await store.readAll(digestOf(whole), 10_000), whole);
  }));

test('a blob above the limit is refused, and the idlest upload makes room for a new one', () =>
  withStore(
    async (store) => {
      const large = await store.begin();
      await assert.rejects(large.append(new Uint8Array(101)), refusedWith('BLOB_TOO_LARGE'));
      const first = await store.begin();
      const second = await store.begin();
      await first.append(utf8('used after the second'));
      const third = await store.begin();
      assert.deepEqual(
        [first, second, third].map(({ id }) => store.upload(id) !== undefined),
        [true, false, true],
      );
      await assert.rejects(second.append(utf8('x')), refusedWith('BLOB_UPLOAD_ENDED'));
    },
    { blobBytesMax: 100, uploadsMax: 2 },
  ));
