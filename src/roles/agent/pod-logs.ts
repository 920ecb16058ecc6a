/**
 * Serves `pod.logs`: a container's log from its files, from the last lines on, and as
 * it grows; of its newest run or of the last one that has ended.
 *
 * Invariants:
 * 1. Bytes come in the order in which they were written, each at most once. Where a log
 *    was cut faster than it was read, there is a gap.
 */
import { assert, concatBytes, errorText } from '#base/mod.ts';
import {
  DiskError,
  sleep,
  type Clock,
  type Disk,
  type DiskFile,
  type Timers,
} from '#platform/io/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { earlierPartOf, type LogKeeper } from './log-keeper.ts';
import { LineStamper } from './log-stamps.ts';
import { emptyTimes, type LogTimes } from './log-times.ts';
import type { RuntimeSet } from './runtimes/runtime-set.ts';
import type { ContainerRun } from './runtimes/types.ts';

export interface PodLogsDependencies {
  readonly disk: Disk;
  readonly timers: Timers;
  readonly runtime: Pick<RuntimeSet, 'get' | 'logPath'>;
  readonly hasPod: (uid: string) => boolean;
  readonly keeper: Pick<
    LogKeeper,
    'cutOf' | 'settledCutOf' | 'offsetSince' | 'timesOf' | 'timesBefore'
  >;
  readonly clock: Pick<Clock, 'wallMs'>;
}

/** Of the lines that are there: the last ones, and those written since; all of them where undefined. */
interface Wanted {
  readonly lines: number | undefined;
  readonly since: number | undefined;
  readonly follow: boolean;
  readonly timestamps: boolean;
}

/** Files of a run, as they were before the cut after `count`. */
interface Opened {
  readonly count: number;
  readonly earlier: readonly DiskFile[];
  readonly file: DiskFile;
  readonly earlierBytes: number;
  readonly start: number;
}

/** What a piece of a log becomes on its way, `offset` bytes from where its part begins. */
type Dress = (bytes: Uint8Array, offset: number) => Uint8Array;
const plain: Dress = (bytes) => bytes;

const messageBytesMax = 64 * 1024;
const followPollMs = 200;
const followersMax = 64;
const tailLinesMax = 1_000_000;

