import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Children, type ChildSpec, silentLogger } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { besideWorkloads, type Present } from './beside.ts';

const limitMs = 60_000;
const present: Present = {
  folder: 'uid-1/main',
  state: {
    podNamespace: 'default',
    podName: 'web',
    podUid: 'uid-1',
    container: 'main',
    attempt: 1,
    startedAtMs: 0,
    restartCount: 0,
    image: 'app:1',
    digest: '',
    ip: '127.1.1.1',
  },
  workload: { pid: 7, startTicks: 70 },
};

/** What is started beside a workload whose process is seen as these programs, one after the other. */
async function startedBeside(
  seen: readonly (readonly [string, Record<string, string>])[],
): Promise<ChildSpec> {
  const world = createWorld({
    seed: 1,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const { disk, timers } = world.host('mill-1').ports;
  let looks = 0;
  let started: ChildSpec | undefined;
  const children: Children = {
    async programOf(process) {
      assert.equal(process, present.workload);
      const [path, environment] = seen[Math.min(looks, seen.length - 1)] ?? [];
      looks += 1;
      return path === undefined || environment === undefined ? undefined : { path, environment };
    },
    async start(spec) {
      started = spec;
      throw new Error('it is looked at, and not started');
    },
  };
  const exec = async (): Promise<void> => {
    const dependencies = { disk, children, timers, logger: silentLogger };
    const beside = await besideWorkloads(dependencies, [], 'TEXT');
    await beside.exec(present, ['ls'], {});
  };
  try {
    await world.settle(exec(), limitMs);
  } catch (error) {
    if (started === undefined) throw error;
  }
  assert.ok(started !== undefined);
  return started;
}

test('nothing is run beside a process that is still to become the workload', async () => {
  // Seen on a loaded machine: a command right after the start had no variables.
  const spec = await startedBeside([
    ['/usr/bin/dash', {}],
    ['/usr/bin/setpriv', { PWD: '/app' }],
    ['/usr/bin/dash', { PWD: '/app' }],
    ['/runtime/node', { NAME: 'web' }],
  ]);
  assert.match(spec.environment['EXEC_PART_0'] ?? '', /export NAME='web'/);
});

test('a process that ends before, or never becomes the workload, does not run', async () => {
  await assert.rejects(
    startedBeside([
      ['/usr/bin/dash', {}],
      ['/usr/bin/dash', {}],
    ]),
    {
      code: 'EXEC_NOT_RUNNING',
    },
  );
  await assert.rejects(startedBeside([]), { code: 'EXEC_NOT_RUNNING' });
});
