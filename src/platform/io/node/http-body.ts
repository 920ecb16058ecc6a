/**
 * Bodies of HTTP messages as they stream in.
 *
 * Invariant: a consumer that stops early leaves a request's connection usable for
 * the answer, and closes the connection of an answer.
 */
import type { IncomingMessage } from 'node:http';
import { assert, concatBytes } from '#base/mod.ts';
import { BodyTooLargeError, type HttpBody } from '../http.ts';
import { NetError } from '../net.ts';
import { netErrorOf } from './net-errors.ts';

/** How much of a body that nobody wants is read, and for how long, before it is cut off. */
const drainMaxBytes = 64 << 20;
const drainTimeoutMs = 10_000;

export function expectsBody(message: IncomingMessage): boolean {
  return (
    message.headers['transfer-encoding'] !== undefined ||
    (message.headers['content-length'] ?? '0') !== '0'
  );
}

/** Held here for a consumer that is slower than the connection, before that is made to wait. */
const heldMaxBytes = 64 * 1024;

/** Of most reads and of every watch, which holds its request for as long as it lasts. */
const noBody: HttpBody = {
  collect: () => Promise.resolve(new Uint8Array(0)),
  async *[Symbol.asyncIterator]() {},
};

/** The body, to be read once. Raises NetError where the other side breaks off. */
export function bodyOf(message: IncomingMessage, onFirstRead: () => void): HttpBody {
  return expectsBody(message) ? new BodyReader(message, onFirstRead) : noBody;
}

interface Waiting {
  resolve(result: IteratorResult<Uint8Array>): void;
  reject(error: Error): void;
}

/** Who wants all of the body and nothing before that. */
interface Whole {
  take(part: Uint8Array): void;
  end(): void;
  fail(error: Error): void;
}

/** A stream's own iterator costs as much as the rest of a small request. */
class BodyReader implements HttpBody, AsyncIterableIterator<Uint8Array> {
  readonly #message: IncomingMessage;
  readonly #onFirstRead: () => void;
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  #waiting: Waiting | undefined;
  #whole: Whole | undefined;
  #state: 'unread' | 'reading' | 'ended' = 'unread';
  #failure: Error | undefined;

  constructor(message: IncomingMessage, onFirstRead: () => void) {
    this.#message = message;
    this.#onFirstRead = onFirstRead;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  collect(maxBytes: number): Promise<Uint8Array> {
    assert(this.#state === 'unread', 'a body is read once');
    return new Promise((resolve, reject) => {
      const parts: Uint8Array[] = [];
      let sizeBytes = 0;
      const refuse = (): void => {
        this.#whole = undefined;
        void this.return();
        reject(new BodyTooLargeError(maxBytes));
      };
      this.#whole = {
        take(part) {
          sizeBytes += part.length;
          parts.push(part);
          if (sizeBytes > maxBytes) refuse();
        },
        end: () => resolve(parts.length === 1 && parts[0] ? parts[0] : concatBytes(parts)),
        fail: (error) => reject(netErrorOf(error, 'the body broke off')),
      };
      this.#begin();
    });
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    assert(this.#waiting === undefined, 'one part of a body is asked for at a time');
    if (this.#state === 'unread') this.#begin();
    const part = this.#held.shift();
    if (part !== undefined) {
      this.#heldBytes -= part.length;
      if (this.#held.length === 0 && this.#state === 'reading') this.#message.resume();
      return Promise.resolve({ done: false, value: part });
    }
    if (this.#failure !== undefined) {
      return Promise.reject(netErrorOf(this.#failure, 'the body broke off'));
    }
    if (this.#state === 'ended') return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** The consumer wants no more: what is still to come is left in the connection. */
  return(): Promise<IteratorResult<Uint8Array>> {
    if (this.#state === 'reading') {
      this.#message.pause();
      this.#message.off('data', this.#take);
    }
    this.#state = 'ended';
    this.#held.length = 0;
    return Promise.resolve({ done: true, value: undefined });
  }

  #begin(): void {
    this.#onFirstRead();
    const message = this.#message;
    this.#state = 'reading';
    if (message.destroyed && !message.readableEnded) {
      this.#fail(message.errored ?? brokenOff());
      return;
    }
    if (message.readableEnded) {
      this.#end();
      return;
    }
    // Nothing is taken off again at the end: who has ended hears no more of it.
    message.on('end', this.#end);
    message.on('error', this.#fail);
    message.on('close', this.#close);
    message.on('data', this.#take);
  }

  readonly #take = (part: unknown): void => {
    assert(part instanceof Uint8Array, 'a body is bytes');
    if (this.#whole !== undefined) {
      this.#whole.take(part);
      return;
    }
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve({ done: false, value: part });
      return;
    }
    this.#held.push(part);
    this.#heldBytes += part.length;
    if (this.#heldBytes >= heldMaxBytes) this.#message.pause();
  };

  readonly #end = (): void => {
    if (this.#state !== 'reading') return;
    this.#state = 'ended';
    this.#whole?.end();
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
  };

  readonly #close = (): void => {
    // Every request closes in the end; an error with its stack is made for few of them.
    if (this.#state === 'reading') this.#fail(brokenOff());
  };

  readonly #fail = (error: Error): void => {
    if (this.#state !== 'reading') return;
    this.#state = 'ended';
    this.#failure = error;
    this.#whole?.fail(error);
    this.#waiting?.reject(netErrorOf(error, 'the body broke off'));
    this.#waiting = undefined;
  };
}

function brokenOff(): Error {
  return new NetError('NET_CLOSED', 'the body broke off', { retryable: true });
}

/** Reads the rest of a request's body and drops it; resolves when it ends or is cut off. */
export function drainBody(message: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let drainedBytes = 0;
    const finish = (): void => {
      clearTimeout(timer);
      message.off('data', count);
      resolve();
    };
    const count = (part: Uint8Array): void => {
      drainedBytes += part.length;
      if (drainedBytes > drainMaxBytes) finish();
    };
    const timer = setTimeout(finish, drainTimeoutMs);
    if (message.complete || message.destroyed) {
      finish();
      return;
    }
    message.once('end', finish);
    message.once('close', finish);
    message.on('data', count);
    message.resume();
  });
}
