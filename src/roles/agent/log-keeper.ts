/**
 * Keeps logs of containers short. A log that has become too long is cut: its newer
 * part goes to a file beside it, in the place of the part before, and the log begins
 * anew. Whoever writes it has it open for appending and does not notice.
 *
 * Invariants:
 * 1. Of each run a log and one earlier part are kept: between one and two times
 *    `logBytesMax`, beside what was written since the last look.
 * 2. The earlier part is whole when it has its name; a reader that has seen the log up
 *    to an offset finds what follows in it (`cutOf`). A cut is counted before it begins,
 *    so who has read meanwhile knows that it has to look again.
 * 3. What is written in the moment of the cut may be lost, and nothing else of the
 *    newer part.
 * 4. A log that grows is looked at every `lookAgainMs`: so exact are the times of its
 *    lines, and less so the longer ago they were written.
 */
import { errorText } from '#base/mod.ts';
import type { Clock, Disk, DiskFile, Logger, Timer, Timers } from '#platform/io/mod.ts';
import type { Outbox } from '#platform/sync/mod.ts';
import {
  emptyTimes,
  noteCut,
  noteLength,
  readTimes,
  writeTimes,
  writtenSince,
  type LogTimes,
} from './log-times.ts';
import type { RuntimeSet } from './runtimes/runtime-set.ts';
import type { ContainerRun } from './runtimes/types.ts';

export interface LogKeeperDependencies {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly outbox: Outbox;
  readonly runtime: Pick<RuntimeSet, 'list' | 'logPath'>;
}

export interface LogKeeperOptions {
  /** 10 MiB where absent. */
  readonly logBytesMax?: number;
  /** While some log grows; 5000 where absent. */
  readonly lookEveryMs?: number;
}

export interface LogCut {
  /** How often a cut of the log has begun since the agent started. */
  readonly count: number;
  /** Where in the log the earlier part began, at the last cut. */
  readonly fromOffset: number;
}

export interface LogKeeper {
  /** Of the log at that path, as it is now; what is read while a cut begins may be of either side. */
  cutOf(path: string): LogCut;
  /** The same once no cut is under way. */
  settledCutOf(path: string): Promise<LogCut>;
  /**
   * Where what the run has written in the last `ageMs` begins, in its log behind the
   * earlier part of it, if that is there. What was written shortly before may be behind
   * that too.
   */
  offsetSince(run: ContainerRun, ageMs: number, hasEarlierPart: boolean): Promise<number>;
  /** When the run's log had which length. */
  timesOf(run: ContainerRun): Promise<LogTimes>;
  /** The same of the run before; undefined where that is not known. */
  timesBefore(run: ContainerRun): Promise<LogTimes | undefined>;
  close(): void;
}

const logBytesMaxDefault = 10 * 1024 * 1024;
const lookEveryMsDefault = 5_000;
/** While no log grows they are looked at less and less often, down to this part. */
const quietStretchMax = 4;
/** After a log has grown: who writes goes on doing so. */
const lookAgainMs = 1_000;
const keepTimesEveryMs = 10_000;
const pieceBytesMax = 1024 * 1024;
/** Copying goes on while the log grows; a writer faster than that is not waited for. */
const copyRoundsMax = 3;
/** What a look at logs has found. */
type Seen = 'quiet' | 'grown' | 'cut';
const never: LogCut = { count: 0, fromOffset: 0 };

/** Where the earlier part of a run's log is. */
export function earlierPartOf(logPath: string, restartCount: number): string {
  return `${logPath}.${restartCount}`;
}

