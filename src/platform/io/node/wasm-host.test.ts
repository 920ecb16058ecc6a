// The wasm host as containers run it: a process of its own with Node's permission model.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import loadWabt from 'wabt';
import { wasmHostText } from './wasm-host.ts';

const wabt = await loadWabt();
const folder = mkdtempSync(join(tmpdir(), 'wasm-host-'));
const hostPath = join(folder, 'host.mjs');
writeFileSync(hostPath, wasmHostText);
mkdirSync(join(folder, 'data'));
writeFileSync(join(folder, 'data/inside'), 'inside');
writeFileSync(join(folder, 'outside'), 'outside');

after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly output: string;
}

let modules = 0;

/** Compiles the text of a module and runs it; `options` stand before the module. */
function start(
  text: string,
  options: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): { readonly ended: Promise<Ended>; readonly output: () => string; terminate(): void } {
  modules += 1;
  const path = join(folder, `module-${modules}.wasm`);
  writeFileSync(path, wabt.parseWat('module.wat', text).toBinary({}).buffer);
  const child = spawn(
    process.execPath,
    [
      ...['--no-warnings', '--permission', '--allow-wasi', '--allow-worker'],
      ...[`--allow-fs-read=${folder}`, `--allow-fs-write=${join(folder, 'data')}`],
      ...[hostPath, ...options, path, 'first'],
    ],
    { env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  }
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal, output }));
  });
  return { ended, output: () => output, terminate: () => void child.kill('SIGTERM') };
}

const exit = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))';
const write =
  '(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))';
const print = `
  (func $print (param $from i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))`;

test('a module ends as it says, and as a success where it returns', async () => {
  const said = `(module ${exit} (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 7))))`;
  assert.equal((await start(said).ended).exitCode, 7);
  const returned = '(module (memory (export "memory") 1) (func (export "_start")))';
  assert.equal((await start(returned).ended).exitCode, 0);
});

test('a trap, a broken module and an import that is not offered are told apart', async () => {
  const trap = await start(
    '(module (memory (export "memory") 1) (func (export "_start") unreachable))',
  ).ended;
  assert.equal(trap.exitCode, 134);
  assert.match(trap.output, /wasm: RuntimeError: unreachable/);
  const foreign = await start(
    '(module (import "env" "open_the_door" (func)) (memory (export "memory") 1) (func (export "_start")))',
  ).ended;
  assert.equal(foreign.exitCode, 126);
  assert.match(foreign.output, /imports what is not offered here: env\.open_the_door/);
  const startless = await start('(module (memory (export "memory") 1))').ended;
  assert.match(startless.output, /exports no function _start/);
});

test('a busy loop is ended after its time, and says so', async () => {
  const began = Date.now();
  const { signal, output } = await start(
    '(module (memory (export "memory") 1) (func (export "_start") (loop $on (br $on))))',
    ['--activation', '500'],
  ).ended;
  assert.equal(signal, 'SIGKILL');
  assert.match(output, /computed for more than 500 ms/);
  assert.ok(Date.now() - began < 10_000);
});

test('memory grows to the limit and not beyond, whatever the module asks for', async () => {
  // Grows page by page until it is refused, and ends with the pages that it has.
  const text = `(module ${exit} (memory (export "memory") 1)
    (func (export "_start")
      (loop $on (br_if $on (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
      (call $exit (memory.size))))`;
  assert.equal((await start(text, ['--memory', String(100 * 65_536)]).ended).exitCode, 100);
  const atOnce = await start('(module (memory (export "memory") 60000) (func (export "_start")))', [
    '--memory',
    String(100 * 65_536),
  ]).ended;
  assert.notEqual(atOnce.exitCode, 0);
  assert.match(atOnce.output, /emory/);
});

/** Opens PATH below the first mount and prints `opened` or ends with the errno. */
function opening(path: string, rights: bigint): string {
  return `(module ${exit}
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 100) "${path}")
    (func (export "_start")
      (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 100)
        (i32.const ${path.length}) (i32.const 0) (i64.const ${rights}) (i64.const 0)
        (i32.const 0) (i32.const 16)))))`;
}

