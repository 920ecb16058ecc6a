/**
 * Many seeds: in this process, or in several that take the next seed whenever they
 * have done one. Outcomes come in the order of the seeds, whoever was first.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { commandFor, type Request } from './request.ts';
import { runSeed, type SeedFailure, type SeedOutcome } from './run-seed.ts';
import type { WorkerTask } from './worker.ts';

/** A simulation that takes longer than this in real time is taken for stuck. */
const seedLimitMs = 15 * 60_000;

interface Worker {
  run(task: WorkerTask): Promise<SeedOutcome>;
  close(): void;
}

function startWorker(): Worker {
  let child: ChildProcess | undefined;
  const start = (): ChildProcess =>
    fork(join(import.meta.dirname, 'worker.ts'), {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  return {
    run: (task) =>
      new Promise((resolve) => {
        const process_ = child ?? start();
        child = process_;
        const finish = (outcome: SeedOutcome): void => {
          clearTimeout(limit);
          process_.removeAllListeners();
          resolve(outcome);
        };
        const broke = (message: string): void => {
          child = undefined;
          process_.kill('SIGKILL');
          const command = commandFor(task.seed, task.run);
          finish({
            seed: task.seed,
            failure: { message, story: [], command, stack: undefined },
          });
        };
        const limit = setTimeout(
          () => broke(`no end after ${seedLimitMs / 60_000} minutes of real time`),
          seedLimitMs,
        );
        process_.once('message', (outcome) => finish(outcome as SeedOutcome));
        process_.once('error', (thrown) => broke(`its process failed: ${thrown.message}`));
        process_.once('exit', (code, signal) =>
          broke(`its process ended with ${code ?? signal ?? 'nothing'}`),
        );
        process_.send(task);
      }),
    close: () => child?.disconnect(),
  };
}

/** Simulates a range of seeds; `onOutcome` says false where it has seen enough. */
export async function runSeeds(
  { run, firstSeed, lastSeed, jobs }: Pick<Request, 'run' | 'firstSeed' | 'lastSeed' | 'jobs'>,
  onOutcome: (outcome: SeedOutcome) => boolean,
): Promise<void> {
  const told = inOrder(firstSeed, onOutcome);
  if (jobs === 1) {
    for (let seed = firstSeed; seed <= lastSeed && !told.isEnough(); seed += 1) {
      told.take(await runSeed(run, seed));
    }
    return;
  }
  let next = firstSeed;
  const lane = async (): Promise<void> => {
    const worker = startWorker();
    while (next <= lastSeed && !told.isEnough()) {
      const seed = next;
      next += 1;
      told.take(await worker.run({ run, seed }));
    }
    worker.close();
  };
  const lanes = Math.min(jobs, lastSeed - firstSeed + 1);
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Passes outcomes on in the order of their seeds. */
function inOrder(firstSeed: number, onOutcome: (outcome: SeedOutcome) => boolean) {
  const waiting = new Map<number, SeedOutcome>();
  let due = firstSeed;
  let isEnough = false;
  return {
    isEnough: () => isEnough,
    take(outcome: SeedOutcome): void {
      waiting.set(outcome.seed, outcome);
      for (;;) {
        const next = waiting.get(due);
        if (next === undefined || isEnough) return;
        waiting.delete(due);
        due += 1;
        isEnough = !onOutcome(next);
      }
    },
  };
}

/** A seed that failed, as people read it. */
export function failureLines(seed: number, failure: SeedFailure): string {
  const { message, story, command, stack } = failure;
  const lines = [`seed ${seed} FAILED`, `  ${message}`];
  if (story.length > 0) {
    lines.push('  the last that is known of what this is about (milliseconds, where, what):');
    lines.push(...story.map((line) => `  | ${line}`));
  }
  if (stack !== undefined) lines.push(stack.replace(/^/gm, '  '));
  lines.push(`  to see it again: ${command}`);
  return lines.join('\n');
}
