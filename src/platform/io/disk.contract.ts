/** What every driver of the Disk port must do. */
import assert from 'node:assert/strict';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import { DiskError, type Disk } from './disk.ts';
import { contractCase, rejection, SkipCase, type Harness } from './harness.contract.ts';

export interface DiskHarness extends Harness {
  readonly disk: Disk;
  /** Cuts the power and gives the disk as it is found afterwards, where the driver can. */
  readonly cutPower?: () => Promise<Disk>;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const thrown = await rejection(work);
  assert.ok(thrown instanceof DiskError, `a DiskError, not ${String(thrown)}`);
  return thrown.code;
}

/** Registers the cases of the Disk port. `open` gives an empty disk each time. */
export function diskContract(name: string, open: () => Promise<DiskHarness>): void {
  const check = (behaviour: string, body: (opened: DiskHarness) => Promise<void>): void =>
    contractCase(`disk (${name}): ${behaviour}`, open, body);

  check(
    'bytes written at an offset are read back, and a read ends at the end',
    async ({ disk }) => {
      const file = await disk.open('log', 'create');
      await file.writeAt(0, [utf8('alpha-'), new Uint8Array(0), utf8('beta')]);
      await file.writeAt(6, [utf8('B')]);
      await file.sync();
      assert.equal(textOf(await file.readAt(0, 10)), 'alpha-Beta');
      assert.equal(textOf(await file.readAt(6, 100)), 'Beta');
      assert.equal((await file.readAt(10, 5)).length, 0);
      assert.equal((await file.readAt(50, 5)).length, 0);
      await file.writeAt(12, [utf8('z')]);
      assert.deepEqual([...(await file.readAt(9, 9))], [...utf8('a\0\0z')]);
      assert.equal(await file.sizeBytes(), 13);
      await file.close();
    },
  );

  check('a write of many and large parts arrives whole', async ({ disk }) => {
    const file = await disk.open('big', 'write');
    const parts = Array.from({ length: 3000 }, (_, index) =>
      new Uint8Array(index % 2 === 0 ? 700 : 1).fill(index % 251),
    );
    await file.writeAt(5, parts);
    const whole = concatBytes(parts);
    assert.deepEqual(await file.readAt(5, whole.length), whole);
    await file.close();
  });

  check('what is in a buffer after writeAt resolved does not matter any more', async ({ disk }) => {
    const file = await disk.open('copy', 'write');
    const bytes = utf8('before');
    await file.writeAt(0, [bytes]);
    bytes.fill(0);
    assert.equal(textOf(await file.readAt(0, 6)), 'before');
    await file.close();
  });

  check('the open modes differ in what they ask of the name', async ({ disk }) => {
    assert.equal(await codeOf(disk.open('absent', 'read')), 'DISK_NOT_FOUND');
    const first = await disk.open('present', 'create');
    await first.writeAt(0, [utf8('kept')]);
    await first.close();
    assert.equal(await codeOf(disk.open('present', 'create')), 'DISK_EXISTS');
    const again = await disk.open('present', 'write');
    assert.equal(textOf(await again.readAt(0, 9)), 'kept');
    await again.close();
    const reader = await disk.open('present', 'read');
    assert.equal(textOf(await reader.readAt(0, 9)), 'kept');
    await reader.close();
    assert.equal(await codeOf(disk.open('no/parent', 'write')), 'DISK_NOT_FOUND');
  });

  check('a file can be cut shorter and made longer', async ({ disk }) => {
    const file = await disk.open('cut', 'write');
    await file.writeAt(0, [utf8('0123456789')]);
    await file.truncate(4);
    assert.equal(await file.sizeBytes(), 4);
    await file.truncate(6);
    assert.deepEqual([...(await file.readAt(0, 10))], [...utf8('0123\0\0')]);
    await file.close();
  });

  check(
    'writeFileAtomic replaces the whole file and leaves nothing beside it',
    async ({ disk }) => {
      assert.equal(await disk.readFile('config', 100), undefined);
      await disk.writeFileAtomic('config', utf8('a longer first version'));
      await disk.writeFileAtomic('config', utf8('second'));
      assert.equal(textOf((await disk.readFile('config', 100)) ?? utf8('')), 'second');
      assert.deepEqual(
        (await disk.list('')).map((entry) => entry.name),
        ['config'],
      );
      assert.equal(await codeOf(disk.readFile('config', 5)), 'DISK_IO');
      assert.equal(await codeOf(disk.writeFileAtomic('no/parent', utf8('x'))), 'DISK_NOT_FOUND');
    },
  );

  check('a list is sorted by name and tells kinds and sizes', async ({ disk }) => {
    assert.deepEqual(await disk.list('absent'), []);
    await disk.makeDirectory('folder/deeper/deepest');
    await disk.makeDirectory('folder/deeper');
    for (const file of ['b', 'a10', 'a9', 'Z']) {
      await disk.writeFileAtomic(`folder/${file}`, utf8(file));
    }
    assert.deepEqual(
      (await disk.list('folder')).map(({ name: entry, kind, sizeBytes }) =>
        kind === 'file' ? [entry, kind, sizeBytes] : [entry, kind],
      ),
      [
        ['Z', 'file', 1],
        ['a10', 'file', 3],
        ['a9', 'file', 2],
        ['b', 'file', 1],
        ['deeper', 'directory'],
      ],
    );
  });

  check('rename replaces its target and needs its source', async ({ disk }) => {
    await disk.writeFileAtomic('old', utf8('old'));
    await disk.writeFileAtomic('new', utf8('new'));
    await disk.rename('new', 'old');
    await disk.syncDirectory('');
    assert.equal(textOf((await disk.readFile('old', 10)) ?? utf8('')), 'new');
    assert.equal(await disk.readFile('new', 10), undefined);
    assert.equal(await codeOf(disk.rename('new', 'other')), 'DISK_NOT_FOUND');
  });

  check('remove takes files, folders with all they hold, and nothing', async ({ disk }) => {
    await disk.makeDirectory('tree/branch');
    await disk.writeFileAtomic('tree/branch/leaf', utf8('leaf'));
    await disk.writeFileAtomic('single', utf8('single'));
    await disk.remove('tree');
    await disk.remove('single');
    await disk.remove('never-there');
    assert.deepEqual(await disk.list(''), []);
  });

  check('an open file outlives its name', async ({ disk }) => {
    const file = await disk.open('segment', 'write');
    await file.writeAt(0, [utf8('still here')]);
    await disk.rename('segment', 'renamed');
    await file.writeAt(0, [utf8('STILL')]);
    assert.equal(textOf((await disk.readFile('renamed', 20)) ?? utf8('')), 'STILL here');
    await disk.remove('renamed');
    assert.equal(textOf(await file.readAt(0, 20)), 'STILL here');
    await file.close();
  });

  check('paths that leave the root are refused', async ({ disk }) => {
    const inside = disk.within('inside');
    await disk.makeDirectory('inside');
    await disk.writeFileAtomic('secret', utf8('secret'));
    for (const path of ['../secret', '/secret', 'a/../../secret', '..', 'a\0b']) {
      assert.equal(await codeOf(inside.readFile(path, 100)), 'DISK_PATH', JSON.stringify(path));
      assert.equal(await codeOf(inside.open(path, 'write')), 'DISK_PATH');
      assert.equal(await codeOf(inside.writeFileAtomic(path, utf8(''))), 'DISK_PATH');
      assert.equal(await codeOf(inside.list(path)), 'DISK_PATH');
      assert.equal(await codeOf(inside.remove(path)), 'DISK_PATH');
      assert.equal(await codeOf(inside.rename('x', path)), 'DISK_PATH');
      assert.throws(() => inside.within(path), DiskError);
      assert.throws(() => inside.absolute(path), DiskError);
    }
    assert.equal(await codeOf(inside.remove('')), 'DISK_PATH');
    assert.equal(textOf((await disk.readFile('secret', 10)) ?? utf8('')), 'secret');
  });

  check('a view of a folder sees that folder', async ({ disk }) => {
    const view = disk.within('nodes').within('n1');
    assert.deepEqual(await view.list(''), [], 'a view needs no folder until it is written to');
    await view.makeDirectory('');
    await view.writeFileAtomic('state', utf8('n1'));
    assert.equal(textOf((await disk.readFile('nodes/n1/state', 10)) ?? utf8('')), 'n1');
    assert.equal(view.absolute('state'), disk.absolute('nodes/n1/state'));
    assert.ok((await disk.freeBytes()) > 0);
  });

  check('after a power cut the synced is there', async ({ disk, cutPower }) => {
    if (cutPower === undefined) throw new SkipCase('this driver cannot cut its power');
    await disk.makeDirectory('data');
    await disk.writeFileAtomic('data/atomic', utf8('atomic'));
    const file = await disk.open('data/file', 'create');
    await file.writeAt(0, [utf8('synced')]);
    await file.sync();
    await disk.syncDirectory('data');
    await file.writeAt(6, [utf8('-perhaps')]);
    const after = await cutPower();
    assert.equal(textOf((await after.readFile('data/atomic', 20)) ?? utf8('')), 'atomic');
    const found = textOf((await after.readFile('data/file', 20)) ?? utf8(''));
    assert.ok(found.startsWith('synced'), found);
  });
}
