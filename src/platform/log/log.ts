/**
 * An append-only log over the disk port: what was accepted, in order, for ever or
 * until a snapshot stands for it.
 *
 * Invariants:
 * 1. Sequences rise by one from 1; each record carries the chained hash of the
 *    incarnation and everything before it.
 * 2. No append is reported durable before the sync that covers it has answered.
 *    Appends that arrive while a sync is under way share the next one.
 * 3. After a failed write or sync (other than no space) nothing is appended any
 *    more: what the disk holds is unknown until the next open reads it.
 * 4. No space: the batch is cut off the file again and synced away before it is
 *    refused, so a refused record never comes back after a crash.
 * 5. A segment is removed only when a snapshot on disk stands for all of it.
 * The folder must have one owner: nothing here keeps a second process out.
 */
import { assert, bytesOfHex, hexOf } from '#base/mod.ts';
import { DiskError, sleep, type Disk, type DiskFile, type Logger } from '../io/mod.ts';
import type { Random, Timers } from '../io/mod.ts';
import { Batch } from './batch.ts';
import { type CopiedFile, copyOfLog } from './copy.ts';
import {
  LogBusyError,
  LogCompactedError,
  LogDamagedError,
  LogFullError,
  LogLatchedError,
  located,
} from './errors.ts';
import {
  crcSeed,
  encodeSeal,
  incarnationBytes,
  parseFrame,
  sequenceOfName,
  viewOf,
} from './format.ts';
import { incarnationsMax, readIncarnations, writeIncarnations } from './incarnations.ts';
import { createSegment, openIncarnation, recoverSegments } from './recovery.ts';
import { logFolder, Segment } from './segment.ts';
import {
  openSnapshotFile,
  readSnapshotBlocks,
  removeTemporarySnapshot,
  writeSnapshotFile,
  type SnapshotFile,
} from './snapshot.ts';
import type {
  AppendOutcome,
  Log,
  LogCursor,
  LogOptions,
  LogPorts,
  LogRecord,
  LogSnapshot,
} from './types.ts';

interface Limits {
  readonly segmentBytesMax: number;
  readonly recordBytesMax: number;
  readonly pendingBytesMax: number;
}

/** Turns of the microtask queue in which writers that just woke up may join the next batch. */
const gatherTurns = 8;
/** Turns of the event loop in which a batch may go on growing where many write at once. */
const gatherLoopTurnsMax = 4;
/** A batch of this many has spread the cost of its sync; waiting on would only add to theirs. */
const gatheredEnough = 16;

/** Opens or begins the log in the folder `log` of the disk. Throws LogDamagedError. */
export async function openLog(ports: LogPorts, options: LogOptions = {}): Promise<Log> {
  const limits: Limits = {
    segmentBytesMax: options.segmentBytesMax ?? 8 * 1024 * 1024,
    recordBytesMax: options.recordBytesMax ?? 16 * 1024 * 1024,
    pendingBytesMax: options.pendingBytesMax ?? 64 * 1024 * 1024,
  };
  try {
    return await recoverLog(ports, limits);
  } catch (error) {
    throw located(ports.disk, error);
  }
}

async function recoverLog(ports: LogPorts, limits: Limits): Promise<Log> {
  const { disk, logger } = ports;
  await disk.makeDirectory(logFolder);
  const incarnation = await openIncarnation(disk, ports.random);
  const seed = crcSeed(incarnation);
  const { segments, active } = await recoverSegments(disk, logger, incarnation, seed);
  try {
    const snapshot = await recoverSnapshots(disk, incarnation, segments);
    const incarnations = await readIncarnations(disk, hexOf(incarnation));
    const { random, timers, onLatched } = ports;
    const files = { segments, active, snapshot };
    const parts = { disk, logger, random, timers, onLatched, incarnation, incarnations, ...files };
    return new DiskLog(parts, limits);
  } catch (error) {
    await active.close();
    throw error;
  }
}

