/**
 * One watch on its way to one client.
 *
 * Invariants:
 * 1. Lines go out in order: what there was first, and what has happened since the
 *    revision that was asked for, then every change. The former are made when their turn
 *    comes, so that however much of it there is waits as references.
 * 2. At most `watchQueuedBytesMax` wait for a client that reads too slowly; beyond
 *    it the connection is cut, and the client lists again.
 * 3. A bookmark names a revision only when everything up to it is on its way.
 * 4. A line that cannot be made ends this watch, with an error as its last line, and
 *    nothing else: neither the store nor another watch hears of it.
 */
import { assert, errorText, utf8 } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { ByteSink, Timer } from '#platform/io/mod.ts';
import type { ObjectEvent, StoreView } from '#platform/store/mod.ts';
import type { ServerParts } from '../dependencies.ts';
import { watchBookmarkIntervalMs, watchQueuedBytesMax, watchUnsentBytesHigh } from '../limits.ts';
import type { WatchLine } from '../served-objects.ts';
import type { WatchEncoder } from './watch-encoder.ts';

const nothing: readonly never[] = [];

export class WatchStream {
  readonly #parts: ServerParts;
  readonly #encoder: WatchEncoder;
  readonly #bookmarks: boolean;
  #initial: readonly (() => WatchLine | undefined)[];
  #onInitialOver: (() => void) | undefined;
  readonly #initialRevision: number;
  #markInitialEnd: boolean;
  #initialSent = 0;
  #first: WatchLine | undefined;
  #queue: WatchLine[] = [];
  #queueHead = 0;
  #queuedBytes = 0;
  readonly #store: StoreView;
  #sink: ByteSink | undefined;
  #closed = false;
  #finishing = false;
  #failed = false;
  #onClosed: (() => void) | undefined;
  #bookmarkTimer: Timer | undefined;
  readonly #endTimer: Timer;

