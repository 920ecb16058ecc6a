// Workloads that try to get out, of both runtimes: every way is tried in a real pod, each
// must come to nothing, and the node and its other pods go on as if nothing had been.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import loadWabt from 'wabt';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';
import { run } from './helpers/kubectl.ts';

const folder = mkdtempSync(join(tmpdir(), 'selvage-confinement-'));
const program = join(projectFolder, 'selvage');
const attemptsMin = 30;
const wabt = await loadWabt();
let fleet: TestFleet;
let modules: ChildProcess;
let neighbour: { readonly uid: string; readonly startTicks: number };

before(async () => {
  fleet = await startFleet(['--nodes', '1', '--heartbeat', '500ms']);
  await fleet.pushImage(join(projectFolder, 'test/e2e/images/escape'));
  const joinFile = join(folder, 'join.json');
  const token = [
    'join-token',
    '--site',
    'mill',
    '--file',
    joinFile,
    '--kubeconfig',
    fleet.kubeconfig,
  ];
  assert.equal((await run(program, token)).status, 0);
  const words = ['agent', '--name', 'modules-1', '--state', join(folder, 'modules')];
  modules = spawn(
    program,
    [...words, '--join-file', joinFile, '--runtimes', 'wasm', '--heartbeat', '500ms'],
    {
      cwd: projectFolder,
      stdio: 'ignore',
    },
  );
  await eventually('the second node is Ready', 30_000, async () =>
    /modules-1 +Ready/.test(await fleet.kubectl.ok(['get', 'nodes'])) ? true : undefined,
  );
  await fleet.kubectl.ok(['cordon', 'modules-1']);
  await fleet.kubectl.ok([
    'apply',
    '-f',
    join(projectFolder, 'examples/edge-microservice/deployment.yaml'),
  ]);
  await fleet.kubectl.ok(['rollout', 'status', 'deployment/edge-microservice', '--timeout=60s']);
  neighbour = await neighbourNow();
});

after(async () => {
  const closed = new Promise((resolve) => modules.once('close', resolve));
  modules.kill('SIGINT');
  await closed;
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function neighbourNow(): Promise<typeof neighbour> {
  const { stdout } = await fleet.selvage(['status', '-o', 'json']);
  const { processes } = JSON.parse(stdout) as {
    processes: { role: string; pod?: { uid: string; name: string }; startTicks: number }[];
  };
  const found = processes.find(({ pod }) => pod?.name.startsWith('edge-microservice') === true);
  assert.ok(found?.pod !== undefined, 'the neighbour runs');
  return { uid: found.pod.uid, startTicks: found.startTicks };
}

interface Ended {
  readonly exitCode: number;
  readonly log: string;
}

async function runPod(
  name: string,
  image: string,
  container: Readonly<Record<string, unknown>> = {},
  pod: Readonly<Record<string, unknown>> = {},
): Promise<Ended> {
  const limits = { memory: '256Mi', cpu: '1' };
  const containers = [{ name: 'main', image, resources: { limits }, ...container }];
  const spec = { restartPolicy: 'Never', containers, ...pod };
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(object));
  const path = 'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}';
  const exitCode = await eventually(`${name} has ended`, 60_000, async () => {
    const text = await fleet.kubectl.ok(['get', 'pod', name, '-o', path]);
    return text === '' ? undefined : Number(text);
  });
  return { exitCode, log: await fleet.kubectl.ok(['logs', name]) };
}

/** The node is Ready, and the neighbour is the process that it was. */
async function allIsWell(): Promise<void> {
  const ready = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}';
  assert.equal(await fleet.kubectl.ok(['get', 'nodes', '-o', ready]), 'True True');
  assert.deepEqual(await neighbourNow(), neighbour);
}

