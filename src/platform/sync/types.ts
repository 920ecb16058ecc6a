/**
 * Sync carries a slice of one store down the link and what was observed up it.
 *
 * Down: the stream `slice.follow` (control lane). The follower names its cursor;
 * the owner continues from it, or sends the whole slice as a reconcile that it
 * marks complete at one sequence.
 * 1. Every batch names the sequence it follows; a batch that does not follow the
 *    replica's cursor ends the session, and a new one starts from the cursor.
 *    Where the owner's history does not reach that far, or the digest of the copy is not that
 *    of its cursor, both compare digests by ranges at one sequence of the owner's,
 *    and only what differs is sent.
 * 2. The replica's cursor moves only after the batch is on its disk.
 * 3. Absence is never deletion: an object goes only by a delete or leave record
 *    with its uid, or by a reconcile that the owner marked complete.
 *
 * Up: the stream `outbox.deliver` (status lane). Entries are durable before they
 * are sent, are sent in sequence, and are dropped only once the receiver has said
 * that it has them on disk. The receiver applies each entry once.
 */
import type { JsonObject } from '#base/mod.ts';
import type { Timers } from '#platform/io/mod.ts';
import type { Cursor, ObjectKey, Store, StoredObject } from '#platform/store/mod.ts';
import type { LinkSession, LinkStream } from '#platform/wire/mod.ts';

export interface ReplicaChange {
  readonly type: 'put' | 'delete' | 'leave';
  readonly object: StoredObject;
}

/** The follower's durable copy of its slice; read-only but for the owner's records. */
export interface Replica {
  /** Undefined until the first complete reconcile. */
  readonly cursor: Cursor | undefined;
  /** The owner's that this copy obeys; it never goes back. 0 until it has heard of one. */
  readonly epoch: number;
  /** True where whom it is linked to speaks for an older epoch: nothing it commands is to be done. */
  readonly isOwnerSuperseded?: boolean;
  get(key: ObjectKey): StoredObject | undefined;
  /** Sorted by namespace and name. */
  list(resource: string): readonly StoredObject[];
  /**
   * Called after the changes are on disk and readable here; without any where nothing but the
   * incarnation is another one.
   */
  onChange(listener: (changes: readonly ReplicaChange[]) => void): void;
  /** Follows over this session until it closes; at most one session at a time. */
  follow(session: LinkSession): void;
  close(): Promise<void>;
}

/** What each slice holds. Asked very often: the functions must be cheap, pure, and never throw. */
export interface SliceRules {
  /**
   * The slices that an object is in by itself, from the object alone; `every`: whoever
   * follows has it. An object of a kind that no slice holds is in none.
   */
  readonly slicesOf: (object: StoredObject) => readonly string[] | 'every';
  /** All objects that are in the slice by themselves, as the store has them now. */
  readonly membersOf: (slice: string) => Iterable<StoredObject>;
  /**
   * Objects that such a member brings with it, whether they exist or not: a pod its
   * ConfigMaps. They are in the slice as long as a member names them, and bring nothing
   * themselves.
   */
  readonly related?: (member: StoredObject) => readonly ObjectKey[];
}

export interface SliceServerOptions {
  readonly store: Store;
  readonly timers: Timers;
  readonly rules: SliceRules;
  /** Of this owner: rises whenever the owner changes or begins a new incarnation. 1 where absent. */
  readonly epoch?: () => number;
  /**
   * Incarnations that the store went through: their followers get all of it. Any
   * other one is of another history. Absent: whatever it is, it is served.
   */
  readonly formerIncarnations?: () => readonly string[];
  /**
   * Called where the follower of a slice has another history than the store, or obeys a
   * later epoch than the owner's; it is not served.
   */
  readonly onDiverged?: (slice: string, reason: string, followersEpoch: number) => void;
}

/** Serves any number of followers, each its slice, out of one watch of the store. */
export interface SliceServer {
  /** Answers one `slice.follow`. */
  serve(stream: LinkStream, parameters: Readonly<Record<string, unknown>>, slice: string): void;
  /** What proves that who opens `slice.follow` with these has another history; undefined where nothing does. */
  differenceOf(
    parameters: Readonly<Record<string, unknown>>,
  ): { readonly reason: string; readonly epoch: number } | undefined;
  /** Ends the watch; the streams end with their sessions. */
  close(): void;
}

/** What a child tells its parent. JSON on the wire. */
export type UpwardEntry =
  | {
      /** The newest report of an object; an undelivered older one is replaced. */
      readonly type: 'report';
      readonly key: ObjectKey;
      readonly uid: string;
      readonly report: JsonObject;
    }
  | {
      /** Something that happened, for people: becomes an Event. */
      readonly type: 'event';
      readonly regarding: { readonly key: ObjectKey; readonly uid: string; readonly kind: string };
      readonly severity: 'Normal' | 'Warning';
      readonly reason: string;
      readonly message: string;
      readonly atWallMs: number;
    }
  | {
      /** Entries that had to be dropped for want of space, in place of them. */
      readonly type: 'gap';
      readonly cause: 'space';
      readonly class: 'event';
      readonly droppedCount: number;
    }
  | {
      /** The disk has lost entries before this, nobody knows how many. */
      readonly type: 'gap';
      readonly cause: 'disk';
    };

/** Where an entry stands in the log of an outbox. */
export interface EntryPosition {
  /** Of the log. */
  readonly incarnation: string;
  readonly sequence: number;
}

export interface Outbox {
  /** Entries that are not yet acknowledged. */
  readonly pendingCount: number;
  /** Resolves when the entry is on disk. Events beyond the budget become a declared gap. */
  put(entry: UpwardEntry): Promise<EntryPosition>;
  /**
   * `known`: what `put` has answered earlier, as others have kept it. Where the disk had less
   * than that when it was opened, it has lost entries: then a gap says so. Once an opening.
   */
  declareLoss(known: readonly EntryPosition[]): Promise<void>;
  /** Delivers over this session until it closes; at most one session at a time. */
  deliver(session: LinkSession): void;
  close(): Promise<void>;
}

export interface SequencedEntry {
  /** Rises within one outbox incarnation; not every number is sent (reports are replaced). */
  readonly sequence: number;
  readonly entry: UpwardEntry;
}

/** Serves one child's outbox. Acknowledges what `apply` has resolved for. */
export type ServeOutbox = (
  stream: LinkStream,
  parameters: Readonly<Record<string, unknown>>,
  options: {
    /** Highest sequence already applied of this outbox; 0 for none. */
    readonly lastApplied: (outboxIncarnation: string) => number;
    /**
     * Applies the entries and notes `lastSequence`, in one transaction. What was
     * malformed is not among `entries`, but is covered by `lastSequence`.
     */
    readonly apply: (
      outboxIncarnation: string,
      entries: readonly SequencedEntry[],
      lastSequence: number,
    ) => Promise<void>;
    /** Called for an entry that is none; the others go on. */
    readonly onRefused?: (sequence: number, reason: string) => void;
  },
) => void;
