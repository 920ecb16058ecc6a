/**
 * A stream of the link as a plain connection, so that whatever joins connections
 * joins these too. A message is a piece of the bytes; an empty one says that a side
 * sends nothing more.
 *
 * Invariants:
 * 1. What is not read here is not credited to the other side: it stays there.
 * 2. The stream ends once both directions have ended, or one side gives it up.
 */
import { type Address, NetError, type PlainConnection } from '#platform/io/mod.ts';
import type { LinkStream } from './types.ts';

const pieceBytesMax = 64 * 1024;

interface Unread {
  readonly bytes: Uint8Array;
  readonly taken: () => void;
}

export class LinkConnection implements PlainConnection {
  readonly remoteAddress: Address;
  readonly #stream: LinkStream;
  readonly #unread: Unread[] = [];
  readonly #onData: ((bytes: Uint8Array) => void)[] = [];
  readonly #onDrain: (() => void)[] = [];
  readonly #onEnd: (() => void)[] = [];
  readonly #onClose: ((error: Error | undefined) => void)[] = [];
  #sending: Promise<void> = Promise.resolve();
  #bufferedBytes = 0;
  #isPaused = true;
  #hasEnded = false;
  #hasPeerEnded = false;
  #isClosed = false;
  #error: Error | undefined;
  #onFirst: (() => void) | undefined;

  /** Takes the stream over; nothing is read before `resume`. */
  constructor(stream: LinkStream, remoteAddress: Address) {
    this.#stream = stream;
    this.remoteAddress = remoteAddress;
    stream.onMessage(
      (bytes) =>
        new Promise((taken) => {
          this.#unread.push({ bytes: bytes.slice(), taken });
          this.#read();
        }),
    );
    stream.onClose((failure) => {
      const error =
        failure === undefined
          ? undefined
          : new NetError('NET_CLOSED', failure.message, { retryable: true });
      this.#close(error);
    });
  }

  write(bytes: Uint8Array): void {
    if (this.#isClosed || this.#hasEnded || bytes.length === 0) return;
    this.#bufferedBytes += bytes.length;
    for (let at = 0; at < bytes.length; at += pieceBytesMax) {
      const piece = bytes.slice(at, at + pieceBytesMax);
      this.#queue(async () => {
        await this.#stream.send(piece);
        this.#bufferedBytes -= piece.length;
        if (this.#bufferedBytes > 0) return;
        for (const listener of this.#onDrain) listener();
      });
    }
  }

  bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#onData.push(listener);
  }

  /** The first message is a word to us and none of the bytes; called when it is there. */
  onFirst(listener: () => void): void {
    this.#onFirst = listener;
    this.#read();
  }

  onDrain(listener: () => void): void {
    this.#onDrain.push(listener);
  }

  onEnd(listener: () => void): void {
    this.#onEnd.push(listener);
  }

  onClose(listener: (error: Error | undefined) => void): void {
    if (this.#isClosed) void Promise.resolve().then(() => listener(this.#error));
    else this.#onClose.push(listener);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#read();
  }

  end(): void {
    if (this.#isClosed || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#queue(async () => {
      await this.#stream.send(new Uint8Array(0));
      this.#endWhenBothEnded();
    });
  }

  destroy(): void {
    if (this.#isClosed) return;
    // First, so that our own word for it does not come back as a failure.
    this.#close(undefined);
    this.#stream.fail({ code: 'CONNECTION_RESET', message: 'the connection was reset' });
  }

  #queue(step: () => Promise<void>): void {
    // A stream that has failed says so to its close listener.
    this.#sending = this.#sending.then(step).catch(() => undefined);
  }

  #read(): void {
    if (this.#onFirst !== undefined) {
      const first = this.#unread.shift();
      if (first === undefined) return;
      const listener = this.#onFirst;
      this.#onFirst = undefined;
      first.taken();
      listener();
    }
    while (!this.#isPaused && !this.#isClosed) {
      const next = this.#unread.shift();
      if (next === undefined) return;
      next.taken();
      if (next.bytes.length > 0) {
        for (const listener of this.#onData) listener(next.bytes);
        continue;
      }
      this.#hasPeerEnded = true;
      for (const listener of this.#onEnd.splice(0)) listener();
      this.#queue(() => Promise.resolve(this.#endWhenBothEnded()));
    }
  }

  #endWhenBothEnded(): void {
    if (this.#hasEnded && this.#hasPeerEnded && !this.#isClosed) this.#stream.end();
  }

  #close(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#error = error;
    this.#bufferedBytes = 0;
    for (const { taken } of this.#unread.splice(0)) taken();
    for (const listener of this.#onClose.splice(0)) listener(error);
  }
}
