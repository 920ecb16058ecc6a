/** What a log offers. See log.ts for its invariants. */
import type { Disk, Logger, Random, Timers } from '../io/mod.ts';
import type { CopiedFile } from './copy.ts';

export interface LogPorts {
  /** The log keeps everything in the folder `log` of it. */
  readonly disk: Disk;
  readonly random: Random;
  readonly logger: Logger;
  /** Lets appends of many writers gather for one sync; without it each batch goes at once. */
  readonly timers?: Timers;
  /** Called once, when a failure of the disk has ended all appends of this opening. */
  readonly onLatched?: () => void;
}

export interface LogOptions {
  /** A segment that has reached this size is followed by a new one. */
  readonly segmentBytesMax?: number;
  readonly recordBytesMax?: number;
  /** Bytes of appends that may wait for the disk. */
  readonly pendingBytesMax?: number;
}

/** A place in the history of one log. */
export interface LogCursor {
  /** Hexadecimal. */
  readonly incarnation: string;
  /** 0 before the first record. */
  readonly sequence: number;
  /** Hexadecimal sha256 over the incarnation and every record up to this one. */
  readonly chainHash: string;
}

export interface LogRecord {
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly chainHash: string;
}

/** How an append ended. `full` and `latched` leave no record behind it either. */
export type AppendOutcome =
  | { readonly type: 'durable'; readonly sequence: number; readonly chainHash: string }
  | { readonly type: 'refused'; readonly error: Error };

export interface LogSnapshot {
  readonly sequence: number;
  readonly chainHash: string;
  /** The blocks as they were written, each verified; throws LogDamagedError. */
  blocks(): AsyncIterable<Uint8Array>;
}

export interface Log {
  /** The newest of `incarnations`. */
  readonly incarnation: string;
  /** Oldest first. Cursors of all but the newest name places that are history. */
  readonly incarnations: readonly string[];
  /** Begins a new incarnation at the head of now; durable when it resolves. */
  beginIncarnation(): Promise<void>;
  /** What a backup takes: all that the latest snapshot stands for, and nothing behind it. */
  copy(): Promise<readonly CopiedFile[]>;
  /** Of the newest record that is on disk. */
  head(): LogCursor;
  /** What the next append will get. */
  nextSequence(): number;
  /** The oldest record that can still be read; head + 1 when there is none. */
  oldestSequence(): number;
  /** Bytes of all segments. */
  sizeBytes(): number;
  /** Of appends since the open. For measurements. */
  syncCount(): number;
  /**
   * Queues a record and returns its sequence at once. The payload is copied.
   * `settled` is called exactly once, in the order of sequences, and must not
   * throw. When an append is refused, so are all behind it, in the same turn and
   * after the log has gone back to its durable head: sequences are then given anew.
   * Throws LogLatchedError, or LogBusyError above `pendingBytesMax`.
   */
  append(payload: Uint8Array, settled: (outcome: AppendOutcome) => void): number;
  /** The same as a promise; rejects with LogFullError, LogLatchedError or LogBusyError. */
  appendDurably(
    payload: Uint8Array,
  ): Promise<{ readonly sequence: number; readonly chainHash: string }>;
  /** Durable records from `from` on, up to the head of now. Throws LogCompactedError. */
  read(from: number): AsyncIterable<LogRecord>;
  /** Undefined beyond the head and before what is kept. */
  cursorAt(sequence: number): LogCursor | undefined;
  /**
   * Writes a snapshot that stands for every record up to `sequence`, which must be
   * durable and kept. It replaces the latest one only when it is wholly on disk.
   * Throws LogFullError; any other failure of the disk latches the log.
   */
  writeSnapshot(sequence: number, blocks: Iterable<Uint8Array>): Promise<void>;
  latestSnapshot(): LogSnapshot | undefined;
  /** Drops whole segments before `retainFrom` that the latest snapshot stands for. */
  compact(retainFrom: number): Promise<void>;
  /** Waits for what was appended, seals the log and closes its files. */
  close(): Promise<void>;
}
