/**
 * What a child has to tell and has not been able to: on disk first, then sent in
 * sequence, dropped when the parent has it.
 *
 * Invariants:
 * 1. An entry's sequence is that of its record in the log, and so is never used twice
 *    within one incarnation.
 * 2. An undelivered report gives way to a newer one of the same object (same key
 *    and uid), and to nothing else.
 * 3. Events beyond the budget go oldest first, those not yet sent only; one gap
 *    entry in the place of the last of them says how many.
 * 4. That the parent has an entry is written down with every
 *    `acknowledgementsPerRecord` entries only. Forgetting it is harmless: the
 *    parent says at the start of a session how far it is.
 * 5. A parent that has more than was on this disk when it was opened knows sequences
 *    that this disk has lost: then what follows is delivered under a new incarnation,
 *    as it would be taken for what the parent has, and a gap says that entries may be
 *    missing: more may have been lost than the parent has.
 */
import { assert, errorText, isJsonObject, isSabotaged, strictTextOf, utf8 } from '#base/mod.ts';
import type { Clock, Disk, Logger, Random, Timers } from '#platform/io/mod.ts';
import { openLog, type Log } from '#platform/log/mod.ts';
import type { LinkSession, LinkStream } from '#platform/wire/mod.ts';
import { SyncError } from './errors.ts';
import type { EntryPosition, Outbox, UpwardEntry } from './types.ts';
import { entryBytesMax, parseUpwardEntry } from './upward-entry.ts';

export interface OutboxDependencies {
  /** A folder of its own. */
  readonly disk: Disk;
  readonly random: Random;
  readonly clock?: Clock;
  readonly timers?: Timers;
  readonly logger: Logger;
  /** Called once, when a failure of the disk has ended all writing: only a new start helps. */
  readonly onLatched?: () => void;
}

export interface OutboxLimits {
  readonly eventsMax: number;
  readonly eventBytesMax: number;
  /** Objects with an undelivered report. */
  readonly reportsMax: number;
}

const defaultLimits: OutboxLimits = {
  eventsMax: 2000,
  eventBytesMax: 2 * 1024 * 1024,
  reportsMax: 8192,
};
const unacknowledgedMax = 256;
const messageBytesTarget = 64 * 1024;
const entriesPerMessageMax = 64;
const acknowledgementsPerRecord = 64;
const restartsPerSessionMax = 3;
const segmentBytesMax = 1024 * 1024;
const compactAfterBytes = 2 * 1024 * 1024;

interface Pending {
  readonly sequence: number;
  readonly entry: UpwardEntry;
  /** The entry as it goes over the wire. */
  readonly text: string;
}

/** Opens what is on disk. Throws what the log throws (LogDamagedError). */
export async function openOutbox(
  dependencies: OutboxDependencies,
  limits: Partial<OutboxLimits> = {},
): Promise<Outbox> {
  const { disk, random, logger, onLatched } = dependencies;
  const log = await openLog(
    { disk, random, logger, ...(onLatched === undefined ? {} : { onLatched }) },
    { segmentBytesMax },
  );
  const outbox = new DiskOutbox(log, logger, random, { ...defaultLimits, ...limits });
  await outbox.load();
  return outbox;
}

class DiskOutbox implements Outbox {
  readonly #log: Log;
  readonly #logger: Logger;
  readonly #random: Random;
  readonly #limits: OutboxLimits;
  #incarnation: string;
  /** The last sequence that was on disk when it was opened; undefined once a parent has seen it. */
  #openedAt: number | undefined;
  /** The same, for good. */
  #lastAtOpen = 0;
  #hasDeclaredLoss = false;
  /** By sequence, rising. */
  #pending = new Map<number, Pending>();
  readonly #reports = new Map<string, number>();
  #eventCount = 0;
  #eventBytes = 0;
  /** Entries before this are with the parent. */
  #acknowledged = 0;
  #acknowledgedOnDisk = 0;
  /** The highest that this session has sent. */
  #sent = 0;
  #unacknowledged = 0;
  #stream: LinkStream | undefined;
  #isReady = false;
  #isSending = false;
  #isClosed = false;
  #snapshotBytes = 0;
  #isCompacting = false;

