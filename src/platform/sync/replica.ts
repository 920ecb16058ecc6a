/**
 * The follower's copy of its slice, on its own disk: a log of what the owner
 * sent, replayed at the start.
 *
 * Invariants:
 * 1. The cursor that a reader sees, and that the owner is asked to go on from,
 *    is on disk together with everything before it. The one exception is progress
 *    without changes: it is kept in memory and written at most once in
 *    `progressStepMax` foreign transactions, and at the end of a session. Losing
 *    it costs the owner a longer search and the wire nothing.
 * 2. A batch of several messages is kept and shown only when all are there.
 * 3. An owner that does not have the history of this copy changes nothing here.
 * 4. A reconcile is taken whole, and only where what comes of it is what the owner
 *    says it must be: what it drops it drops in the same step in which the rest is put.
 * 5. The epoch that was obeyed is on disk before anything of it is shown, never goes
 *    back, and nothing of an older one is taken.
 */
import { assert, AssertionFailure, errorText, isSabotaged } from '#base/mod.ts';
import type { Clock, Disk, Logger, Random, Timer, Timers } from '#platform/io/mod.ts';
import { openLog, type Log } from '#platform/log/mod.ts';
import {
  type Cursor,
  keyText,
  objectDigest,
  type ObjectKey,
  type StoredObject,
} from '#platform/store/mod.ts';
import type { LinkSession, LinkStream, StreamFailure } from '#platform/wire/mod.ts';
import { leafMax } from './digest-tree.ts';
import { SyncError } from './errors.ts';
import {
  decodeRangeQuestion,
  encodeRangeAnswers,
  type RangeAnswer,
  type RangeQuestion,
} from './range-messages.ts';
import { beginsBatch, ReplicaState } from './replica-state.ts';
import {
  decodeSliceMessage,
  encodeSliceMessage,
  type SliceBatch,
  type SliceProgress,
} from './slice-messages.ts';
import type { Replica, ReplicaChange } from './types.ts';

const progressStepMax = 1000;
const batchChangesMax = 200_000;
const batchBytesMax = 256 * 1024 * 1024;
const restartsPerSessionMax = 3;
/** An owner that waits for its operator is asked so often whether he has decided. */
const divergedRetryMs = 2_000;
const segmentBytesMax = 1024 * 1024;
/** The log is replaced by a snapshot when it has grown by this much beyond the last one. */
const compactAfterBytes = 2 * 1024 * 1024;
const snapshotChangesPerBlock = 200;
/** The owner and this copy cannot go on together until somebody has decided. */
const waitingCodes = new Set(['SYNC_DIVERGED', 'SYNC_SUPERSEDED']);

export interface ReplicaDependencies {
  /** A folder of its own. */
  readonly disk: Disk;
  readonly random: Random;
  readonly clock?: Clock;
  /** Absent: after a divergence the owner is asked again in the next session only. */
  readonly timers?: Timers;
  readonly logger: Logger;
  /** Called once, when a failure of the disk has ended all writing: only a new start helps. */
  readonly onLatched?: () => void;
}

/** Opens what is on disk. Throws what the log throws (LogDamagedError). */
export async function openReplica(dependencies: ReplicaDependencies): Promise<Replica> {
  const { disk, random, logger, timers, onLatched } = dependencies;
  const log = await openLog(
    { disk, random, logger, ...(onLatched === undefined ? {} : { onLatched }) },
    { segmentBytesMax },
  );
  const replica = new DiskReplica(log, logger, timers);
  await replica.load();
  return replica;
}

interface Part {
  readonly message: SliceBatch;
  readonly bytes: Uint8Array;
}

class DiskReplica implements Replica {
  readonly #log: Log;
  readonly #logger: Logger;
  readonly #timers: Timers | undefined;
  readonly #listeners: ((changes: readonly ReplicaChange[]) => void)[] = [];
  #state = new ReplicaState();
  #persistedSequence = 0;
  #snapshotBytes = 0;
  /** What is being done to the disk; one thing after the other. */
  #tail: Promise<void> = Promise.resolve();
  #stream: LinkStream | undefined;
  #isClosed = false;
  #isOwnerSuperseded = false;
  /** Comparing has not helped: the whole slice is asked for. */
  #mustStartAnew = false;

