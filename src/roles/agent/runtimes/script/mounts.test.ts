import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { ContainerMount } from '../types.ts';
import { encodeLaunch } from './launch.ts';
import { shimText } from './shim.ts';
import { shimArguments, workloadCommand } from './workload.ts';

/** Does what its words say and prints what came of it: `read:/a`, `write:/a`, `list:/a`. */
const program = `
  import { readFileSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
  const verbs = {
    read: (path) => readFileSync(path, 'utf8'),
    list: (path) => readdirSync(path).sort().join(' '),
    write: (path) => writeFileSync(path, 'written') ?? 'done',
    remove: (path) => unlinkSync(path) ?? 'done',
    cwd: () => process.cwd(),
  };
  for (const word of process.argv.slice(2)) {
    const [verb, path] = word.split(':');
    let outcome;
    try { outcome = verbs[verb](path); } catch (error) { outcome = error.code; }
    console.log(word + ' ' + outcome);
  }`;

interface Attempt {
  readonly mounts?: readonly ContainerMount[];
  readonly words: readonly string[];
  readonly workingDirectory?: string;
  /** With what the runtime itself forbids on top of what the machine does. */
  readonly hasFlags?: boolean;
}

function openPlace(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'mounts-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const at = (...parts: string[]) => join(folder, ...parts);
  mkdirSync(at('bundle/inside'), { recursive: true });
  writeFileSync(at('bundle/main.mjs'), program);
  writeFileSync(at('bundle/inside/own'), 'of the image');
  // What an image says must lead nowhere but into itself.
  symlinkSync('/etc', at('bundle/out'));
  mkdirSync(at('volume'), { mode: 0o777 });
  spawnSync('chmod', ['0777', at('volume')]);
  mkdirSync(at('secret'), { mode: 0o700 });
  writeFileSync(at('secret/key'), 'of the machine');
  writeFileSync(at('shim.sh'), shimText);
  let count = 0;

  function run({ mounts = [], words, workingDirectory = '/app', hasFlags = false }: Attempt) {
    count += 1;
    const state = at(`state-${count}`);
    mkdirSync(state);
    writeFileSync(join(state, 'ticket-1'), '');
    const command = workloadCommand(['main.mjs', ...words], mounts);
    const input = encodeLaunch({
      runtime: process.execPath,
      bundle: at('bundle'),
      userId: 167_851,
      hostname: 'mounts',
      temporaryBytesMax: 1024 * 1024,
      environment: {},
      command: hasFlags ? command : command.filter((word) => !word.startsWith('--')),
      mounts,
      workingDirectory,
    });
    const { stdout, stderr } = spawnSync(
      '/usr/bin/unshare',
      shimArguments(at('shim.sh'), state, 1),
      {
        input,
        encoding: 'utf8',
      },
    );
    const { exitCode, stage } = JSON.parse(readFileSync(join(state, 'exit.json'), 'utf8')) as {
      exitCode: number;
      stage: string;
    };
    return { lines: stdout.trimEnd().split('\n'), stderr, exitCode, stage };
  }

  const volume = (path: string, extra: Partial<ContainerMount> = {}): ContainerMount => {
    return { source: at('volume'), path, isReadOnly: false, ...extra };
  };
  return { at, run, volume };
}

test('what is mounted is there, and read-only where it is to be, whatever flags the program has', (context) => {
  const { at, run, volume } = openPlace(context);
  writeFileSync(at('volume/old'), 'kept');
  const words = [
    'list:/data',
    'write:/data/new',
    'read:/again/deep/new',
    'write:/again/deep/no',
    'remove:/again/deep/old',
  ];
  const mounts = [volume('/data'), volume('/again/deep', { isReadOnly: true })];
  const seen = ['list:/data old', 'write:/data/new done', 'read:/again/deep/new written'];
  assert.deepEqual(run({ mounts, words }).lines, [
    ...seen,
    'write:/again/deep/no EROFS',
    'remove:/again/deep/old EROFS',
  ]);
  assert.deepEqual(readdirSync(at('volume')), ['new', 'old']);
  rmSync(at('volume/new'));
  assert.deepEqual(
    run({ mounts, words: [...words, 'write:/tmp/x', 'list:/'], hasFlags: true }).lines,
    [
      ...seen,
      'write:/again/deep/no ERR_ACCESS_DENIED',
      'remove:/again/deep/old ERR_ACCESS_DENIED',
      'write:/tmp/x done',
      'list:/ ERR_ACCESS_DENIED',
    ],
  );
  // Nothing of how it was done is left to be seen.
  assert.deepEqual(run({ mounts, words: ['list:/'] }).lines, [
    'list:/ again app bin data dev etc lib lib64 old proc runtime tmp usr'.replace(
      'lib64',
      existsSync('/lib32') ? 'lib32 lib64' : 'lib64',
    ),
  ]);
});

