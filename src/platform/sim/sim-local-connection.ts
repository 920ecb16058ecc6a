/** One end of a plain connection within a simulated machine. */
import { type Address, NetError, type PlainConnection } from '#platform/io/mod.ts';
import type { Kernel, Lifetime } from './kernel.ts';

/** Bytes that may be on their way or unread at the other end, as a kernel's buffers allow. */
const windowBytes = 1 << 20;
const messageBytesMax = 65_536;

export class LocalEnd implements PlainConnection {
  readonly process: Lifetime;
  readonly remoteAddress: Address;
  peer: LocalEnd | undefined;
  readonly #kernel: Kernel;
  readonly #latencyMs: number;
  readonly #sendQueue: Uint8Array[] = [];
  #queuedBytes = 0;
  #inFlightBytes = 0;
  #isFlushAsked = false;
  #hasEnded = false;
  #endSent = false;
  #endArrived = false;
  #endReceived = false;
  #isClosed = false;
  #closeError: Error | undefined;
  #isPaused = false;
  readonly #unread: Uint8Array[] = [];
  readonly #onData: ((bytes: Uint8Array) => void)[] = [];
  readonly #onDrain: (() => void)[] = [];
  readonly #onEnd: (() => void)[] = [];
  readonly #onClose: ((error: Error | undefined) => void)[] = [];
  readonly #onGone: (() => void)[] = [];

  constructor(kernel: Kernel, process: Lifetime, remoteAddress: Address, latencyMs: number) {
    this.#kernel = kernel;
    this.process = process;
    this.remoteAddress = remoteAddress;
    this.#latencyMs = latencyMs;
  }

  write(bytes: Uint8Array): void {
    if (!this.#isUsable || this.#hasEnded || bytes.length === 0) return;
    this.#sendQueue.push(bytes.slice());
    this.#queuedBytes += bytes.length;
    this.#askFlush();
  }

  bufferedBytes(): number {
    return this.#queuedBytes;
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#onData.push(listener);
    this.#readOnLater();
  }

  onDrain(listener: () => void): void {
    this.#onDrain.push(listener);
  }

  onEnd(listener: () => void): void {
    if (this.#endReceived) this.#later('local.end', listener);
    else this.#onEnd.push(listener);
    this.#readOnLater();
  }

  onClose(listener: (error: Error | undefined) => void): void {
    if (this.#isClosed) this.#later('local.closed', () => listener(this.#closeError));
    else this.#onClose.push(listener);
  }

  /** Bookkeeping of the machine: runs at once when this end closes. */
  onGone(hook: () => void): void {
    this.#onGone.push(hook);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#readOnLater();
  }

  end(): void {
    if (!this.#isUsable || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#askFlush();
  }

  destroy(): void {
    if (!this.#isUsable) return;
    this.resetPeer();
    this.#close(undefined);
  }

  /** This end is gone without a word of its own. */
  resetPeer(): void {
    const { peer } = this;
    if (peer === undefined) return;
    this.#send(peer, 'local.reset', () => peer.#abort());
  }

  get #isUsable(): boolean {
    return !this.#isClosed && this.process.alive;
  }

  #abort(): void {
    if (!this.#isUsable) return;
    this.#close(new NetError('NET_CLOSED', 'the connection was reset', { retryable: true }));
  }

  #askFlush(): void {
    if (this.#isFlushAsked) return;
    this.#isFlushAsked = true;
    void Promise.resolve().then(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushAsked = false;
    const { peer } = this;
    if (!this.#isUsable || peer === undefined) return;
    const hadQueue = this.#queuedBytes > 0;
    while (this.#sendQueue.length > 0 && this.#inFlightBytes < windowBytes) {
      const next = this.#sendQueue.shift() ?? new Uint8Array(0);
      const bytes = next.subarray(0, messageBytesMax);
      if (next.length > bytes.length) this.#sendQueue.unshift(next.subarray(messageBytesMax));
      this.#queuedBytes -= bytes.length;
      this.#inFlightBytes += bytes.length;
      this.#send(peer, 'local.data', () => peer.#receive(bytes));
    }
    if (this.#queuedBytes > 0) return;
    if (hadQueue) {
      this.#later('local.drain', () => {
        for (const listener of this.#onDrain) listener();
      });
    }
    if (this.#hasEnded && !this.#endSent) {
      this.#endSent = true;
      this.#send(peer, 'local.end', () => {
        peer.#endArrived = true;
        peer.#readOn();
      });
      this.#closeWhenBothEnded();
    }
  }

  #receive(bytes: Uint8Array): void {
    if (!this.#isUsable) return;
    this.#unread.push(bytes);
    this.#readOn();
  }

  #readOn(): void {
    while (this.#isUsable && !this.#isPaused && this.#onData.length > 0) {
      const bytes = this.#unread.shift();
      if (bytes === undefined) break;
      for (const listener of this.#onData) listener(bytes);
      const { peer } = this;
      if (peer === undefined) continue;
      peer.#inFlightBytes -= bytes.length;
      if (peer.#queuedBytes > 0) peer.#askFlush();
    }
    const isRead = this.#unread.length === 0 && !this.#isPaused;
    if (!this.#isUsable || !this.#endArrived || this.#endReceived || !isRead) return;
    this.#endReceived = true;
    for (const listener of this.#onEnd.splice(0)) listener();
    this.#closeWhenBothEnded();
  }

  #readOnLater(): void {
    if (this.#unread.length > 0 || this.#endArrived)
      this.#later('local.read', () => this.#readOn());
  }

  #closeWhenBothEnded(): void {
    if (this.#endSent && this.#endReceived) this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeError = error;
    this.#queuedBytes = 0;
    for (const hook of this.#onGone) hook();
    this.#later('local.closed', () => {
      for (const listener of this.#onClose.splice(0)) listener(error);
    });
  }

  #send(peer: LocalEnd, kind: string, arrive: () => void): void {
    this.#kernel.schedule(this.#latencyMs, peer.process, kind, '', arrive);
  }

  #later(kind: string, action: () => void): void {
    this.#kernel.schedule(0, this.process, kind, '', action);
  }
}
