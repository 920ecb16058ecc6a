/**
 * What people are told of a pull that goes on: that it has begun, and now and then how far
 * it is. Pure.
 *
 * Invariant: of one pull at most `pullToldMax` times more is told than that it has begun, at
 * least `pullToldEveryMs` apart, and only when more has come since.
 */
import type { PullProgress } from './image-pull.ts';

export const pullToldEveryMs = 10_000;
/** Five minutes of news; a pull that takes longer is as slow as it was. */
const pullToldMax = 30;
const mebibyte = 1024 * 1024;

/** What was told last. */
export interface PullTold {
  /** On the monotonic clock. */
  readonly atMs: number;
  readonly receivedBytes: number;
  /** How often, but for the beginning. */
  readonly count: number;
}

export interface PullNews {
  readonly message: string;
  readonly told: PullTold;
}

/** `before` is undefined at the beginning; undefined where there is nothing new to say. */
export function pullNews(
  before: PullTold | undefined,
  reference: string,
  progress: PullProgress | undefined,
  nowMs: number,
): PullNews | undefined {
  const begun = `Pulling image "${reference}"`;
  if (before === undefined) {
    return { message: begun, told: { atMs: nowMs, receivedBytes: 0, count: 0 } };
  }
  if (progress === undefined || before.count >= pullToldMax) return undefined;
  const { receivedBytes, totalBytes } = progress;
  if (nowMs - before.atMs < pullToldEveryMs || receivedBytes <= before.receivedBytes) {
    return undefined;
  }
  const [received, all] = [receivedBytes, totalBytes].map((bytes) => (bytes / mebibyte).toFixed(1));
  const part = Math.floor((100 * receivedBytes) / totalBytes);
  return {
    message: `${begun}: ${received} of ${all} MiB, ${part} %`,
    told: { atMs: nowMs, receivedBytes, count: before.count + 1 },
  };
}