  constructor(log: Log, logger: Logger, timers: Timers | undefined) {
    this.#log = log;
    this.#logger = logger;
    this.#timers = timers;
  }

  get cursor(): Cursor | undefined {
    return this.#state.cursor;
  }

  get epoch(): number {
    return this.#state.epoch;
  }

  get isOwnerSuperseded(): boolean {
    return this.#isOwnerSuperseded;
  }

  get(key: ObjectKey): StoredObject | undefined {
    return this.#state.get(keyText(key));
  }

  list(resource: string): readonly StoredObject[] {
    const found = [...this.#state.objects()].filter((object) => object.key.resource === resource);
    return found.sort((left, right) => compareText(keyText(left.key), keyText(right.key)));
  }

  onChange(listener: (changes: readonly ReplicaChange[]) => void): void {
    this.#listeners.push(listener);
  }

  follow(session: LinkSession): void {
    assert(this.#stream === undefined, 'a replica follows one session at a time');
    let restarts = 0;
    let isOver = false;
    let hasDiverged = false;
    let retry: Timer | undefined;
    session.onClose(() => {
      isOver = true;
      retry?.cancel();
    });
    const begin = async (): Promise<void> => {
      await this.#tail;
      if (isOver || this.#isClosed) return;
      this.#followOnce(session, (failure) => {
        if (isOver || this.#isClosed) return;
        const reason = failure?.message ?? 'the owner ended it';
        if (failure?.code === 'SYNC_SUPERSEDED') this.#isOwnerSuperseded = true;
        if (failure !== undefined && waitingCodes.has(failure.code)) {
          if (!hasDiverged) this.#logger.log('error', 'nothing is followed for now', { reason });
          hasDiverged = true;
          retry = this.#timers?.after(divergedRetryMs, () => void begin());
          return;
        }
        restarts += 1;
        this.#logger.log('warn', 'the sync stream ended and starts again', { reason });
        if (restarts > restartsPerSessionMax) {
          session.close({ code: 'SYNC_OUT_OF_SEQUENCE', message: `sync does not hold: ${reason}` });
        } else {
          void begin();
        }
      });
    };
    void begin();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stream?.fail({ code: 'SYNC_CLOSED', message: 'the follower has shut down' });
    await this.#tail;
    await this.#keepProgress();
    await this.#log.close();
  }

  /** Replays snapshot and log. */
  async load(): Promise<void> {
    let from = 1;
    const snapshot = this.#log.latestSnapshot();
    if (snapshot !== undefined) {
      const parts: SliceBatch[] = [];
      for await (const block of snapshot.blocks()) this.#replay(block, parts);
      from = snapshot.sequence + 1;
    }
    const parts: SliceBatch[] = [];
    if (this.#log.oldestSequence() <= this.#log.head().sequence) {
      const oldest = Math.max(from, this.#log.oldestSequence());
      for await (const record of this.#log.read(oldest)) this.#replay(record.payload, parts);
    }
    this.#persistedSequence = this.cursor?.sequence ?? 0;
    this.#snapshotBytes = this.#log.sizeBytes();
  }

  #replay(payload: Uint8Array, parts: SliceBatch[]): void {
    const message = decodeSliceMessage(payload);
    if (message.type === 'progress') {
      if (this.cursor !== undefined) this.#state.move(message);
      return;
    }
    // A batch whose rest was lost with the power is followed by one that begins anew.
    if (beginsBatch(message, parts)) parts.length = 0;
    parts.push(message);
    if (message.hasMore) return;
    this.#state.apply(parts);
    parts.length = 0;
  }

  #followOnce(session: LinkSession, onEnd: (failure: StreamFailure | undefined) => void): void {
    const { cursor, epoch, digests } = this.#state;
    const stream = session.open('control', 'slice.follow', {
      ...(cursor === undefined ? {} : { cursor: { ...cursor } }),
      epoch,
      count: digests.count,
      digest: digests.digestOf(''),
      ...(this.#mustStartAnew ? { whole: true } : {}),
    });
    this.#stream = stream;
    const parts: Part[] = [];
    stream.onMessage((bytes) => {
      const task = this.#tail.then(async () => {
        if (this.#stream !== stream || this.#isClosed) return;
        try {
          await this.#takeMessage(bytes, stream, parts);
        } catch (thrown) {
          if (thrown instanceof AssertionFailure) throw thrown;
          const code = thrown instanceof SyncError ? thrown.code : 'SYNC_NOT_KEPT';
          stream.fail({ code, message: errorText(thrown) });
        }
      });
      this.#tail = task;
      return task;
    });
    stream.onClose((failure) => {
      if (this.#stream === stream) this.#stream = undefined;
      // The next session then asks from here, also after a restart.
      this.#tail = this.#tail.then(() => this.#keepProgress());
      onEnd(failure);
    });
  }

  async #takeMessage(bytes: Uint8Array, stream: LinkStream, parts: Part[]): Promise<void> {
    const question = decodeRangeQuestion(bytes);
    if (question !== undefined) {
      this.#requireEpoch(question);
      const answers = question.prefixes.map((prefix) => this.#answer(prefix));
      await stream.send(encodeRangeAnswers(answers));
      return;
    }
    const message = decodeSliceMessage(bytes);
    this.#requireEpoch(message);
    this.#isOwnerSuperseded = false;
    if (message.type === 'progress') {
      await this.#takeProgress(message);
      return;
    }
    this.#requireNext(parts, message);
    parts.push({ message, bytes });
    const changeCount = parts.reduce((sum, part) => sum + part.message.changes.length, 0);
    const sizeBytes = parts.reduce((sum, part) => sum + part.bytes.length, 0);
    if (changeCount > batchChangesMax || sizeBytes > batchBytesMax) {
      const most = `${batchChangesMax} changes and ${batchBytesMax} bytes`;
      throw new SyncError('SYNC_TOO_LARGE', `a batch has at most ${most}`);
    }
    if (!message.hasMore) await this.#keep(parts.splice(0));
  }

  #requireEpoch({ epoch }: SliceBatch | SliceProgress | RangeQuestion): void {
    if (epoch >= this.#state.epoch || isSabotaged('obey-a-superseded-owner')) return;
    const text = `this copy obeys epoch ${this.#state.epoch}, the owner speaks for epoch ${epoch}`;
    throw new SyncError('SYNC_SUPERSEDED', text);
  }

  #answer(prefix: string): RangeAnswer {
    const { digests } = this.#state;
    if (digests.countOf(prefix) > leafMax) return { parts: digests.partsOf(prefix) };
    const entries = digests.objectsIn(prefix).map((object) => {
      const { key, uid } = object;
      return { key, uid, digest: objectDigest(object) };
    });
    return { entries };
  }

  /**
   * What a whole slice may come from: a later place of the history that this copy knows,
   * or another history whose owner has a later epoch.
   */
  #requireLater({ incarnation, sequence, epoch }: SliceBatch): void {
    const { cursor, epoch: obeyed } = this.#state;
    if (cursor === undefined) return;
    if (incarnation === cursor.incarnation) {
      if (sequence >= cursor.sequence) return;
      const text = `the owner is at ${sequence}, this copy is at ${cursor.sequence}`;
      throw new SyncError('SYNC_DIVERGED', text);
    }
    if (epoch > obeyed || isSabotaged('obey-a-superseded-owner')) return;
    const text = `another incarnation comes with a later epoch than ${obeyed}, not with ${epoch}`;
    throw new SyncError('SYNC_SUPERSEDED', text);
  }

  /** A batch that does not follow the cursor, or a part that does not follow its batch. */
  #requireNext(parts: readonly Part[], message: SliceBatch): void {
    const { cursor } = this.#state;
    const first = parts[0]?.message;
    const follows =
      first === undefined
        ? message.part === 0 &&
          (message.isReset ||
            message.complete !== undefined ||
            (message.incarnation === cursor?.incarnation &&
              message.after === cursor.sequence &&
              message.sequence > message.after))
        : message.part === parts.length &&
          !message.isReset &&
          message.incarnation === first.incarnation &&
          message.sequence === first.sequence &&
          message.after === first.after;
    if (follows) {
      this.#requireLater(message);
      return;
    }
    const here = cursor?.sequence ?? 'nothing';
    const text = `a batch follows ${message.after}, this copy is at ${here}`;
    throw new SyncError('SYNC_OUT_OF_SEQUENCE', text);
  }