  constructor(log: Log, logger: Logger, random: Random, limits: OutboxLimits) {
    this.#log = log;
    this.#logger = logger;
    this.#random = random;
    this.#incarnation = log.incarnation;
    this.#limits = limits;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  async put(entry: UpwardEntry): Promise<EntryPosition> {
    if (this.#isClosed) throw new SyncError('SYNC_CLOSED', 'the outbox is closed');
    const text = JSON.stringify(entry);
    if (text.length > entryBytesMax) {
      throw new SyncError('SYNC_TOO_LARGE', `an entry has at most ${entryBytesMax} bytes`);
    }
    const isNewReport = entry.type === 'report' && !this.#reports.has(reportKey(entry));
    if (isNewReport && this.#reports.size >= this.#limits.reportsMax) {
      const message = `${this.#limits.reportsMax} objects have undelivered reports`;
      throw new SyncError('SYNC_OUTBOX_FULL', message, { retryable: true });
    }
    const dropped = entry.type === 'event' ? this.#makeRoom(text.length) : [];
    const gap = dropped.length > 0 ? this.#declareGap(dropped) : undefined;
    const loss =
      gap === undefined ? '' : `,"dropped":${JSON.stringify(dropped)},"gap":${JSON.stringify(gap)}`;
    const record = utf8(`{"entry":${text}${loss}}`);
    // Added in the turn in which it is durable: a snapshot at the log's head then has it.
    const put = await new Promise<EntryPosition>((resolve, reject) => {
      this.#log.append(record, (outcome) => {
        if (outcome.type === 'refused') {
          reject(outcome.error);
          return;
        }
        const { sequence } = outcome;
        this.#add({ sequence, entry, text });
        resolve({ incarnation: this.#log.incarnation, sequence });
      });
    });
    this.#send();
    this.#compactWhenLarge();
    return put;
  }

  async declareLoss(known: readonly EntryPosition[]): Promise<void> {
    const { incarnation } = this.#log;
    const beyond = known.filter(
      (one) => one.incarnation === incarnation && one.sequence > this.#lastAtOpen,
    );
    if (beyond.length === 0 || isSabotaged('reuse-a-sequence')) return;
    this.#logger.log('error', 'the disk has lost the end of the outbox', {
      found: this.#lastAtOpen,
      known: Math.max(...beyond.map(({ sequence }) => sequence)),
    });
    await this.#putLoss();
  }

  async #putLoss(): Promise<void> {
    if (this.#hasDeclaredLoss) return;
    this.#hasDeclaredLoss = true;
    await this.put({ type: 'gap', cause: 'disk' });
  }

  deliver(session: LinkSession): void {
    assert(this.#stream === undefined, 'an outbox delivers over one session at a time');
    let restarts = 0;
    let isOver = false;
    session.onClose(() => {
      isOver = true;
    });
    const begin = (): void => {
      this.#deliverOnce(session, (reason) => {
        if (isOver || this.#isClosed) return;
        restarts += 1;
        this.#logger.log('warn', 'delivery ended and starts again', { reason });
        if (restarts > restartsPerSessionMax) {
          session.close({
            code: 'SYNC_NOT_DELIVERED',
            message: `delivery does not hold: ${reason}`,
          });
        } else begin();
      });
    };
    begin();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stream?.fail({ code: 'SYNC_CLOSED', message: 'the sender has shut down' });
    if (this.#acknowledged > this.#acknowledgedOnDisk) {
      await this.#log.appendDurably(this.#acknowledgement()).catch(() => undefined);
    }
    await this.#log.close();
  }

  async load(): Promise<void> {
    let from = 1;
    const snapshot = this.#log.latestSnapshot();
    if (snapshot !== undefined) {
      for await (const block of snapshot.blocks()) this.#replay(block, undefined);
      from = snapshot.sequence + 1;
    }
    if (this.#log.oldestSequence() <= this.#log.head().sequence) {
      const oldest = Math.max(from, this.#log.oldestSequence());
      for await (const record of this.#log.read(oldest))
        this.#replay(record.payload, record.sequence);
    }
    this.#lastAtOpen = this.#log.head().sequence;
    this.#openedAt = this.#lastAtOpen;
    this.#acknowledgedOnDisk = this.#acknowledged;
    this.#snapshotBytes = this.#log.sizeBytes();
  }

  /** A record of the log, or (without a sequence) of a snapshot. */
  #replay(payload: Uint8Array, recordSequence: number | undefined): void {
    const record: unknown = JSON.parse(strictTextOf(payload));
    assert(isJsonObject(record), 'a record of the outbox is an object');
    const { acknowledged, dropped, gap, incarnation } = record;
    if (typeof acknowledged === 'number') {
      if (typeof incarnation === 'string') this.#incarnation = incarnation;
      this.#acknowledge(acknowledged);
      return;
    }
    if (Array.isArray(dropped)) for (const sequence of dropped) this.#remove(Number(sequence));
    if (isJsonObject(gap)) this.#placeGap(Number(gap['sequence']), Number(gap['droppedCount']));
    const entry = parseUpwardEntry(record['entry']);
    assert(!('refused' in entry), 'what was put into the outbox can be read');
    const sequence = recordSequence ?? Number(record['sequence']);
    this.#add({ sequence, entry, text: JSON.stringify(entry) });
  }

  #add(pending: Pending): void {
    const { entry, sequence, text } = pending;
    this.#pending.set(sequence, pending);
    if (entry.type === 'event') {
      this.#eventCount += 1;
      this.#eventBytes += text.length;
    }
    if (entry.type !== 'report') return;
    const key = reportKey(entry);
    const older = this.#reports.get(key);
    if (older !== undefined) this.#remove(older);
    this.#reports.set(key, sequence);
  }

  #remove(sequence: number): void {
    const pending = this.#pending.get(sequence);
    if (pending === undefined) return;
    this.#pending.delete(sequence);
    const { entry, text } = pending;
    if (entry.type === 'event') {
      this.#eventCount -= 1;
      this.#eventBytes -= text.length;
    }
    if (entry.type === 'report' && this.#reports.get(reportKey(entry)) === sequence) {
      this.#reports.delete(reportKey(entry));
    }
  }

  /** The events that must go so that one of `sizeBytes` has room, already dropped here. */
  #makeRoom(sizeBytes: number): number[] {
    const { eventsMax, eventBytesMax } = this.#limits;
    const dropped: number[] = [];
    if (this.#eventCount < eventsMax && this.#eventBytes + sizeBytes <= eventBytesMax)
      return dropped;
    for (const [sequence, { entry }] of this.#pending) {
      const isFull = this.#eventCount >= eventsMax || this.#eventBytes + sizeBytes > eventBytesMax;
      if (!isFull) break;
      if (entry.type !== 'event' || sequence <= this.#sent) continue;
      this.#remove(sequence);
      dropped.push(sequence);
    }
    return dropped;
  }

  /** One gap for all that was dropped and not yet declared. */
  #declareGap(dropped: readonly number[]): { sequence: number; droppedCount: number } {
    let droppedCount = dropped.length;
    for (const [sequence, { entry }] of this.#pending) {
      if (!isSpaceGap(entry) || sequence <= this.#sent) continue;
      droppedCount += entry.droppedCount;
      this.#pending.delete(sequence);
    }
    const sequence = dropped.at(-1);
    assert(sequence !== undefined, 'a gap stands for something');
    this.#placeGap(sequence, droppedCount);
    return { sequence, droppedCount };
  }

  #placeGap(sequence: number, droppedCount: number): void {
    const entry: UpwardEntry = { type: 'gap', cause: 'space', class: 'event', droppedCount };
    for (const [other, { entry: standing }] of this.#pending) {
      if (isSpaceGap(standing) && other > this.#sent) this.#pending.delete(other);
    }
    this.#pending.set(sequence, { sequence, entry, text: JSON.stringify(entry) });
    // Back into order: it stands where what it replaces stood.
    this.#pending = new Map([...this.#pending].sort(([left], [right]) => left - right));
  }

  #acknowledge(sequence: number): void {
    for (const pending of this.#pending.keys()) {
      if (pending > sequence) break;
      this.#remove(pending);
    }
    this.#acknowledged = Math.max(this.#acknowledged, sequence);
  }

  #deliverOnce(session: LinkSession, onEnd: (reason: string) => void): void {
    const stream = session.open('status', 'outbox.deliver', {
      outboxIncarnation: this.#incarnation,
    });
    this.#stream = stream;
    this.#isReady = false;
    this.#sent = 0;
    this.#unacknowledged = 0;
    stream.onMessage((message) => {
      const applied = appliedIn(message);
      if (applied === undefined) {
        stream.fail({ code: 'SYNC_MALFORMED', message: 'an acknowledgement names a sequence' });
        return;
      }
      const openedAt = this.#openedAt;
      this.#openedAt = undefined;
      const hasLostEnd = openedAt !== undefined && applied > openedAt;
      if (hasLostEnd && !isSabotaged('reuse-a-sequence')) {
        this.#beginAnew(stream, openedAt, applied);
        return;
      }
      if (!this.#isReady) this.#sent = Math.max(this.#sent, applied);
      this.#isReady = true;
      this.#acknowledge(applied);
      this.#unacknowledged = 0;
      for (const sequence of this.#pending.keys()) {
        if (sequence > this.#sent) break;
        this.#unacknowledged += 1;
      }
      this.#noteAcknowledged();
      this.#send();
    });
    stream.onClose((failure) => {
      if (this.#stream === stream) this.#stream = undefined;
      this.#sent = 0;
      onEnd(failure?.message ?? 'the parent ended it');
    });
  }

  /** What was put since goes to the parent under a new incarnation; what was there it has. */
  #beginAnew(stream: LinkStream, openedAt: number, applied: number): void {
    this.#logger.log('error', 'the disk has lost the end of the outbox; a new one begins', {
      found: openedAt,
      delivered: applied,
    });
    this.#acknowledge(openedAt);
    this.#incarnation = this.#random.uuid();
    const message = 'the disk has lost the end of this outbox';
    const again = (): void => stream.fail({ code: 'SYNC_OUTBOX_LOST', message });
    this.#log
      .appendDurably(this.#acknowledgement())
      .then(() => this.#putLoss())
      .then(again, again);
  }

  #acknowledgement(): Uint8Array {
    const incarnation = this.#incarnation;
    const isOwn = incarnation === this.#log.incarnation;
    return utf8(
      JSON.stringify({ acknowledged: this.#acknowledged, ...(isOwn ? {} : { incarnation }) }),
    );
  }

  #noteAcknowledged(): void {
    if (this.#acknowledged - this.#acknowledgedOnDisk < acknowledgementsPerRecord) return;
    this.#acknowledgedOnDisk = this.#acknowledged;
    this.#log.appendDurably(this.#acknowledgement()).catch((thrown: unknown) => {
      this.#logger.log('warn', 'an acknowledgement was not kept', { error: errorText(thrown) });
    });
    this.#compactWhenLarge();
  }

  #send(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    const finish = (): void => {
      this.#isSending = false;
    };
    // A failed stream is told to its close listener, which begins again.
    this.#sendAll().then(finish, finish);
  }

  async #sendAll(): Promise<void> {
    for (;;) {
      const stream = this.#stream;
      if (stream === undefined || !this.#isReady || this.#isClosed) return;
      const batch = this.#nextBatch();
      if (batch.length === 0) return;
      this.#sent = batch.at(-1)?.sequence ?? this.#sent;
      this.#unacknowledged += batch.length;
      const entries = batch.map((pending) => `[${pending.sequence},${pending.text}]`);
      await stream.send(utf8(`[${entries.join(',')}]`));
    }
  }

  #nextBatch(): Pending[] {
    const batch: Pending[] = [];
    let sizeBytes = 0;
    const room = Math.min(entriesPerMessageMax, unacknowledgedMax - this.#unacknowledged);
    for (const pending of this.#pending.values()) {
      if (pending.sequence <= this.#sent) continue;
      if (batch.length >= room || sizeBytes >= messageBytesTarget) break;
      batch.push(pending);
      sizeBytes += pending.text.length;
    }
    return batch;
  }

  #compactWhenLarge(): void {
    if (this.#isCompacting || this.#log.sizeBytes() - this.#snapshotBytes < compactAfterBytes)
      return;
    this.#isCompacting = true;
    this.#compact()
      .catch((thrown: unknown) => {
        this.#logger.log('warn', 'the outbox was not compacted', { error: errorText(thrown) });
      })
      .finally(() => {
        this.#isCompacting = false;
        this.#snapshotBytes = this.#log.sizeBytes();
      });
  }

  async #compact(): Promise<void> {
    const head = this.#log.head().sequence;
    const blocks = [this.#acknowledgement()];
    for (const { sequence, text } of this.#pending.values()) {
      if (sequence <= head) blocks.push(utf8(`{"sequence":${sequence},"entry":${text}}`));
    }
    await this.#log.writeSnapshot(head, blocks);
    await this.#log.compact(head + 1);
  }
}

function isSpaceGap(
  entry: UpwardEntry,
): entry is Extract<UpwardEntry, { type: 'gap'; cause: 'space' }> {
  return entry.type === 'gap' && entry.cause === 'space';
}

function reportKey(entry: Extract<UpwardEntry, { type: 'report' }>): string {
  const { resource, namespace, name } = entry.key;
  return `${resource}/${namespace}/${name}/${entry.uid}`;
}

function appliedIn(message: Uint8Array): number | undefined {
  try {
    const value: unknown = JSON.parse(strictTextOf(message));
    if (!isJsonObject(value)) return undefined;
    const { applied } = value;
    return typeof applied === 'number' && Number.isSafeInteger(applied) && applied >= 0
      ? applied
      : undefined;
  } catch {
    return undefined;
  }
}
