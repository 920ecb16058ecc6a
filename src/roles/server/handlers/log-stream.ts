/** One log on its way from a node to one reader; see pod-log.ts for what holds. */
import { concatBytes } from '#base/mod.ts';
import type { ByteSink, Timer } from '#platform/io/mod.ts';
import type { ServerParts } from '../dependencies.ts';
import { logHeadWaitMs, logUnsentBytesHigh, logUnsentBytesMax } from '../limits.ts';
import type { PodLogFailure, PodLogRequest, PodLogStream } from '../pod-logs.ts';

export class LogStream {
  readonly #source: PodLogStream;
  readonly #headTimer: Timer;
  readonly #opened: Promise<PodLogFailure | undefined>;
  #resolveOpened: ((failure: PodLogFailure | undefined) => void) | undefined;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #leftBytes: number;
  #sink: ByteSink | undefined;
  #paused = false;
  #ended = false;
  #closed = false;
  #onClosed: (() => void) | undefined;

  constructor(parts: ServerParts, nodeName: string, request: PodLogRequest, limitBytes: number) {
    this.#leftBytes = limitBytes;
    this.#opened = new Promise((resolve) => {
      this.#resolveOpened = resolve;
    });
    this.#source = parts.podLogs.open(nodeName, request, {
      onBytes: (bytes) => this.#take(bytes),
      onEnd: (failure) => this.#end(failure),
    });
    // Only who follows may have nothing to read for long.
    this.#headTimer = request.follow
      ? parts.timers.after(logHeadWaitMs, () => this.#settle(undefined))
      : { cancel() {} };
  }

  /** Resolves once it is known whether there is a log; with the reason where there is none. */
  opened(): Promise<PodLogFailure | undefined> {
    return this.#opened;
  }

  /** Called once, however it ends. */
  onClosed(listener: () => void): void {
    this.#onClosed = listener;
  }

  attach(sink: ByteSink): void {
    if (this.#closed && !this.#ended) {
      sink.destroy();
      return;
    }
    this.#sink = sink;
    sink.onClose(() => this.close());
    sink.onDrain(() => this.#adjust());
    const held = concatBytes(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    if (held.length > 0) sink.write(held);
    if (this.#ended) sink.end();
    else this.#adjust();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#headTimer.cancel();
    this.#settle({ code: 'LOG_CLOSED', message: 'the request has ended' });
    if (!this.#ended) {
      this.#source.close();
      this.#sink?.destroy();
    }
    this.#onClosed?.();
  }

  #take(bytes: Uint8Array): void {
    if (this.#closed || this.#ended || bytes.length === 0) return;
    const part = bytes.length > this.#leftBytes ? bytes.subarray(0, this.#leftBytes) : bytes;
    this.#leftBytes -= part.length;
    this.#settle(undefined);
    if (this.#sink === undefined) {
      this.#held.push(part);
      this.#heldBytes += part.length;
    } else {
      this.#sink.write(part);
    }
    if (this.#leftBytes === 0) {
      this.#source.close();
      this.#end(undefined);
      return;
    }
    if (this.#unsentBytes() > logUnsentBytesMax) {
      // The source did not heed the pause: better a cut answer than a full memory.
      const sink = this.#sink;
      this.close();
      sink?.destroy();
      return;
    }
    this.#adjust();
  }

  #end(failure: PodLogFailure | undefined): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    this.#settle(failure);
    const sink = this.#sink;
    if (sink === undefined) return;
    // After a first byte only the cut connection can say that the rest is missing.
    if (failure === undefined) sink.end();
    else sink.destroy();
    this.close();
  }

  #settle(failure: PodLogFailure | undefined): void {
    this.#headTimer?.cancel();
    this.#resolveOpened?.(failure);
    this.#resolveOpened = undefined;
  }

  #adjust(): void {
    if (this.#closed || this.#ended) return;
    const tooMuch = this.#unsentBytes() > logUnsentBytesHigh;
    if (tooMuch === this.#paused) return;
    this.#paused = tooMuch;
    if (tooMuch) this.#source.pause?.();
    else this.#source.resume?.();
  }

  #unsentBytes(): number {
    return this.#heldBytes + (this.#sink?.bufferedBytes() ?? 0);
  }
}
