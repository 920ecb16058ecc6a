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
 * 4. What a complete reconcile did not name is dropped in the same step in which
 *    the rest of it is put.
 */
import { assert, AssertionFailure, errorText } from '#base/mod.ts';
import type { Clock, Disk, Logger, Random, Timer, Timers } from '#platform/io/mod.ts';
import { openLog, type Log } from '#platform/log/mod.ts';
import type { Cursor, ObjectKey, StoredObject } from '#platform/store/mod.ts';
import type { LinkSession, LinkStream, StreamFailure } from '#platform/wire/mod.ts';
import { SyncError } from './errors.ts';
import {
  decodeSliceMessage,
  encodeSliceMessage,
  type SliceBatch,
  type SliceChange,
  type SliceProgress,
} from './slice-messages.ts';
import type { Replica, ReplicaChange } from './types.ts';

const progressStepMax = 1000;
const batchChangesMax = 200_000;
const restartsPerSessionMax = 3;
/** An owner that waits for its operator is asked so often whether he has decided. */
const divergedRetryMs = 2_000;
const segmentBytesMax = 1024 * 1024;
/** The log is replaced by a snapshot when it has grown by this much beyond the last one. */
const compactAfterBytes = 2 * 1024 * 1024;
const snapshotChangesPerBlock = 200;

export interface ReplicaDependencies {
  /** A folder of its own. */
  readonly disk: Disk;
  readonly random: Random;
  readonly clock?: Clock;
  /** Absent: after a divergence the owner is asked again in the next session only. */
  readonly timers?: Timers;
  readonly logger: Logger;
}

/** Opens what is on disk. Throws what the log throws (LogDamagedError). */
export async function openReplica(dependencies: ReplicaDependencies): Promise<Replica> {
  const { disk, random, logger, timers } = dependencies;
  const log = await openLog({ disk, random, logger }, { segmentBytesMax });
  const replica = new DiskReplica(log, logger, timers);
  await replica.load();
  return replica;
}

class DiskReplica implements Replica {
  readonly #log: Log;
  readonly #logger: Logger;
  readonly #timers: Timers | undefined;
  readonly #listeners: ((changes: readonly ReplicaChange[]) => void)[] = [];
  #objects = new Map<string, StoredObject>();
  #cursor: Cursor | undefined;
  #persistedSequence = 0;
  #snapshotBytes = 0;
  /** What is being done to the disk; one thing after the other. */
  #tail: Promise<void> = Promise.resolve();
  #stream: LinkStream | undefined;
  #isClosed = false;
  #mustStartAnew = false;

  constructor(log: Log, logger: Logger, timers: Timers | undefined) {
    this.#log = log;
    this.#logger = logger;
    this.#timers = timers;
  }

  get cursor(): Cursor | undefined {
    return this.#cursor;
  }

  get(key: ObjectKey): StoredObject | undefined {
    return this.#objects.get(textOfKey(key));
  }

