/**
 * One seed from beginning to end: the simulation, the second run where one is asked
 * for, and for a seed that fails a third one that says what happened.
 */
import {
  runSimulation,
  sabotages,
  sameTraceFailure,
  SimulationFailure,
  Story,
  type SimulationOptions,
  type SimulationResult,
} from '#apps/simulator/mod.ts';
import { errorText } from '#base/mod.ts';
import { createNodeTurns } from '#platform/io/node/mod.ts';
import { commandFor, type RunRequest } from './request.ts';

/** Plain, so that it can be sent to another process. */
export type SeedOutcome =
  | { readonly seed: number; readonly result: SimulationResult }
  | { readonly seed: number; readonly failure: SeedFailure };

export interface SeedFailure {
  /** With the invariant and the instant, without the seed. */
  readonly message: string;
  /** What is known of the objects concerned, and where two runs part. */
  readonly story: readonly string[];
  readonly command: string;
  /** Where it was thrown; only what is no violation of an invariant has one. */
  readonly stack: string | undefined;
}

type More = Partial<Pick<SimulationOptions, 'print' | 'onLog' | 'story' | 'traceSink'>>;

const storyLinesMax = 24;
const linesBeforeParting = 6;
const traceLinesMax = 3_000_000;

function runOnce(run: RunRequest, seed: number, more: More = {}): Promise<SimulationResult> {
  const { minutes, nodes, isLong, isRestored } = run;
  const sabotage = sabotages.find(({ name }) => name === run.sabotage);
  return runSimulation({
    ...(sabotage === undefined ? {} : { sabotage }),
    seed,
    minutes,
    nodes,
    isLong,
    isRestored,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
    turns: createNodeTurns(),
    ...more,
  });
}

/** Never rejects: whatever goes wrong is the seed's failure. */
export async function runSeed(
  run: RunRequest,
  seed: number,
  more: More = {},
): Promise<SeedOutcome> {
  let result: SimulationResult;
  try {
    result = await runOnce(run, seed, more);
  } catch (thrown) {
    return { seed, failure: await explain(run, seed, thrown) };
  }
  if (!run.isTwice) return { seed, result };
  try {
    const again = await runOnce(run, seed);
    if (again.trace === result.trace) return { seed, result };
    const { message } = sameTraceFailure(seed, result, again);
    return { seed, failure: failureOf(run, seed, message, await partingOf(run, seed)) };
  } catch (thrown) {
    const message = `it failed in its second run only: ${errorText(thrown)}`;
    return { seed, failure: failureOf(run, seed, message, []) };
  }
}

function failureOf(
  run: RunRequest,
  seed: number,
  message: string,
  story: readonly string[],
  stack?: string,
): SeedFailure {
  const text = message.replace(`seed ${seed}: `, '');
  return { message: text, story, command: commandFor(seed, run), stack };
}

/** Runs the seed again and keeps what is said of the objects that the failure is about. */
async function explain(run: RunRequest, seed: number, thrown: unknown): Promise<SeedFailure> {
  const isViolation = thrown instanceof SimulationFailure && thrown.code === 'SIM_INVARIANT';
  const stack = !isViolation && thrown instanceof Error ? thrown.stack : undefined;
  const story = new Story();
  try {
    await runOnce(run, seed, { story });
  } catch {
    // The failure that is to be explained.
  }
  const about = thrown instanceof SimulationFailure ? thrown.about : [];
  const lines = story.about(about, storyLinesMax);
  return failureOf(run, seed, errorText(thrown), lines, stack);
}

/** The first line in which two runs of a seed differ, and those before it. */
async function partingOf(run: RunRequest, seed: number): Promise<readonly string[]> {
  const first: string[] = [];
  await runOnce(run, seed, {
    traceSink: (line) => {
      if (first.length < traceLinesMax) first.push(line);
    },
  });
  let at = 0;
  let other: string | undefined;
  await runOnce(run, seed, {
    traceSink: (line) => {
      if (other !== undefined) return;
      if (line === first[at]) at += 1;
      else other = line;
    },
  });
  const before = first.slice(Math.max(0, at - linesBeforeParting), at);
  return [
    ...before.map((line) => `  ${line}`),
    `1 ${first[at] ?? 'nothing more'}`,
    `2 ${other ?? 'nothing more'}`,
  ];
}
