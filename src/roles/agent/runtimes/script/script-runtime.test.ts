import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeSpawn,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { holdable, runtimeContract, type RuntimeHarness } from '../runtime.contract.ts';
import type { ContainerRun, Runtime } from '../types.ts';
import { decodeLaunch, encodeLaunch } from './launch.ts';
import { openScriptRuntime } from './script-runtime.ts';
import { shimText } from './shim.ts';
import { shimArguments } from './workload.ts';

const programs = {
  greeter: `console.log('hello', JSON.stringify(process.env.NAME), JSON.stringify(process.argv.slice(2)));
    process.exitCode = 3;`,
  polite: `process.on('SIGTERM', () => { console.log('bye'); process.exit(0); });
    setInterval(() => {}, 1000); console.log('ready');`,
  stubborn: `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('ready');`,
  prober: `
    import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
    import { spawnSync } from 'node:child_process';
    const found = {};
    const attempt = (name, run) => {
      try { found[name] = run(); } catch (error) { found[name] = error.code ?? String(error); }
    };
    attempt('user', () => [process.getuid(), process.getgid(), process.getgroups()]);
    attempt('isInit', () => process.pid === 1);
    attempt('environment', () => Object.keys(process.env));
    attempt('directory', () => process.cwd());
    attempt('bundle', () => readFileSync('/app/main.mjs').length > 0);
    for (const path of process.argv.slice(2)) attempt(path, () => readdirSync(path));
    attempt('write', () => writeFileSync('/app/x', 'x'));
    attempt('spawn', () => spawnSync('/bin/sh', ['-c', ':']).status);
    attempt('kill', () => process.kill(1, 9));
    console.log(JSON.stringify(found));`,
};

function passTime(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

async function openHarness(): Promise<RuntimeHarness & { folder: string }> {
  // Others may not even enter the folder: what a checkout below /root looks like.
  const folder = mkdtempSync(join(tmpdir(), 'runtime-'));
  for (const [name, text] of Object.entries(programs)) {
    mkdirSync(join(folder, 'bundles', name), { recursive: true });
    writeFileSync(join(folder, 'bundles', name, 'main.mjs'), text);
  }
  const clock = createNodeClock();
  const timers = createNodeTimers();
  const spawn = createNodeSpawn();
  const held = holdable(spawn, passTime);
  const disk = createNodeDisk(join(folder, 'agent'));
  let current: Runtime | undefined;
  return {
    disk,
    spawn,
    folder,
    bootMs: () => clock.bootMs(),
    holdStarts: (lateMs) => held.hold(lateMs),
    programs: {
      greeter: join(folder, 'bundles/greeter'),
      polite: join(folder, 'bundles/polite'),
      stubborn: join(folder, 'bundles/stubborn'),
    },
    async reopen() {
      current?.close();
      current = await openScriptRuntime(
        { disk, spawn: held.spawn, clock, timers, logger: silentLogger },
        { javascriptRuntimePath: process.execPath },
      );
      return current;
    },
    async readLog(path) {
      return Promise.resolve(readFileSync(join(folder, 'agent', path), 'utf8'));
    },
    async killOutermost(run) {
      assert.ok(run.process);
      assert.equal(await spawn.signal(run.process, 'SIGKILL'), true);
    },
    async hasProcesses(run: ContainerRun) {
      assert.ok(run.process);
      const state = JSON.parse(
        readFileSync(join(folder, 'agent/pods', run.podUid, run.container, 'started.json'), 'utf8'),
      ) as Record<string, number>;
      const pids = [run.process.pid, state['initPid'] ?? 0, state['workloadPid'] ?? 0];
      const table = await spawn.table();
      return table.some((entry) => pids.includes(entry.pid) && !entry.isZombie);
    },
    passTime,
    async [Symbol.asyncDispose]() {
      for (const run of current?.list() ?? []) {
        if (run.exit !== undefined || run.process === undefined) continue;
        await spawn.signal(run.process, 'SIGKILL');
      }
      current?.close();
      await passTime(100);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

runtimeContract('script', openHarness);

test('a workload sees its bundle and nothing else of the machine', async () => {
  await using harness = await openHarness();
  const runtime = await harness.reopen();
  const paths = ['/', '/app', '/proc', '/root', harness.folder, harness.disk.absolute('pods')];
  const key = { podUid: 'uid-1', container: 'main' };
  const start = {
    ...key,
    podNamespace: 'default',
    podName: 'pod-1',
    image: 'image:1',
    digest: 'sha256:1',
    ip: '127.1.9.7',
    restartCount: 0,
    bundle: join(harness.folder, 'bundles/prober'),
    command: ['main.mjs', ...paths],
    environment: { ONLY: 'this' },
  };
  await runtime.start(start);
  while (runtime.get(key)?.exit === undefined) await harness.passTime(20);
  const denied = 'ERR_ACCESS_DENIED';
  const log = await harness.readLog(runtime.logPath(key));
  assert.deepEqual(JSON.parse(log), {
    user: [167_847, 167_847, [167_847]],
    isInit: false,
    environment: ['ONLY'],
    directory: '/app',
    bundle: true,
    '/': denied,
    '/app': ['main.mjs'],
    '/proc': denied,
    '/root': denied,
    // Its /tmp is its own.
    [harness.folder]: 'ENOENT',
    [harness.disk.absolute('pods')]: 'ENOENT',
    write: denied,
    spawn: denied,
    kill: 'EPERM',
  });
});

test('even without the permission model there is nothing of the machine to see', async () => {
  await using harness = await openHarness();
  const state = join(harness.folder, 'state');
  mkdirSync(state);
  writeFileSync(join(harness.folder, 'shim.sh'), shimText);
  writeFileSync(join(state, 'ticket-1'), '');
  const launch = encodeLaunch({
    runtime: process.execPath,
    bundle: join(harness.folder, 'bundles/prober'),
    userId: 167_850,
    hostname: 'bare',
    temporaryBytesMax: 1024 * 1024,
    environment: {},
    command: ['/runtime/node', '/app/main.mjs', '/', harness.folder, '/root', '/old', '/proc'],
    mounts: [],
    workingDirectory: '/app',
  });
  const ran = spawnSync(
    '/usr/bin/unshare',
    shimArguments(join(harness.folder, 'shim.sh'), state, 1),
    {
      input: launch,
      encoding: 'utf8',
    },
  );
  const { '/proc': proc, '/': root, ...found } = JSON.parse(ran.stdout) as Record<string, unknown>;
  assert.deepEqual(found, {
    user: [167_850, 167_850, [167_850]],
    isInit: false,
    environment: [],
    directory: '/app',
    bundle: true,
    [harness.folder]: 'ENOENT',
    '/root': 'ENOENT',
    '/old': [],
    write: 'EROFS',
    spawn: 0,
    kill: 'EPERM',
  });
  assert.ok(Array.isArray(proc) && Array.isArray(root));
  assert.equal(
    root.filter((name: string) => !/^lib[0-9x]*$/.test(name)).join(' '),
    'app bin dev etc old proc runtime tmp usr',
  );
  assert.equal(proc.filter((name) => /^[0-9]+$/.test(String(name))).length, 1, 'only itself');
});

/** Every command line of the machine's processes that holds `mark`. */
function commandLinesWith(mark: string): readonly string[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^[0-9]+$/.test(name)) return [];
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      return line.includes(mark) ? [line] : [];
    } catch {
      // It ended between two looks.
      return [];
    }
  });
}