test('files are there where they are mounted, and nowhere else', async () => {
  const read = 2n;
  const data = ['--mount', join(folder, 'data')];
  assert.equal((await start(opening('inside', read), data).ended).exitCode, 0);
  for (const path of ['../outside', '/etc/passwd', '../../../../etc/passwd']) {
    assert.notEqual((await start(opening(path, read), data).ended).exitCode, 0, path);
  }
  assert.notEqual((await start(opening('inside', read)).ended).exitCode, 0, 'nothing is mounted');
});

test('requests come in one after the other, and SIGTERM ends the waiting', async () => {
  const text = `(module ${write}
    (import "selvage_http" "listen" (func $listen (param i32) (result i32)))
    (import "selvage_http" "accept" (func $accept (param i32) (result i32)))
    (import "selvage_http" "body" (func $body (param i32 i32 i32) (result i32)))
    (import "selvage_http" "respond" (func $respond (param i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1) ${print} (data (i32.const 64) "listens\\n") (data (i32.const 80) "x-who: module")
    (func (export "_start") (local $request i32)
      (if (call $listen (i32.const 18099)) (then (unreachable)))
      (call $print (i32.const 64) (i32.const 8))
      (block $closing (loop $next
        (local.set $request (call $accept (i32.const -1)))
        (br_if $closing (i32.lt_s (local.get $request) (i32.const 0)))
        (drop (call $respond (local.get $request) (i32.const 200) (i32.const 80) (i32.const 13)
          (i32.const 1024) (call $body (local.get $request) (i32.const 1024) (i32.const 60000))))
        (br $next)))))`;
  const running = start(text, ['--activation', '1000'], { HOST: '127.88.0.1' });
  while (!running.output().includes('listens'))
    await new Promise((resolve) => setTimeout(resolve, 20));
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      fetch('http://127.88.0.1:18099/', { method: 'POST', body: `body ${index}` }).then(
        async (response) => [response.headers.get('x-who'), await response.text()],
      ),
    ),
  );
  assert.deepEqual(
    answers,
    Array.from({ length: 20 }, (_, index) => ['module', `body ${index}`]),
  );
  const large = await fetch('http://127.88.0.1:18099/', {
    method: 'POST',
    body: new Uint8Array(2 * 1024 * 1024),
  }).then(
    ({ status }) => status,
    () => 413,
  );
  assert.equal(large, 413);
  running.terminate();
  assert.equal((await running.ended).exitCode, 0);
});

test('a module asks others over HTTP, and hears no from what is not there', async () => {
  const server = createServer((request, response) => {
    response.writeHead(201).end(`${request.method} ${request.url}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const fetching = (url: string): string => `(module ${write} ${exit}
    (import "selvage_http" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "selvage_http" "status" (func $status (param i32) (result i32)))
    (import "selvage_http" "body" (func $body (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1) ${print} (data (i32.const 64) "PUT") (data (i32.const 80) "${url}")
    (func (export "_start") (local $handle i32)
      (local.set $handle (call $fetch (i32.const 64) (i32.const 3) (i32.const 80)
        (i32.const ${url.length}) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2000)))
      (if (i32.lt_s (local.get $handle) (i32.const 0))
        (then (call $exit (i32.sub (i32.const 0) (local.get $handle)))))
      (call $print (i32.const 1024) (call $body (local.get $handle) (i32.const 1024) (i32.const 1000)))
      (call $exit (call $status (local.get $handle)))))`;
  const asked = await start(fetching(`http://127.0.0.1:${port}/x?y`)).ended;
  assert.equal(asked.output, 'PUT /x?y');
  assert.equal(asked.exitCode, 201);
  assert.equal((await start(fetching('http://127.0.0.1:1/')).ended).exitCode, 5);
  assert.equal((await start(fetching('file:///etc/passwd')).ended).exitCode, 4);
  server.close();
});

test('a pointer outside of its memory ends the module and nothing else', async () => {
  const { exitCode, output } = await start(`(module
    (import "selvage_http" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start") (drop (call $fetch (i32.const -8) (i32.const 100) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1)))))`)
    .ended;
  assert.equal(exitCode, 134);
  assert.match(output, /RangeError/);
});

test('the example service is what its text says', () => {
  const example = join(import.meta.dirname, '../../../../examples/edge-microservice/wasm');
  const text = readFileSync(join(example, 'service.wat'), 'utf8');
  const made = wabt.parseWat('service.wat', text).toBinary({}).buffer;
  assert.deepEqual(
    new Uint8Array(made),
    new Uint8Array(readFileSync(join(example, 'service.wasm'))),
  );
});
