/**
 * What readers and watches of a store see: the newest durable transaction and all
 * before it.
 *
 * Invariant: transactions are published in revision order, without a gap, and nothing else
 * changes what is seen.
 */
import { assert, type Revision } from '#base/mod.ts';
import { History } from './history.ts';
import type { Ring } from './retention.ts';
import { type Indexes, Tables } from './tables.ts';
import type { CommittedBatch, ObjectEvent, Watch } from './types.ts';
import { forgetDecoded, type Version } from './versions.ts';
import { Watches } from './watches.ts';

export interface HistoryBounds {
  readonly historyMaxTransactions?: number;
  readonly historyMaxBytes?: number;
}

const historyMaxTransactionsDefault = 10_000;
const historyMaxBytesDefault = 32 * 1024 * 1024;

export class StoreState {
  readonly tables: Tables;
  readonly history: History;
  readonly watches = new Watches();
  /** Of the newest durable transaction. */
  #revision = 0 as Revision;

  constructor(indexes: Indexes, bounds: HistoryBounds) {
    this.tables = new Tables(indexes);
    this.history = new History(
      bounds.historyMaxTransactions ?? historyMaxTransactionsDefault,
      bounds.historyMaxBytes ?? historyMaxBytesDefault,
    );
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** The tables hold what there was at that revision; what was before it is not known. */
  begin(revision: Revision): void {
    assert(this.#revision === 0, 'a state begins once');
    this.#revision = revision;
    this.history.begin(revision);
  }

  publish(
    { revision, chainHash }: { readonly revision: Revision; readonly chainHash: string },
    versions: readonly Version[],
    bytes: number,
    ring: Ring | undefined,
    wallMs: number,
  ): void {
    const events: ObjectEvent[] = [];
    for (const { text, type, entry, previous } of versions) {
      if (type === 'put') {
        this.tables.put(text, entry);
        if (previous === undefined) ring?.created(entry.object, wallMs);
      } else {
        this.tables.remove(text);
        ring?.removed(entry.object);
      }
      events.push({ type, object: entry.object, previous });
    }
    this.#revision = revision;
    const batch: CommittedBatch = { revision, chainHash, events };
    this.history.push(batch, bytes);
    this.watches.tell(batch);
    for (const event of events) forgetDecoded(event);
  }

  watch(from: Revision, listener: (batch: CommittedBatch) => void, resource?: string): Watch {
    const retained = this.history.since(from, this.#revision);
    return this.watches.begin(retained, this.#revision, listener, resource);
  }
}