  list(resource: string): readonly StoredObject[] {
    const found = [...this.#objects.values()].filter((object) => object.key.resource === resource);
    return found.sort((left, right) => compareText(textOfKey(left.key), textOfKey(right.key)));
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
        if (failure?.code === 'SYNC_DIVERGED') {
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
    await this.#persistProgress();
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
    this.#persistedSequence = this.#cursor?.sequence ?? 0;
    this.#snapshotBytes = this.#log.sizeBytes();
  }

  #replay(payload: Uint8Array, parts: SliceBatch[]): void {
    const message = decodeSliceMessage(payload);
    if (message.type === 'progress') {
      if (this.#cursor !== undefined) this.#cursor = cursorOf(this.#cursor.incarnation, message);
      return;
    }
    // A batch whose rest was lost with the power is followed by one that begins anew.
    const first = parts[0];
    if (message.isReset || (first !== undefined && first.sequence !== message.sequence)) {
      parts.length = 0;
    }
    parts.push(message);
    if (message.hasMore) return;
    this.#apply(parts);
    parts.length = 0;
  }

  #followOnce(session: LinkSession, onEnd: (failure: StreamFailure | undefined) => void): void {
    const cursor = this.#cursor;
    const parameters = cursor === undefined || this.#mustStartAnew ? {} : { cursor: { ...cursor } };
    const stream = session.open('control', 'slice.follow', parameters);
    this.#stream = stream;
    const parts: { message: SliceBatch; bytes: Uint8Array }[] = [];
    let changeCount = 0;
    stream.onMessage((bytes) => {
      const task = this.#tail.then(async () => {
        if (this.#stream !== stream || this.#isClosed) return;
        try {
          const message = decodeSliceMessage(bytes);
          if (message.type === 'progress') {
            await this.#takeProgress(message);
            return;
          }
          const first = parts[0]?.message;
          this.#requireNext(first, message);
          parts.push({ message, bytes });
          changeCount += message.changes.length;
          if (changeCount > batchChangesMax) {
            throw new SyncError(
              'SYNC_TOO_LARGE',
              `a batch has more than ${batchChangesMax} changes`,
            );
          }
          if (message.hasMore) return;
          const whole = parts.splice(0);
          changeCount = 0;
          await this.#keep(whole);
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
      this.#tail = this.#tail.then(() => this.#persistProgress());
      onEnd(failure);
    });
  }

  /** A batch that does not follow the cursor, or a part that does not follow its batch. */
  #requireNext(first: SliceBatch | undefined, message: SliceBatch): void {
    const follows =
      first === undefined
        ? message.isReset ||
          (this.#cursor !== undefined &&
            message.incarnation === this.#cursor.incarnation &&
            message.after === this.#cursor.sequence &&
            message.sequence > message.after)
        : !message.isReset && message.sequence === first.sequence && message.after === first.after;
    if (follows) return;
    const here = this.#cursor?.sequence ?? 'nothing';
    const text = `a batch follows ${message.after}, this copy is at ${here}`;
    throw new SyncError('SYNC_OUT_OF_SEQUENCE', text);
  }

  /** A change of an object that is not here means that the two sides differ: only all of it mends that. */
  #requireHeld(parts: readonly SliceBatch[]): void {
    for (const change of parts.flatMap((part) => part.changes)) {
      if (change.type !== 'put' || change.extent === 'whole') continue;
      const { key, uid } = change.object;
      if (this.#objects.get(textOfKey(key))?.uid === uid) continue;
      this.#mustStartAnew = true;
      const text = `a change of ${textOfKey(key)}, which is not in this copy`;
      throw new SyncError('SYNC_OUT_OF_SEQUENCE', text);
    }
  }

  async #takeProgress(message: SliceProgress): Promise<void> {
    const cursor = this.#cursor;
    if (cursor === undefined || message.after !== cursor.sequence) {
      throw new SyncError('SYNC_OUT_OF_SEQUENCE', 'progress from another place than this copy');
    }
    if (message.sequence < cursor.sequence) {
      throw new SyncError('SYNC_OUT_OF_SEQUENCE', 'progress goes back');
    }
    this.#cursor = cursorOf(cursor.incarnation, message);
    if (message.sequence - this.#persistedSequence >= progressStepMax)
      await this.#persistProgress();
  }

  async #persistProgress(): Promise<void> {
    const cursor = this.#cursor;
    if (cursor === undefined || cursor.sequence <= this.#persistedSequence) return;
    try {
      const { sequence, chainHash } = cursor;
      const after = this.#persistedSequence;
      await this.#log.appendDurably(
        encodeSliceMessage({ type: 'progress', after, sequence, chainHash }),
      );
      this.#persistedSequence = sequence;
    } catch (thrown) {
      this.#logger.log('warn', 'progress was not kept', { error: errorText(thrown) });
    }
  }

  async #keep(whole: readonly { message: SliceBatch; bytes: Uint8Array }[]): Promise<void> {
    this.#requireHeld(whole.map((part) => part.message));
    // All at once: one sync covers every part, and a lost tail loses the batch as a whole.
    await Promise.all(whole.map((part) => this.#log.appendDurably(part.bytes)));
    const changes = this.#apply(whole.map((part) => part.message));
    this.#mustStartAnew = false;
    this.#persistedSequence = this.#cursor?.sequence ?? 0;
    if (changes.length > 0) for (const listener of this.#listeners) listener(changes);
    if (this.#log.sizeBytes() - this.#snapshotBytes > compactAfterBytes) await this.#compact();
  }

  #apply(parts: readonly SliceBatch[]): ReplicaChange[] {
    const last = parts.at(-1);
    assert(last !== undefined, 'a batch has a message');
    const isReset = parts[0]?.isReset === true;
    const before = this.#objects;
    // Revisions of another incarnation say nothing about those of this one.
    const isOther = this.#cursor !== undefined && this.#cursor.incarnation !== last.incarnation;
    if (isReset) this.#objects = new Map();
    const changes: ReplicaChange[] = [];
    for (const part of parts) {
      for (const change of part.changes)
        this.#applyChange(change, isOther ? new Map() : before, changes);
    }
    if (isReset) {
      for (const [text, object] of before) {
        const kept = this.#objects.get(text);
        if (kept === undefined || kept.uid !== object.uid) changes.push({ type: 'leave', object });
      }
    }
    this.#cursor = cursorOf(last.incarnation, last);
    return changes;
  }

  #applyChange(
    change: SliceChange,
    before: ReadonlyMap<string, StoredObject>,
    changes: ReplicaChange[],
  ): void {
    if (change.type !== 'put') {
      const text = textOfKey(change.key);
      const object = this.#objects.get(text);
      // The uid decides: a younger object of the same name stays.
      if (object === undefined || object.uid !== change.uid) return;
      this.#objects.delete(text);
      changes.push({ type: change.type, object });
      return;
    }
    const { object: sent, extent } = change;
    const text = textOfKey(sent.key);
    const present = before.get(text);
    let object = sent;
    if (extent === 'changed') {
      const held = this.#objects.get(text);
      assert(held?.uid === sent.uid, 'a change of an object that is held here');
      object = { ...sent, facets: { ...held.facets, ...sent.facets } };
    }
    this.#objects.set(text, object);
    const isSame = present?.uid === object.uid && present.revision === object.revision;
    if (!isSame) changes.push({ type: 'put', object });
  }

  async #compact(): Promise<void> {
    const cursor = this.#cursor;
    assert(cursor !== undefined, 'a copy that grew has a cursor');
    const objects = [...this.#objects.values()];
    const blocks: Uint8Array[] = [];
    let begin = 0;
    do {
      const end = Math.min(begin + snapshotChangesPerBlock, objects.length);
      blocks.push(
        encodeSliceMessage({
          type: 'batch',
          isReset: begin === 0,
          hasMore: end < objects.length,
          incarnation: cursor.incarnation,
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

function cursorOf(
  incarnation: string,
  place: { readonly sequence: number; readonly chainHash: string },
): Cursor {
  const { sequence, chainHash } = place;
  return { incarnation, sequence: sequence as Cursor['sequence'], chainHash };
}

function textOfKey(key: ObjectKey): string {
  return `${key.resource}/${key.namespace}/${key.name}`;
}

function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
