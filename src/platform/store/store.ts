/**
 * The store: tables over a log. Decisions see every transaction that was accepted
 * before them, durable or not; readers and watches see only durable ones.
 *
 * Invariants:
 * 1. Durable state is the fold of the log: a transaction is published from the
 *    callback of its append, in sequence, and nothing else writes the tables.
 * 2. Accepted transactions that are not yet durable lie over the tables as pending
 *    versions. When the log refuses one (no space), it refuses all behind it in the
 *    same turn, so the pending versions go all at once and every caller is told.
 * 3. The history that watches read is bounded by count and by bytes.
 */
import { assert, errorText, type Revision } from '#base/mod.ts';
import type { Clock, Disk, Logger, Random, Timers } from '#platform/io/mod.ts';
import {
  LogBusyError,
  LogFullError,
  openLog,
  type AppendOutcome,
  type CopiedFile,
  type Log,
} from '#platform/log/mod.ts';
import { StoreBusyError, StoreFullError, StoreLatchedError } from './errors.ts';
import { keyText } from './key.ts';
import { transactionsPendingMax } from './limits.ts';
import { decodeTransaction, encodeTransaction, Writer } from './record.ts';
import { type Member, retentionOf, Ring, type Retention } from './retention.ts';
import { readSnapshot, snapshotBlocks } from './snapshot.ts';
import { StoreState } from './state.ts';
import { Indexes, overlaid } from './tables.ts';
import { type Version, present, versionsOf } from './versions.ts';
import type {
  Change,
  CommittedBatch,
  Cursor,
  IndexFunction,
  ObjectKey,
  OwnedStore,
  StoredObject,
  StoreView,
  Transaction,
  Watch,
} from './types.ts';

export interface StorePorts {
  readonly disk: Disk;
  readonly random: Random;
  readonly logger: Logger;
  /** For the age of objects, where `retain` has a bound of age. */
  readonly clock?: Clock;
  /** Lets the writes of many clients share a sync (see LogPorts). */
  readonly timers?: Timers;
}

export interface StoreOptions {
  readonly indexes?: Readonly<Record<string, IndexFunction>>;
  readonly historyMaxTransactions?: number;
  readonly historyMaxBytes?: number;
  /**
   * Bytes of log after which a snapshot is written by itself; as many as the last
   * snapshot has, where those are more: to write a large store anew then stays a part
   * of what is written.
   */
  readonly snapshotEveryBytes?: number;
  readonly segmentBytesMax?: number;
  /** Makes one resource a ring: the oldest objects go as new ones come. */
  readonly retain?: Retention;
}

const snapshotEveryBytesDefault = 32 * 1024 * 1024;

interface Pending {
  readonly sequence: Revision;
  readonly versions: readonly Version[];
  readonly bytes: number;
  readonly wallMs: number;
  settle(outcome: { readonly error: Error } | undefined): void;
}

interface Overlaid {
  readonly version: Version;
  readonly sequence: Revision;
}

/** Opens or begins a store in the folder of the disk. Throws what openLog throws. */
export async function openStore(
  ports: StorePorts,
  options: StoreOptions = {},
): Promise<OwnedStore> {
  const log = await openLog(
    ports,
    options.segmentBytesMax === undefined ? {} : { segmentBytesMax: options.segmentBytesMax },
  );
  const store = new LogStore(log, ports, options);
  await store.load();
  return store;
}

class LogStore implements OwnedStore {
  readonly #log: Log;
  readonly #logger: Logger;
  readonly #clock: Clock | undefined;
  readonly #indexes: Indexes;
  readonly #state: StoreState;
  readonly #ring: Ring | undefined;
  readonly #snapshotEveryBytes: number;
  readonly #writer = new Writer();
  readonly #pendingView: StoreView;
  /** The newest accepted version of each key that is not yet durable. */
  readonly #overlay = new Map<string, Overlaid>();
  readonly #pending: Pending[] = [];
  #bytesSinceSnapshot = 0;
  #snapshotBytes = 0;
  #compaction: Promise<void> | undefined;
  #failure: unknown;
  #isClosed = false;

