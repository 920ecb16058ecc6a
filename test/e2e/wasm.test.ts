// One image name, two runtimes: the example service as a script on one node and as a
// WebAssembly module on another; and modules that take more than they may.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import loadWabt from 'wabt';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';
import { run } from './helpers/kubectl.ts';

const program = join(projectFolder, 'selvage');
const folder = mkdtempSync(join(tmpdir(), 'selvage-wasm-'));
const wabt = await loadWabt();
let fleet: TestFleet;
let agent: ChildProcess;

before(async () => {
  fleet = await startFleet(['--nodes', '1', '--heartbeat', '500ms']);
  const joinFile = join(folder, 'join.json');
  await ok(['join-token', '--site', 'mill', '--file', joinFile]);
  agent = spawn(
    program,
    [
      ...['agent', '--name', 'modules-1', '--state', join(folder, 'state')],
      ...['--join-file', joinFile, '--heartbeat', '500ms', '--runtimes', 'wasm,script'],
    ],
    { cwd: projectFolder, stdio: 'ignore' },
  );
  await ready('modules-1');
});

after(async () => {
  const closed = new Promise((resolve) => agent.once('close', resolve));
  // Ends its pods too.
  agent.kill('SIGINT');
  await closed;
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function ok(words: readonly string[]): Promise<void> {
  const { status, stderr } = await run(program, [...words, '--kubeconfig', fleet.kubeconfig]);
  assert.equal(status, 0, stderr);
}

async function ready(node: string): Promise<void> {
  const condition = `jsonpath={.status.conditions[?(@.type=="Ready")].status}`;
  await eventually(`${node} is Ready`, 20_000, async () =>
    (await fleet.kubectl.ok(['get', 'node', node, '-o', condition])) === 'True' ? true : undefined,
  );
}

/** Pushes an image whose module is `text`, and runs it as a pod of that name on the node for modules. */
async function runModule(
  name: string,
  text: string,
  container: Readonly<Record<string, unknown>> = {},
  volumes: readonly Readonly<Record<string, unknown>>[] = [],
  spec: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const source = join(folder, name);
  mkdirSync(source);
  writeFileSync(join(source, 'main.mjs'), 'console.log("the script was run");');
  const { buffer } = wabt.parseWat('module.wat', text).toBinary({});
  writeFileSync(join(source, 'main.wasm'), buffer);
  const bundle = { entrypoint: ['main.mjs'], include: ['main.mjs'] };
  const wasm = { entrypoint: ['main.wasm'], include: ['main.wasm'] };
  writeFileSync(
    join(source, 'image.json'),
    JSON.stringify({ name: `${name}:1`, ...bundle, wasm, labels: {} }),
  );
  await ok(['image', 'push', source]);
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeName: 'modules-1',
      restartPolicy: 'Never',
      ...spec,
      volumes,
      containers: [{ name: 'main', image: `${name}:1`, ...container }],
    },
  };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(pod));
}

interface Ended {
  readonly exitCode: number;
  readonly log: string;
}

async function endOf(name: string): Promise<Ended> {
  const path = 'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}';
  const exitCode = await eventually(`${name} has ended`, 30_000, async () => {
    const text = await fleet.kubectl.ok(['get', 'pod', name, '-o', path]);
    return text === '' ? undefined : Number(text);
  });
  return { exitCode, log: await fleet.kubectl.ok(['logs', name]) };
}

