/**
 * When a log had which length: from time to time, so that what was written since a
 * moment can be found without a time in every line. Pure but for reading and writing
 * the file beside the log.
 *
 * Invariants:
 * 1. A sample was taken no earlier than its length was read: what stands behind it was
 *    written later than that, or just before.
 * 2. Lengths count from the first byte of the run, also where the log was cut.
 */
import { isJsonObject } from '#base/mod.ts';
import type { Disk, Logger } from '#platform/io/mod.ts';
import { parseSealed, sealedJson } from './sealed-json.ts';
import { readOrSetAside } from './set-aside.ts';

/** Time on the wall clock, and how much had been written by then. */
type Sample = readonly [wallMs: number, writtenBytes: number];

export interface LogTimes {
  readonly runId: string;
  /** Where the log and its earlier part begin, counted from the first byte of the run. */
  readonly logStart: number;
  readonly partStart: number;
  readonly samples: readonly Sample[];
}

const samplesMax = 1024;
const fileBytesMax = 64 * 1024;

export function emptyTimes(runId: string): LogTimes {
  return { runId, logStart: 0, partStart: 0, samples: [] };
}

/** The same object where nothing was written since the last look. */
export function noteLength(times: LogTimes, logBytes: number, wallMs: number): LogTimes {
  const writtenBytes = times.logStart + logBytes;
  if (times.samples.at(-1)?.[1] === writtenBytes) return times;
  const samples = [...times.samples, [wallMs, writtenBytes] as const];
  return { ...times, samples: samples.length <= samplesMax ? samples : thinned(samples) };
}

/** Of the older half every second one goes: the longer ago, the less exact. */
function thinned(samples: readonly Sample[]): readonly Sample[] {
  return samples.filter((_, at) => at >= samplesMax / 2 || at % 2 === 0);
}

/** The log begins anew; of what it held the bytes from `fromOffset` on are the earlier part. */
export function noteCut(times: LogTimes, fromOffset: number, copiedBytes: number): LogTimes {
  const partStart = times.logStart + fromOffset;
  return { ...times, partStart, logStart: partStart + copiedBytes };
}

/** Where what was written since then begins, counted from the first byte of the run; never too late. */
export function writtenSince({ samples }: LogTimes, wallMs: number): number {
  return samples.findLast(([atMs]) => atMs <= wallMs)?.[1] ?? 0;
}

/**
 * When the byte at that place, counted from the first of the run, was there: the first
 * look that saw it. `laterMs` for what no look has seen yet.
 */
export function writtenBy({ samples }: LogTimes, offset: number, laterMs: number): number {
  return samples.find(([, writtenBytes]) => writtenBytes > offset)?.[0] ?? laterMs;
}

/** Whole at any time, but not durable: what is lost makes an answer longer, not wrong. */
export async function writeTimes(disk: Disk, path: string, times: LogTimes): Promise<void> {
  const bytes = sealedJson(times);
  const file = await disk.open(`${path}.new`, 'write', 0o600);
  try {
    await file.writeAt(0, [bytes]);
    await file.truncate(bytes.length);
  } finally {
    await file.close();
  }
  await disk.rename(`${path}.new`, path);
}

/** Of whichever run they are; undefined where there are none. */
export async function readTimes(
  disk: Disk,
  path: string,
  logger: Logger,
): Promise<LogTimes | undefined> {
  return readOrSetAside(disk, path, fileBytesMax, logger, parseTimes);
}

function parseTimes(bytes: Uint8Array): LogTimes | undefined {
  const value = parseSealed(bytes);
  if (!isJsonObject(value) || !Array.isArray(value['samples'])) return undefined;
  const isWhole =
    typeof value['runId'] === 'string' &&
    ['logStart', 'partStart'].every((field) => typeof value[field] === 'number') &&
    value['samples'].every(
      (sample) => Array.isArray(sample) && sample.every((part) => typeof part === 'number'),
    );
  return isWhole ? (value as unknown as LogTimes) : undefined;
}
