/**
 * What takes too long for the test line. `npm run test:soak` runs all parts,
 * `npm run test:soak -- sim disk` some of them:
 *
 * - `sim`: fresh seeds of simulated fleets, short lives and some long ones;
 * - `sabotage`: every planted bug over twenty fresh seeds, beside a clean run of them;
 * - `disk`: a real server killed at each of its first 500 calls to the disk, and every
 *   byte of a log damaged;
 * - `api`: 5,000 objects, 100 watchers and 200 writes a second against a real server that
 *   is killed twice; every watcher holds what the list has.
 *
 * `npm run test:soak -- --help` tells the options.
 */
import { availableParallelism } from 'node:os';
import { invariantText, sabotages, Totals, type Sabotage } from '#apps/simulator/mod.ts';
import { parseRequest, type Request } from '../src/apps/main/simulation/request.ts';
import { failureLines, runSeeds } from '../src/apps/main/simulation/run-seeds.ts';
import { checkDamage } from '../test/e2e/helpers/damaged-log.ts';
import { sweep, watchCalls } from '../test/e2e/helpers/disk-sweep.ts';
import { type OptionTable, readCommandLine } from './command-options.ts';
import { soakApi } from './soak/api.ts';

const apiPort = 25_443;
const lanes = 2;
const callsMax = 500;
/** A call may come less often in one run than in the one that was watched. */
const unreachedMax = 25;
const progressEveryMs = 20_000;
const sabotageSeeds = 20;
const sabotageLongSeeds = 6;
/** So many lives of a kind must have met every kind of fault. */
const manyLives = 20;
const exitUsage = 2;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n`);
  process.exit(exitUsage);
}

const options = {
  seeds: { value: 'N', fallback: 5_000, least: 0, meaning: 'short lives, of sim' },
  long: { value: 'N', fallback: 100, least: 0, meaning: 'long lives, of sim' },
  restored: {
    value: 'N',
    fallback: 200,
    least: 0,
    meaning: 'lives whose server is replaced, of sim',
  },
  from: {
    value: 'A',
    fallback: Math.floor(Date.now() / 1_000),
    otherwise: 'the time of day, which is printed',
    least: 0,
    meaning: 'first seed',
  },
  jobs: {
    value: 'J',
    fallback: availableParallelism(),
    otherwise: 'one for each core',
    least: 1,
    meaning: 'seeds at the same time',
  },
  minutes: { value: 'M', fallback: 5, least: 1, meaning: 'how long api takes' },
  'api-fronts': { value: 'N', fallback: 0, least: 0, meaning: 'fronts of the server, of api' },
} as const satisfies OptionTable;

const summary = `What takes too long for the test line; without a PART all of them:

  sim       fresh seeds of simulated fleets, short lives and some long ones
  sabotage  every planted bug over fresh seeds, beside a clean run of them
  disk      a real server killed at each of its first calls to the disk, and a damaged log
  api       objects, watchers and writes against a real server that is killed twice`;

const line = readCommandLine(
  process.argv.slice(2),
  'npm run test:soak --',
  { summary, options },
  '[PART ...]',
);
if ('exitCode' in line) {
  if (line.exitCode !== 0) refuse(line.text);
  print(line.text);
  process.exit(0);
}
const { words: wanted } = line;
const { from: firstSeed, jobs, minutes, 'api-fronts': fronts } = line.values;
const { seeds: shortLives, long: longLives, restored: restoredLives } = line.values;

function requestFor(words: readonly string[], count: number): Request {
  const seeds = `${firstSeed}..${firstSeed + count - 1}`;
  const request = parseRequest([...words, '--seeds', seeds, '--jobs', String(jobs)]);
  if (typeof request === 'string') throw new Error(`no run: ${words.join(' ')}`);
  return request;
}

/** All seeds of a range; false where one failed, or where a kind of fault never struck. */
async function soakSeeds(name: string, words: readonly string[], count: number): Promise<boolean> {
  if (count === 0) return true;
  const request = requestFor(words, count);
  const totals = new Totals();
  const failed: number[] = [];
  let done = 0;
  const startMs = performance.now();
  let saidMs = startMs;
  await runSeeds(request, (outcome) => {
    done += 1;
    if ('failure' in outcome) {
      failed.push(outcome.seed);
      print(failureLines(outcome.seed, outcome.failure));
    } else {
      totals.add(outcome.result, request.run.nodes);
    }
    if (performance.now() - saidMs >= progressEveryMs) {
      saidMs = performance.now();
      const seconds = Math.round((performance.now() - startMs) / 1_000);
      print(`${name}: ${done} of ${count} seeds in ${seconds} s, ${failed.length} failed`);
    }
    return true;
  });
  print(`${name}: ${totals.text()}`);
  print(`${name}: ${(totals.nodeMs / 3_600_000).toFixed(0)} node-hours of virtual time`);
  const { isLong, isRestored } = request.run;
  const isTroubled = totals.simulations >= manyLives && !isRestored;
  const never = isTroubled ? totals.neverHappened(isLong) : [];
  if (never.length > 0) print(`${name}: FAILED, these never struck: ${never.join(', ')}`);
  const outcome = failed.length === 0 ? 'all passed' : `FAILED: ${failed.join(', ')}`;
  print(`${name}: ${count} seeds from ${firstSeed}, ${outcome}`);
  return failed.length === 0 && never.length === 0;
}

async function soakSim(): Promise<boolean> {
  const isShortGood = await soakSeeds('short lives', [], shortLives);
  const isLongGood = await soakSeeds('long lives', ['--long'], longLives);
  const isRestoredGood = await soakSeeds('replaced servers', ['--restored'], restoredLives);
  return isShortGood && isLongGood && isRestoredGood;
}

/** How many of the seeds showed the bug by the invariant that it breaks, and how many by another. */
async function seedsThatShow(sabotage: Sabotage): Promise<boolean> {
  const count = sabotage.isLong === true ? sabotageLongSeeds : sabotageSeeds;
  const wanted = `${invariantText(sabotage.invariant)} violated at `;
  const others: string[] = [];
  let named = 0;
  await runSeeds(requestFor(['--sabotage', sabotage.name], count), (outcome) => {
    if (!('failure' in outcome)) return true;
    if (outcome.failure.message.startsWith(wanted)) named += 1;
    else others.push(`seed ${outcome.seed}: ${outcome.failure.message}`);
    return true;
  });
  const also = others.length === 0 ? '' : `, ${others.length} by something else`;
  print(
    `${named > 0 ? 'found ' : 'FAILED'} ${sabotage.name}: ${named} of ${count} seeds by ${invariantText(sabotage.invariant)}${also}`,
  );
  for (const other of others) print(`       ${other}`);
  return named > 0;
}

/** Every planted bug, and the same seeds without one. */
async function soakSabotage(): Promise<boolean> {
  let isGood = await soakSeeds('without a planted bug', [], sabotageSeeds);
  for (const sabotage of sabotages) {
    const isFound = await seedsThatShow(sabotage);
    isGood &&= isFound;
  }
  return isGood;
}

/** Kills a server at each of its first 500 calls to the disk; damages every byte of a log. */
async function soakDisk(): Promise<boolean> {
  const { tried, refused } = await checkDamage(1);
  print(`damage: ${tried} bytes of a log damaged in turn, ${refused} refused, the rest a cut tail`);
  const points = await watchCalls(apiPort, callsMax);
  const calls = new Map<string, number>();
  for (const { call } of points) calls.set(call, (calls.get(call) ?? 0) + 1);
  print(`kills: ${[...calls].map(([call, count]) => `${count} ${call}`).join(', ')}`);
  let done = 0;
  const results = await sweep(points, apiPort, lanes, ({ point, differences }) => {
    done += 1;
    if (done % 50 === 0) print(`kills: ${done} of ${points.length}`);
    for (const difference of differences) {
      print(
        `kills: FAILED at ${point.call} ${point.count} (call ${point.position}): ${difference}`,
      );
    }
  });
  const sum = (count: (result: (typeof results)[number]) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  const unreached = sum(({ wasReached }) => (wasReached ? 0 : 1));
  print(
    `kills: ${results.length} points, ${unreached} not reached, ` +
      `${sum(({ wasReady }) => (wasReady ? 0 : 1))} before the server was ready, ` +
      `${sum(({ acknowledged }) => acknowledged)} writes acknowledged before the kills, ` +
      `${sum(({ differences }) => differences.length)} of them lost or otherwise wrong`,
  );
  return unreached <= unreachedMax && results.every(({ differences }) => differences.length === 0);
}

const parts: Readonly<Record<string, () => Promise<boolean>>> = {
  sim: soakSim,
  sabotage: soakSabotage,
  disk: soakDisk,
  api: () => soakApi({ minutes, fronts, print }),
};

const unknown = wanted.filter((name) => parts[name] === undefined);
if (unknown.length > 0) {
  refuse(`no part ${unknown.join(' ')}; there is ${Object.keys(parts).join(', ')}`);
}
print(`# soak: seeds from ${firstSeed} (the same again with --from ${firstSeed})`);
const outcomes: string[] = [];
let isPassed = true;
for (const [name, part] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  print(`# soak: ${name}`);
  const startMs = performance.now();
  const isPartPassed = await part();
  const seconds = Math.round((performance.now() - startMs) / 1000);
  outcomes.push(`${name} ${isPartPassed ? 'passed' : 'FAILED'} in ${seconds} s`);
  print(`# soak: ${outcomes.at(-1)}`);
  isPassed &&= isPartPassed;
}
print(`# soak: ${outcomes.join('; ')}`);
process.exitCode = isPassed ? 0 : 1;
