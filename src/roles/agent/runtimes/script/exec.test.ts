import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf } from '#base/mod.ts';
import type { Child } from '#platform/io/mod.ts';
import { openNode } from '../../pods/node-harness.contract.ts';
import { programOf } from './exec.ts';

const flags = ['--permission', '--allow-fs-read=/app'];
const programs = { flags, toolsText: undefined, onlyToolsFor: undefined };

test('only node and modules of the image are run, with no more permissions than the workload', () => {
  assert.deepEqual(programOf(['node', '-e', '1'], programs), [
    '/runtime/node',
    ...flags,
    '-e',
    '1',
  ]);
  assert.deepEqual(programOf(['tool.mjs', '--x', 'a'], programs), [
    '/runtime/node',
    ...flags,
    '/app/tool.mjs',
    '--x',
    'a',
  ]);
  for (const word of [
    '--allow-child-process',
    '--permission',
    '--no-permission',
    '--allow-fs-write=*',
  ]) {
    assert.throws(() => programOf(['node', word, 'x.mjs'], programs), { code: 'EXEC_REFUSED' });
  }
  for (const program of ['sh', '/bin/sh', '', 'ls']) {
    assert.throws(() => programOf([program], programs), { code: 'EXEC_NOT_FOUND' });
  }
  assert.throws(() => programOf(['../x.mjs'], programs), { code: 'RUNTIME_BAD_COMMAND' });
  assert.throws(() => programOf(['node', 'a\0b'], programs), { code: 'EXEC_REFUSED' });
});

const images = {
  'main.mjs': `setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0)); console.log('ready');`,
  'look.mjs': `import { readFileSync, readdirSync } from 'node:fs';
    const found = {};
    const attempt = (name, run) => { try { found[name] = run(); } catch (error) { found[name] = error.code; } };
    attempt('odd', () => process.env.ODD);
    attempt('preload', () => process.env.LD_PRELOAD);
    attempt('user', () => [process.getuid() === process.getgid(), process.getgroups().length]);
    attempt('root', () => readdirSync('/'));
    attempt('hostname', () => process.env.POD_NAME);
    attempt('parts', () => Object.keys(process.env).filter((name) => name.startsWith('EXEC_')));
    console.log(JSON.stringify(found));`,
};

interface Output {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Each stream by itself: one may come in the middle of a line of the other. */
function outputOf(child: Child): Promise<Output> {
  const printed = { stdout: '', stderr: '' };
  child.onOutput((stream, bytes) => {
    printed[stream] += textOf(bytes);
  });
  child.endInput();
  return new Promise((resolve) => {
    child.onExit(({ code }) => resolve({ code, ...printed }));
  });
}

test('the tools of a container are words for our own program, in every runtime', () => {
  const withTools = { flags, toolsText: 'TEXT', onlyToolsFor: undefined };
  const tools = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*', '-e', 'TEXT', '--'];
  for (const [command, words] of [
    [
      ['tar', 'cf', '-', '/data'],
      ['tar', 'cf', '-', '/data'],
    ],
    [
      ['/bin/ls', '-l'],
      ['ls', '-l'],
    ],
    [
      ['sh', '-c', 'tar cf - /data | tail -c+513'],
      ['tar-from', '513', '/data'],
    ],
  ] as const) {
    assert.deepEqual(programOf(command, withTools), ['/runtime/node', ...tools, ...words]);
    const forModules = { ...withTools, onlyToolsFor: 'wasm' };
    assert.deepEqual(programOf(command, forModules), ['/runtime/node', ...tools, ...words]);
  }
  const forModules = { ...withTools, onlyToolsFor: 'wasm' };
  assert.throws(() => programOf(['node', '-v'], forModules), { code: 'EXEC_REFUSED' });
  assert.throws(() => programOf(['sh', '-c', 'tar cf - x; id'], withTools), {
    code: 'EXEC_NOT_FOUND',
  });
});

test('what is run in a container is confined as its workload is, also for the next agent', async () => {
  await using node = await openNode(images);
  await node.open();
  node.putNode();
  const odd = `a'b"c\n$(id) \\ \`x\` ${'long '.repeat(20_000)}`;
  const env = [
    { name: 'ODD', value: odd },
    // A library to load first: it must not be loaded by anything that still has privileges.
    { name: 'LD_PRELOAD', value: '/app/absent.so' },
  ];
  node.replica.change(
    'put',
    // Not started again: how it ended is looked at.
    node.podOf('web', 'uid-1', {
      restartPolicy: 'Never',
      containers: [{ name: 'main', image: 'app:1', env }],
    }),
  );
  await node.until('running', () => node.reports('uid-1').at(-1)?.status.phase === 'Running');
  const { runtime } = await node.open();
  const key = { podUid: 'uid-1', container: 'main' };
  const { code, stdout, stderr } = await outputOf(await runtime.exec(key, ['look.mjs']));
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    odd,
    preload: '/app/absent.so',
    user: [true, 1],
    root: 'ERR_ACCESS_DENIED',
    hostname: 'web',
    parts: [],
  });
  const loads = stderr
    .split('\n')
    .filter((one) => one.includes('absent.so') && one.includes('ld.so'));
  assert.equal(loads.length, 1, 'one program has seen the variable: the last, without privileges');

  const forever = ['node', '-e', `setInterval(() => {}, 1000); console.log('begun')`];
  const killed = await runtime.exec(key, forever);
  const ended = outputOf(killed);
  killed.kill();
  assert.equal((await ended).code, undefined);
  const orphan = outputOf(await runtime.exec(key, forever));
  await runtime.stop(key, 'kill');
  const end = await orphan;
  assert.notEqual(end.code, 0, 'it has ended with its container');
  await node.until('gone', () => runtime.get(key)?.exit !== undefined);
  await assert.rejects(runtime.exec(key, ['look.mjs']), { code: 'EXEC_NOT_RUNNING' });
});