  constructor(log: Log, ports: StorePorts, options: StoreOptions) {
    this.#log = log;
    this.#logger = ports.logger;
    this.#clock = ports.clock;
    this.#indexes = new Indexes(options.indexes ?? {});
    this.#state = new StoreState(this.#indexes, options);
    this.#ring = options.retain === undefined ? undefined : new Ring(retentionOf(options.retain));
    this.#snapshotEveryBytes = options.snapshotEveryBytes ?? snapshotEveryBytesDefault;
    this.#pendingView = this.#makePendingView();
  }

  /** Snapshot, then the records behind it. */
  async load(): Promise<void> {
    const snapshot = this.#log.latestSnapshot();
    if (snapshot !== undefined) {
      for await (const { object, createdWallMs } of readSnapshot(snapshot)) {
        this.#state.tables.put(keyText(object.key), this.#indexes.entryOf(object));
        this.#ring?.created(object, createdWallMs);
      }
      this.#state.begin(snapshot.sequence as Revision);
    } else this.#state.begin(0 as Revision);
    for await (const record of this.#log.read(this.#state.revision + 1)) {
      const { wallMs, changes } = decodeTransaction(record.payload);
      const revision = record.sequence as Revision;
      assert(revision === this.#state.revision + 1, 'records follow each other without a gap');
      const versions = versionsOf(changes, revision, this.#indexes, (text) => this.#newest(text));
      const place = { revision, chainHash: record.chainHash };
      this.#state.publish(place, versions, record.payload.length, this.#ring, wallMs);
    }
    assert(this.#state.revision === this.#log.head().sequence, 'the whole log was read');
  }

  get incarnation(): string {
    return this.#log.incarnation;
  }

  get formerIncarnations(): readonly string[] {
    return this.#log.incarnations.slice(0, -1);
  }

  beginIncarnation(): Promise<void> {
    return this.#log.beginIncarnation();
  }

  async copy(): Promise<readonly CopiedFile[]> {
    // One that is under way may have begun before what is to be in the copy.
    await this.#compaction?.catch(() => undefined);
    await this.compact();
    return await this.#log.copy();
  }

  get isLatched(): boolean {
    return this.#failure !== undefined;
  }

  get revision(): Revision {
    return this.#state.revision;
  }

  get oldestWatchable(): Revision {
    return this.#state.history.oldestWatchable;
  }

  head(): Cursor {
    const cursor = this.cursorAt(this.#state.revision);
    assert(cursor !== undefined, 'the log knows its own head');
    return cursor;
  }

  cursorAt(sequence: Revision): Cursor | undefined {
    if (sequence > this.#state.revision) return undefined;
    const found = this.#log.cursorAt(sequence);
    return found === undefined ? undefined : { ...found, sequence };
  }

  get(key: ObjectKey): StoredObject | undefined {
    return this.#state.tables.entry(keyText(key))?.object;
  }

  list(resource: string, namespace?: string): readonly StoredObject[] {
    return this.#state.tables.list(resource, namespace);
  }

  lookup(index: string, value: string): readonly StoredObject[] {
    return this.#state.tables.lookup(index, value);
  }

  transact<Result>(
    decide: (view: StoreView) => Transaction<Result>,
  ): Promise<{ readonly revision: Revision; readonly result: Result }> {
    return new Promise((resolve, reject) => {
      this.#refuseWhenLatched();
      if (this.#pending.length >= transactionsPendingMax) {
        throw new StoreBusyError(`${transactionsPendingMax} transactions`);
      }
      const { changes, result } = decide(this.#pendingView);
      const last = this.#pending.at(-1);
      if (changes.length === 0) {
        const revision = last?.sequence ?? this.#state.revision;
        if (last === undefined) resolve({ revision, result });
        else this.#afterLast(last, () => resolve({ revision, result }), reject);
        return;
      }
      const revision = this.#log.nextSequence() as Revision;
      const all = this.#ring === undefined ? changes : [...changes, ...this.#evictions(changes)];
      const wallMs = this.#clock?.wallMs() ?? 0;
      const record = encodeTransaction(this.#writer, wallMs, all);
      const versions = versionsOf(all, revision, this.#indexes, (text) => this.#newest(text));
      const pending: Pending = {
        sequence: revision,
        versions,
        bytes: record.length,
        wallMs,
        settle: (refused) => {
          if (refused === undefined) resolve({ revision, result });
          else reject(refused.error);
        },
      };
      this.#append(record, pending);
    });
  }

  watch(from: Revision, listener: (batch: CommittedBatch) => void, resource?: string): Watch {
    return this.#state.watch(from, listener, resource);
  }

  everything(): readonly StoredObject[] {
    return [...this.#state.tables.all()];
  }

  compact(): Promise<void> {
    this.#compaction ??= this.#writeSnapshot().finally(() => {
      this.#compaction = undefined;
    });
    return this.#compaction;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#compaction?.catch(() => undefined);
    await this.#log.close();
    this.#state.watches.clear();
  }

  #refuseWhenLatched(): void {
    if (this.#isClosed) throw new StoreLatchedError('the store is closed');
    if (this.#failure !== undefined) throw new StoreLatchedError(this.#failure);
  }

  /** Calls one of the two when the transaction has settled, before anything behind it. */
  #afterLast(last: Pending, done: () => void, failed: (error: Error) => void): void {
    const position = this.#pending.indexOf(last);
    assert(position !== -1, 'a pending transaction is in the queue');
    this.#pending[position] = {
      ...last,
      settle(refused) {
        last.settle(refused);
        if (refused === undefined) done();
        else failed(refused.error);
      },
    };
  }

  #append(record: Uint8Array, pending: Pending): void {
    try {
      const sequence = this.#log.append(record, (outcome) => this.#settled(outcome));
      assert(sequence === pending.sequence, 'the log gives the sequence that it announced');
    } catch (error) {
      if (error instanceof LogBusyError) throw new StoreBusyError(error);
      throw new StoreLatchedError(error);
    }
    this.#pending.push(pending);
    for (const version of pending.versions) {
      this.#overlay.set(version.text, { version, sequence: pending.sequence });
    }
  }

  #settled(outcome: AppendOutcome): void {
    const pending = this.#pending.shift();
    assert(pending !== undefined, 'the log settles what was appended');
    if (outcome.type === 'refused') {
      this.#overlay.clear();
      const full = outcome.error instanceof LogFullError;
      if (!full) this.#failure ??= outcome.error;
      pending.settle({
        error: full ? new StoreFullError(outcome.error) : new StoreLatchedError(outcome.error),
      });
      return;
    }
    assert(outcome.sequence === pending.sequence, 'transactions become durable in order');
    for (const version of pending.versions) {
      if (this.#overlay.get(version.text)?.sequence === pending.sequence) {
        this.#overlay.delete(version.text);
      }
    }
    try {
      const { sequence, versions, bytes, wallMs } = pending;
      const place = { revision: sequence, chainHash: outcome.chainHash };
      this.#state.publish(place, versions, bytes, this.#ring, wallMs);
    } catch (error) {
      // A listener broke its promise: what it leads to is unknown, so nothing more is taken.
      this.#failure ??= error;
      this.#logger.log('error', 'a watch of the store threw; no more writes are taken', {
        error: errorText(error),
      });
    }
    pending.settle(undefined);
    this.#bytesSinceSnapshot += pending.bytes;
    const dueBytes = Math.max(this.#snapshotEveryBytes, this.#snapshotBytes);
    if (this.#bytesSinceSnapshot > dueBytes && this.#compaction === undefined) {
      this.compact().catch((error: unknown) => {
        this.#logger.log('warn', 'the store could not write a snapshot; it tries again later', {
          error: errorText(error),
        });
      });
    }
  }

  #newest(text: string): StoredObject | undefined {
    const pending = this.#overlay.get(text);
    return pending === undefined
      ? this.#state.tables.entry(text)?.object
      : present(pending.version);
  }

