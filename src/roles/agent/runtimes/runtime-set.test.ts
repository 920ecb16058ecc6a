import assert from 'node:assert/strict';
import { test } from 'node:test';
import { combineRuntimes } from './runtime-set.ts';
import type { ContainerKey, ContainerRun, Runtime } from './types.ts';

/** Remembers runs, and what it was asked to do about them. */
function memoryRuntime(name: string, platform: string, runs: ContainerRun[]) {
  const asked: string[] = [];
  const find = ({ podUid, container }: ContainerKey) =>
    runs.find((run) => run.podUid === podUid && run.container === container);
  const runtime: Runtime = {
    name,
    platforms: [platform],
    start: () => Promise.reject(new Error('not here')),
    list: () => runs,
    get: find,
    stop(key, how) {
      asked.push(`${how} ${key.container}`);
      return Promise.resolve(true);
    },
    setDeadline: () => Promise.resolve(true),
    removePod(podUid) {
      asked.push(`remove ${podUid}`);
      return Promise.resolve();
    },
    logPath: (key) => `${name}/${key.container}`,
    onExit() {},
    close() {},
  };
  return { runtime, asked };
}

function run(
  podUid: string,
  container: string,
  restartCount: number,
  isRunning: boolean,
): ContainerRun {
  const exit = isRunning ? undefined : ({ exitCode: 0 } as ContainerRun['exit']);
  return { podUid, container, restartCount, exit, containerId: `${restartCount}` } as ContainerRun;
}

test('a container belongs to the runtime that runs it, else to the one of its newest run', async () => {
  const script = memoryRuntime('script', 'script/javascript', [
    run('b', 'moved', 0, false),
    run('b', 'only', 0, true),
    run('c', 'back', 5, false),
  ]);
  const wasm = memoryRuntime('wasm', 'wasi/wasm', [
    run('a', 'first', 0, true),
    run('b', 'moved', 1, false),
    run('c', 'back', 4, true),
  ]);
  const set = combineRuntimes([script.runtime, wasm.runtime]);
  assert.deepEqual(set.names, ['script', 'wasm']);
  assert.equal(set.runtimeFor('wasi/wasm'), wasm.runtime);
  assert.equal(set.runtimeFor('linux/amd64'), undefined);
  assert.deepEqual(
    set.list().map((one) => `${one.podUid}/${one.container} ${one.restartCount}`),
    ['a/first 0', 'b/moved 1', 'b/only 0', 'c/back 4'],
    'each once, in order',
  );
  assert.equal(set.logPath({ podUid: 'b', container: 'moved' }), 'wasm/moved');
  assert.equal(await set.stop({ podUid: 'c', container: 'back' }, 'kill'), true);
  assert.equal(await set.stop({ podUid: 'z', container: 'none' }, 'kill'), false);
  await set.removePod('b');
  assert.deepEqual([script.asked, wasm.asked], [['remove b'], ['kill back', 'remove b']]);
  await assert.rejects(set.exec({ podUid: 'a', container: 'first' }, ['x']), {
    code: 'EXEC_REFUSED',
  });
  await assert.rejects(set.exec({ podUid: 'z', container: 'none' }, ['x']), {
    code: 'EXEC_NOT_RUNNING',
  });
});

test('no platform has two runtimes', () => {
  const [first, second] = [0, 1].map(
    () => memoryRuntime('script', 'script/javascript', []).runtime,
  );
  assert.ok(first !== undefined && second !== undefined);
  assert.throws(() => combineRuntimes([first, second]));
});
