import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import { readArchive, writeArchive } from './archive.ts';

const contents = { 'store/log/a': 'first', 'blobs/empty': '', 'authority/ca.pem': 'x'.repeat(300) };

async function* files(): AsyncGenerator<{
  path: string;
  sizeBytes: number;
  read: () => AsyncGenerator<Uint8Array>;
}> {
  for (const [path, text] of Object.entries(contents)) {
    const read = async function* (): AsyncGenerator<Uint8Array> {
      yield utf8(text);
    };
    yield { path, sizeBytes: text.length, read };
  }
}

async function archive(): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of writeArchive(files())) parts.push(part);
  return concatBytes(parts);
}

async function read(bytes: Uint8Array, chunkBytes: number): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  let path = '';
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.slice(at, at + chunkBytes);
  };
  await readArchive(source(), {
    async begin(file) {
      path = file.path;
      found[path] = '';
    },
    async content(part) {
      found[path] += textOf(part);
    },
    async end() {},
  });
  return found;
}

test('an archive gives back its files, however its bytes come', async () => {
  const bytes = await archive();
  for (const chunkBytes of [1, 7, 100_000])
    assert.deepEqual(await read(bytes, chunkBytes), contents);
});

test('an archive with any byte changed, or cut off anywhere, is refused', async () => {
  const bytes = await archive();
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    await assert.rejects(read(changed, 64), { code: 'ARCHIVE_DAMAGED' }, `byte ${at}`);
    await assert.rejects(read(bytes.slice(0, at), 64), { code: 'ARCHIVE_DAMAGED' }, `cut ${at}`);
  }
  await assert.rejects(read(concatBytes([bytes, utf8('x')]), 64), { code: 'ARCHIVE_DAMAGED' });
});
