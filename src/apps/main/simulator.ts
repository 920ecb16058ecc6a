/**
 * `npm run sim -- --seed N | --seeds A..B [--minutes M] [--nodes N]`: whole fleets
 * over virtual time. Exits with 1 when a requirement did not hold for some seed.
 */
import { parseArgs } from 'node:util';
import { hash } from 'node:crypto';
import { runSimulation, type SimulationResult } from '#apps/simulator/mod.ts';
import { errorText } from '#base/mod.ts';

const usage =
  'usage: npm run sim -- (--seed N | --seeds A..B) [--minutes M] [--nodes N] [--verbose]';
const defaults = { seed: 1, minutes: 10, nodes: 4 };
const seedsMax = 1_000_000;
const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

interface Request {
  readonly firstSeed: number;
  readonly lastSeed: number;
  /** One seed, told at length. */
  readonly isSingle: boolean;
  readonly minutes: number;
  readonly nodes: number;
  readonly verbose: boolean;
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

function parseRequest(words: readonly string[]): Request {
  const { values } = parseArgs({
    args: [...words],
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      nodes: { type: 'string' },
      verbose: { type: 'boolean', default: false },
    },
  });
  const common = {
    minutes: numberOf('minutes', values.minutes, defaults.minutes, 1),
    nodes: numberOf('nodes', values.nodes, defaults.nodes, 1),
    verbose: values.verbose,
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

function run(request: Request, seed: number): Promise<SimulationResult> {
  const { minutes, nodes, verbose } = request;
  return runSimulation({
    seed,
    minutes,
    nodes,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
    ...(request.isSingle ? { print: (line: string) => console.log(line) } : {}),
    ...(verbose
      ? {
          onLog: ({ atMs, host, level, message, fields }) =>
            console.log(`${atMs.toFixed(3)} ${host} ${level} ${message} ${JSON.stringify(fields)}`),
        }
      : {}),
  });
}

function troublesOf(result: SimulationResult): string {
  const { scales, rollouts, podDeletions, cordons, workloadKills } = result;
  const { agentCrashes, nodePowerCuts, linkCuts, resets, serverCrashes, serverPowerCuts } = result;
  return [
    `scales ${scales}`,
    `rollouts ${rollouts}`,
    `pod deletions ${podDeletions}`,
    `cordons ${cordons}`,
    `workloads killed ${workloadKills}`,
    `agents crashed ${agentCrashes}`,
    `nodes without power ${nodePowerCuts}`,
    `links cut ${linkCuts}`,
    `resets ${resets}`,
    `server crashed ${serverCrashes}`,
    `server without power ${serverPowerCuts}`,
    `writes lost ${result.lostWrites}, torn ${result.tornWrites}`,
  ].join(', ');
}

async function main(words: readonly string[]): Promise<number> {
  let request: Request;
  try {
    request = parseRequest(words);
  } catch (thrown) {
    console.error(`${errorText(thrown)}\n${usage}`);
    return exitCodes.usage;
  }
  const traces: string[] = [];
  const totals = { lostWrites: 0, tornWrites: 0, crashes: 0, powerCuts: 0, linkCuts: 0 };
  const failed: number[] = [];
  for (let seed = request.firstSeed; seed <= request.lastSeed; seed += 1) {
    try {
      const result = await run(request, seed);
      traces.push(result.trace);
      totals.lostWrites += result.lostWrites;
      totals.tornWrites += result.tornWrites;
      totals.crashes += result.agentCrashes + result.serverCrashes;
      totals.powerCuts += result.nodePowerCuts + result.serverPowerCuts;
      totals.linkCuts += result.linkCuts;
      if (request.isSingle) {
        console.log(
          `${request.nodes} nodes, ${(result.simulatedMs / 60_000).toFixed(1)} minutes: ${troublesOf(result)}`,
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
  if (!request.isSingle) {
    console.log(
      `crashes ${totals.crashes}, power cuts ${totals.powerCuts}, links cut ${totals.linkCuts}, writes lost ${totals.lostWrites}, torn ${totals.tornWrites}`,
    );
    const count = request.lastSeed - request.firstSeed + 1;
    const outcome = failed.length === 0 ? 'all passed' : `failed: ${failed.join(', ')}`;
    console.log(`${count} seeds, ${outcome}; traces ${hash('sha256', traces.join('\n'), 'hex')}`);
  }
  return failed.length === 0 ? exitCodes.ok : exitCodes.failed;
}

process.exitCode = await main(process.argv.slice(2));
