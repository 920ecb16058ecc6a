/**
 * What a store holds and promises. An object is kept as facets, each written by
 * one tier; a transaction changes facets of any number of objects at one revision.
 *
 * Invariants:
 * 1. Revisions rise by one per transaction; all its changes carry the same one.
 * 2. A reader sees whole transactions, only durable ones, in revision order.
 * 3. A uid belongs to one key for ever; a key whose object was deleted gets a new uid.
 * 4. A watch delivers every transaction after its start exactly once, in order,
 *    or refuses to start (CompactedError).
 */
import type { JsonObject, Revision, Uid } from '#base/mod.ts';
import type { CopiedFile } from '#platform/log/mod.ts';

export type Facet = 'intent' | 'assignment' | 'report' | 'verdict';

export interface ObjectKey {
  /** `<plural>` for the core group, else `<plural>.<group>`. */
  readonly resource: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
}

export interface FacetValue {
  /** Of the transaction that last wrote this facet. */
  readonly revision: Revision;
  /** UTF-8 JSON of the facet, kept verbatim. */
  readonly bytes: Uint8Array;
  /**
   * What the bytes say, left here by who wrote them or has read them first, for the
   * next one. Not part of the value; shared, so nobody changes it.
   */
  decoded?: JsonObject | undefined;
  /**
   * What the facet's writer keeps beside it for itself, such as who set which field.
   * Durable, but no part of the value: nobody who follows this store is sent it.
   */
  readonly note?: string;
}

/** One object as of one revision. Never modified; a change makes a new one. */
export interface StoredObject {
  readonly key: ObjectKey;
  readonly uid: Uid;
  readonly createdRevision: Revision;
  /** The highest of its facets' revisions; of the deletion in a `delete` event. */
  readonly revision: Revision;
  readonly facets: Readonly<Partial<Record<Facet, FacetValue>>>;
}

export type Change =
  | {
      readonly type: 'put';
      readonly key: ObjectKey;
      readonly uid: Uid;
      readonly facet: Facet;
      /** Handed over: nobody changes it any more. Kept as it is where it fills its memory. */
      readonly bytes: Uint8Array;
      /** What the bytes say, of who has it at hand; nobody changes it any more. */
      readonly decoded?: JsonObject;
      /** Undefined: the facet keeps the note that it has. Empty: it has none any more. */
      readonly note?: string;
    }
  | { readonly type: 'delete'; readonly key: ObjectKey; readonly uid: Uid };

export interface ObjectEvent {
  readonly type: 'put' | 'delete';
  /** After the change; for `delete` the last state, at the revision of the deletion. */
  readonly object: StoredObject;
  /** Before the transaction; undefined where this transaction created the object. */
  readonly previous: StoredObject | undefined;
}

/** One committed transaction as watches see it: one event per object it touched. */
export interface CommittedBatch {
  readonly revision: Revision;
  /** Hexadecimal chained hash of the log up to and with this transaction. */
  readonly chainHash: string;
  readonly events: readonly ObjectEvent[];
}

/** A place in one store's history: provably the same history where all three agree. */
export interface Cursor {
  readonly incarnation: string;
  readonly sequence: Revision;
  readonly chainHash: string;
}

export interface StoreView {
  /** Of the newest transaction in this view. */
  readonly revision: Revision;
  get(key: ObjectKey): StoredObject | undefined;
  /** Sorted by namespace, then name, both by code unit. */
  list(resource: string, namespace?: string): readonly StoredObject[];
  /** Objects whose index function returned `value`, sorted by key. */
  lookup(index: string, value: string): readonly StoredObject[];
}

/** What an index extracts from an object; called once per stored version, must not throw. */
export type IndexFunction = (object: StoredObject) => readonly string[];

export interface Transaction<Result> {
  readonly changes: readonly Change[];
  readonly result: Result;
}

export interface Watch {
  close(): void;
}

export interface Store extends StoreView {
  readonly incarnation: string;
  /** True once a write or sync has failed: this process takes no more writes. */
  readonly isLatched: boolean;
  /** Watches may start at this revision or later. */
  readonly oldestWatchable: Revision;
  head(): Cursor;
  /** Undefined where the log no longer reaches back to, or not yet as far as, `sequence`. */
  cursorAt(sequence: Revision): Cursor | undefined;
  /**
   * Decides and commits at once: `decide` sees every transaction before this one
   * (also those not yet durable) and may run again on a newer view, so it must be
   * pure. No changes: nothing is written, and the answer carries the view's
   * revision once that is durable. Resolves after the changes are on disk and
   * visible to readers and watches. Rejects with what `decide` threw, StoreFullError
   * (no space; nothing changed) or StoreLatchedError (a sync failed; the store
   * takes no more writes).
   */
  transact<Result>(
    decide: (view: StoreView) => Transaction<Result>,
  ): Promise<{ readonly revision: Revision; readonly result: Result }>;
  /**
   * Calls `listener` for every transaction after `from`: retained ones at once,
   * before this returns, later ones as they commit. Who is interested in one resource
   * says so, and may be spared transactions that do not touch it. Throws CompactedError
   * when `from` < oldestWatchable, and FutureRevisionError when it is beyond the head.
   */
  watch(from: Revision, listener: (batch: CommittedBatch) => void, resource?: string): Watch;
  /** Writes a snapshot and lets go of the log before what watches may still ask for. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

/** A store with what only its owner may do: back it up, and begin a new incarnation. */
export interface OwnedStore extends Store {
  /** Every object of now, by resource, namespace and name. */
  everything(): readonly StoredObject[];
  /** Incarnations that this history went through before the present one, oldest first. */
  readonly formerIncarnations: readonly string[];
  /**
   * From now on cursors name a new incarnation, so that every follower takes the whole
   * of this store. Durable when it resolves.
   */
  beginIncarnation(): Promise<void>;
  /**
   * All of it at one revision, which holds at least what was acknowledged before the
   * call, as files that open as the same store. Each must be read to its end.
   */
  copy(): Promise<readonly CopiedFile[]>;
}
