/**
 * One end of a simulated connection. What is written leaves when the present
 * event ends, as far as the peer's window allows; the rest is buffered here.
 */
import { concatBytes } from '#base/mod.ts';
import { NetError, type Connection, type PeerIdentity } from '#platform/io/mod.ts';
import type { EventEndTarget, Kernel, Lifetime } from './kernel.ts';
import type { Pipe } from './sim-pipe.ts';
import { bytesDigest } from './trace.ts';

/** Bytes that may be on their way or unread at the other end, as a kernel's buffers allow. */
const windowBytes = 1 << 20;
const messageBytesMax = 65_536;

const end = Symbol('end of stream');

export class Endpoint implements Connection, EventEndTarget {
  readonly process: Lifetime;
  readonly outgoing: Pipe;
  readonly remoteAddress: string;
  peer: PeerIdentity | undefined;
  #peerEnd: Endpoint | undefined;
  readonly #kernel: Kernel;
  #sendQueue: Uint8Array[] = [];
  #queuedBytes = 0;
  #inFlightBytes = 0;
  #flushAsked = false;
  /** Somebody was told that bytes wait here, and is told when they have left. */
  #wasSeenWaiting = false;
  #hasEnded = false;
  #endSent = false;
  #endReceived = false;
  #isClosed = false;
  #closeError: Error | undefined;
  #isPaused = false;
  #unread: (Uint8Array | typeof end)[] = [];
  readonly #dataListeners: ((bytes: Uint8Array) => void)[] = [];
  readonly #drainListeners: (() => void)[] = [];
  readonly #closeListeners: ((error: Error | undefined) => void)[] = [];
  readonly #closedHooks: (() => void)[] = [];

  constructor(
    kernel: Kernel,
    process: Lifetime,
    outgoing: Pipe,
    remoteAddress: string,
    peer: PeerIdentity | undefined,
  ) {
    this.#kernel = kernel;
    this.process = process;
    this.outgoing = outgoing;
    this.remoteAddress = remoteAddress;
    this.peer = peer;
    outgoing.onReset = () =>
      this.abort(new NetError('NET_CLOSED', 'the peer was restarted', { retryable: true }));
    outgoing.onGiveUp = () =>
      this.abort(new NetError('NET_TIMEOUT', 'the peer does not take data', { retryable: true }));
  }

  /** The other end, known once the handshake is over. */
  get peerEnd(): Endpoint | undefined {
    return this.#peerEnd;
  }

  joinWith(far: Endpoint | undefined): void {
    this.#peerEnd = far;
    this.outgoing.onBytes = far;
  }