test('a script gets out in none of the ways that it tries', async () => {
  const { linkPort, nodes } = JSON.parse(
    readFileSync(join(fleet.stateFolder, 'fleet.json'), 'utf8'),
  ) as {
    linkPort: number;
    nodes: { name: string }[];
  };
  const environment = {
    API_PORT: String(fleet.apiPort),
    LINK_PORT: String(linkPort),
    STATE_FOLDER: join(fleet.stateFolder, 'nodes', nodes[0]?.name ?? ''),
    OTHER_UID: neighbour.uid,
    OTHER_WORD: 'neighbour',
  };
  const env = Object.entries(environment).map(([name, value]) => ({ name, value }));
  const { exitCode, log } = await runPod('escape', 'escape:1', { env }, { nodeName: 'harbour-1' });
  assert.equal(exitCode, 0, log);
  assert.match(log, /^done$/m);
  // Node.js itself may add a warning of its own.
  const attempts = log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { name: string; outcome: string });
  assert.ok(attempts.length >= attemptsMin, `${attempts.length} attempts`);
  const worked = attempts.filter(({ outcome }) => !outcome.startsWith('stopped: '));
  assert.deepEqual(worked, []);
  await allIsWell();
});

/** Names of a file and what opens it: the rights that are asked for. */
const read = 2n;
const write = 64n;
const create = 1;

interface Attempt {
  readonly name: string;
  /** WAT that leaves the errno of a WASI call: 0 where it worked. */
  readonly text: string;
}

const strings: string[] = [];
function stringAt(text: string): string {
  const at = 1024 + strings.reduce((sum, one) => sum + one.length, 0);
  strings.push(text);
  return `(i32.const ${at}) (i32.const ${text.length})`;
}

function open(
  name: string,
  path: string,
  options: { base?: number; rights?: bigint; flags?: number } = {},
): Attempt {
  const { base = 3, rights = read, flags = 0 } = options;
  const text = `(call $path_open (i32.const ${base}) (i32.const 1) ${stringAt(path)}
    (i32.const ${flags}) (i64.const ${rights}) (i64.const ${rights}) (i32.const 0) (i32.const 16))`;
  return { name, text };
}

const escapes: readonly Attempt[] = [
  open('the password file by its path', '/etc/passwd'),
  open('the password file by climbing', '../etc/passwd'),
  open('a long climb', '../../../../../../../../etc/passwd'),
  open('a climb through a folder that is there', './../words/../etc/passwd'),
  open('a climb in the middle', 'word/../../etc/passwd'),
  open('its own image', '../app/main.wasm'),
  open('its own image by its path', '/app/main.wasm'),
  open('the runtime', '/runtime/node'),
  open('the wasm host', '/runtime/wasm-host.mjs'),
  open('the environment of the process', '/proc/self/environ'),
  open('the memory of the process', '/proc/self/mem', { rights: write }),
  open('the environment of the init', '/proc/1/environ'),
  open('the root by way of the init', '/proc/1/root/etc/shadow'),
  open('the root by way of itself', '/proc/self/root/etc/passwd'),
  open('a folder of the process', '../proc/self/cwd'),
  open('the root itself', '/'),
  open('what is above the mount', '..'),
  open('a device', '../dev/urandom'),
  open('the settings of the kernel', '/proc/sys/kernel/hostname', { rights: write }),
  open('a new file beside the mount', '../escaped', { rights: write, flags: create }),
  open('a new file in the root', '/escaped', { rights: write, flags: create }),
  open('a new file in a mount that is read only', 'escaped', { rights: write, flags: create }),
  open('a file of the mount, to write', 'word', { rights: write }),
  open('the folder 4, which is not there', 'word', { base: 4 }),
  open('the folder 5, which is not there', 'word', { base: 5 }),
  open('standard output as a folder', 'word', { base: 1 }),
  open('a path with a NUL', 'word\\00/../../etc/passwd'),
  open('an empty path', ''),
  {
    name: 'a link out of the mount',
    text: `(call $path_symlink ${stringAt('/etc/passwd')} (i32.const 3) ${stringAt('link')})`,
  },
  {
    name: 'a hard link out of the mount',
    text: `(call $path_link (i32.const 3) (i32.const 0) ${stringAt('word')} (i32.const 3) ${stringAt('../hard')})`,
  },
  {
    name: 'a move out of the mount',
    text: `(call $path_rename (i32.const 3) ${stringAt('word')} (i32.const 3) ${stringAt('../moved')})`,
  },
  {
    name: 'the end of a file of the mount',
    text: `(call $path_unlink_file (i32.const 3) ${stringAt('word')})`,
  },
  {
    name: 'a new folder above',
    text: `(call $path_create_directory (i32.const 3) ${stringAt('../folder')})`,
  },
  {
    name: 'the end of the mount',
    text: `(call $path_remove_directory (i32.const 3) ${stringAt('.')})`,
  },
  {
    name: 'a connection out of nothing',
    text: '(call $sock_accept (i32.const 3) (i32.const 0) (i32.const 16))',
  },
  {
    name: 'a connection out of the log',
    text: '(call $sock_shutdown (i32.const 1) (i32.const 3))',
  },
];

