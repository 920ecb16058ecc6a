import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { containerToolsText } from './container-tools.ts';

const folder = mkdtempSync(join(tmpdir(), 'container-tools-'));
after(() => rmSync(folder, { recursive: true }));

function tool(words: readonly string[], input: Uint8Array = new Uint8Array(0), cwd = folder) {
  const options = { input, cwd, maxBuffer: 64 * 1024 * 1024 };
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--permission',
      '--allow-fs-read=*',
      '--allow-fs-write=*',
      '-e',
      containerToolsText,
      '--',
      ...words,
    ],
    options,
  );
  return { status, bytes: stdout, out: stdout.toString(), errors: stderr.toString() };
}
/** The machine's own, in the place of kubectl's. */
const tar = (words: readonly string[], input?: Uint8Array): Buffer =>
  execFileSync('tar', words, {
    cwd: folder,
    ...(input === undefined ? {} : { input }),
    maxBuffer: 64 * 1024 * 1024,
  });

const longName = `${'deep/'.repeat(30)}${'n'.repeat(120)}`;

function makeTree(path: string): void {
  mkdirSync(join(path, 'inner/empty'), { recursive: true });
  mkdirSync(join(path, longName, '..'), { recursive: true });
  writeFileSync(join(path, longName), 'at the end of a long way');
  writeFileSync(join(path, 'inner/large'), Buffer.alloc(3_000_000, 'ab'));
  writeFileSync(join(path, 'with blanks ü'), '');
  writeFileSync(join(path, 'run'), 'x', { mode: 0o755 });
  symlinkSync('inner/large', join(path, 'link'));
}

test('what is packed is read by tar, and what tar packs is unpacked, whatever it holds', () => {
  makeTree(join(folder, 'tree'));
  const packed = tool(['tar', 'cf', '-', 'tree']);
  assert.deepEqual([packed.status, packed.errors], [0, '']);
  mkdirSync(join(folder, 'by-tar'));
  tar(['-xf', '-', '-C', 'by-tar'], packed.bytes);
  execFileSync('diff', ['-r', '--no-dereference', 'tree', 'by-tar/tree'], { cwd: folder });

  for (const format of ['gnu', 'pax', 'ustar']) {
    const target = join(folder, `from-${format}`);
    mkdirSync(target);
    // Names of the long kind are more than ustar can say.
    const words = format === 'ustar' ? ['--exclude=deep'] : [];
    const given = tar([`--format=${format}`, ...words, '-cf', '-', 'tree']);
    const extract = ['tar', '--no-same-permissions', '--no-same-owner', '-xmf', '-', '-C', target];
    assert.deepEqual([tool(extract, given).status, tool(extract, given).errors], [0, '']);
    const compare = ['-r', '--no-dereference', ...(words.length > 0 ? ['-x', 'deep'] : [])];
    execFileSync('diff', [...compare, 'tree', `${target}/tree`], { cwd: folder });
    assert.equal(statSync(join(target, 'tree/run')).mode & 0o777, 0o755);
    assert.equal(readlinkSync(join(target, 'tree/link')), 'inner/large');
  }
  const listed = tool(['tar', 'tf', '-'], packed.bytes);
  assert.ok(listed.out.includes('tree/inner/large\n'));
});

