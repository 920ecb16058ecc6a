/**
 * `npm run sim -- --seed N | --seeds A..B [--minutes M] [--nodes N] [--twice]
 * [--sabotage NAME]`: whole fleets over virtual time. Exits with 1 when an invariant
 * did not hold for some seed, or when many seeds never met a kind of fault.
 */
import { parseArgs } from 'node:util';
import { hash } from 'node:crypto';
import {
  invariantText,
  runSimulation,
  sabotages,
  sameTraceFailure,
  summaryOf,
  Totals,
  type Sabotage,
  type SimulationResult,
} from '#apps/simulator/mod.ts';
import { errorText } from '#base/mod.ts';
import { createNodeTurns } from '#platform/io/node/mod.ts';

const usage =
  'usage: npm run sim -- (--seed N | --seeds A..B) [--minutes M] [--nodes N] [--twice] [--sabotage NAME|list] [--verbose]';
const defaults = { seed: 1, minutes: 10, nodes: 4 };
const seedsMax = 1_000_000;
/** So many seeds must have met every kind of fault. */
const manySeeds = 20;
const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

interface Request {
  readonly firstSeed: number;
  readonly lastSeed: number;
  /** One seed, told at length. */
  readonly isSingle: boolean;
  readonly minutes: number;
  readonly nodes: number;
  readonly verbose: boolean;
  /** Each seed runs again, and must tell the same story. */
  readonly twice: boolean;
  readonly sabotage: Sabotage | undefined;
}

class UsageError extends Error {}

function numberOf(name: string, text: string | undefined, fallback: number, least: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`--${name} takes a whole number from ${least}, not '${text}'`);
  }
  return value;
}

function sabotageOf(name: string | undefined): Sabotage | undefined {
  if (name === undefined) return undefined;
  const found = sabotages.find((one) => one.name === name);
  if (found === undefined) {
    throw new UsageError(`--sabotage takes list or one of its names, not '${name}'`);
  }
  return found;
}

function sabotageList(): string {
  const widest = Math.max(...sabotages.map(({ name }) => name.length));
  return sabotages
    .map(({ name, invariant, what }) =>
      [name.padEnd(widest), `${invariantText(invariant)}: it ${what}`].join('  '),
    )
    .join('\n');
}

function parseRequest(words: readonly string[]): Request {
  const { values } = parseArgs({
    args: [...words],
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      nodes: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      twice: { type: 'boolean', default: false },
      sabotage: { type: 'string' },
    },
  });
  const sabotage = sabotageOf(values.sabotage);
  const common = {
    minutes: numberOf('minutes', values.minutes, defaults.minutes, 1),
    nodes: numberOf('nodes', values.nodes, defaults.nodes, 1),
    verbose: values.verbose,
    twice: values.twice || sabotage?.isSeenTwice === true,
    sabotage,
  };
  if (values.seeds === undefined) {
    const seed = numberOf('seed', values.seed, defaults.seed, 0);
    return { ...common, firstSeed: seed, lastSeed: seed, isSingle: true };
  }
  if (values.seed !== undefined) throw new UsageError('either --seed or --seeds');
  const range = /^(\d+)\.\.(\d+)$/.exec(values.seeds);
  const [firstSeed, lastSeed] = [Number(range?.[1]), Number(range?.[2])];
  if (range === null || lastSeed < firstSeed || lastSeed - firstSeed >= seedsMax) {
    throw new UsageError(`--seeds takes a range such as 1..50, not '${values.seeds}'`);
  }
  return { ...common, firstSeed, lastSeed, isSingle: false };
}

async function run(request: Request, seed: number): Promise<SimulationResult> {
  const result = await runOnce(request, seed);
  if (!request.twice) return result;
  const again = await runOnce(request, seed);
  if (again.trace !== result.trace) throw sameTraceFailure(seed, result, again);
  return result;
}

function runOnce(request: Request, seed: number): Promise<SimulationResult> {
  const { minutes, nodes, verbose, sabotage } = request;
  return runSimulation({
    ...(sabotage === undefined ? {} : { sabotage }),
    seed,
    minutes,
    nodes,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
    turns: createNodeTurns(),
    ...(request.isSingle ? { print: (line: string) => console.log(line) } : {}),
    ...(verbose
      ? {
          onLog: ({ atMs, host, level, message, fields }) =>
            console.log(`${atMs.toFixed(3)} ${host} ${level} ${message} ${JSON.stringify(fields)}`),
        }
      : {}),
  });
}

async function main(words: readonly string[]): Promise<number> {
  let request: Request;
  const listAt = words.indexOf('--sabotage') + 1;
  if (listAt > 0 && words[listAt] === 'list') {
    console.log(sabotageList());
    return exitCodes.ok;
  }
  try {
    request = parseRequest(words);
  } catch (thrown) {
    console.error(`${errorText(thrown)}\n${usage}`);
    return exitCodes.usage;
  }
  const traces: string[] = [];
  const totals = new Totals();
  const failed: number[] = [];
  for (let seed = request.firstSeed; seed <= request.lastSeed; seed += 1) {
    try {
      const result = await run(request, seed);
      traces.push(result.trace);
      totals.add(result, request.nodes);
      if (request.isSingle) {
        console.log(
          `${request.nodes} nodes, ${(result.simulatedMs / 60_000).toFixed(1)} minutes: ${summaryOf(result)}`,
        );
        console.log(
          `converged to ${result.replicas} replicas; ${result.objects} objects, ${result.messages} messages, ${result.events} events`,
        );
        console.log(`trace ${result.trace}`);
      } else {
        console.log(
          `seed ${seed} replicas ${result.replicas} events ${result.events} trace ${result.trace}`,
        );
      }
    } catch (thrown) {
      failed.push(seed);
      console.log(`seed ${seed} FAILED ${errorText(thrown)}`);
      if (request.isSingle) console.error(thrown);
    }
  }
  if (request.isSingle) return failed.length === 0 ? exitCodes.ok : exitCodes.failed;
  const count = request.lastSeed - request.firstSeed + 1;
  console.log(totals.text());
  const never = count >= manySeeds ? totals.neverHappened() : [];
  if (never.length > 0) console.log(`never happened: ${never.join(', ')}`);
  const outcome = failed.length === 0 ? 'all passed' : `failed: ${failed.join(', ')}`;
  console.log(`${count} seeds, ${outcome}; traces ${hash('sha256', traces.join('\n'), 'hex')}`);
  return failed.length === 0 && never.length === 0 ? exitCodes.ok : exitCodes.failed;
}

process.exitCode = await main(process.argv.slice(2));