  write(bytes: Uint8Array): void {
    if (!this.#isUsable || this.#hasEnded || bytes.length === 0) return;
    this.#sendQueue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#askFlush();
  }

  bufferedBytes(): number {
    if (this.#queuedBytes > 0) this.#wasSeenWaiting = true;
    return this.#queuedBytes;
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#dataListeners.push(listener);
    if (this.#unread.length > 0) this.#readOnLater();
  }

  onDrain(listener: () => void): void {
    if (this.#queuedBytes > 0) this.#wasSeenWaiting = true;
    this.#drainListeners.push(listener);
  }

  onClose(listener: (error: Error | undefined) => void): void {
    if (!this.#isClosed) {
      this.#closeListeners.push(listener);
      return;
    }
    this.#kernel.schedule(0, this.process, 'net.closed', '', () => listener(this.#closeError));
  }

  /** Bookkeeping of the network: runs at once when this end closes. */
  onClosed(hook: () => void): void {
    this.#closedHooks.push(hook);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#unread.length > 0) this.#readOnLater();
  }

  end(): void {
    if (!this.#isUsable || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#askFlush();
  }

  destroy(): void {
    if (!this.#isUsable) return;
    this.#tellReset(new NetError('NET_CLOSED', 'the peer closed', { retryable: true }));
    this.#close(undefined);
  }

  /** Closes with an error that came from outside. */
  abort(error: Error): void {
    if (this.#isUsable) this.#close(error);
  }

  /** Ends without a word to this side, whose process is gone or never had it. */
  sendReset(error?: Error): void {
    if (this.#isClosed) return;
    this.#tellReset(error ?? new NetError('NET_CLOSED', 'the peer died', { retryable: true }));
    this.#isClosed = true;
    this.#forgetClosedPeer();
    for (const hook of this.#closedHooks) hook();
  }

  get #isUsable(): boolean {
    return !this.#isClosed && this.process.alive;
  }

  #tellReset(error: Error): void {
    this.outgoing.send('net.reset', '', () => this.peerEnd?.abort(error));
  }

  #askFlush(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#kernel.atEventEnd(this);
  }

  onEventEnd(): void {
    this.#flush();
  }

  #flush(): void {
    this.#flushAsked = false;
    if (!this.#isUsable) return;
    while (this.#queuedBytes > 0 && this.#inFlightBytes < windowBytes) this.#sendMessage();
    if (this.#queuedBytes > 0) return;
    if (this.#wasSeenWaiting && this.#drainListeners.length > 0) {
      this.#wasSeenWaiting = false;
      this.#kernel.schedule(0, this.process, 'net.drain', '', () => {
        for (const listener of this.#drainListeners) listener();
      });
    }
    if (this.#hasEnded && !this.#endSent) {
      this.#endSent = true;
      this.outgoing.send('net.end', '', () => this.peerEnd?.receive(end));
      this.#closeWhenBothEnded();
    }
  }

  /** Takes one message's worth from the queue and sends it. */
  #sendMessage(): void {
    const first = this.#sendQueue[0];
    const isWhole = this.#sendQueue.length === 1 && (first?.length ?? 0) <= messageBytesMax;
    const bytes = isWhole && first !== undefined ? first : this.#nextMessage();
    if (isWhole) this.#sendQueue.length = 0;
    this.#queuedBytes -= bytes.length;
    this.#inFlightBytes += bytes.length;
    this.outgoing.countBytes(bytes.length);
    this.outgoing.send('net.data', bytesDigest(bytes), bytes);
  }

  #nextMessage(): Uint8Array {
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    while (sizeBytes < messageBytesMax) {
      const part = this.#sendQueue[0];
      if (part === undefined) break;
      const room = messageBytesMax - sizeBytes;
      if (part.length > room) {
        parts.push(part.subarray(0, room));
        this.#sendQueue[0] = part.subarray(room);
        break;
      }
      this.#sendQueue.shift();
      parts.push(part);
      sizeBytes += part.length;
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : concatBytes(parts);
  }

  /** Something arrived from the other end. */
  receive(item: Uint8Array | typeof end): void {
    if (!this.#isUsable) return;
    const isFrozen = this.#kernel.isFrozen(this.process);
    if (item !== end && !isFrozen && !this.#isPaused && this.#unread.length === 0) {
      const listener = this.#dataListeners[0];
      if (listener !== undefined && this.#dataListeners.length === 1) {
        this.#acknowledge(item.length);
        listener(item);
        return;
      }
    }
    this.#unread.push(item);
    if (isFrozen) this.#readOnLater();
    else this.#readOn();
  }

  #readOnLater(): void {
    this.#kernel.schedule(0, this.process, 'net.readon', '', () => this.#readOn());
  }

  #readOn(): void {
    while (this.#isUsable && !this.#isPaused && this.#dataListeners.length > 0) {
      const item = this.#unread.shift();
      if (item === undefined) return;
      if (item === end) {
        this.#endReceived = true;
        this.end();
        this.#closeWhenBothEnded();
        return;
      }
      this.#acknowledge(item.length);
      for (const listener of this.#dataListeners) listener(item);
    }
  }

  /** Gives the sender its window back; it takes a message only where one waits for it. */
  #acknowledge(sizeBytes: number): void {
    const sender = this.peerEnd;
    if (sender === undefined) return;
    if (sender.#queuedBytes === 0) {
      sender.#inFlightBytes -= sizeBytes;
      return;
    }
    const take = (): void => {
      sender.#inFlightBytes -= sizeBytes;
      sender.#flush();
    };
    this.outgoing.send('net.ack', '', take);
  }

  #closeWhenBothEnded(): void {
    if (this.#endSent && this.#endReceived) this.#close(undefined);
  }

  /** Where both are closed: who still holds the one does not hold the other's process. */
  #forgetClosedPeer(): void {
    const peer = this.peerEnd;
    if (peer === undefined || !peer.#isClosed) return;
    peer.joinWith(undefined);
    this.joinWith(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#forgetClosedPeer();
    this.#closeError = error;
    this.#sendQueue = [];
    this.#queuedBytes = 0;
    this.#unread = [];
    for (const hook of this.#closedHooks) hook();
    if (this.#closeListeners.length === 0) return;
    this.#kernel.schedule(0, this.process, 'net.closed', error?.message ?? '', () => {
      for (const listener of this.#closeListeners) listener(error);
    });
  }
}
