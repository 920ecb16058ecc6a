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
 *    reaches back to its cursor that cannot be told.
 * 5. Whatever the follower has, it is told the slice itself once: from its cursor where
 *    its digest is that of the slice there, else by comparing ranges at one sequence.
 */
import { errorText, isJsonObject, isSabotaged } from '#base/mod.ts';
import type { Cursor, ObjectEvent, StoredObject } from '#platform/store/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { compareRanges } from './compare-ranges.ts';
import { DigestTree, emptyDigest } from './digest-tree.ts';
import { malformed, SyncError } from './errors.ts';
import {
  decodeRangeAnswers,
  encodeRangeQuestion,
  isCount,
  isDigest,
  type RangeAnswer,
  type RangeQuestion,
} from './range-messages.ts';
import { type Contents, contentsAt, contentsNow, SliceContents } from './slice-contents.ts';
import {
  type Completeness,
  encodeSliceMessage,
  epochMax,
  type SliceBatch,
  type SliceChange,
} from './slice-messages.ts';
import type { SliceServerOptions } from './types.ts';

/** A message is closed when it has reached this; one object may make it larger. */
const messageBytesTarget = 64 * 1024;
const sliceObjectsMax = 100_000;
/** Of an owner that never began another. */
const firstEpoch = 1;

export type Place = Pick<Cursor, 'sequence' | 'chainHash'>;

interface Asked {
  readonly prefixes: readonly string[];
  resolve(answers: readonly RangeAnswer[]): void;
  reject(reason: Error): void;
}

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
  readonly #asked: Asked[] = [];
  #sent = 0;
  #isSending = false;
  #isClosed = false;

  constructor(stream: LinkStream, host: SenderHost, slice: string) {
    this.#stream = stream;
    this.#host = host;
    this.slice = slice;
    this.#incarnation = host.store.incarnation;
    this.#contents = new SliceContents(host.store, host.rules, slice, (text, isReferenced) =>
      host.onReferenced(this, text, isReferenced),
    );
    stream.onClose(() => this.#close());
    stream.onMessage((message) => this.#takeAnswer(message));
  }

  begin(parameters: Readonly<Record<string, unknown>>): void {
    const { store, rules, onDiverged } = this.#host;
    const follower = followerIn(parameters);
    const difference = differenceOf(this.#host, follower);
    if (difference !== undefined) {
      onDiverged?.(this.slice, difference, follower.epoch);
      const message = `the owner does not have the history that this copy has: ${difference}`;
      const isSuperseded = follower.epoch > this.#epoch();
      this.#fail(isSuperseded ? 'SYNC_SUPERSEDED' : 'SYNC_DIVERGED', message);
      return;
    }
    const now = contentsNow(store, rules, this.slice);
    if (now.size > sliceObjectsMax) {
      this.#fail('SYNC_TOO_LARGE', `a slice has at most ${sliceObjectsMax} objects`);
      return;
    }
    this.#run(() => this.#catchUp(follower, now, this.#host.place()));
  }

  /** Brings the follower to `now`, the slice at `place`, by the shortest way that is sure. */
  async #catchUp(follower: Follower, now: Contents, place: Place): Promise<void> {
    const { store, rules } = this.#host;
    const { cursor, held } = follower;
    const contents = this.#contents;
    const digests = DigestTree.of(now.values());
    const complete = { count: now.size, digest: digests.digestOf('') };
    if (cursor === undefined || held === undefined || follower.asksWhole) {
      // Where comparing has not helped the follower it takes it as it comes.
      const proof = follower.asksWhole ? {} : { complete };
      await this.#sendBatch(contents.begin(new Map(), now), place, { isReset: true, ...proof });
      return;
    }
    const reaches = this.#reaches(cursor);
    const isSame = held.count === now.size && held.digest === complete.digest;
    if (reaches && isSame) {
      contents.begin(now, now);
      this.#sent = cursor.sequence;
      // Also where nothing has changed: the follower then knows that it is current.
      await this.#sendProgress(place);
      return;
    }
    if (reaches) {
      const then = contentsAt(store, rules, this.slice, cursor.sequence);
      if (DigestTree.of(then.values()).digestOf('') === held.digest) {
        this.#sent = cursor.sequence;
        await this.#sendBatch(contents.begin(then, now), place, {});
        return;
      }
    }
    contents.begin(now, now);
    const isSameHistory = cursor.incarnation === this.#incarnation;
    const changes = isSame
      ? []
      : await compareRanges({
          now,
          digests,
          heldCount: held.count,
          // What this history had, and has no more, was deleted.
          goneAs: ({ key, uid }) =>
            isSameHistory && store.get(key)?.uid !== uid ? 'delete' : 'leave',
          ask: (prefixes) =>
            this.#ask({ sequence: place.sequence, epoch: this.#epoch(), prefixes }),
        });
    await this.#sendBatch(changes, place, { complete });
  }

  /** Asks about ranges; answers come in the order of the questions. */
  async #ask(question: RangeQuestion): Promise<readonly RangeAnswer[]> {
    const answered = new Promise<readonly RangeAnswer[]>((resolve, reject) => {
      this.#asked.push({ prefixes: question.prefixes, resolve, reject });
    });
    // It is looked at below; until then nobody listens.
    answered.catch(() => undefined);
    await this.#stream.send(encodeRangeQuestion(question));
    return await answered;
  }

  #takeAnswer(message: Uint8Array): void {
    const asked = this.#asked.shift();
    try {
      if (asked === undefined) throw malformed('an answer that nobody asked for');
      asked.resolve(decodeRangeAnswers(message, asked.prefixes));
    } catch (thrown) {
      this.#fail(thrown instanceof SyncError ? thrown.code : 'SYNC_MALFORMED', errorText(thrown));
    }
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
        if (changes.length > 0) await this.#sendBatch(changes, this.#host.place(), {});
      }
      this.#isSending = false;
    };
    work().catch((thrown: unknown) => {
      // A stream that has failed says so to its close listener; anything else ends it.
      this.#fail(thrown instanceof SyncError ? thrown.code : 'SYNC_TOO_LARGE', errorText(thrown));
    });
  }

  async #sendBatch(
    changes: readonly SliceChange[],
    { sequence, chainHash }: Place,
    first: Pick<SliceBatch, 'complete'> & { readonly isReset?: boolean },
  ): Promise<void> {
    const isWhole = first.isReset === true || first.complete !== undefined;
    const after = isWhole ? 0 : this.#sent;
    let begin = 0;
    let part = 0;
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
        isReset: part === 0 && first.isReset === true,
        part,
        hasMore: end < changes.length,
        ...{ incarnation: this.#incarnation, epoch: this.#epoch(), after, sequence, chainHash },
        ...(part === 0 && first.complete !== undefined ? { complete: first.complete } : {}),
        changes: changes.slice(begin, end),
      };
      await this.#stream.send(encodeSliceMessage(message));
      begin = end;
      part += 1;
    } while (begin < changes.length);
    this.#sent = sequence;
  }

  /** Tells the follower how far it is, where nothing else will. False where it is to be asked again. */
  tellProgress(): boolean {
    const place = this.#host.place();
    if (this.#isClosed || place.sequence <= this.#sent) return true;
    if (this.#isSending || this.#contents.hasChanged) return false;
    // Its failure reaches the close listener.
    this.#sendProgress(place).catch(() => undefined);
    return true;
  }

  async #sendProgress({ sequence, chainHash }: Place): Promise<void> {
    const after = this.#sent;
    this.#sent = sequence;
    const epoch = this.#epoch();
    await this.#stream.send(
      encodeSliceMessage({ type: 'progress', epoch, after, sequence, chainHash }),
    );
  }

  #epoch(): number {
    return this.#host.epoch?.() ?? firstEpoch;
  }

  #fail(code: string, message: string): void {
    this.#close();
    this.#stream.fail({ code, message });
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const ended = new SyncError('SYNC_CLOSED', 'the stream has ended');
    for (const asked of this.#asked.splice(0)) asked.reject(ended);
    this.#contents.close();
    this.#host.onClosed(this);
  }
}