  constructor(
    parts: ServerParts,
    encoder: WatchEncoder,
    options: {
      /** Undefined lines are of what does not concern the client. */
      readonly initial: readonly (() => WatchLine | undefined)[];
      /** Called once, when none of them waits any more. */
      readonly onInitialOver: () => void;
      readonly from: number;
      /** Everything up to its revision has been pushed, between two transactions. */
      readonly store: StoreView;
      readonly bookmarks: boolean;
      readonly markInitialEnd: boolean;
      readonly timeoutMs: number;
    },
  ) {
    this.#parts = parts;
    this.#encoder = encoder;
    this.#initial = options.initial;
    this.#onInitialOver = options.onInitialOver;
    this.#initialRevision = options.from;
    this.#store = options.store;
    this.#bookmarks = options.bookmarks;
    this.#markInitialEnd = options.markInitialEnd;
    // At once, as the first line of a watch of tables is the one that has the columns.
    this.#guarded(() => {
      this.#first = this.#nextInitial();
    });
    this.#endTimer = parts.timers.after(options.timeoutMs, () => this.finish());
    if (this.#bookmarks) this.#planBookmark();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Called once, however the watch ends. */
  onClosed(listener: () => void): void {
    assert(this.#onClosed === undefined, 'a watch stream has one owner');
    this.#onClosed = listener;
  }

  attach(sink: ByteSink): void {
    if (this.#closed) {
      sink.destroy();
      return;
    }
    this.#sink = sink;
    sink.onClose(() => this.#close());
    sink.onDrain(() => this.#pump());
    this.#pump();
  }

  push(line: WatchLine): void {
    if (this.#closed || this.#finishing) return;
    if (this.#queuedBytes + line.sizeBytes > watchQueuedBytesMax) {
      this.#parts.logger.log('warn', 'a watch was cut off: its client reads too slowly', {
        queuedBytes: this.#queuedBytes,
        limitBytes: watchQueuedBytesMax,
      });
      this.destroy();
      return;
    }
    this.#queue.push(line);
    this.#queuedBytes += line.sizeBytes;
    this.#pump();
  }

  /** Never throws: the store tells of its transactions through this. */
  pushEvent(event: ObjectEvent): void {
    if (this.#closed || this.#finishing) return;
    let line: WatchLine | undefined;
    try {
      line = this.#encoder.event(event);
    } catch (error) {
      const { key, revision } = event.object;
      this.#fail(error, { ...key, revision });
      return;
    }
    if (line !== undefined) this.push(line);
  }

  /** Sends what is queued, then ends the answer: the client begins again where it was. */
  finish(): void {
    if (this.#closed || this.#finishing) return;
    if (this.#bookmarks) this.push(this.#encoder.bookmark(this.#store.revision, false));
    this.#finishing = true;
    this.#pump();
  }

  /** Cuts the connection. */
  destroy(): void {
    const sink = this.#sink;
    this.#close();
    sink?.destroy();
  }

  #pump(): void {
    this.#guarded(() => this.#send());
  }

  #guarded(make: () => void): void {
    try {
      make();
    } catch (error) {
      // What was to come next is not there: nothing that is behind it may be sent.
      this.#forgetInitial();
      this.#markInitialEnd = false;
      this.#queue = [];
      this.#queueHead = 0;
      this.#queuedBytes = 0;
      this.#fail(error, {});
    }
  }

  /** What waits is still sent, then the error, which has the client list again. */
  #fail(error: unknown, about: Readonly<Record<string, string | number>>): void {
    if (this.#failed) {
      this.destroy();
      return;
    }
    this.#failed = true;
    this.#parts.logger.log('error', 'a watch was ended: an object could not be shown', {
      ...about,
      error: errorText(error),
    });
    const answer = new StatusError('InternalError', 'an object that is watched cannot be shown');
    const bytes = utf8(`{"type":"ERROR","object":${JSON.stringify(answer.toStatus())}}\n`);
    this.#queue.push({ sizeBytes: bytes.length, bytes: () => bytes, event: undefined });
    this.#queuedBytes += bytes.length;
    this.#finishing = true;
    this.#pump();
  }

  #send(): void {
    const sink = this.#sink;
    if (sink === undefined || this.#closed) return;
    while (sink.bufferedBytes() < watchUnsentBytesHigh) {
      const line = this.#next();
      if (line === undefined) {
        if (!this.#finishing) return;
        this.#close();
        sink.end();
        return;
      }
      // By reference to who is in this process, and takes it so.
      if (sink.writeValue !== undefined && line.event !== undefined) {
        sink.writeValue(line.event, line.sizeBytes);
      } else {
        sink.write(line.bytes());
      }
    }
  }

  #next(): WatchLine | undefined {
    const first = this.#first;
    this.#first = undefined;
    const initial = first ?? this.#nextInitial();
    if (initial !== undefined) return initial;
    if (this.#markInitialEnd) {
      this.#markInitialEnd = false;
      return this.#encoder.bookmark(this.#initialRevision, true);
    }
    const line = this.#queue[this.#queueHead];
    if (line === undefined) return undefined;
    this.#queueHead += 1;
    this.#queuedBytes -= line.sizeBytes;
    if (this.#queueHead === this.#queue.length) {
      this.#queue = [];
      this.#queueHead = 0;
    }
    return line;
  }

  #nextInitial(): WatchLine | undefined {
    for (let item = this.#initial[this.#initialSent]; item !== undefined;) {
      this.#initialSent += 1;
      const line = item();
      if (line !== undefined) return line;
      item = this.#initial[this.#initialSent];
    }
    this.#forgetInitial();
    return undefined;
  }

  /** A watch that goes on for long must not hold what was there when it began. */
  #forgetInitial(): void {
    this.#initial = nothing;
    this.#initialSent = 0;
    this.#onInitialOver?.();
    this.#onInitialOver = undefined;
  }

  #planBookmark(): void {
    this.#bookmarkTimer = this.#parts.timers.after(watchBookmarkIntervalMs, () => {
      this.push(this.#encoder.bookmark(this.#store.revision, false));
      if (!this.#closed) this.#planBookmark();
    });
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endTimer.cancel();
    this.#bookmarkTimer?.cancel();
    this.#forgetInitial();
    this.#queue = [];
    this.#queueHead = 0;
    this.#queuedBytes = 0;
    this.#onClosed?.();
  }
}
