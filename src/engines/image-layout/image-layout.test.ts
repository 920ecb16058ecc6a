import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { hash } from 'node:crypto';
import { textOf, utf8 } from '#base/mod.ts';
import {
  flattenLayers,
  ImageLayoutError,
  layerArchive,
  packScriptImage,
  parseImageFile,
  readTar,
  writeTar,
} from './mod.ts';

const refusedArchive = (thrown: unknown): boolean =>
  thrown instanceof ImageLayoutError && thrown.code === 'IMAGE_ARCHIVE_REFUSED';

/** Rewrites a header's field and puts its checksum right again. */
function forge(archive: Uint8Array, at: number, text: string): Uint8Array {
  const forged = archive.slice();
  forged.set(utf8(text), at);
  forged.set(utf8('        '), 148);
  const sum = forged.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  forged.set(utf8(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  return forged;
}

test('an archive is read back as it was written, and by tar too', () => {
  const long = `${'a'.repeat(90)}/${'b'.repeat(90)}/c.mjs`;
  const files = [
    { path: 'server.mjs', bytes: utf8('hello'), mode: 0o644 },
    { path: long, bytes: new Uint8Array(1024).fill(7), mode: 0o755 },
    { path: 'empty', bytes: new Uint8Array(0), mode: 0o600 },
  ];
  const archive = writeTar(files);
  assert.deepEqual(
    flattenLayers([archive]),
    [...files].sort((left, right) => (left.path < right.path ? -1 : 1)),
  );
  const folder = mkdtempSync(join(tmpdir(), 'tar-'));
  writeFileSync(join(folder, 'x.tar'), archive);
  const listed = execFileSync('tar', ['-tf', join(folder, 'x.tar')], { encoding: 'utf8' });
  const made = execFileSync('tar', ['-C', folder, '-cf', '-', './x.tar']);
  rmSync(folder, { recursive: true });
  assert.ok(listed.includes(long) && listed.includes('server.mjs'), listed);
  assert.deepEqual(
    readTar(made).map((entry) => entry.path),
    ['x.tar'],
  );
});

test('an archive that is unsafe or damaged is refused whole', () => {
  const good = writeTar([{ path: 'file', bytes: utf8('x'), mode: 0o644 }]);
  const bad: Record<string, Uint8Array> = {
    'an absolute path': forge(good, 0, '/etc'),
    'a path with ..': forge(good, 0, 'a/../../b\0'),
    'a device': forge(good, 156, '3'),
    'a pipe': forge(good, 156, '6'),
    'an unknown type': forge(good, 156, 'S'),
    'a link that leaves': forge(forge(good, 156, '2'), 157, '../../etc/passwd'),
    'an absolute link': forge(forge(good, 156, '2'), 157, '/etc/passwd'),
    'a hard link that leaves': forge(forge(good, 156, '1'), 157, '../x'),
    'a size beyond the end': forge(good, 124, '77777777777'),
    'a size that is no number': forge(good, 124, '-0000000001'),
    'no end mark': good.subarray(0, 1024),
    'half a header': good.subarray(0, 1024 + 100),
    'a path twice': new Uint8Array([...good.subarray(0, 1024), ...good]),
    'a broken checksum': good.map((byte, at) => (at === 0 ? byte + 1 : byte)),
  };
  for (const [what, archive] of Object.entries(bad)) {
    assert.throws(() => readTar(archive), refusedArchive, what);
  }
  const limits = { entriesMax: 1, fileBytesMax: 10, totalBytesMax: 15 };
  const many = writeTar(['a', 'b'].map((path) => ({ path, bytes: utf8('x'), mode: 0o644 })));
  const large = writeTar([{ path: 'a', bytes: new Uint8Array(11), mode: 0o644 }]);
  assert.throws(() => readTar(many, limits), refusedArchive);
  assert.throws(() => readTar(large, limits), refusedArchive);
  assert.throws(
    () => layerArchive(gzipSync(new Uint8Array(100_000)), true, limits),
    refusedArchive,
  );
  assert.throws(() => layerArchive(utf8('no gzip'), true), refusedArchive);
});

test('later layers replace and remove what earlier ones had', () => {
  const file = (path: string, text: string): Uint8Array =>
    writeTar([{ path, bytes: utf8(text), mode: 0o644 }]);
  const flat = flattenLayers([
    file('app/a', '1'),
    file('app/b', '1'),
    file('gone/x', '1'),
    file('app/a', '2'),
    file('.wh.gone', ''),
  ]);
  assert.deepEqual(
    flat.map((entry) => `${entry.path}=${textOf(entry.bytes)}`),
    ['app/a=2', 'app/b=1'],
  );
  const link = forge(forge(file('link', ''), 156, '2'), 157, 'app/a');
  assert.equal(textOf(flattenLayers([file('app/a', '1'), link])[1]?.bytes ?? utf8('')), '1');
  assert.throws(() => flattenLayers([link]), refusedArchive, 'leads to nothing');
});

test('the same bundle packs to the same digests, whatever the order of its files', () => {
  const files = ['server.mjs', 'lib/a.mjs'].map((path) => ({
    path,
    bytes: utf8(path),
    mode: 0o644,
  }));
  const rest = { entrypoint: ['server.mjs'], labels: {}, env: { B: '2', A: '1' } };
  const first = packScriptImage({ ...rest, files });
  const second = packScriptImage({ ...rest, files: files.toReversed(), env: { A: '1', B: '2' } });
  assert.deepEqual(first, second);
  assert.equal(first.blobs.size, 4);
  for (const [digest, bytes] of first.blobs) {
    assert.equal(digest, `sha256:${hash('sha256', bytes, 'hex')}`);
  }
  assert.deepEqual(JSON.parse(textOf(first.indexBytes)), {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [{ ...first.manifest, platform: { os: 'script', architecture: 'javascript' } }],
  });
  assert.throws(
    () => packScriptImage({ ...rest, files, entrypoint: ['other.mjs'] }),
    /not among the files/,
  );
});

test('image.json is checked field by field', () => {
  const good = { name: 'team/app:1', entrypoint: ['a.mjs'], include: ['a.mjs'] };
  assert.deepEqual(parseImageFile(good), { ...good, root: '.', env: {}, labels: {} });
  const bad: [unknown, RegExp][] = [
    [[], /JSON object/],
    [{ ...good, nam: 1 }, /unknown field "nam"/],
    [{ ...good, name: 'Upper' }, /name must be/],
    [{ ...good, entrypoint: [] }, /entrypoint must be a list/],
    [{ ...good, entrypoint: ['../a'] }, /entrypoint\[0\].*leaves/],
    [{ ...good, include: ['/etc'] }, /include\[0\].*absolute/],
    [{ ...good, env: { 'A B': '1' } }, /env: "A B"/],
    [{ ...good, env: { A: 1 } }, /env\.A must be a string/],
  ];
  for (const [value, message] of bad) assert.throws(() => parseImageFile(value), message);
});
