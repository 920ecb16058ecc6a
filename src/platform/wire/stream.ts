/**
 * One end of one stream: what is queued to go out, what came in and waits for
 * its listener, and the credit of both directions.
 *
 * Invariants:
 * 1. Every frame of a message costs its payload plus the header in credit, at
 *    both ends alike, so that empty messages are not free.
 * 2. Bytes of a message whose predecessors are consumed are credited as they
 *    arrive (a message may be larger than the window); the last part of every
 *    message is credited when its listener is done. What one stream holds is
 *    thus bounded by one message and one window.
 * 3. After `#closed` is set nothing is sent, delivered or called any more.
 */
import { assert, AssertionFailure, concatBytes, errorText } from '#base/mod.ts';
import { LinkError, linkErrorOf } from './errors.ts';
import { encodeFrame, encodeNumberFrame, frameHeaderBytes, type FrameKind } from './frames.ts';
import { encodeFailure } from './handshake.ts';
import { dataFrameBytesMax, partBytesMin } from './limits.ts';
import type { Lane, LinkStream, StreamFailure } from './types.ts';

/** What a stream needs of its link. */
export interface StreamHost {
  /** What one message to the other side may have. */
  readonly sendMessageBytesMax: number;
  readonly receiveMessageBytesMax: number;
  readonly sendQueueBytesMax: number;
  /** Puts a small frame ahead of all data. */
  signal(frame: Uint8Array): void;
  /** The stream has a frame to send now. */
  ready(stream: StreamEnd): void;
  forget(stream: StreamEnd): void;
  /** What the other side may have unacknowledged on a stream of this lane. */
  windowBytes(lane: Lane): number;
  report(level: 'warn' | 'error', message: string): void;
  /** The link ends over it. */
  breach(thrown: unknown): void;
}

interface Outgoing {
  readonly bytes: Uint8Array;
  offset: number;
  readonly resolve: () => void;
  readonly reject: (error: LinkError) => void;
}

interface Incoming {
  readonly bytes: Uint8Array;
  readonly heldBytes: number;
}

export class StreamEnd implements LinkStream {
  readonly lane: Lane;
  readonly id: number;
  /** True where the other side opened it. */
  readonly isRemote: boolean;
  /** Managed by the link's scheduler: whether it stands in its lane's queue. */
  isQueued = false;
  readonly #host: StreamHost;

  #sendCredit: number;
  #outgoing: Outgoing[] = [];
  #outgoingBytes = 0;
  /** Sends that were written out and wait for credit. */
  #waiting: Outgoing[] = [];
  #isEnding = false;
  #isEndSent = false;

  #peerCredit: number;
  #heldBytes = 0;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #partHeldBytes = 0;
  #incoming: Incoming[] = [];
  #isConsuming = false;
  #isRemoteEnded = false;

  #messageListener: ((message: Uint8Array) => void | Promise<void>) | undefined;
  #closeListener: ((failure: StreamFailure | undefined) => void) | undefined;
  #closed: { readonly failure: StreamFailure | undefined } | undefined;

  constructor(
    host: StreamHost,
    options: { id: number; lane: Lane; isRemote: boolean; sendCredit: number; peerCredit: number },
  ) {
    this.#host = host;
    this.id = options.id;
    this.lane = options.lane;
    this.isRemote = options.isRemote;
    this.#sendCredit = options.sendCredit;
    this.#peerCredit = options.peerCredit;
  }