/** A handler of the streams that the hub opens; `failure` codes as in the link's protocol. */
export function createPodLogs(
  dependencies: PodLogsDependencies,
): (parameters: Readonly<Record<string, unknown>>, stream: LinkStream) => void {
  const { disk, timers, clock, runtime, hasPod, keeper } = dependencies;
  let followers = 0;

  async function serve(
    parameters: Readonly<Record<string, unknown>>,
    stream: LinkStream,
    isOpen: () => boolean,
  ): Promise<void> {
    const { podUid, container, follow, tailLines, previous, sinceAgeMs } = parameters;
    const timestamps = parameters['timestamps'] === true;
    if (typeof podUid !== 'string' || !hasPod(podUid)) {
      stream.fail({ code: 'POD_NOT_FOUND', message: 'this node does not have that pod' });
      return;
    }
    const key = { podUid, container: String(container) };
    const run = runtime.get(key);
    if (run === undefined) {
      const message = `container ${JSON.stringify(container)} has not started yet`;
      stream.fail({ code: 'CONTAINER_NOT_FOUND', message });
      return;
    }
    const lines = typeof tailLines === 'number' && tailLines >= 0 ? tailLines : undefined;
    // The last run that has ended: where nothing runs that is the newest one.
    if (previous === true && run.exit === undefined) {
      await servePrevious(stream, run, lines, timestamps, isOpen);
    } else {
      const since = typeof sinceAgeMs === 'number' ? sinceAgeMs : undefined;
      const wanted = { lines, since, follow: follow === true, timestamps };
      await servePresent(stream, run, wanted, isOpen);
    }
    if (isOpen()) stream.end();
  }

  /** The run before, whole: nothing is written to it any more. */
  async function servePrevious(
    stream: LinkStream,
    run: ContainerRun,
    lines: number | undefined,
    timestamps: boolean,
    isOpen: () => boolean,
  ): Promise<void> {
    const path = runtime.logPath(run);
    const earlier = await openAll([earlierPartOf(path, run.restartCount - 1)]);
    const files = [
      ...earlier,
      ...(await openAll(run.restartCount > 0 ? [`${path}.previous`] : [])),
    ];
    if (files.length === 0) {
      const message = `there was no run of container ${JSON.stringify(run.container)} before this one`;
      stream.fail({ code: 'CONTAINER_NOT_FOUND', message });
      return;
    }
    const log = joined(files);
    try {
      let dress = plain;
      if (timestamps) {
        const times = (await keeper.timesBefore(run)) ?? emptyTimes('');
        const base = earlier.length > 0 ? times.partStart : times.logStart;
        dress = dressWith(new LineStamper(), times, base, run.last?.finishedAtMs ?? 0);
      }
      await sendFrom(stream, log, await startOf(log, lines), isOpen, dress);
    } finally {
      await log.close();
    }
  }

  async function servePresent(
    stream: LinkStream,
    run: ContainerRun,
    { lines, since, follow, timestamps }: Wanted,
    isOpen: () => boolean,
  ): Promise<void> {
    const path = runtime.logPath(run);
    const partPath = earlierPartOf(path, run.restartCount);
    const opened = await openPresent(run, lines, since);
    const { earlier, file, earlierBytes, start } = opened;
    let { count } = opened;
    try {
      const log = joined(earlier);
      let offset = Math.max(0, start - earlierBytes);
      const stamper = timestamps ? new LineStamper() : undefined;
      const dressFor = async (part: 'partStart' | 'logStart'): Promise<Dress> => {
        if (stamper === undefined) return plain;
        const times = await keeper.timesOf(run);
        const laterMs = runtime.get(run)?.exit?.finishedAtMs ?? clock.wallMs();
        return dressWith(stamper, times, times[part], laterMs);
      };
      if (start < earlierBytes) {
        const dress = await dressFor('partStart');
        await sendFrom(stream, log, start, isOpen, dress, earlierBytes);
      }
      while (isOpen()) {
        // Asked before reading: what was written before the end is then read too.
        const now = runtime.get(run);
        const isOver = now?.containerId !== run.containerId || now.exit !== undefined;
        const cut = await keeper.settledCutOf(path);
        if (cut.count !== count) {
          // What was not read yet is in the earlier part now.
          const missedFrom = cut.count === count + 1 ? Math.max(0, offset - cut.fromOffset) : 0;
          const part = joined(await openAll([partPath]));
          if (keeper.cutOf(path).count !== cut.count) {
            await part.close();
            continue;
          }
          const dress = await dressFor('partStart');
          await sendFrom(stream, part, missedFrom, isOpen, dress).finally(() => part.close());
          offset = 0;
          ({ count } = cut);
        }
        const bytes = await file.readAt(offset, messageBytesMax);
        // The log may have been cut before it was read: nothing of that is sent, nor taken for the end.
        if (keeper.cutOf(path).count !== count) continue;
        if (bytes.length > 0) await stream.send((await dressFor('logStart'))(bytes, offset));
        offset += bytes.length;
        if (bytes.length > 0) continue;
        if (!follow || isOver) break;
        else await sleep(timers, followPollMs);
      }
    } finally {
      await joined([...earlier, file]).close();
    }
  }

  /**
   * The files of the newest run as they are between two cuts, and what is to be sent of
   * them: from `start`, in all files one after the other.
   */
  async function openPresent(
    run: ContainerRun,
    lines: number | undefined,
    since: number | undefined,
  ): Promise<Opened> {
    const path = runtime.logPath(run);
    for (;;) {
      const { count } = await keeper.settledCutOf(path);
      const earlier = await openAll([earlierPartOf(path, run.restartCount)]);
      const files = [...earlier];
      let isKept = false;
      try {
        const file = await disk.open(path, 'read');
        files.push(file);
        const earlierBytes = await joined(earlier).sizeBytes();
        const sinceOffset =
          since === undefined ? 0 : await keeper.offsetSince(run, since, earlier.length > 0);
        const start = Math.max(sinceOffset, await startOf(joined(files), lines));
        isKept = keeper.cutOf(path).count === count;
        if (isKept) return { count, earlier, file, earlierBytes, start };
      } finally {
        if (!isKept) await joined(files).close();
      }
    }
  }

  /** Those that are there. */
  async function openAll(paths: readonly string[]): Promise<readonly DiskFile[]> {
    const files: DiskFile[] = [];
    for (const path of paths) {
      try {
        files.push(await disk.open(path, 'read'));
      } catch (error) {
        if (!(error instanceof DiskError) || error.code !== 'DISK_NOT_FOUND') throw error;
      }
    }
    return files;
  }

  async function sendFrom(
    stream: LinkStream,
    log: ReadableLog,
    start: number,
    isOpen: () => boolean,
    dress: Dress,
    end = Infinity,
  ): Promise<void> {
    for (let offset = start; offset < end && isOpen();) {
      const bytes = await log.readAt(offset, Math.min(messageBytesMax, end - offset));
      if (bytes.length === 0) return;
      await stream.send(dress(bytes, offset));
      offset += bytes.length;
    }
  }

  return (parameters, stream) => {
    let isOpen = true;
    stream.onMessage(() => {});
    stream.onClose(() => {
      isOpen = false;
    });
    if (followers >= followersMax) {
      const message = `at most ${followersMax} logs are read at a time`;
      stream.fail({ code: 'LOGS_BUSY', message });
      return;
    }
    followers += 1;
    serve(parameters, stream, () => isOpen)
      .catch((error: unknown) => {
        if (!isOpen) return;
        const code = error instanceof DiskError ? error.code : 'LOGS_FAILED';
        stream.fail({ code, message: errorText(error) });
      })
      .finally(() => {
        followers -= 1;
      });
  };
}