test('a deployment runs as a script here and as a module there, and says which and why', async () => {
  await fleet.kubectl.ok([
    'apply',
    '-f',
    join(projectFolder, 'examples/edge-microservice/deployment.yaml'),
  ]);
  await fleet.kubectl.ok(['scale', 'deployment/edge-microservice', '--replicas=4']);
  await fleet.kubectl.ok(['rollout', 'status', 'deployment/edge-microservice', '--timeout=60s']);
  const { items } = await fleet.kubectl.json<{
    items: { metadata: { name: string }; spec: { nodeName: string }; status: { podIP: string } }[];
  }>(['get', 'pods', '-l', 'app=edge-microservice']);
  const runtimes = new Map<string, Set<string>>();
  for (const { metadata, spec, status } of items) {
    // A pod without a probe counts as ready before its program listens.
    const answer = await eventually(`${metadata.name} answers`, 20_000, async () => {
      const response = await fetch(`http://${status.podIP}:8080/`);
      return (await response.json()) as Record<string, string>;
    });
    const { pod, node, runtime = 'script' } = answer;
    assert.deepEqual([pod, node], [metadata.name, spec.nodeName]);
    runtimes.set(spec.nodeName, (runtimes.get(spec.nodeName) ?? new Set()).add(runtime));
    const described = await fleet.kubectl.ok(['describe', 'pod', metadata.name]);
    const platform = runtime === 'wasm' ? 'wasi/wasm' : 'script/javascript';
    assert.match(described, new RegExp(`Created container \\S+ as ${platform}, the first of`));
  }
  assert.deepEqual(Object.fromEntries([...runtimes].map(([node, names]) => [node, [...names]])), {
    'harbour-1': ['script'],
    'modules-1': ['wasm'],
  });
  await fleet.kubectl.ok(['delete', 'deployment', 'edge-microservice', '--wait=true']);
});

test('a RuntimeClass chooses among the runtimes that an image is for', async () => {
  for (const [name, handler] of [
    ['scripts', 'script'],
    ['modules', 'wasm'],
  ]) {
    const runtimeClass = {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name },
      handler,
    };
    await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(runtimeClass));
  }
  const nothing = '(module (memory (export "memory") 1) (func (export "_start")))';
  // One node would rather run modules, the other scripts.
  await runModule('as-script', nothing, {}, [], { runtimeClassName: 'scripts' });
  await runModule('as-module', nothing, {}, [], {
    runtimeClassName: 'modules',
    nodeName: 'harbour-1',
  });
  assert.deepEqual(await endOf('as-script'), { exitCode: 0, log: 'the script was run\n' });
  const { exitCode, log } = await endOf('as-module');
  assert.equal(exitCode, 0);
  assert.ok(!log.includes('the script was run'), log);
});

test('a busy loop and endless growth are both stopped, and the node stays Ready', async () => {
  const env = [{ name: 'SELVAGE_WASM_ACTIVATION_MS', value: '1000' }];
  await runModule(
    'busy',
    '(module (memory (export "memory") 1) (func (export "_start") (loop $on (br $on))))',
    { env },
  );
  // Asks for 64 KiB until 8 GiB are refused or had, touching each, and ends with 1 if refused.
  await runModule(
    'growing',
    `(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
       (memory (export "memory") 1)
       (func (export "_start") (local $page i32)
         (loop $on
           (local.set $page (memory.grow (i32.const 1)))
           (if (i32.lt_s (local.get $page) (i32.const 0)) (then (call $exit (i32.const 1))))
           (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
           (br_if $on (i32.lt_u (local.get $page) (i32.const 65000))))
         (call $exit (i32.const 2))))`,
  );
  const busy = await endOf('busy');
  assert.equal(busy.exitCode, 137);
  assert.match(busy.log, /computed for more than 1000 ms/);
  assert.equal((await endOf('growing')).exitCode, 1);
  await ready('modules-1');
});

test('a module has the files of its volumes and no others', async () => {
  const opened = (path: string): string => `(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 100) "${path}")
    (func (export "_start") (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 100)
      (i32.const ${path.length}) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))))`;
  const map = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'words' },
    data: { word: 'x' },
  };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(map));
  for (const [name, path] of [
    ['own-file', 'word'],
    ['foreign-file', '../../etc/passwd'],
  ] as const) {
    await runModule(
      name,
      opened(path),
      { volumeMounts: [{ name: 'words', mountPath: '/words', readOnly: true }] },
      [{ name: 'words', configMap: { name: 'words' } }],
    );
  }
  assert.equal((await endOf('own-file')).exitCode, 0);
  assert.notEqual((await endOf('foreign-file')).exitCode, 0);
});