/** Keeps the newest snapshot and holds it against the segments. */
async function recoverSnapshots(
  disk: Disk,
  incarnation: Uint8Array,
  segments: readonly Segment[],
): Promise<SnapshotFile | undefined> {
  await removeTemporarySnapshot(disk);
  const paths = (await disk.list(logFolder))
    .filter((entry) => sequenceOfName(entry.name, 'snapshot') !== undefined)
    .map((entry) => `${logFolder}/${entry.name}`);
  const newest = paths.pop();
  const snapshot =
    newest === undefined ? undefined : await openSnapshotFile(disk, incarnation, newest);
  const first = segments[0];
  const last = segments.at(-1);
  assert(first !== undefined && last !== undefined, 'a log has a segment');
  if (first.firstSequence > (snapshot?.sequence ?? 0) + 1) {
    throw new LogDamagedError(
      first.path,
      0,
      'records before it are missing and no snapshot has them',
    );
  }
  if (snapshot !== undefined) {
    if (snapshot.sequence > last.lastSequence) {
      throw new LogDamagedError(
        last.path,
        last.sizeBytes,
        'records that a snapshot has are missing',
      );
    }
    const holder = segments.find((segment) => segment.lastSequence >= snapshot.sequence) ?? last;
    if (hexOf(holder.chainAt(snapshot.sequence)) !== hexOf(snapshot.chain)) {
      throw new LogDamagedError(snapshot.path, 32, 'the snapshot is of another history');
    }
  }
  for (const path of paths) await disk.remove(path);
  return snapshot;
}

class DiskLog implements Log {
  readonly #disk: Disk;
  readonly #random: Random;
  #incarnations: readonly string[];
  readonly #logger: Logger;
  readonly #timers: Timers | undefined;
  readonly #incarnationBytes: Uint8Array;
  readonly #seed: number;
  readonly #limits: Limits;
  readonly #segments: Segment[];
  #active: DiskFile;
  #snapshot: SnapshotFile | undefined;

  #durableSequence: number;
  #durableChainHash: string;
  #lastSequence: number;
  #lastChainHash: string;
  #filling = new Batch();
  #writing = new Batch();
  #pump: Promise<void> | undefined;
  #maintenance: Promise<void> = Promise.resolve();
  #latched: LogLatchedError | undefined;
  readonly #onLatched: (() => void) | undefined;
  #closed = false;
  #syncs = 0;

  constructor(
    parts: {
      readonly disk: Disk;
      readonly logger: Logger;
      readonly random: Random;
      readonly timers: Timers | undefined;
      readonly onLatched: (() => void) | undefined;
      readonly incarnation: Uint8Array;
      readonly incarnations: readonly string[];
      readonly segments: Segment[];
      readonly active: DiskFile;
      readonly snapshot: SnapshotFile | undefined;
    },
    limits: Limits,
  ) {
    this.#disk = parts.disk;
    this.#onLatched = parts.onLatched;
    this.#logger = parts.logger;
    this.#timers = parts.timers;
    this.#incarnationBytes = parts.incarnation;
    this.#random = parts.random;
    this.#incarnations = parts.incarnations;
    this.#seed = crcSeed(parts.incarnation);
    this.#segments = parts.segments;
    this.#active = parts.active;
    this.#snapshot = parts.snapshot;
    this.#limits = limits;
    const last = this.#lastSegment();
    this.#durableSequence = last.lastSequence;
    this.#durableChainHash = hexOf(last.chainAt(last.lastSequence));
    this.#lastSequence = this.#durableSequence;
    this.#lastChainHash = this.#durableChainHash;
  }

  get incarnation(): string {
    const newest = this.#incarnations.at(-1);
    assert(newest !== undefined, 'a log has an incarnation');
    return newest;
  }

  get incarnations(): readonly string[] {
    return this.#incarnations;
  }

