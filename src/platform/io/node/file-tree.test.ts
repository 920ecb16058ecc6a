import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { textOf, utf8 } from '#base/mod.ts';
import { FileTreeError } from '../file-tree.ts';
import { createNodeDisk } from './disk.ts';
import { createNodeFileTree } from './file-tree.ts';

function openFolder(context: TestContext): (...parts: string[]) => string {
  const folder = mkdtempSync(join(tmpdir(), 'file-tree-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return (...parts) => join(folder, ...parts);
}

const isFileTreeError = (error: unknown): boolean => error instanceof FileTreeError;

test('files and folders are made with their access, and never over or through something else', async (context) => {
  const at = openFolder(context);
  const tree = createNodeFileTree();
  await tree.makeFolder(at('folder'), { mode: 0o710, ownerId: 4_321 });
  await tree.createFile(at('folder/file'), utf8('x'), { mode: 0o640, ownerId: 4_321 });
  const [folder, file] = [lstatSync(at('folder')), lstatSync(at('folder/file'))];
  assert.deepEqual([folder.mode & 0o777, folder.uid, folder.gid], [0o710, 4_321, 4_321]);
  assert.deepEqual([file.mode & 0o777, file.uid, file.gid], [0o640, 4_321, 4_321]);
  assert.equal(textOf((await tree.readFile(at('folder/file'), 1)) ?? utf8('')), 'x');
  assert.equal(await tree.readFile(at('folder/file'), 0), undefined, 'it is larger');

  await tree.makeLink(at('link'), at('folder'));
  await tree.makeLink(at('dangling'), at('made'));
  await tree.makeLink(at('to-file'), at('folder/file'));
  assert.equal(await tree.readLink(at('link')), at('folder'));
  assert.equal(await tree.readFile(at('to-file'), 10), undefined);
  for (const path of ['folder/file', 'link', 'dangling', 'to-file']) {
    await assert.rejects(tree.createFile(at(path), utf8('y'), { mode: 0o600 }), isFileTreeError);
    await assert.rejects(tree.makeFolder(at(path), { mode: 0o777 }), isFileTreeError);
  }
  assert.equal(existsSync(at('made')), false);
  assert.equal(lstatSync(at('folder')).mode & 0o777, 0o710);
  await tree.rename(at('dangling'), at('link'));
  assert.equal(await tree.readLink(at('link')), at('made'));
  const paths = ['folder', 'folder/file', 'link', 'absent', 'absent/x', 'folder/file/x'];
  const kinds = await Promise.all(paths.map((path) => tree.kindOf(at(path))));
  assert.deepEqual(kinds, ['directory', 'file', 'link', undefined, undefined, undefined]);
  assert.deepEqual(await tree.names(at('absent')), []);
});

test('all of a folder is given to a user, however deep, and nothing that its links name', async (context) => {
  const at = openFolder(context);
  const tree = createNodeFileTree();
  const ownerOf = (path: string): string => {
    const { uid, gid } = lstatSync(path);
    return `${uid}:${gid}`;
  };
  mkdirSync(at('data'));
  let deepest = 'data';
  for (let depth = 0; depth < 12; depth += 1) deepest += `/${'d'.repeat(60)}`;
  mkdirSync(at(deepest), { recursive: true });
  writeFileSync(at(`${deepest}/file`), 'x');
  writeFileSync(at('outside'), 'x');
  symlinkSync(at('outside'), at('data/link'));
  const before = ownerOf(at('outside'));
  await tree.giveTo(at('data'), 4_321);
  const given = ['data', `${deepest}/file`, 'data/link'].map((path) => ownerOf(at(path)));
  assert.deepEqual(given, ['4321:4321', '4321:4321', '4321:4321']);
  assert.equal(ownerOf(at('outside')), before);
  // What is that user's already is not looked through again.
  writeFileSync(at('data/later'), 'x');
  await tree.giveTo(at('data'), 4_321);
  assert.equal(ownerOf(at('data/later')), before);
  await tree.giveTo(at('data'), 4_322);
  assert.equal(ownerOf(at('data/later')), '4322:4322');
  await assert.rejects(tree.giveTo(at('absent'), 1), isFileTreeError);
});

test('what is removed or measured is what is there, not what links name', async (context) => {
  const at = openFolder(context);
  const tree = createNodeFileTree();
  mkdirSync(at('kept'));
  writeFileSync(at('kept/large'), new Uint8Array(1024 * 1024));
  mkdirSync(at('gone/deeper'), { recursive: true });
  writeFileSync(at('gone/deeper/small'), new Uint8Array(8192));
  symlinkSync(at('kept'), at('gone/link'));
  symlinkSync(at('kept'), at('link'));
  const [gone = 0, link = 0, absent] = await tree.diskBytes([at('gone'), at('link'), at('absent')]);
  assert.ok(gone >= 8192 && gone < 512 * 1024, `${gone}`);
  assert.ok(link < 512 * 1024, `${link}`);
  assert.equal(absent, 0);
  await tree.remove(at('gone'));
  await tree.remove(at('link'));
  await tree.remove(at('absent'));
  assert.deepEqual(await tree.names(at('')), ['kept']);
  assert.ok(existsSync(at('kept/large')));
});

test('memory has its size, and its folder can be removed, also by a disk', async (context) => {
  const at = openFolder(context);
  const tree = createNodeFileTree();
  for (const name of ['one', 'two']) {
    await tree.makeFolder(at(name), { mode: 0o700 });
    assert.equal(await tree.isMemory(at(name)), false);
    await tree.mountMemory(at(name), 64 * 1024, { mode: 0o777 });
    assert.equal(await tree.isMemory(at(name)), true);
    assert.equal(lstatSync(at(name)).mode & 0o777, 0o777);
    assert.throws(() => writeFileSync(at(name, 'x'), new Uint8Array(256 * 1024)), /ENOSPC/);
  }
  await tree.remove(at('one'));
  await createNodeDisk(at('')).remove('two');
  assert.deepEqual(await tree.names(at('')), []);
});
