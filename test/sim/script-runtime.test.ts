// The script runtime over a simulated machine: the shim's program there keeps the
// same contract as the real shim does on a real one.
import assert from 'node:assert/strict';
import { shimProgram, type SimWorkload } from '#apps/simulator/mod.ts';
import { isJsonObject, textOf } from '#base/mod.ts';
import { silentLogger, sleep, type ProcessIdentity } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { openScriptRuntime, type ContainerRun, type Runtime } from '#roles/agent/mod.ts';
import {
  holdable,
  runtimeContract,
  type RuntimeHarness,
} from '../../src/roles/agent/runtimes/runtime.contract.ts';

/** In the command of a launch: the runtime, its flags, the module; then the arguments. */
function argumentsIn(command: readonly string[]): readonly string[] {
  return command.slice(1 + command.findIndex((word) => word.startsWith('/app/')));
}

const workloads: Readonly<Record<string, SimWorkload>> = {
  greeter: (process, launch) => {
    const said = [launch.environment['NAME'], argumentsIn(launch.command)];
    void process
      .print('stdout', `hello ${said.map((part) => JSON.stringify(part)).join(' ')}\n`)
      .then(() => process.exit(3));
  },
  polite: (process) => {
    process.onSignal('SIGTERM', () => {
      void process.print('stdout', 'bye\n').then(() => process.exit(0));
    });
    void process.print('stdout', 'ready\n');
  },
  stubborn: (process) => {
    process.onSignal('SIGTERM', () => {});
    void process.print('stdout', 'ready\n');
  },
};

async function openHarness(): Promise<RuntimeHarness> {
  const world = createWorld({
    seed: 1,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
  world.programs.unshift(
    shimProgram((launch) => {
      const workload = workloads[launch.bundle.split('/').at(-1) ?? ''];
      assert.ok(workload !== undefined, launch.bundle);
      return workload;
    }),
  );
  const host = world.host('node');
  const { spawn, disk, clock } = host.ports;
  let runtime: Runtime | undefined;
  const closing = { now: false };
  const pump = async (): Promise<void> => {
    while (!closing.now) await world.run(world.clock.monotonicMs() + 1);
  };
  const pumping = pump();
  const passTime = (durationMs: number): Promise<void> => sleep(world.timers, durationMs);
  const held = holdable(spawn, passTime);
  return {
    disk,
    spawn,
    bootMs: () => clock.bootMs(),
    holdStarts: (lateMs) => held.hold(lateMs),
    programs: { greeter: '/b/greeter', polite: '/b/polite', stubborn: '/b/stubborn' },
    reopen: async () => {
      runtime?.close();
      const { timers } = host.ports;
      runtime = await openScriptRuntime(
        { disk, spawn: held.spawn, clock, timers, logger: silentLogger },
        { javascriptRuntimePath: '/usr/bin/node' },
      );
      return runtime;
    },
    readLog: async (path) => textOf((await disk.readFile(path, 65_536)) ?? new Uint8Array(0)),
    killOutermost: async (run) => {
      assert.ok(run.process);
      assert.equal(await spawn.signal(run.process, 'SIGKILL'), true);
    },
    hasProcesses: async (run: ContainerRun) => {
      const path = `pods/${run.podUid}/${run.container}/started.json`;
      const started: unknown = JSON.parse(
        textOf((await disk.readFile(path, 9999)) ?? new Uint8Array(0)),
      );
      assert.ok(run.process && isJsonObject(started));
      const pids = [run.process.pid, started['initPid'], started['workloadPid']];
      const table: readonly ProcessIdentity[] = await spawn.table();
      return table.some((entry) => pids.includes(entry.pid));
    },
    passTime,
    [Symbol.asyncDispose]: async () => {
      runtime?.close();
      closing.now = true;
      await pumping;
    },
  };
}

runtimeContract('script, simulated', openHarness);