  /** Deletions that keep the ring within its bounds once `changes` are in it. */
  #evictions(changes: readonly Change[]): Change[] {
    const ring = this.#ring;
    if (ring === undefined) return [];
    const removed = new Set<string>();
    let creates = 0;
    for (const change of changes) {
      if (!ring.holds(change.key)) continue;
      const text = keyText(change.key);
      if (change.type === 'delete') removed.add(text);
      else if (this.#newest(text) === undefined) creates += 1;
    }
    if (creates === 0) return [];
    const wallMs = this.#clock?.wallMs() ?? 0;
    const coming: Member[] = [];
    for (const [text, { version }] of this.#overlay) {
      const { key, uid } = version.entry.object;
      if (!ring.holds(key)) continue;
      if (version.type === 'delete') removed.add(text);
      else if (!ring.has(text) && !removed.has(text)) {
        coming.push({ key, uid, createdWallMs: wallMs });
      }
    }
    let size = ring.size + coming.length + creates;
    for (const text of removed) if (ring.has(text)) size -= 1;
    const members = function* (): Generator<Member> {
      yield* ring.without(removed);
      yield* coming;
    };
    return ring
      .beyond(members(), size, wallMs)
      .map(({ key, uid }) => ({ type: 'delete' as const, key, uid }));
  }