/** Tries one after the other and ends with the number of the first that worked, or 0. */
function escapingModule(): string {
  const three = '(param i32 i32 i32) (result i32)';
  const imports: readonly (readonly [string, string])[] = [
    ['path_open', '(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)'],
    ['path_symlink', '(param i32 i32 i32 i32 i32) (result i32)'],
    ['path_link', '(param i32 i32 i32 i32 i32 i32 i32) (result i32)'],
    ['path_rename', '(param i32 i32 i32 i32 i32 i32) (result i32)'],
    ['path_unlink_file', three],
    ['path_create_directory', three],
    ['path_remove_directory', three],
    ['sock_accept', three],
    ['sock_shutdown', '(param i32 i32) (result i32)'],
    ['proc_exit', '(param i32)'],
  ];
  const text = strings.join('');
  return `(module
    ${imports.map(([name, type]) => `(import "wasi_snapshot_preview1" "${name}" (func $${name} ${type}))`).join('\n')}
    (memory (export "memory") 1) (data (i32.const 1024) "${text}")
    (func (export "_start")
      ${escapes.map(({ text: tried }, index) => `(if (i32.eqz ${tried}) (then (call $proc_exit (i32.const ${index + 1}))))`).join('\n')}
      (call $proc_exit (i32.const 0))))`;
}

async function pushModule(name: string, text: string): Promise<void> {
  const source = join(folder, name);
  mkdirSync(source);
  writeFileSync(join(source, 'main.wasm'), wabt.parseWat('main.wat', text).toBinary({}).buffer);
  writeFileSync(join(source, 'none.mjs'), 'process.exit(99);');
  const wasm = { entrypoint: ['main.wasm'], include: ['main.wasm'] };
  const image = {
    name: `${name}:1`,
    entrypoint: ['none.mjs'],
    include: ['none.mjs'],
    wasm,
    labels: {},
  };
  writeFileSync(join(source, 'image.json'), JSON.stringify(image));
  await fleet.pushImage(source);
}

test('a module gets out in none of the ways that it tries', async () => {
  assert.ok(escapes.length >= attemptsMin, `${escapes.length} attempts`);
  await pushModule('escaping', escapingModule());
  const map = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'words' },
    data: { word: 'x' },
  };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(map));
  const mount = { volumeMounts: [{ name: 'words', mountPath: '/words', readOnly: true }] };
  const { exitCode, log } = await runPod('escaping', 'escaping:1', mount, {
    nodeName: 'modules-1',
    volumes: [{ name: 'words', configMap: { name: 'words' } }],
  });
  assert.equal(exitCode, 0, `this worked: ${escapes[exitCode - 1]?.name ?? log}`);
  for (const [name, from, what] of [
    ['spawning', 'env', 'system'],
    ['opening', 'wasi_snapshot_preview1', 'sock_open'],
    ['looking', 'selvage_http', 'eval'],
  ] as const) {
    const text = `(module (import "${from}" "${what}" (func)) (memory (export "memory") 1) (func (export "_start")))`;
    await pushModule(name, text);
    const refused = await runPod(name, `${name}:1`, {}, { nodeName: 'modules-1' });
    assert.equal(refused.exitCode, 126);
    assert.match(refused.log, new RegExp(`not offered here: ${from}.${what}`));
  }
  await allIsWell();
});