  beginIncarnation(): Promise<void> {
    return this.#inTurn(async () => {
      assert(this.#incarnations.length < incarnationsMax, 'incarnations are rare');
      const list = [...this.#incarnations, hexOf(this.#random.bytes(incarnationBytes))];
      await writeIncarnations(this.#disk, list);
      this.#incarnations = list;
    });
  }

  copy(): Promise<readonly CopiedFile[]> {
    // In turn, so that no snapshot is replaced before it is open; a failed read latches nothing.
    const run = this.#maintenance.then(() => {
      assert(this.#snapshot !== undefined || this.#durableSequence === 0, 'there is a snapshot');
      return copyOfLog(this.#disk, this.#incarnationBytes, this.#incarnations, this.#snapshot);
    });
    this.#maintenance = run.then(
      () => undefined,
      () => undefined,
    );
    return run;
  }

  head(): LogCursor {
    return this.#cursor(this.#durableSequence, this.#durableChainHash);
  }

  nextSequence(): number {
    return this.#lastSequence + 1;
  }

  oldestSequence(): number {
    return this.#firstSegment().firstSequence;
  }

  sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  syncCount(): number {
    return this.#syncs;
  }

  append(payload: Uint8Array, settled: (outcome: AppendOutcome) => void): number {
    assert(!this.#closed, 'the log is open');
    assert(payload.length <= this.#limits.recordBytesMax, 'a record is within its limit');
    if (this.#latched !== undefined) throw this.#latched;
    if (this.#filling.sizeBytes + payload.length > this.#limits.pendingBytesMax) {
      throw new LogBusyError(this.#limits.pendingBytesMax);
    }
    const sequence = this.#lastSequence + 1;
    this.#lastChainHash = this.#filling.add(payload, sequence, this.#lastChainHash, settled);
    this.#lastSequence = sequence;
    this.#pump ??= this.#run();
    return sequence;
  }

  appendDurably(payload: Uint8Array): Promise<{ sequence: number; chainHash: string }> {
    return new Promise((resolve, reject) => {
      this.append(payload, (outcome) => {
        if (outcome.type === 'refused') reject(outcome.error);
        else resolve({ sequence: outcome.sequence, chainHash: outcome.chainHash });
      });
    });
  }

  /** Writes batch after batch until nothing waits. Never rejects: what fails latches. */
  async #run(): Promise<void> {
    try {
      let previousCount = 1;
      for (;;) {
        await this.#gather(previousCount);
        if (this.#filling.appends.length === 0 || this.#latched !== undefined) break;
        [this.#filling, this.#writing] = [this.#writing, this.#filling];
        previousCount = this.#writing.appends.length;
        await this.#writeBatch(this.#writing);
      }
    } catch (error) {
      this.#latch(error);
    }
    this.#pump = undefined;
  }

  /**
   * Lets those join the batch who are about to append: one sync costs as much as
   * the work of several writes. A lone writer is never kept waiting for others.
   */
  async #gather(previousCount: number): Promise<void> {
    for (let turn = 0; turn < gatherTurns; turn += 1) await Promise.resolve();
    if (this.#timers === undefined || previousCount === 1) return;
    for (let turn = 0; turn < gatherLoopTurnsMax; turn += 1) {
      const count = this.#filling.appends.length;
      if (count >= gatheredEnough) return;
      await sleep(this.#timers, 0);
      if (this.#filling.appends.length === count) return;
    }
  }

  async #writeBatch(batch: Batch): Promise<void> {
    try {
      await this.#rollIfFull();
      const bytes = batch.stamped(this.#durableSequence, this.#seed);
      await this.#active.writeAt(this.#lastSegment().sizeBytes, [bytes]);
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await this.#cutBack();
      this.#refuse(new LogFullError(error));
      return;
    }
    await this.#sync(this.#active);
    // A snapshot's failure may have latched the log meanwhile and refused this batch.
    if (this.#latched === undefined) this.#acknowledge(batch);
  }

  #acknowledge(batch: Batch): void {
    const segment = this.#lastSegment();
    const start = segment.sizeBytes;
    const appends = batch.appends;
    const newest = appends.at(-1);
    assert(newest !== undefined, 'a batch is not empty');
    assert(appends[0]?.sequence === this.#durableSequence + 1, 'a batch follows the one before it');
    for (const { offset, chainHash } of appends) segment.addHash(start + offset, chainHash);
    segment.sizeBytes = start + batch.sizeBytes;
    this.#durableSequence = newest.sequence;
    this.#durableChainHash = newest.chainHash;
    batch.clear();
    for (const { sequence, chainHash, settled } of appends) {
      settled({ type: 'durable', sequence, chainHash });
    }
  }

  /** Everything that waits is refused, oldest first, with the log back at its durable head. */
  #refuse(error: Error): void {
    const refused = [...this.#writing.appends, ...this.#filling.appends];
    this.#writing.clear();
    this.#filling.clear();
    this.#lastSequence = this.#durableSequence;
    this.#lastChainHash = this.#durableChainHash;
    for (const { settled } of refused) settled({ type: 'refused', error });
  }

  #latch(cause: unknown): void {
    if (this.#latched !== undefined) return;
    this.#latched = new LogLatchedError(cause);
    this.#logger.log('error', 'log: latched; no more appends', { error: String(cause) });
    this.#refuse(this.#latched);
    this.#onLatched?.();
  }

  async #cutBack(): Promise<void> {
    await this.#active.truncate(this.#lastSegment().sizeBytes);
    await this.#sync(this.#active);
  }

  async #rollIfFull(): Promise<void> {
    const last = this.#lastSegment();
    if (last.sizeBytes < this.#limits.segmentBytesMax || last.lastSequence < last.firstSequence) {
      return;
    }
    const next = new Segment(this.#durableSequence + 1, bytesOfHex(this.#durableChainHash));
    let file: DiskFile;
    try {
      file = await createSegment(this.#disk, this.#incarnationBytes, next);
    } catch (error) {
      if (isNoSpace(error)) {
        await this.#disk.remove(next.path);
        await this.#disk.syncDirectory(logFolder);
      }
      throw error;
    }
    await this.#active.close();
    this.#active = file;
    this.#segments.push(next);
  }

  async #sync(file: DiskFile): Promise<void> {
    this.#syncs += 1;
    try {
      await file.sync();
    } catch (error) {
      // A sync that failed for want of space has failed like any other.
      throw new LogLatchedError(error);
    }
  }

  async *read(from: number): AsyncGenerator<LogRecord> {
    if (from < this.oldestSequence()) throw new LogCompactedError(from, this.oldestSequence());
    const through = this.#durableSequence;
    let sequence = from;
    while (sequence <= through) {
      const segment = this.#segmentOf(sequence);
      const bytes = await this.#disk.readFile(segment.path, segment.sizeBytes + this.#slackBytes());
      if (bytes === undefined) throw this.#damaged(segment, 0, 'it is gone');
      const view = viewOf(bytes);
      const last = Math.min(segment.lastSequence, through);
      for (; sequence <= last; sequence += 1) {
        const offset = segment.offsetOf(sequence);
        const frame = parseFrame(bytes, view, offset, this.#seed);
        const chainHash = hexOf(segment.chainAt(sequence));
        if (frame?.sequence !== sequence || hexOf(frame.chain) !== chainHash) {
          throw this.#damaged(segment, offset, 'the record has changed since the open');
        }
        yield { sequence, payload: frame.payload, chainHash };
      }
    }
  }

  #damaged(segment: Segment, offset: number, reason: string): LogDamagedError {
    return new LogDamagedError(this.#disk.absolute(segment.path), offset, reason);
  }

  /** What may be behind the durable end of a file that is being written. */
  #slackBytes(): number {
    return 2 * (this.#limits.pendingBytesMax + this.#limits.recordBytesMax);
  }

  cursorAt(sequence: number): LogCursor | undefined {
    if (sequence > this.#durableSequence || sequence < this.oldestSequence() - 1) return undefined;
    const first = this.#firstSegment();
    const isFirst = sequence === first.firstSequence - 1;
    const chain = isFirst ? first.previousChain : this.#segmentOf(sequence).chainAt(sequence);
    return this.#cursor(sequence, hexOf(chain));
  }

  writeSnapshot(sequence: number, blocks: Iterable<Uint8Array>): Promise<void> {
    return this.#inTurn(async () => {
      assert(sequence > 0 && sequence <= this.#durableSequence, 'a snapshot is of durable records');
      if (this.#snapshot?.sequence === sequence) return;
      assert(sequence > (this.#snapshot?.sequence ?? 0), 'snapshots go forward');
      const chain = this.#segmentOf(sequence).chainAt(sequence);
      const older = this.#snapshot;
      const header = { sequence, chain };
      this.#snapshot = await writeSnapshotFile(this.#disk, this.#incarnationBytes, header, blocks);
      if (older !== undefined) await this.#disk.remove(older.path);
    });
  }

  latestSnapshot(): LogSnapshot | undefined {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return undefined;
    const { path, sequence, chain } = snapshot;
    const blocks = (): AsyncIterable<Uint8Array> =>
      readSnapshotBlocks(this.#disk, this.#incarnationBytes, path);
    return { sequence, chainHash: hexOf(chain), blocks };
  }

  compact(retainFrom: number): Promise<void> {
    return this.#inTurn(async () => {
      const firstKept = Math.min(retainFrom, (this.#snapshot?.sequence ?? 0) + 1);
      for (;;) {
        const [first, second] = this.#segments;
        if (first === undefined || second === undefined) return;
        if (first.lastSequence >= firstKept) return;
        this.#segments.shift();
        await this.#disk.remove(first.path);
        // One at a time: a power cut must not leave a hole in the middle.
        await this.#disk.syncDirectory(logFolder);
      }
    });
  }

  /** One snapshot or compaction at a time. No space is the caller's to handle; the rest latches. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const run = this.#maintenance.then(async () => {
      if (this.#latched !== undefined) throw this.#latched;
      assert(!this.#closed, 'the log is open');
      try {
        await work();
      } catch (error) {
        if (isNoSpace(error)) {
          await removeTemporarySnapshot(this.#disk);
          throw new LogFullError(error);
        }
        this.#latch(error);
        throw error;
      }
    });
    this.#maintenance = run.catch(() => undefined);
    return run;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#pump;
    await this.#maintenance;
    try {
      if (this.#latched === undefined) await this.#seal();
    } finally {
      await this.#active.close();
    }
  }

  /** Only makes a later open stricter, so a seal that cannot be written is no failure. */
  async #seal(): Promise<void> {
    try {
      const chain = bytesOfHex(this.#durableChainHash);
      const seal = encodeSeal(this.#durableSequence, chain, this.#seed);
      await this.#active.writeAt(this.#lastSegment().sizeBytes, [seal]);
      await this.#active.sync();
    } catch (error) {
      this.#logger.log('warn', 'log: closed without a seal', { error: String(error) });
    }
  }

  #cursor(sequence: number, chainHash: string): LogCursor {
    return { incarnation: this.incarnation, sequence, chainHash };
  }

  #firstSegment(): Segment {
    const first = this.#segments[0];
    assert(first !== undefined, 'a log has a segment');
    return first;
  }

  #lastSegment(): Segment {
    const last = this.#segments.at(-1);
    assert(last !== undefined, 'a log has a segment');
    return last;
  }

  #segmentOf(sequence: number): Segment {
    const segment = this.#segments.findLast((candidate) => candidate.firstSequence <= sequence);
    assert(segment !== undefined && sequence <= segment.lastSequence, 'the log holds the record');
    return segment;
  }
}

function isNoSpace(error: unknown): boolean {
  return error instanceof DiskError && error.code === 'DISK_NO_SPACE';
}