  send(message: Uint8Array): Promise<void> {
    const sent = new Promise<void>((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closedError());
        return;
      }
      assert(!this.#isEnding, 'nothing is sent on a stream after its end');
      const limitBytes = this.#host.sendMessageBytesMax;
      if (message.length > limitBytes) {
        const text = `a message of ${message.length} bytes is larger than the limit of ${limitBytes}`;
        reject(new LinkError('LINK_MESSAGE_TOO_LARGE', text));
        return;
      }
      if (this.#outgoingBytes + message.length > this.#host.sendQueueBytesMax) {
        const text = `more than ${this.#host.sendQueueBytesMax} bytes are queued on one stream`;
        this.fail({ code: 'LINK_QUEUE_FULL', message: text });
        reject(this.#closedError());
        return;
      }
      this.#outgoingBytes += message.length + frameHeaderBytes;
      this.#outgoing.push({ bytes: message, offset: 0, resolve, reject });
      this.#host.ready(this);
    });
    // The failure is also reported to onClose; a caller that does not await has not lost it.
    sent.catch(() => {});
    return sent;
  }

  end(): void {
    if (this.#closed !== undefined || this.#isEnding) return;
    this.#isEnding = true;
    this.#host.ready(this);
  }

  fail(failure: StreamFailure): void {
    if (this.#closed !== undefined) return;
    this.#host.signal(encodeFrame('fail', this.lane, this.id, encodeFailure(failure)));
    this.close(failure);
  }

  onMessage(listener: (message: Uint8Array) => void | Promise<void>): void {
    assert(this.#messageListener === undefined, 'a stream has one message listener');
    this.#messageListener = listener;
    this.#consume();
  }

  onClose(listener: (failure: StreamFailure | undefined) => void): void {
    assert(this.#closeListener === undefined, 'a stream has one close listener');
    this.#closeListener = listener;
    if (this.#closed !== undefined) listener(this.#closed.failure);
  }

  /** The next frame that credit allows, or undefined. */
  nextFrame(): Uint8Array | undefined {
    if (this.#closed !== undefined) return undefined;
    const head = this.#outgoing[0];
    if (head === undefined) {
      if (!this.#isEnding || this.#isEndSent) return undefined;
      this.#isEndSent = true;
      const frame = encodeFrame('end', this.lane, this.id);
      this.#finishWhenDone();
      return frame;
    }
    const restBytes = head.bytes.length - head.offset;
    const room = this.#sendCredit - frameHeaderBytes;
    const partBytes = Math.min(restBytes, dataFrameBytesMax, room);
    if (partBytes < Math.min(restBytes, partBytesMin)) return undefined;
    const part = head.bytes.subarray(head.offset, head.offset + partBytes);
    head.offset += partBytes;
    this.#sendCredit -= partBytes + frameHeaderBytes;
    assert(this.#sendCredit >= 0, 'a sender stays within its credit');
    this.#outgoingBytes -= partBytes;
    const isLast = head.offset === head.bytes.length;
    const kind: FrameKind = isLast ? 'message' : 'data';
    if (isLast) {
      this.#outgoing.shift();
      this.#outgoingBytes -= frameHeaderBytes;
      this.#waiting.push(head);
      this.#releaseWaiting();
    }
    return encodeFrame(kind, this.lane, this.id, part);
  }

  /** More credit from the other side. Throws LinkError LINK_PROTOCOL. */
  credit(bytes: number): void {
    this.#sendCredit += bytes;
    if (this.#sendCredit > 2 ** 31) {
      throw new LinkError('LINK_PROTOCOL', 'the other side grants more credit than there can be');
    }
    this.#releaseWaiting();
    this.#host.ready(this);
  }

  #releaseWaiting(): void {
    if (this.#sendCredit <= frameHeaderBytes + partBytesMin) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const outgoing of waiting) outgoing.resolve();
  }

  /** A part of a message from the other side. Throws LinkError LINK_PROTOCOL. */
  receive(part: Uint8Array, isLast: boolean): void {
    if (this.#isRemoteEnded) throw new LinkError('LINK_PROTOCOL', 'a message after its end');
    const costBytes = part.length + frameHeaderBytes;
    if (costBytes > this.#peerCredit) {
      throw new LinkError('LINK_PROTOCOL', `stream ${this.id} sent more than it was granted`);
    }
    if (this.#partBytes + part.length > this.#host.receiveMessageBytesMax) {
      throw new LinkError('LINK_PROTOCOL', `stream ${this.id} sent too large a message`);
    }
    this.#peerCredit -= costBytes;
    this.#heldBytes += costBytes;
    this.#partHeldBytes += costBytes;
    this.#parts.push(part);
    this.#partBytes += part.length;
    if (isLast) {
      this.#incoming.push({ bytes: concatBytes(this.#parts), heldBytes: this.#partHeldBytes });
      this.#parts = [];
      this.#partBytes = 0;
      this.#partHeldBytes = 0;
      this.#consume();
    } else if (this.#incoming.length === 0 && !this.#isConsuming) {
      this.#releaseParts();
    }
  }

  /** The other side has no more messages. Throws LinkError LINK_PROTOCOL. */
  remoteEnd(): void {
    if (this.#isRemoteEnded || this.#parts.length > 0) {
      throw new LinkError('LINK_PROTOCOL', `stream ${this.id} ended twice or inside a message`);
    }
    this.#isRemoteEnded = true;
    this.#finishWhenDone();
  }

  /** Ends this side without telling the other: it knows, or there is no link. */
  close(failure: StreamFailure | undefined): void {
    if (this.#closed !== undefined) return;
    this.#closed = { failure };
    this.#host.forget(this);
    const unsent = [...this.#waiting, ...this.#outgoing];
    this.#waiting = [];
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    this.#incoming = [];
    this.#parts = [];
    for (const outgoing of unsent) {
      if (failure === undefined) outgoing.resolve();
      else outgoing.reject(this.#closedError());
    }
    this.#closeListener?.(failure);
  }

  #closedError(): LinkError {
    return linkErrorOf(
      this.#closed?.failure ?? { code: 'LINK_CLOSED', message: 'the stream has ended' },
    );
  }

  #consume(): void {
    const listener = this.#messageListener;
    if (listener === undefined || this.#isConsuming) return;
    this.#isConsuming = true;
    while (this.#closed === undefined) {
      const next = this.#incoming.shift();
      if (next === undefined) break;
      let outcome: void | Promise<void>;
      try {
        outcome = listener(next.bytes);
      } catch (thrown) {
        this.#listenerFailed(thrown);
        return;
      }
      if (outcome !== undefined) {
        outcome.then(
          () => {
            this.#isConsuming = false;
            this.#release(next.heldBytes);
            this.#consume();
          },
          (thrown: unknown) => this.#listenerFailed(thrown),
        );
        return;
      }
      this.#release(next.heldBytes);
    }
    this.#isConsuming = false;
    this.#releaseParts();
    this.#finishWhenDone();
  }

  #listenerFailed(thrown: unknown): void {
    if (thrown instanceof AssertionFailure) {
      this.#host.breach(thrown);
      return;
    }
    this.#host.report('warn', `a listener of stream ${this.id} failed: ${errorText(thrown)}`);
    this.fail({ code: 'LINK_LISTENER_FAILED', message: 'the receiver could not use a message' });
  }

  #releaseParts(): void {
    const bytes = this.#partHeldBytes;
    this.#partHeldBytes = 0;
    this.#release(bytes);
  }

  #release(bytes: number): void {
    this.#heldBytes -= bytes;
    assert(this.#heldBytes >= 0, 'no byte is credited twice');
    if (this.#closed !== undefined || this.#isRemoteEnded) return;
    const window = this.#host.windowBytes(this.lane);
    const grant = window - this.#peerCredit - this.#heldBytes;
    if (grant < window / 4) return;
    this.#peerCredit += grant;
    this.#host.signal(encodeNumberFrame('credit', this.lane, this.id, grant));
  }

  #finishWhenDone(): void {
    if (!this.#isEndSent || !this.#isRemoteEnded) return;
    if (this.#isConsuming || this.#incoming.length > 0) return;
    this.close(undefined);
  }
}