test('a part of a volume is made where it is missing, also inside of another one', (context) => {
  const { at, run, volume } = openPlace(context);
  const mounts = [
    volume('/data'),
    volume('/data/sub/part', { below: ['made', 'deeper'] }),
    volume('/file', { below: ['made', 'note'], isFile: true }),
  ];
  const words = ['write:/data/sub/part/x', 'read:/data/made/deeper/x', 'write:/file', 'read:/file'];
  assert.deepEqual(run({ mounts, words }).lines, [
    'write:/data/sub/part/x done',
    'read:/data/made/deeper/x written',
    'write:/file done',
    'read:/file written',
  ]);
  assert.equal(readFileSync(at('volume/made/note'), 'utf8'), 'written');
});

test('links in a volume lead nowhere: the start fails and says so', (context) => {
  const { at, run, volume } = openPlace(context);
  symlinkSync(at('secret'), at('volume/link'));
  symlinkSync('../secret/key', at('volume/key'));
  symlinkSync(at('nowhere'), at('volume/dangling'));
  mkdirSync(at('volume/folder'));
  const cases: readonly [ContainerMount, RegExp][] = [
    [volume('/data', { below: ['link'] }), /volume\/link is a link, which is not followed/],
    [volume('/data', { below: ['link', 'x'] }), /volume\/link is a link/],
    [volume('/data', { below: ['dangling'] }), /is a link/],
    [volume('/data', { below: ['key'], isFile: true }), /volume\/key is a link/],
    [volume('/data', { below: ['dangling'], isFile: true }), /is no file/],
    [volume('/data', { below: ['folder'], isFile: true }), /is no file/],
    [volume('/data', { source: at('nothing') }), /cannot enter/],
  ];
  for (const [mount, expected] of cases) {
    const { stderr, exitCode, stage, lines } = run({ mounts: [mount], words: ['list:/data'] });
    assert.match(stderr, expected);
    assert.deepEqual([exitCode, stage, lines], [125, 'setup', ['']]);
  }
  assert.equal(existsSync(at('nowhere')), false);
  // A mount inside of a volume does not go through a link in it either.
  const inner = { source: at('secret'), path: '/data/link/inner', isReadOnly: false };
  assert.match(run({ mounts: [volume('/data'), inner], words: [] }).stderr, /is a link/);
  assert.deepEqual(readdirSync(at('secret')), ['key']);
});

test('places in the image are made for what is mounted there, and the rest of it stays', (context) => {
  const { at, run, volume } = openPlace(context);
  writeFileSync(at('volume/note'), 'mounted');
  const file = { below: ['note'], isFile: true, isReadOnly: true };
  const mounts = [
    volume('/app/new/folder'),
    volume('/app/inside/own', file),
    volume('/app/out/config', file),
  ];
  const words = [
    'list:/app',
    'list:/app/new/folder',
    'list:/app/inside',
    'read:/app/inside/own',
    'read:/app/out/config',
    'list:/app/out',
    'write:/app/no',
    'list:/',
  ];
  const { lines } = run({ mounts, words });
  assert.deepEqual(lines.slice(0, -1), [
    'list:/app inside main.mjs new out',
    'list:/app/new/folder note',
    'list:/app/inside own',
    'read:/app/inside/own mounted',
    'read:/app/out/config mounted',
    'list:/app/out config',
    'write:/app/no EROFS',
  ]);
  assert.doesNotMatch(lines.at(-1) ?? '', /image|points|aside/);
  assert.equal(existsSync('/etc/config'), false);
});

test('a workload starts in its working directory, or not at all', (context) => {
  const { run, volume } = openPlace(context);
  const mounts = [volume('/data')];
  const words = ['cwd:'];
  assert.deepEqual(run({ mounts, words, workingDirectory: '/data' }).lines, ['cwd: /data']);
  assert.deepEqual(run({ words, workingDirectory: '/app/inside' }).lines, ['cwd: /app/inside']);
  const failed = run({ words, workingDirectory: '/app/absent' });
  assert.match(failed.stderr, /working directory \/app\/absent is not there/);
  assert.equal(failed.exitCode, 125);
});

test('what cannot be told apart or kept apart is refused before it starts', (context) => {
  const { volume } = openPlace(context);
  const file = volume('/data/file', { below: ['note'], isFile: true });
  assert.throws(() => workloadCommand(['main.mjs'], [volume('/data'), file]), /single file/);
  assert.throws(() => workloadCommand(['main.mjs'], [volume('/da*a')]), /no \* or ,/);
  const config = volume('/data', { isReadOnly: true });
  assert.doesNotThrow(() => workloadCommand(['main.mjs'], [config, file]));
});
