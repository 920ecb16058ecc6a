/**
 * The shim of the script runtime as a program of a simulated machine. It keeps
 * the protocol that the agent's shim.ts describes: an outer process, an init in
 * it, a workload in that; nothing without its ticket; started.json once they
 * exist, exit.json once the workload has ended, both before anybody can see that
 * end; and the deadline, on the machine's boot clock.
 */
import { textOf, utf8 } from '#base/mod.ts';
import { DiskError, type Disk, type Timer } from '#platform/io/mod.ts';
import type { ProcessExit, SimChild, SimProcess, SimProgram } from '#platform/sim/mod.ts';
import { decodeLaunch, type Launch } from '#roles/agent/mod.ts';

/** What runs in a container: called with the workload's process and what it was started with. */
export type SimWorkload = (process: SimProcess, launch: Launch) => void;

const outerProgram = '/usr/bin/unshare';
const signalNumbers: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };
const setupMs = { least: 15, most: 90 };
const gracefulExitMsMax = 1500;
const terminatedExitCode = 128 + 15;
/** Where to find them behind the shim's path: `run ATTEMPT STATE`. */
const [verbAt, attemptAt, statePathAt] = [-3, -2, -1];
const deadlineLookMsMax = 5_000;
const deadlineBytesMax = 64;

/** A service: says that it is ready, and ends itself a while after SIGTERM. */
export const serviceWorkload: SimWorkload = (process) => {
  void process.print('stdout', 'listening\n');
  process.onSignal('SIGTERM', () => {
    process.timers.after(process.random.unit() * gracefulExitMsMax, () =>
      process.exit(terminatedExitCode),
    );
  });
};

/** The program behind `unshare … /bin/sh SHIM run ATTEMPT STATE`. */
export function shimProgram(workloadOf: (launch: Launch) => SimWorkload): SimProgram {
  return {
    name: 'shim',
    matches: (spec) => spec.program === outerProgram && spec.arguments.at(verbAt) === 'run',
    run: (outer) => {
      // Blocks SIGTERM, as unshare does while it waits for its child.
      outer.onSignal('SIGTERM', () => {});
      const init = outer.fork('sh', (process) => runInit(process, workloadOf));
      init.onExit((exit) => outer.exit(exitCodeOf(exit)));
    },
  };
}

function exitCodeOf({ code, signal }: ProcessExit): number {
  return code ?? 128 + (signalNumbers[signal ?? ''] ?? 0);
}

function runInit(init: SimProcess, workloadOf: (launch: Launch) => SimWorkload): void {
  const statePath = (init.spec.arguments.at(statePathAt) ?? '').slice(1);
  const attempt = init.spec.arguments.at(attemptAt) ?? '';
  const state = init.disk.within(statePath);
  const launch = decodeLaunch(init.spec.stdin ?? new Uint8Array(0));
  let workload: SimChild | undefined;
  let isStopped = false;
  init.onSignal('SIGTERM', () => {
    isStopped = true;
    workload?.signal('SIGTERM');
  });

  let hasExpired = false;
  const finish = async (exitCode: number, ran: 'setup' | 'workload'): Promise<void> => {
    const stage = hasExpired ? 'deadline' : ran;
    await writeJson(state, 'exit.json', { exitCode, finishedAtMs: init.clock.wallMs(), stage });
    init.exit(exitCode);
  };

  const run = async (): Promise<void> => {
    if (!(await takeTicket(state, attempt))) {
      await init.print('stderr', 'shim: this start was given up\n');
      init.exit(125);
      return;
    }
    await new Promise<void>((resolve) => {
      const { least, most } = setupMs;
      init.timers.after(least + init.random.unit() * (most - least), resolve);
    });
    if (isStopped) return finish(terminatedExitCode, 'setup');
    const child = init.fork('node', (process) => workloadOf(launch)(process, launch));
    workload = child;
    const ended = new Promise<ProcessExit>((resolve) => child.onExit(resolve));
    keepDeadline(init, state, () => {
      hasExpired = true;
      child.signal('SIGKILL');
    });
    await writeJson(state, 'started.json', {
      initPid: init.pid,
      initStartTicks: init.startTicks,
      workloadPid: child.pid,
      workloadStartTicks: child.startTicks,
    });
    return finish(exitCodeOf(await ended), 'workload');
  };
  // A folder that is gone from under it or a full disk: it complains and ends, as the real one.
  run().catch((thrown: unknown) => {
    void init
      .print('stderr', `shim: ${String(thrown)}\n`)
      .catch(() => {})
      .then(() => init.exit(125));
  });
}

async function takeTicket(state: Disk, attempt: string): Promise<boolean> {
  try {
    await state.rename(`ticket-${attempt}`, `run-${attempt}.json`);
    return true;
  } catch (thrown) {
    if (thrown instanceof DiskError && thrown.code === 'DISK_NOT_FOUND') return false;
    throw thrown;
  }
}

/** Looks at the deadline now, when it was told to, and when what it read last has come. */
function keepDeadline(init: SimProcess, state: Disk, expire: () => void): void {
  let timer: Timer | undefined;
  const look = async (): Promise<void> => {
    timer?.cancel();
    const bytes = await state.readFile('deadline', deadlineBytesMax);
    if (bytes === undefined) return;
    const leftMs = Number(textOf(bytes)) - init.clock.bootMs();
    if (leftMs <= 0) {
      expire();
      return;
    }
    timer?.cancel();
    timer = init.timers.after(Math.min(leftMs, deadlineLookMsMax), lookAgain);
  };
  const lookAgain = (): void => {
    // A disk that does not answer now is asked again, as the file may be a deadline.
    look().catch(() => {
      timer = init.timers.after(1_000, lookAgain);
    });
  };
  init.onSignal('SIGINT', lookAgain);
  lookAgain();
}

async function writeJson(disk: Disk, name: string, value: object): Promise<void> {
  await disk.writeFileAtomic(name, utf8(`${JSON.stringify(value)}\n`));
}