test('an archive that was cut off goes on from a byte, as kubectl asks after a failure', () => {
  const path = join(folder, 'whole');
  writeFileSync(path, 'z'.repeat(100_000));
  const whole = tool(['tar-from', '1', path]);
  const rest = tool(['tar-from', '50001', path]);
  assert.deepEqual(rest.bytes, whole.bytes.subarray(50_000));
  assert.match(whole.errors, /Removing leading `\/' from member names/);
});

test('nothing is unpacked outside of the folder, neither by names nor by links', () => {
  const target = join(folder, 'target');
  const outside = join(folder, 'outside');
  for (const path of [target, outside]) mkdirSync(path);
  writeFileSync(join(outside, 'kept'), 'as it was');
  mkdirSync(join(folder, 'evil/door'), { recursive: true });
  writeFileSync(join(folder, 'evil/door/kept'), 'overwritten');
  writeFileSync(join(folder, 'evil/fine'), 'fine');
  const climbing = tar(['-cPf', '-', '--transform=s,evil/door,../outside,', 'evil']);
  const absolute = tar(['-cPf', '-', `--transform=s,evil/door,${outside},`, 'evil']);
  symlinkSync(outside, join(target, 'through'));
  const throughLink = tar(['-cf', '-', '--transform=s,evil/door,through,', 'evil']);
  for (const archive of [climbing, throughLink]) {
    const { status, errors } = tool(['tar', '-xmf', '-', '-C', target], archive);
    assert.equal(status, 2, errors);
    assert.match(errors, /Member name contains '\.\.'|is a link, which is not followed/);
    assert.equal(readFileSync(join(target, 'evil/fine'), 'utf8'), 'fine', 'the rest is done');
  }
  // As tar has it: absolute names are below the folder.
  assert.equal(tool(['tar', '-xmf', '-', '-C', target], absolute).status, 0);
  assert.ok(existsSync(join(target, outside, 'kept')));
  assert.equal(readFileSync(join(outside, 'kept'), 'utf8'), 'as it was');
  // A link in the place of the file itself is replaced, and not written through.
  symlinkSync(join(outside, 'kept'), join(target, 'kept'));
  tool(['tar', '-xmf', '-', '-C', target], tar(['-cf', '-', '-C', 'evil/door', 'kept']));
  assert.equal(lstatSync(join(target, 'kept')).isSymbolicLink(), false);
  assert.equal(readFileSync(join(outside, 'kept'), 'utf8'), 'as it was');
});

test('what is no archive, is cut short or asks for more than there is says so', () => {
  const whole = tar(['-cf', '-', 'whole']);
  for (const [archive, text] of [
    [Buffer.alloc(2048, 'x'), /does not look like a tar archive/],
    [whole.subarray(0, 20_000), /Unexpected EOF in archive/],
  ] as const) {
    const { status, errors } = tool(['tar', '-xmf', '-', '-C', folder], archive);
    assert.equal(status, 2);
    assert.match(errors, text);
  }
  const sparse = Buffer.from(whole);
  sparse.write('77777777777\0', 124);
  assert.equal(tool(['tar', '-xmf', '-'], sparse).status, 2, 'a size that comes to nothing');
  for (const words of [
    ['tar', '-xzf', '-'],
    ['tar', 'cf', 'file.tar', 'whole'],
    ['tar', '--checkpoint-action=exec=id', '-xf', '-'],
    ['tar'],
  ]) {
    const { status, errors } = tool(words);
    assert.equal(status, 2);
    assert.match(errors, /^tar: .*(not known here|are archives here|says what to do)/);
  }
  const absent = tool(['tar', 'cf', '-', 'absent', 'whole']);
  assert.equal(absent.status, 2);
  assert.match(absent.errors, /absent: No such file or directory/);
  assert.equal(tar(['-tf', '-'], absent.bytes).toString(), 'whole\n');
});

test('a file system that is full says so, and the members after it still come', () => {
  const full = join(folder, 'full');
  mkdirSync(full);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tools-test', full]);
  try {
    writeFileSync(join(folder, 'small'), 'small');
    const archive = tar(['-cf', '-', 'tree/inner/large', 'small']);
    const { status, errors } = tool(['tar', '-xmf', '-', '-C', full], archive);
    assert.equal(status, 2);
    assert.match(errors, /large: No space left on device/);
    assert.deepEqual(readdirSync(full), ['small', 'tree']);
  } finally {
    execFileSync('umount', [full]);
  }
});

test('the small ones do what people know of them', () => {
  const statuses = [
    ['-d', folder],
    ['-d', join(folder, 'whole')],
    ['-f', join(folder, 'whole')],
  ].map((words) => tool(['test', ...words]).status);
  assert.deepEqual(statuses, [0, 1, 0]);
  assert.equal(tool(['cat', 'small', '-'], Buffer.from(' talk')).out, 'small talk');
  const absent = tool(['cat', 'absent']);
  assert.deepEqual([absent.status, absent.errors], [1, 'cat: absent: No such file or directory\n']);
  assert.equal(tool(['ls', 'tree']).out, 'deep\ninner\nlink\nrun\nwith blanks ü\n');
  assert.match(tool(['ls', '-la', 'tree']).out, /lrwxrwxrwx .* link -> inner\/large\n-rwxr-xr-x /);
  assert.match(tool(['env']).out, /^PATH=/m);
});
