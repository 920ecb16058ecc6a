/** What a store refuses, and why. Codes are stable. */
import { SelvageError, type Revision } from '#base/mod.ts';

/** The history that a watch asked for is gone; the caller lists again. */
export class CompactedError extends SelvageError {
  override readonly name = 'CompactedError';
  readonly oldestWatchable: Revision;

  constructor(from: number, oldestWatchable: Revision) {
    super('STORE_COMPACTED', `revision ${from} is compacted; the oldest is ${oldestWatchable}`);
    this.oldestWatchable = oldestWatchable;
  }
}

/** A watch asked to start at a revision that does not exist yet. */
export class FutureRevisionError extends SelvageError {
  override readonly name = 'FutureRevisionError';

  constructor(from: number, head: Revision) {
    super('STORE_FUTURE_REVISION', `revision ${from} is beyond the newest, ${head}`, {
      retryable: true,
    });
  }
}

/** No space on the disk: nothing was changed, reads go on, and a later call may succeed. */
export class StoreFullError extends SelvageError {
  override readonly name = 'StoreFullError';

  constructor(cause: unknown) {
    super('STORE_FULL', 'no space on the disk; nothing was changed', { cause, retryable: true });
  }
}

/** A write or sync failed, or a listener threw: this process writes no more. Whether the change is on disk is unknown. */
export class StoreLatchedError extends SelvageError {
  override readonly name = 'StoreLatchedError';

  constructor(cause: unknown) {
    super('STORE_LATCHED', 'the store has stopped after a failure and takes no more writes', {
      cause,
    });
  }
}

/** More transactions wait for the disk than the limit allows; nothing was changed. */
export class StoreBusyError extends SelvageError {
  override readonly name = 'StoreBusyError';

  constructor(cause: unknown) {
    super('STORE_BUSY', 'too many transactions wait for the disk', { cause, retryable: true });
  }
}

/** A transaction above the limits of limits.ts; nothing was changed. */
export class TransactionTooLargeError extends SelvageError {
  override readonly name = 'TransactionTooLargeError';

  constructor(what: string, actual: number, max: number) {
    super('STORE_TOO_LARGE', `${what} is ${actual}, above the limit of ${max}`);
  }
}