  async #writeSnapshot(): Promise<void> {
    this.#refuseWhenLatched();
    const sequence = this.#state.revision;
    if (sequence === 0) return;
    this.#bytesSinceSnapshot = 0;
    const objects = [...this.#state.tables.all()];
    const ring = this.#ring;
    try {
      let sizeBytes = 0;
      await this.#log.writeSnapshot(
        sequence,
        snapshotBlocks(
          objects,
          (object) => ring?.createdWallMs(object) ?? 0,
          (blockBytes) => (sizeBytes += blockBytes),
        ),
      );
      this.#snapshotBytes = sizeBytes;
      // Records that watches and cursors may still name stay.
      await this.#log.compact(Math.min(sequence, this.#state.history.oldestWatchable) + 1);
    } catch (error) {
      if (error instanceof LogFullError) throw new StoreFullError(error);
      this.#failure ??= error;
      throw new StoreLatchedError(error);
    }
  }

  #makePendingView(): StoreView {
    const log = this.#log;
    const tables = this.#state.tables;
    const overlay = this.#overlay;
    const newest = (key: ObjectKey): StoredObject | undefined => this.#newest(keyText(key));
    const position = (index: string): number => this.#indexes.positionOf(index);
    const overlays = function* (
      ofResource: string | undefined,
    ): Generator<readonly [string, StoredObject | undefined]> {
      for (const [text, { version }] of overlay) {
        if (ofResource !== undefined && version.entry.object.key.resource !== ofResource) continue;
        yield [text, present(version)];
      }
    };
    return {
      get revision() {
        return (log.nextSequence() - 1) as Revision;
      },
      get: newest,
      list(resource, namespace) {
        const base = tables.list(resource, namespace);
        if (overlay.size === 0) return base;
        return overlaid(
          base,
          overlays(resource),
          (object) => namespace === undefined || object.key.namespace === namespace,
        );
      },
      lookup(index, value) {
        const base = tables.lookup(index, value);
        if (overlay.size === 0) return base;
        const at = position(index);
        return overlaid(base, overlays(undefined), (object) => {
          const found = overlay.get(keyText(object.key));
          return found?.version.entry.values[at]?.includes(value) === true;
        });
      },
    };
  }
}