function dressWith(stamper: LineStamper, times: LogTimes, base: number, laterMs: number): Dress {
  return (bytes, offset) => stamper.stamp(bytes, base + offset, times, laterMs);
}

type ReadableLog = Pick<DiskFile, 'sizeBytes' | 'readAt'>;

/** Files one after the other, as one. Their sizes are those of now; the last may grow. */
function joined(files: readonly DiskFile[]): ReadableLog & { close(): Promise<void> } {
  return {
    async sizeBytes() {
      let total = 0;
      for (const file of files) total += await file.sizeBytes();
      return total;
    },
    async readAt(offset, lengthBytes) {
      const parts: Uint8Array[] = [];
      let before = 0;
      let left = lengthBytes;
      for (const file of files) {
        const size = await file.sizeBytes();
        if (left > 0 && offset + lengthBytes - left < before + size) {
          const bytes = await file.readAt(offset + lengthBytes - left - before, left);
          parts.push(bytes);
          left -= bytes.length;
        }
        before += size;
      }
      return concatBytes(parts);
    },
    async close() {
      for (const file of files) await file.close();
    },
  };
}

async function startOf(log: ReadableLog, lines: number | undefined): Promise<number> {
  return lines === undefined ? 0 : tailOffset(log, Math.min(lines, tailLinesMax));
}

/** Where the last `lines` lines begin. A line that is not yet ended counts as one. */
export async function tailOffset(file: ReadableLog, lines: number): Promise<number> {
  assert(Number.isFinite(lines), 'a count of lines');
  let end = await file.sizeBytes();
  if (lines <= 0) return end;
  let wanted = Math.floor(lines);
  const size = end;
  while (end > 0) {
    const start = Math.max(0, end - messageBytesMax);
    const bytes = await file.readAt(start, end - start);
    for (let at = bytes.length - 1; at >= 0; at -= 1) {
      if (bytes[at] !== 0x0a || start + at === size - 1) continue;
      wanted -= 1;
      if (wanted === 0) return start + at + 1;
    }
    end = start;
  }
  return 0;
}
