/** What a log refuses, and why. Codes are stable. */
import { SelvageError } from '#base/mod.ts';
import type { Disk } from '../io/mod.ts';

/** What is on disk is not what was acknowledged. The log does not open: a person must choose. */
export class LogDamagedError extends SelvageError {
  override readonly name = 'LogDamagedError';
  readonly path: string;
  /** Of the first byte that cannot be believed. */
  readonly offset: number;
  readonly reason: string;

  constructor(path: string, offset: number, reason: string) {
    super('LOG_DAMAGED', `${path} is damaged at byte ${offset}: ${reason}`);
    this.path = path;
    this.offset = offset;
    this.reason = reason;
  }
}

/** The same error with the path as others on this machine would open it. */
export function located(disk: Disk, error: unknown): unknown {
  if (!(error instanceof LogDamagedError)) return error;
  return new LogDamagedError(disk.absolute(error.path), error.offset, error.reason);
}

/** A write or sync failed before: what is on disk is unknown, so this process appends no more. */
export class LogLatchedError extends SelvageError {
  override readonly name = 'LogLatchedError';

  constructor(cause: unknown) {
    super('LOG_LATCHED', 'an earlier write or sync failed; the log takes no more appends', {
      cause,
    });
  }
}

/** No space on the disk. The append left nothing behind; the same call may succeed later. */
export class LogFullError extends SelvageError {
  override readonly name = 'LogFullError';

  constructor(cause: unknown) {
    super('LOG_FULL', 'no space on the disk for the append', { cause, retryable: true });
  }
}

/** More is waiting for the disk than the limit allows. */
export class LogBusyError extends SelvageError {
  override readonly name = 'LogBusyError';

  constructor(pendingBytesMax: number) {
    super('LOG_BUSY', `more than ${pendingBytesMax} bytes wait for the disk`, { retryable: true });
  }
}

/** The caller asked for records that compaction has let go of. */
export class LogCompactedError extends SelvageError {
  override readonly name = 'LogCompactedError';

  constructor(from: number, oldest: number) {
    super('LOG_COMPACTED', `records from ${from} are gone; the oldest kept is ${oldest}`);
  }
}
