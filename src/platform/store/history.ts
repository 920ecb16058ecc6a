/**
 * The newest transactions, for watches that start in the past. Bounded by count
 * and by bytes; what no longer fits goes from the old end, never from the middle.
 */
import { assert, type Revision } from '#base/mod.ts';
import { CompactedError, FutureRevisionError } from './errors.ts';
import type { CommittedBatch } from './types.ts';

/** Entries before the start of the window that may stay in the array until it is copied. */
const slackMax = 1024;

export class History {
  readonly #maxTransactions: number;
  readonly #maxBytes: number;
  #batches: CommittedBatch[] = [];
  #sizes: number[] = [];
  #start = 0;
  #bytes = 0;
  #oldestWatchable = 0 as Revision;

  constructor(maxTransactions: number, maxBytes: number) {
    assert(maxTransactions > 0 && maxBytes > 0, 'a history holds something');
    this.#maxTransactions = maxTransactions;
    this.#maxBytes = maxBytes;
  }

  get oldestWatchable(): Revision {
    return this.#oldestWatchable;
  }

  /** Where the history starts: nothing before is known. */
  begin(revision: Revision): void {
    assert(this.#batches.length === 0, 'a history begins once');
    this.#oldestWatchable = revision;
  }

  push(batch: CommittedBatch, bytes: number): void {
    const last = this.#batches.at(-1);
    assert(last === undefined || batch.revision === last.revision + 1, 'history has no gap');
    this.#batches.push(batch);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    while (
      this.#batches.length - this.#start > this.#maxTransactions ||
      (this.#bytes > this.#maxBytes && this.#batches.length - this.#start > 1)
    ) {
      const dropped = this.#batches[this.#start];
      assert(dropped !== undefined, 'the window is inside the array');
      this.#oldestWatchable = dropped.revision;
      this.#bytes -= this.#sizes[this.#start] ?? 0;
      this.#start += 1;
    }
    if (this.#start > slackMax && this.#start > this.#batches.length / 2) {
      this.#batches = this.#batches.slice(this.#start);
      this.#sizes = this.#sizes.slice(this.#start);
      this.#start = 0;
    }
  }

  /** The batches after `from`, oldest first. Throws CompactedError or FutureRevisionError. */
  since(from: Revision, head: Revision): readonly CommittedBatch[] {
    if (from < this.#oldestWatchable) throw new CompactedError(from, this.#oldestWatchable);
    if (from > head) throw new FutureRevisionError(from, head);
    const first = this.#batches[this.#start];
    if (first === undefined || from === head) return [];
    // Revisions have no gap, so the place follows from the number.
    return this.#batches.slice(this.#start + (from + 1 - first.revision));
  }
}
