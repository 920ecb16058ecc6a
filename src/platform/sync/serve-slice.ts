/**
 * The owner's end of a sync stream.
 *
 * Invariants:
 * 1. What is sent next always follows what was sent last on this stream.
 * 2. Transactions that do not concern the slice cost the follower nothing but
 *    one progress message in `progressIntervalMs`, however many they are.
 * 3. At most `queuedChangesMax` changes wait for a slow follower; what comes
 *    after that is read again from the store's history when they are gone, and
 *    where the history no longer reaches, the slice is sent anew.
 * 4. A follower that is ahead of the store, or has another history, is not served:
 *    what the store lacks would be taken for deleted. Where the log no longer
 *    reaches back to its cursor that cannot be told, and it is sent the slice anew.
 */
import { errorText, isJsonObject } from '#base/mod.ts';
import type { Timer } from '#platform/io/mod.ts';
import type {
  CommittedBatch,
  Cursor,
  ObjectEvent,
  StoredObject,
  Watch,
} from '#platform/store/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { encodeSliceMessage, type SliceBatch, type SliceChange } from './slice-messages.ts';
import type { ServeSlice } from './types.ts';

const queuedChangesMax = 4096;
const progressIntervalMs = 5_000;
/** A message is closed when it has reached this; one object may make it larger. */
const messageBytesTarget = 64 * 1024;

type Place = Pick<Cursor, 'sequence' | 'chainHash'>;
type QueuedBatch = Place & { readonly isReset: boolean; readonly changes: readonly SliceChange[] };

class SliceSender {
  readonly #stream: LinkStream;
  readonly #options: Parameters<ServeSlice>[2];
  readonly #resources: ReadonlySet<string>;
  readonly #incarnation: string;
  #queue: QueuedBatch[] = [];
  #queuedChanges = 0;
  /** Everything up to here is sent, queued or foreign. */
  #seen: Place;
  #sent = 0;
  #watch: Watch | undefined;
  #hasOverflowed = false;
  #isSending = false;
  #isClosed = false;
  #progressTimer: Timer | undefined;

  constructor(stream: LinkStream, options: Parameters<ServeSlice>[2], cursor: Cursor | undefined) {
    this.#stream = stream;
    this.#options = options;
    this.#resources = new Set(options.resources);
    this.#seen = options.store.head();
    this.#incarnation = options.store.incarnation;
    stream.onClose(() => this.#close());
    // The follower says all it has to say when it opens the stream.
    stream.onMessage(() => stream.fail({ code: 'SYNC_MALFORMED', message: 'nothing is expected' }));
    const difference = cursor === undefined ? undefined : this.#differenceOf(cursor);
    if (difference !== undefined) {
      this.#isClosed = true;
      options.onDiverged?.(difference);
      const message = `the owner does not have the history that this copy has: ${difference}`;
      stream.fail({ code: 'SYNC_DIVERGED', message });
      return;
    }
    if (cursor !== undefined && this.#reaches(cursor)) {
      this.#seen = cursor;
      this.#sent = cursor.sequence;
      this.#follow();
      // Also where nothing has changed: the follower then knows that it is current.
      if (this.#queue.length === 0 && !this.#isSending) this.#sendProgress();
    } else {
      this.#startAnew();
    }
    this.#planProgress();
    this.#send();
  }

  /** What proves that the follower has another history; undefined where nothing does. */
  #differenceOf(cursor: Cursor): string | undefined {
    const { store, formerIncarnations } = this.#options;
    const { incarnation, sequence, chainHash } = cursor;
    if (incarnation !== store.incarnation) {
      const former = formerIncarnations?.();
      if (former === undefined || former.includes(incarnation)) return undefined;
      return `it follows incarnation ${incarnation}, which this server never had`;
    }
    const head = store.head().sequence;
    if (sequence > head) return `it is at revision ${sequence}, this server is at ${head}`;
    const own = store.cursorAt(sequence);
    if (own === undefined || own.chainHash === chainHash) return undefined;
    return `its revision ${sequence} is another one`;
  }

  /** A store that has begun a new incarnation is followed by a new stream. */
  #endsWithIncarnation(): boolean {
    if (this.#options.store.incarnation === this.#incarnation) return false;
    this.#stream.fail({ code: 'SYNC_INCARNATION', message: 'a new incarnation has begun' });
    return true;
  }

  #reaches(cursor: Cursor): boolean {
    const { store } = this.#options;
    return (
      cursor.incarnation === store.incarnation &&
      cursor.sequence >= store.oldestWatchable &&
      store.cursorAt(cursor.sequence)?.chainHash === cursor.chainHash
    );
  }

