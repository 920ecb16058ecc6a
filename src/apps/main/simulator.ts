/**
 * `npm run sim`: whole fleets over virtual time. Exits with 1 when an invariant did
 * not hold for some seed, or when many seeds never met a kind of fault.
 */
import { hash } from 'node:crypto';
import {
  invariantText,
  sabotages,
  summaryOf,
  Totals,
  type SimulationResult,
} from '#apps/simulator/mod.ts';
import { parseRequest, usage, UsageError, type Request } from './simulation/request.ts';
import { runSeed, type SeedOutcome } from './simulation/run-seed.ts';
import { failureLines, runSeeds } from './simulation/run-seeds.ts';

/** So many seeds must have met every kind of fault. */
const manySeeds = 20;
const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

function sabotageList(): string {
  const widest = Math.max(...sabotages.map(({ name }) => name.length));
  return sabotages
    .map(({ name, invariant, what }) =>
      [name.padEnd(widest), `${invariantText(invariant)}: it ${what}`].join('  '),
    )
    .join('\n');
}

async function runSingle(request: Request): Promise<number> {
  const { run, firstSeed, isVerbose } = request;
  const outcome = await runSeed(run, firstSeed, {
    print: (line) => console.log(line),
    ...(isVerbose
      ? {
          onLog: ({ atMs, host, level, message, fields }) =>
            console.log(`${atMs.toFixed(3)} ${host} ${level} ${message} ${JSON.stringify(fields)}`),
        }
      : {}),
  });
  if ('failure' in outcome) {
    console.log(failureLines(outcome.seed, outcome.failure));
    return exitCodes.failed;
  }
  tell(outcome.result, run.nodes);
  return exitCodes.ok;
}

function tell(result: SimulationResult, nodes: number): void {
  const { simulatedMs, replicas, objects, messages, events, trace } = result;
  console.log(`${nodes} nodes, ${(simulatedMs / 60_000).toFixed(1)} minutes: ${summaryOf(result)}`);
  console.log(
    `converged to ${replicas} replicas; ${objects} objects, ${messages} messages, ${events} events`,
  );
  console.log(`trace ${trace}`);
}

async function runMany(request: Request): Promise<number> {
  const traces: string[] = [];
  const totals = new Totals();
  const failed: number[] = [];
  let done = 0;
  await runSeeds(request, (outcome: SeedOutcome) => {
    done += 1;
    if ('failure' in outcome) {
      failed.push(outcome.seed);
      console.log(failureLines(outcome.seed, outcome.failure));
      return !request.isFailFast;
    }
    const { replicas, events, trace } = outcome.result;
    traces.push(trace);
    totals.add(outcome.result, request.run.nodes);
    console.log(`seed ${outcome.seed} replicas ${replicas} events ${events} trace ${trace}`);
    return true;
  });
  if (totals.simulations > 0) console.log(totals.text());
  const { isLong, isRestored } = request.run;
  const isTroubled = totals.simulations >= manySeeds && !isRestored;
  const never = isTroubled ? totals.neverHappened(isLong) : [];
  if (never.length > 0) console.log(`never happened: ${never.join(', ')}`);
  const outcome = failed.length === 0 ? 'all passed' : `failed: ${failed.join(', ')}`;
  console.log(`${done} seeds, ${outcome}; traces ${hash('sha256', traces.join('\n'), 'hex')}`);
  return failed.length === 0 && never.length === 0 ? exitCodes.ok : exitCodes.failed;
}

async function main(words: readonly string[]): Promise<number> {
  let request: ReturnType<typeof parseRequest>;
  try {
    request = parseRequest(words);
  } catch (thrown) {
    if (!(thrown instanceof UsageError)) throw thrown;
    console.error(`${thrown.message}\n'npm run sim -- --help' says what there is`);
    return exitCodes.usage;
  }
  if (request === 'help' || request === 'list') {
    console.log(request === 'help' ? usage : sabotageList());
    return exitCodes.ok;
  }
  return request.isSingle ? runSingle(request) : runMany(request);
}

process.exitCode = await main(process.argv.slice(2));