/** What proves that the follower has another history; undefined where nothing does. */
export function differenceOf(
  { store, epoch: ownEpoch, formerIncarnations }: SliceServerOptions,
  { cursor, epoch }: Follower,
): string | undefined {
  if (isSabotaged('obey-a-superseded-owner')) return undefined;
  const own = ownEpoch?.() ?? firstEpoch;
  if (epoch > own) return `it obeys epoch ${epoch}, this server's is ${own}`;
  if (cursor === undefined) return undefined;
  const { incarnation, sequence, chainHash } = cursor;
  if (incarnation !== store.incarnation) {
    const former = formerIncarnations?.();
    if (former === undefined || former.includes(incarnation)) return undefined;
    return `it follows incarnation ${incarnation}, which this server never had`;
  }
  const head = store.head().sequence;
  if (sequence > head) return `it is at revision ${sequence}, this server is at ${head}`;
  const there = store.cursorAt(sequence);
  if (there === undefined || there.chainHash === chainHash) return undefined;
  return `its revision ${sequence} is another one`;
}

/** What a follower says of itself when it opens the stream. */
export interface Follower {
  readonly cursor: Cursor | undefined;
  readonly epoch: number;
  /** Undefined for one of a version that does not compare. */
  readonly held: Completeness | undefined;
  readonly asksWhole: boolean;
}

export function followerIn(parameters: Readonly<Record<string, unknown>>): Follower {
  const { count, digest, epoch, whole } = parameters;
  const isHeld = isCount(count) && (digest === emptyDigest || isDigest(digest));
  return {
    cursor: cursorIn(parameters['cursor']),
    epoch: isCount(epoch) && epoch <= epochMax ? epoch : 0,
    held: isHeld && count <= sliceObjectsMax ? { count, digest } : undefined,
    asksWhole: whole === true,
  };
}

function cursorIn(value: unknown): Cursor | undefined {
  if (!isJsonObject(value)) return undefined;
  const { incarnation, sequence, chainHash } = value;
  if (typeof incarnation !== 'string' || typeof chainHash !== 'string') return undefined;
  return isCount(sequence)
    ? { incarnation, sequence: sequence as Cursor['sequence'], chainHash }
    : undefined;
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