  #startAnew(): void {
    const { store, resources, includes } = this.#options;
    const changes: SliceChange[] = [];
    for (const resource of resources) {
      for (const object of store.list(resource)) {
        if (includes(object)) changes.push({ type: 'put', extent: 'whole', object });
      }
    }
    const { sequence, chainHash } = store.head();
    this.#seen = { sequence, chainHash };
    this.#queue = [{ isReset: true, sequence, chainHash, changes }];
    this.#queuedChanges = 0;
    this.#follow();
  }

  #follow(): void {
    this.#hasOverflowed = false;
    const watch = this.#options.store.watch(this.#seen.sequence, (batch) => this.#take(batch));
    if (this.#isClosed || this.#hasOverflowed) watch.close();
    else this.#watch = watch;
  }

  #take(batch: CommittedBatch): void {
    if (this.#isClosed || this.#hasOverflowed || this.#endsWithIncarnation()) return;
    const changes: SliceChange[] = [];
    for (const event of batch.events) {
      if (!this.#resources.has(event.object.key.resource)) continue;
      const change = this.#changeOf(event);
      if (change !== undefined) changes.push(change);
    }
    if (changes.length > 0) {
      if (this.#queuedChanges + changes.length > queuedChangesMax && this.#queue.length > 0) {
        this.#hasOverflowed = true;
        this.#watch?.close();
        this.#watch = undefined;
        return;
      }
      this.#queuedChanges += changes.length;
      const { revision: sequence, chainHash } = batch;
      this.#queue.push({ isReset: false, sequence, chainHash, changes });
    }
    this.#seen = { sequence: batch.revision, chainHash: batch.chainHash };
    this.#send();
  }

  #changeOf(event: ObjectEvent): SliceChange | undefined {
    const { includes } = this.#options;
    const { object, previous } = event;
    const { key, uid, revision } = object;
    const wasIn = previous !== undefined && previous.uid === uid && includes(previous);
    if (event.type === 'delete') {
      return wasIn || includes(object) ? { type: 'delete', key, uid, revision } : undefined;
    }
    if (includes(object)) return { type: 'put', extent: wasIn ? 'changed' : 'whole', object };
    return wasIn ? { type: 'leave', key, uid, revision } : undefined;
  }

  #send(): void {
    if (this.#isSending || this.#isClosed) return;
    this.#isSending = true;
    this.#drain().then(
      () => {
        this.#isSending = false;
        // What came in the turn in which the drain ended still waits.
        if (this.#queue.length > 0 || this.#hasOverflowed) this.#send();
      },
      (thrown: unknown) => {
        // A stream that has failed says so to its close listener; anything else ends it.
        this.#stream.fail({ code: 'SYNC_TOO_LARGE', message: errorText(thrown) });
      },
    );
  }

  async #drain(): Promise<void> {
    while (!this.#isClosed) {
      const next = this.#queue.shift();
      if (next === undefined) {
        if (!this.#hasOverflowed) return;
        const cursor = this.#options.store.cursorAt(this.#seen.sequence);
        if (cursor !== undefined && this.#reaches(cursor)) this.#follow();
        else this.#startAnew();
        continue;
      }
      if (!next.isReset) this.#queuedChanges -= next.changes.length;
      await this.#sendBatch(next);
    }
  }

  async #sendBatch(batch: QueuedBatch): Promise<void> {
    const { isReset, sequence, chainHash, changes } = batch;
    let begin = 0;
    do {
      let end = begin;
      let sizeBytes = 0;
      while (end < changes.length && (end === begin || sizeBytes < messageBytesTarget)) {
        sizeBytes += sizeOf(changes[end]);
        if (end > begin && sizeBytes > messageBytesTarget) break;
        end += 1;
      }
      const message: SliceBatch = {
        type: 'batch',
        isReset: isReset && begin === 0,
        hasMore: end < changes.length,
        incarnation: this.#incarnation,
        after: isReset ? 0 : this.#sent,
        sequence,
        chainHash,
        changes: changes.slice(begin, end),
      };
      await this.#stream.send(encodeSliceMessage(message));
      begin = end;
    } while (begin < changes.length);
    this.#sent = sequence;
  }

  #planProgress(): void {
    this.#progressTimer = this.#options.timers.after(progressIntervalMs, () => {
      if (this.#isClosed || this.#endsWithIncarnation()) return;
      const isIdle = !this.#isSending && this.#queue.length === 0 && !this.#hasOverflowed;
      if (isIdle && this.#seen.sequence > this.#sent) this.#sendProgress();
      this.#planProgress();
    });
  }

  #sendProgress(): void {
    const { sequence, chainHash } = this.#seen;
    const message = { type: 'progress', after: this.#sent, sequence, chainHash } as const;
    this.#sent = sequence;
    // Its failure reaches the close listener.
    this.#stream.send(encodeSliceMessage(message)).catch(() => undefined);
  }

  #close(): void {
    this.#isClosed = true;
    this.#watch?.close();
    this.#progressTimer?.cancel();
    this.#queue = [];
  }
}

export const serveSlice: ServeSlice = (stream, parameters, options) => {
  void new SliceSender(stream, options, cursorIn(parameters['cursor']));
};

function cursorIn(value: unknown): Cursor | undefined {
  if (!isJsonObject(value)) return undefined;
  const { incarnation, sequence, chainHash } = value;
  if (typeof incarnation !== 'string' || typeof chainHash !== 'string') return undefined;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence)) return undefined;
  return { incarnation, sequence: sequence as Cursor['sequence'], chainHash };
}

function sizeOf(change: SliceChange | undefined): number {
  let sizeBytes = 200;
  if (change?.type !== 'put') return sizeBytes;
  for (const value of Object.values(
    change.object.facets,
  ) as StoredObject['facets'][keyof StoredObject['facets']][]) {
    sizeBytes += value?.bytes.length ?? 0;
  }
  return sizeBytes;
}