test('what is in the environment is at no time in a command line', async () => {
  await using harness = await openHarness();
  const runtime = await harness.reopen();
  const environment = {
    NAME: 'well-kept-secret',
    IFS: 'x',
    PATH: 'p',
    PS4: '$(id)',
    END: "\nend=''",
  };
  for (let round = 0; round < 5; round += 1) {
    const key = { podUid: 'uid-1', container: 'main' };
    const progress = { isOver: false };
    const starting = runtime
      .start({
        ...key,
        podNamespace: 'default',
        podName: 'pod-1',
        image: 'image:1',
        digest: 'sha256:1',
        ip: '127.1.9.7',
        restartCount: round,
        bundle: harness.programs.greeter,
        command: ['main.mjs', 'a-word-of-its-own'],
        environment,
      })
      .finally(() => {
        progress.isOver = true;
      });
    let seen = 0;
    while (!progress.isOver || runtime.get(key)?.exit === undefined) {
      assert.deepEqual(commandLinesWith('well-kept-secret'), []);
      seen += commandLinesWith('a-word-of-its-own').length;
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    await starting;
    assert.ok(seen > 0, 'it was looked at while it ran');
    assert.match(await harness.readLog(runtime.logPath(key)), /well-kept-secret/);
  }
});

test('a launch record gives back what went in, whatever the bytes', () => {
  const launch = {
    runtime: "/a 'b'/node",
    bundle: '/x y',
    userId: 100_001,
    hostname: 'pod',
    temporaryBytesMax: 1024,
    environment: { A: '', B: "''", C: "it's\n$(id)`id`\\", D: 'set -- ', E: 'K=V' },
    command: ['/runtime/node', "'", '', 'a b', 'X=1', '\\'],
    mounts: [
      { source: "/it's/one", path: '/a b', isReadOnly: true, isFile: true, below: [] },
      { source: '/s', path: '/app/x', isReadOnly: false, isFile: false, below: ['$(id)', '}'] },
    ],
    workingDirectory: '/app/`id`',
    input: 'first-only' as const,
  };
  const [mount] = launch.mounts;
  assert.ok(mount !== undefined);
  for (const below of [['a\n--\n'], ['..'], ['a/b'], ['']]) {
    assert.throws(() => encodeLaunch({ ...launch, mounts: [{ ...mount, below }] }));
  }
  assert.deepEqual(decodeLaunch(encodeLaunch(launch)), launch);
  assert.throws(() => encodeLaunch({ ...launch, environment: { 'A;id': 'x' } }), /no name/);
  assert.throws(() => encodeLaunch({ ...launch, environment: { OPTIND: '1' } }), /shell's own/);
  assert.throws(() => decodeLaunch(encodeLaunch(launch).subarray(0, -1)), /whole/);
  assert.throws(() => encodeLaunch({ ...launch, hostname: 'a\0b' }), /NUL/);
});