export function keepLogs(
  { disk, clock, timers, logger, outbox, runtime }: LogKeeperDependencies,
  { logBytesMax = logBytesMaxDefault, lookEveryMs = lookEveryMsDefault }: LogKeeperOptions = {},
): LogKeeper {
  const cuts = new Map<string, LogCut>();
  /** Cuts that are under way. */
  const swaps = new Map<string, Promise<void>>();
  /** Runs of which it was told that their logs are cut. */
  const told = new Set<string>();
  /** By path of the log. */
  const times = new Map<string, LogTimes>();
  /** Those that are not on disk yet, and since when. */
  const unkept = new Map<string, number>();
  let isClosed = false;
  let quietStretch = 1;
  let timer: Timer = timers.after(lookEveryMs, look);

  function look(): void {
    void lookAtAll().then((seen) => {
      if (isClosed) return;
      quietStretch = seen === 'quiet' ? Math.min(2 * quietStretch, quietStretchMax) : 1;
      const soonMs = Math.min(lookAgainMs, lookEveryMs);
      timer = timers.after(seen === 'quiet' ? quietStretch * lookEveryMs : soonMs, look);
    });
  }

  async function lookAtAll(): Promise<Seen> {
    let seen: Seen = 'quiet';
    const known = runtime.list();
    for (const run of known) {
      if (isClosed) return seen;
      if (run.exit !== undefined) continue;
      try {
        const one = await lookAfter(run);
        if (seen !== 'cut' && one !== 'quiet') seen = one;
      } catch (error) {
        // It may have ended and be gone; and a disk that fails says so to others too.
        logger.log('warn', 'cannot cut the log of a container', {
          podUid: run.podUid,
          container: run.container,
          error: errorText(error),
        });
      }
    }
    forgetOthers(known);
    return seen;
  }

  /** Also what has ended stays known: somebody may still read its log. */
  function forgetOthers(known: readonly ContainerRun[]): void {
    const paths = new Set(known.map((run) => runtime.logPath(run)));
    for (const path of cuts.keys()) if (!paths.has(path)) cuts.delete(path);
    for (const path of times.keys()) if (!paths.has(path)) times.delete(path);
    for (const path of unkept.keys()) if (!paths.has(path)) unkept.delete(path);
    const ids = new Set(known.map((run) => run.containerId));
    for (const id of told) if (!ids.has(id)) told.delete(id);
  }

  async function timesOf(run: ContainerRun, path: string): Promise<LogTimes> {
    const known = times.get(path);
    if (known?.runId === run.containerId) return known;
    const read = await readTimes(disk, `${path}.times`, logger);
    const isOwn = read?.runId === run.containerId;
    // Those of the run before, or of one before that.
    if (read !== undefined && !isOwn) await writeTimes(disk, `${path}.previous.times`, read);
    const found = isOwn ? read : emptyTimes(run.containerId);
    times.set(path, found);
    return found;
  }

  async function keepTimes(path: string, now: LogTimes): Promise<void> {
    times.set(path, now);
    unkept.delete(path);
    await writeTimes(disk, `${path}.times`, now);
  }

  async function lookAfter(run: ContainerRun): Promise<Seen> {
    const path = runtime.logPath(run);
    const before = await timesOf(run, path);
    const file = await disk.open(path, 'read');
    let size: number;
    try {
      size = await file.sizeBytes();
    } finally {
      await file.close();
    }
    const noted = noteLength(before, size, clock.wallMs());
    await noteTimes(path, noted, noted !== before);
    if (size <= logBytesMax) return noted === before ? 'quiet' : 'grown';
    await tell(run);
    const log = await disk.open(path, 'write');
    try {
      await cut(log, path, run.restartCount);
    } finally {
      await log.close();
    }
    return 'cut';
  }

  /** On disk now and then, and when it has come to rest: not each second of one who writes all the time. */
  async function noteTimes(path: string, now: LogTimes, hasGrown: boolean): Promise<void> {
    times.set(path, now);
    const nowMs = clock.monotonicMs();
    const sinceMs = unkept.get(path);
    if (hasGrown && sinceMs === undefined) unkept.set(path, nowMs);
    if (sinceMs === undefined || (hasGrown && nowMs - sinceMs < keepTimesEveryMs)) return;
    await keepTimes(path, now);
  }

  async function cut(log: DiskFile, path: string, restartCount: number): Promise<void> {
    const partPath = earlierPartOf(path, restartCount);
    const newPath = `${partPath}.new`;
    await disk.remove(newPath);
    const part = await disk.open(newPath, 'create', 0o600);
    const fromOffset = Math.max(0, (await log.sizeBytes()) - logBytesMax);
    let copied = 0;
    try {
      for (let round = 0; round < copyRoundsMax; round += 1) {
        const size = await log.sizeBytes();
        while (fromOffset + copied < size && copied < 2 * logBytesMax) {
          const bytes = await log.readAt(fromOffset + copied, pieceBytesMax);
          if (bytes.length === 0) break;
          await part.writeAt(copied, [bytes]);
          copied += bytes.length;
        }
      }
    } finally {
      await part.close();
    }
    const swap = async (): Promise<void> => {
      await disk.rename(newPath, partPath);
      await log.truncate(0);
    };
    // Counted before anything changes: a reader that had begun by then reads again.
    const before = cuts.get(path) ?? never;
    cuts.set(path, { count: before.count + 1, fromOffset });
    const swapped = swap().catch((error: unknown) => {
      // The log goes on as it was.
      cuts.set(path, before);
      throw error;
    });
    swaps.set(path, swapped);
    try {
      await swapped;
    } finally {
      swaps.delete(path);
    }
    const known = times.get(path);
    if (known !== undefined) await keepTimes(path, noteCut(known, fromOffset, copied));
    // Of the run before the one before nothing is shown any more.
    if (restartCount >= 2) await disk.remove(earlierPartOf(path, restartCount - 2));
  }

  async function tell(run: ContainerRun): Promise<void> {
    if (told.has(run.containerId)) return;
    told.add(run.containerId);
    const { podNamespace: namespace, podName: name, podUid: uid } = run;
    const limit = `${Math.round(logBytesMax / 1024 / 1024)} MiB`;
    await outbox.put({
      type: 'event',
      regarding: { key: { resource: 'pods', namespace, name }, uid, kind: 'Pod' },
      severity: 'Warning',
      reason: 'LogCut',
      message: `The log of container ${run.container} is longer than ${limit}: only its newer part is kept`,
      atWallMs: clock.wallMs(),
    });
  }

  return {
    cutOf: (path) => cuts.get(path) ?? never,
    async settledCutOf(path) {
      // One that fails says so where it was begun.
      await swaps.get(path)?.catch(() => {});
      return cuts.get(path) ?? never;
    },
    timesOf: (run) => timesOf(run, runtime.logPath(run)),
    async timesBefore(run) {
      const path = runtime.logPath(run);
      await timesOf(run, path);
      const before = await readTimes(disk, `${path}.previous.times`, logger);
      return before !== undefined && before.runId === run.last?.containerId ? before : undefined;
    },
    async offsetSince(run, ageMs, hasEarlierPart) {
      const known = await timesOf(run, runtime.logPath(run));
      const start = hasEarlierPart ? known.partStart : known.logStart;
      return Math.max(0, writtenSince(known, clock.wallMs() - ageMs) - start);
    },
    close() {
      isClosed = true;
      timer.cancel();
    },
  };
}
