/**
 * Two connected ends in one process: for tests, and for a hub whose child runs
 * in the same process. Delivery is a turn later, in order; a paused end takes
 * nothing and its bytes count as the other end's `bufferedBytes`.
 */
import type { Connection, PeerIdentity } from '#platform/io/mod.ts';

class End implements Connection {
  readonly peer: PeerIdentity | undefined;
  readonly remoteAddress = 'in-process';
  other!: End;
  #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  #isPaused = false;
  #isPlanned = false;
  #isEnding = false;
  #isClosed = false;
  #data: ((bytes: Uint8Array) => void) | undefined;
  readonly #drain: (() => void)[] = [];
  readonly #close: ((error: Error | undefined) => void)[] = [];

  constructor(peer: PeerIdentity | undefined) {
    this.peer = peer;
  }

  write(bytes: Uint8Array): void {
    if (this.#isClosed || this.#isEnding) return;
    this.other.#inbox.push(bytes.slice());
    this.other.#inboxBytes += bytes.length;
    this.other.#plan();
  }

  bufferedBytes(): number {
    return this.other.#inboxBytes;
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#data = listener;
    this.#plan();
  }

  onDrain(listener: () => void): void {
    this.#drain.push(listener);
  }

  onClose(listener: (error: Error | undefined) => void): void {
    this.#close.push(listener);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#plan();
  }

  end(): void {
    this.#isEnding = true;
    this.other.#plan();
  }

  destroy(): void {
    this.#finish();
    this.other.#plan();
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    void Promise.resolve().then(() => {
      this.#isPlanned = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    if (this.#isClosed || this.#isPaused || this.#data === undefined) return;
    const next = this.#inbox.shift();
    if (next !== undefined) {
      this.#inboxBytes -= next.length;
      this.#data(next);
      if (this.#inboxBytes === 0) for (const listener of this.other.#drain) listener();
      this.#plan();
      return;
    }
    if (this.other.#isEnding || this.other.#isClosed) {
      this.#finish();
      this.other.#finish();
    }
  }

  #finish(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#inbox = [];
    this.#inboxBytes = 0;
    for (const listener of this.#close) listener(undefined);
  }
}

/** `[parent's end, child's end]`; each end's `peer` is who the other end is. */
export function createConnectionPair(
  peers: { readonly child?: PeerIdentity; readonly parent?: PeerIdentity } = {},
): [Connection, Connection] {
  const parent = new End(peers.child);
  const child = new End(peers.parent);
  parent.other = child;
  child.other = parent;
  return [parent, child];
}
