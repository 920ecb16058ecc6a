/**
 * A copy of a store that another process owns, fed by its feed: for reading and
 * watching. It never writes.
 *
 * Invariants:
 * 1. It holds exactly what the owner held at its revision, and passes every transaction
 *    after the first on to watches, in order, without a gap.
 * 2. Nothing can be read before the first whole state is there.
 */
import { assert, type Revision } from '#base/mod.ts';
import { StoreLatchedError } from './errors.ts';
import { feedMessage } from './feed.ts';
import { keyText } from './key.ts';
import { decodeObject, decodeTransaction, Reader } from './record.ts';
import { type HistoryBounds, StoreState } from './state.ts';
import { Indexes } from './tables.ts';
import type {
  CommittedBatch,
  Cursor,
  IndexFunction,
  ObjectKey,
  Store,
  StoredObject,
  Watch,
} from './types.ts';
import { versionsOf } from './versions.ts';

export interface StoreCopy extends Store {
  /** Takes one message of the feed. Throws where it does not follow what was taken before. */
  take(message: Uint8Array): void;
  /** Resolves once the copy has reached that revision; at once where it has. */
  reached(revision: number): Promise<void>;
}

export function createStoreCopy(
  options: { readonly indexes?: Readonly<Record<string, IndexFunction>> } & HistoryBounds = {},
): StoreCopy {
  return new FedCopy(options.indexes ?? {}, options);
}

class FedCopy implements StoreCopy {
  readonly #indexes: Indexes;
  readonly #state: StoreState;
  #waiting: { readonly revision: number; readonly done: () => void }[] = [];
  #begun: { incarnation: string; chainHash: string } | undefined;

  constructor(indexes: Readonly<Record<string, IndexFunction>>, bounds: HistoryBounds) {
    this.#indexes = new Indexes(indexes);
    this.#state = new StoreState(this.#indexes, bounds);
  }

  take(message: Uint8Array): void {
    const reader = new Reader(message);
    const type = reader.byte();
    if (type === feedMessage.objects) this.#takeObjects(new Reader(reader.bytes()));
    else if (type === feedMessage.begins) this.#begin(reader);
    else if (type === feedMessage.transactions) {
      while (!reader.isAtEnd) this.#takeTransaction(reader);
      this.#tellReached();
    } else throw new RangeError(`message ${type} of a feed is not known`);
  }

  #takeObjects(reader: Reader): void {
    assert(this.#begun === undefined, 'objects come before the first transaction');
    while (!reader.isAtEnd) {
      const { object } = decodeObject(reader);
      this.#state.tables.put(keyText(object.key), this.#indexes.entryOf(object));
    }
  }

  #begin(reader: Reader): void {
    assert(this.#begun === undefined, 'a feed begins once');
    const revision = reader.number() as Revision;
    const chainHash = reader.text();
    this.#begun = { chainHash, incarnation: reader.text() };
    this.#state.begin(revision);
    this.#tellReached();
  }

  #takeTransaction(reader: Reader): void {
    const revision = reader.number() as Revision;
    const chainHash = reader.text();
    const record = reader.bytes();
    const { tables } = this.#state;
    assert(this.#begun !== undefined, 'transactions come after the first state');
    assert(revision === this.#state.revision + 1, 'a feed has no gap');
    const { changes } = decodeTransaction(record);
    const newest = (text: string): StoredObject | undefined => tables.entry(text)?.object;
    const versions = versionsOf(changes, revision, this.#indexes, newest);
    this.#begun.chainHash = chainHash;
    this.#state.publish({ revision, chainHash }, versions, record.length, undefined, 0);
  }

  reached(revision: number): Promise<void> {
    if (this.#begun !== undefined && this.#state.revision >= revision) return Promise.resolve();
    return new Promise((done) => {
      this.#waiting.push({ revision, done });
    });
  }

  /** In the order in which they began to wait. */
  #tellReached(): void {
    const { revision } = this.#state;
    const reached = this.#waiting.filter((waiting) => waiting.revision <= revision);
    if (reached.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => waiting.revision > revision);
    for (const { done } of reached) done();
  }

  get incarnation(): string {
    return this.#place().incarnation;
  }

  get isLatched(): boolean {
    return false;
  }

  get revision(): Revision {
    return this.#state.revision;
  }

  get oldestWatchable(): Revision {
    return this.#state.history.oldestWatchable;
  }

  head(): Cursor {
    return { ...this.#place(), sequence: this.#state.revision };
  }

  cursorAt(sequence: Revision): Cursor | undefined {
    return sequence === this.#state.revision ? this.head() : undefined;
  }

  #place(): { readonly incarnation: string; readonly chainHash: string } {
    assert(this.#begun !== undefined, 'a copy is read once its first state is there');
    return this.#begun;
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

  watch(from: Revision, listener: (batch: CommittedBatch) => void, resource?: string): Watch {
    return this.#state.watch(from, listener, resource);
  }

  transact(): Promise<never> {
    return Promise.reject(new StoreLatchedError('a copy takes no writes: they go to its owner'));
  }

  compact(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#state.watches.clear();
    return Promise.resolve();
  }
}
