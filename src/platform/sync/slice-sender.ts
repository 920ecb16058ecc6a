/**
 * The owner's end of one sync stream.
 *
 * Invariants:
 * 1. What is sent next always follows what was sent last on this stream.
 * 2. Transactions that do not concern the slice cost the follower nothing but
 *    one progress message in `progressIntervalMs`, however many they are.
 * 3. A slow follower gets what has changed meanwhile at once, the newest of each
 *    object: what waits is bounded by what the slice holds.
 * 4. A follower that is ahead of the store, or has another history, is not served:
 *    what the store lacks would be taken for deleted. Where the log no longer
 *    reaches back to its cursor that cannot be told, and it is sent the slice anew.
 */
import { errorText, isJsonObject } from '#base/mod.ts';
import type { Timer } from '#platform/io/mod.ts';
import type { Cursor, ObjectEvent, StoredObject } from '#platform/store/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { contentsAt, contentsNow, SliceContents } from './slice-contents.ts';
import { encodeSliceMessage, type SliceBatch, type SliceChange } from './slice-messages.ts';
import type { SliceServerOptions } from './types.ts';

const progressIntervalMs = 5_000;
/** A message is closed when it has reached this; one object may make it larger. */
const messageBytesTarget = 64 * 1024;
export const sliceObjectsMax = 100_000;

export type Place = Pick<Cursor, 'sequence' | 'chainHash'>;

export interface SenderHost extends SliceServerOptions {
  /** Up to where the store's transactions were noted in every sender. */
  place(): Place;
  onReferenced(sender: SliceSender, text: string, isReferenced: boolean): void;
  onClosed(sender: SliceSender): void;
}

export class SliceSender {
  readonly slice: string;
  readonly #stream: LinkStream;
  readonly #host: SenderHost;
  readonly #incarnation: string;
  readonly #contents: SliceContents;
  #sent = 0;
  #isSending = false;
  #isClosed = false;
  #progressTimer: Timer | undefined;

  constructor(stream: LinkStream, host: SenderHost, slice: string) {
    this.#stream = stream;
    this.#host = host;
    this.slice = slice;
    this.#incarnation = host.store.incarnation;
    this.#contents = new SliceContents(host.store, host.rules, slice, (text, isReferenced) =>
      host.onReferenced(this, text, isReferenced),
    );
    stream.onClose(() => this.#close());
    // The follower says all it has to say when it opens the stream.
    stream.onMessage(() => stream.fail({ code: 'SYNC_MALFORMED', message: 'nothing is expected' }));
  }

  begin(parameters: Readonly<Record<string, unknown>>): void {
    const { store, rules, onDiverged } = this.#host;
    const cursor = cursorIn(parameters['cursor']);
    const difference = cursor === undefined ? undefined : this.#differenceOf(cursor);
    if (difference !== undefined) {
      onDiverged?.(this.slice, difference);
      const message = `the owner does not have the history that this copy has: ${difference}`;
      this.#fail('SYNC_DIVERGED', message);
      return;
    }
    const now = contentsNow(store, rules, this.slice);
    const place = this.#host.place();
    if (cursor !== undefined && this.#reaches(cursor)) {
      const then = contentsAt(store, rules, this.slice, cursor.sequence);
      this.#sent = cursor.sequence;
      const changes = this.#contents.begin(then, now);
      if (changes.length > 0) this.#run(() => this.#sendBatch(changes, false, place));
      // Also where nothing has changed: the follower then knows that it is current.
      else this.#sendProgress(place);
    } else {
      const changes = this.#contents.begin(new Map(), now);
      this.#run(() => this.#sendBatch(changes, true, place));
    }
    this.#planProgress();
  }

  note(text: string, event: ObjectEvent): void {
    if (this.#isClosed) return;
    this.#contents.note(text, event);
    // Not before the turn is over: many transactions become durable in one.
    this.#run(() => Promise.resolve());
  }

  /** A store that has begun a new incarnation is followed by a new stream. */
  endWithIncarnation(): boolean {
    if (this.#host.store.incarnation === this.#incarnation) return false;
    this.#fail('SYNC_INCARNATION', 'a new incarnation has begun');
    return true;
  }

  /** What proves that the follower has another history; undefined where nothing does. */
  #differenceOf(cursor: Cursor): string | undefined {
    const { store, formerIncarnations } = this.#host;
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

  #reaches(cursor: Cursor): boolean {
    const { store } = this.#host;
    return (
      cursor.incarnation === store.incarnation &&
      cursor.sequence >= store.oldestWatchable &&
      store.cursorAt(cursor.sequence)?.chainHash === cursor.chainHash
    );
  }

  /** Sends what `first` does, then all that has changed meanwhile. */
  #run(first: () => Promise<void>): void {
    if (this.#isSending || this.#isClosed) return;
    this.#isSending = true;
    const work = async (): Promise<void> => {
      await first();
      while (!this.#isClosed && this.#contents.hasChanged) {
        const changes = this.#contents.collect();
        if (changes.length > 0) await this.#sendBatch(changes, false, this.#host.place());
      }
      this.#isSending = false;
    };
    work().catch((thrown: unknown) => {
      // A stream that has failed says so to its close listener; anything else ends it.
      this.#fail('SYNC_TOO_LARGE', errorText(thrown));
    });
  }

  async #sendBatch(changes: readonly SliceChange[], isReset: boolean, place: Place): Promise<void> {
    if (this.#contents.held.size > sliceObjectsMax) {
      this.#fail('SYNC_TOO_LARGE', `a slice has at most ${sliceObjectsMax} objects`);
      return;
    }
    const { sequence, chainHash } = place;
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
    if (this.#isClosed) return;
    this.#progressTimer = this.#host.timers.after(progressIntervalMs, () => {
      if (this.#isClosed || this.endWithIncarnation()) return;
      const place = this.#host.place();
      const isIdle = !this.#isSending && !this.#contents.hasChanged;
      if (isIdle && place.sequence > this.#sent) this.#sendProgress(place);
      this.#planProgress();
    });
  }

  #sendProgress({ sequence, chainHash }: Place): void {
    const message = { type: 'progress', after: this.#sent, sequence, chainHash } as const;
    this.#sent = sequence;
    // Its failure reaches the close listener.
    this.#stream.send(encodeSliceMessage(message)).catch(() => undefined);
  }

  #fail(code: string, message: string): void {
    this.#close();
    this.#stream.fail({ code, message });
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#progressTimer?.cancel();
    this.#contents.close();
    this.#host.onClosed(this);
  }
}

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