  async #takeProgress(message: SliceProgress): Promise<void> {
    const { cursor, epoch } = this.#state;
    if (cursor === undefined || message.after !== cursor.sequence) {
      throw new SyncError('SYNC_OUT_OF_SEQUENCE', 'progress from another place than this copy');
    }
    if (message.sequence < cursor.sequence) {
      throw new SyncError('SYNC_OUT_OF_SEQUENCE', 'progress goes back');
    }
    if (message.epoch > epoch) {
      await this.#log.appendDurably(encodeSliceMessage(message));
      this.#persistedSequence = message.sequence;
    }
    this.#state.move(message);
    if (message.sequence - this.#persistedSequence >= progressStepMax) await this.#keepProgress();
  }

  async #keepProgress(): Promise<void> {
    const { cursor, epoch } = this.#state;
    if (cursor === undefined || cursor.sequence <= this.#persistedSequence) return;
    try {
      const { sequence, chainHash } = cursor;
      const after = this.#persistedSequence;
      await this.#log.appendDurably(
        encodeSliceMessage({ type: 'progress', epoch, after, sequence, chainHash }),
      );
      this.#persistedSequence = sequence;
    } catch (thrown) {
      this.#logger.log('warn', 'progress was not kept', { error: errorText(thrown) });
    }
  }

  async #keep(whole: readonly Part[]): Promise<void> {
    const messages = whole.map((part) => part.message);
    const { isReset, complete } = messages[0] ?? { isReset: false };
    const foreign = this.#state.foreignIn(messages);
    if (foreign !== undefined) {
      const text = `a change of ${foreign}, which is not in this copy`;
      throw new SyncError('SYNC_OUT_OF_SEQUENCE', text);
    }
    // What may drop much is tried first, beside what stands.
    const next = isReset || complete !== undefined ? this.#state.copy() : undefined;
    const tried = next?.apply(messages) ?? [];
    if (next !== undefined && complete !== undefined) {
      const { count } = next.digests;
      if (count !== complete.count || next.digests.digestOf('') !== complete.digest) {
        this.#mustStartAnew = true;
        const text = `the reconcile comes to ${count} objects that are not the ${complete.count} of the owner`;
        throw new SyncError('SYNC_INCOMPLETE', text);
      }
    }
    // All at once: one sync covers every part, and a lost tail loses the batch as a whole.
    await Promise.all(whole.map((part) => this.#log.appendDurably(part.bytes)));
    const before = this.cursor?.incarnation;
    const changes = next === undefined ? this.#state.apply(messages) : tried;
    if (next !== undefined) this.#state = next;
    this.#mustStartAnew = false;
    this.#persistedSequence = this.cursor?.sequence ?? 0;
    const isNews = changes.length > 0 || before !== this.cursor?.incarnation;
    if (isNews) for (const listener of this.#listeners) listener(changes);
    if (this.#log.sizeBytes() - this.#snapshotBytes > compactAfterBytes) await this.#compact();
  }

  async #compact(): Promise<void> {
    const { cursor, epoch } = this.#state;
    assert(cursor !== undefined, 'a copy that grew has a cursor');
    const objects = [...this.#state.objects()];
    const blocks: Uint8Array[] = [];
    let begin = 0;
    do {
      const end = Math.min(begin + snapshotChangesPerBlock, objects.length);
      blocks.push(
        encodeSliceMessage({
          type: 'batch',
          isReset: begin === 0,
          part: blocks.length,
          hasMore: end < objects.length,
          incarnation: cursor.incarnation,
          epoch,
          after: 0,
          sequence: cursor.sequence,
          chainHash: cursor.chainHash,
          changes: objects
            .slice(begin, end)
            .map((object) => ({ type: 'put', extent: 'whole', object })),
        }),
      );
      begin = end;
    } while (begin < objects.length);
    try {
      const head = this.#log.head().sequence;
      await this.#log.writeSnapshot(head, blocks);
      await this.#log.compact(head + 1);
    } catch (thrown) {
      this.#logger.log('warn', 'the copy could not be compacted', { error: errorText(thrown) });
    }
    this.#snapshotBytes = this.#log.sizeBytes();
  }
}

function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
