/**
 * A server killed at each of its first calls to the disk. A first run, which is only
 * watched, says which calls those are; then each point gets a server of its own on
 * an empty folder, which is killed there while clients write, and is started again.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ledger } from './ledger.ts';
import {
  type DiskCall,
  diskCalls,
  injection,
  readiness,
  startReadyServer,
  startServer,
} from './traced-server.ts';

const clients = 8;
/** More writes than any point needs, where a call does not come as often as it did before. */
const writesMax = 1_500;
const baselineTimeoutMs = 60_000;

export interface KillPoint {
  /** Its place among all the calls of the watched run, from 1. */
  readonly position: number;
  readonly call: DiskCall;
  /** The n-th call of that kind by one thread. */
  readonly count: number;
}

export interface SweepResult {
  readonly point: KillPoint;
  /** False where the server never made that call in this run and was killed at its end. */
  readonly wasReached: boolean;
  readonly wasReady: boolean;
  readonly acknowledged: number;
  readonly differences: readonly string[];
}

async function inFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-disk-'));
  try {
    return await work(join(folder, 'state'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first calls of a busy server, in their order. Fewer than `countMax` are an error. */
export function watchCalls(apiPort: number, countMax: number): Promise<KillPoint[]> {
  return inFolder(async (stateFolder) => {
    const tracePath = `${stateFolder}.trace`;
    const strace = ['-o', tracePath, '-e', `trace=${diskCalls.join(',')}`];
    const server = await startServer({ stateFolder, apiPort }, strace);
    const read = (): KillPoint[] => pointsOf(readFileSync(tracePath, 'utf8'));
    try {
      if (!server.isReady) throw new Error(`the watched server ended:\n${server.output()}`);
      const ledger = new Ledger();
      const deadline = Date.now() + baselineTimeoutMs;
      let written = 0;
      const isEnough = (): boolean => {
        written += 1;
        const looks = written % 100 === 0;
        return Date.now() > deadline || (looks && read().length >= countMax);
      };
      await ledger.work(server.kubeconfig, clients, isEnough);
    } finally {
      await server.kill();
    }
    const points = read();
    if (points.length < countMax) throw new Error(`only ${points.length} calls were seen`);
    return points.slice(0, countMax);
  });
}

/** Lines of strace, `<thread> <call>(…`; what is resumed was counted when it began. */
function pointsOf(trace: string): KillPoint[] {
  const counts = new Map<string, number>();
  const points: KillPoint[] = [];
  for (const line of trace.split('\n')) {
    const [, thread, name] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    const call = diskCalls.find((known) => known === name);
    if (call === undefined) continue;
    const count = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, count);
    points.push({ position: points.length + 1, call, count });
  }
  return points;
}

/** Places among the first 500: dense where a store begins, spread over the rest. */
const samplePositions = [
  ...[1, 2, 4, 7, 11, 16, 22, 27, 33, 41, 50, 63],
  ...[80, 101, 128, 161, 200, 239, 283, 330, 371, 414, 457, 500],
];

export function sampleOf(points: readonly KillPoint[]): KillPoint[] {
  return points.filter(({ position }) => samplePositions.includes(position));
}

/** Kills a server at the point and starts it again. Throws where it does not start. */
export function killAt(point: KillPoint, apiPort: number): Promise<SweepResult> {
  return inFolder(async (stateFolder) => {
    const place = { stateFolder, apiPort };
    const ledger = new Ledger();
    const victim = await startServer(place, injection(point.call, 'signal=KILL', point.count));
    let writes = 0;
    if (victim.isReady) {
      const isEnough = (): boolean => (writes += 1) > writesMax || victim.hasEnded();
      await ledger.work(victim.kubeconfig, clients, isEnough);
    }
    const wasReached = !victim.isReady || writes <= writesMax;
    await victim.kill();
    const { acknowledged } = ledger;
    const again = await startReadyServer(place);
    try {
      const differences = await ledger.differences(again.kubeconfig);
      // It takes writes again, and has what it had.
      let more = 0;
      await ledger.work(again.kubeconfig, 2, () => (more += 1) > 10);
      if (ledger.acknowledged < acknowledged + 8) differences.push('it takes no more writes');
      differences.push(...(await ledger.differences(again.kubeconfig)));
      if ((await readiness(again)) !== 200) differences.push('it is not ready');
      return { point, wasReached, wasReady: victim.isReady, acknowledged, differences };
    } finally {
      await again.kill();
    }
  });
}

/** All points, by several servers at once. `told` hears of each as it ends. */
export async function sweep(
  points: readonly KillPoint[],
  firstPort: number,
  lanes: number,
  told: (result: SweepResult) => void,
): Promise<SweepResult[]> {
  const waiting = [...points];
  const results: SweepResult[] = [];
  const lane = async (number: number): Promise<void> => {
    for (let point = waiting.shift(); point !== undefined; point = waiting.shift()) {
      const result = await killAt(point, firstPort + number * 2);
      results.push(result);
      told(result);
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  return results;
}
