/** What the simulator is asked for on its command line; every wrong word is refused. */
import { parseArgs } from 'node:util';
import { sabotages } from '#apps/simulator/mod.ts';

export const usage = `usage: npm run sim -- [--seed N | --seeds A..B] [options]

Whole fleets of the real program over virtual time, one for each seed: founded, put to
work, troubled, healed, and then held against what was declared. The same seed is the
same story every time.

  --seed N          one seed, told at length (1 where nothing is given)
  --seeds A..B      all seeds from A to B, one line each
  --minutes M       how long a fleet is troubled: 10, and with --long 1800
  --nodes N         nodes of a fleet: 4, and with --long 3
  --long            fleets that outlive their certificates: long cuts, clocks that jump
                    by days, a node that is revoked; heartbeats are seldom
  --restored        fleets whose server is replaced by an older backup of it, and then
                    comes back itself; in place of other troubles
  --twice           run each seed again: it must tell the same story
  --sabotage NAME   with that planted bug; must fail (--sabotage list prints them)
  --fail-fast       stop at the first seed that fails
  --jobs J          seeds at the same time, each in a process of its own (1)
  --verbose         with what the programs log (one seed only)
  --help            this

Exit codes: 0 all held, 1 a seed failed or a kind of fault never struck, 2 wrong words.`;

/** Plain, so that it can be sent to another process. */
export interface RunRequest {
  readonly minutes: number;
  readonly nodes: number;
  readonly isLong: boolean;
  readonly isRestored: boolean;
  /** Each seed runs again, and must tell the same story. */
  readonly isTwice: boolean;
  /** Name of a planted bug. */
  readonly sabotage: string | undefined;
}

export interface Request {
  readonly run: RunRequest;
  readonly firstSeed: number;
  readonly lastSeed: number;
  /** One seed, told at length. */
  readonly isSingle: boolean;
  readonly isVerbose: boolean;
  readonly isFailFast: boolean;
  readonly jobs: number;
}

export class UsageError extends Error {}

const shortRun = { minutes: 10, nodes: 4 } as const;
export const longRun = { minutes: 1_800, nodes: 3 } as const;
const seedsMax = 1_000_000;
const minutesMax = 100_000;
const nodesMax = 5_000;
const jobsMax = 64;

function wholeNumber(
  name: string,
  text: string | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  if (text === undefined) return fallback;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} takes a whole number from ${least} to ${most}, not '${text}'`);
}

function wordsOf(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      strict: true,
      allowPositionals: false,
      options: {
        seed: { type: 'string' },
        seeds: { type: 'string' },
        minutes: { type: 'string' },
        nodes: { type: 'string' },
        jobs: { type: 'string' },
        long: { type: 'boolean', default: false },
        restored: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
        twice: { type: 'boolean', default: false },
        'fail-fast': { type: 'boolean', default: false },
        sabotage: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (thrown) {
    const [first = ''] = String(thrown instanceof Error ? thrown.message : thrown).split('. ');
    throw new UsageError(first);
  }
}

function seedsOf(seed: string | undefined, seeds: string | undefined) {
  if (seed !== undefined && seeds !== undefined) throw new UsageError('either --seed or --seeds');
  if (seeds === undefined) {
    const only = wholeNumber('seed', seed, 1, 0, Number.MAX_SAFE_INTEGER);
    return { firstSeed: only, lastSeed: only, isSingle: true };
  }
  const range = /^(\d+)\.\.(\d+)$/.exec(seeds);
  const [firstSeed, lastSeed] = [Number(range?.[1]), Number(range?.[2])];
  const areSafe = Number.isSafeInteger(firstSeed) && Number.isSafeInteger(lastSeed);
  if (range === null || !areSafe || lastSeed < firstSeed) {
    throw new UsageError(`--seeds takes a range such as 1..50, not '${seeds}'`);
  }
  if (lastSeed - firstSeed >= seedsMax) {
    throw new UsageError(`--seeds takes at most ${seedsMax} seeds, not '${seeds}'`);
  }
  return { firstSeed, lastSeed, isSingle: false };
}

/** Throws UsageError. `help` and `list` are asked for in place of a run. */
export function parseRequest(words: readonly string[]): Request | 'help' | 'list' {
  const values = wordsOf(words);
  if (values.help) return 'help';
  if (values.sabotage === 'list') return 'list';
  const { sabotage } = values;
  const planted = sabotages.find(({ name }) => name === sabotage);
  if (sabotage !== undefined && planted === undefined) {
    const names = sabotages.map(({ name }) => name).join(', ');
    throw new UsageError(`--sabotage takes list or one of ${names}; not '${sabotage}'`);
  }
  const isLong = values.long || planted?.isLong === true;
  const isRestored = values.restored || planted?.isRestored === true;
  if (isLong && isRestored) throw new UsageError('either --long or --restored');
  const usual = isLong ? longRun : shortRun;
  const seeds = seedsOf(values.seed, values.seeds);
  if (values.verbose && !seeds.isSingle) throw new UsageError('--verbose takes one --seed');
  return {
    ...seeds,
    isVerbose: values.verbose,
    isFailFast: values['fail-fast'],
    jobs: wholeNumber('jobs', values.jobs, 1, 1, jobsMax),
    run: {
      minutes: wholeNumber('minutes', values.minutes, usual.minutes, 1, minutesMax),
      nodes: wholeNumber('nodes', values.nodes, usual.nodes, 1, nodesMax),
      isLong,
      isRestored,
      isTwice: values.twice || planted?.isSeenTwice === true,
      sabotage,
    },
  };
}

/** The words that ask for one seed of such a run again. */
export function commandFor(seed: number, run: RunRequest): string {
  const usual = run.isLong ? longRun : shortRun;
  const words = ['npm run sim --', `--seed ${seed}`];
  if (run.isLong) words.push('--long');
  if (run.isRestored) words.push('--restored');
  if (run.minutes !== usual.minutes) words.push(`--minutes ${run.minutes}`);
  if (run.nodes !== usual.nodes) words.push(`--nodes ${run.nodes}`);
  if (run.isTwice) words.push('--twice');
  if (run.sabotage !== undefined) words.push(`--sabotage ${run.sabotage}`);
  return words.join(' ');
}
