/**
 * What all connections over stream sockets have in common, with TLS and without.
 *
 * Invariant: `bufferedBytes` counts what the system has not taken yet.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { assert } from '#base/mod.ts';
import { netErrorOf } from './net-errors.ts';

export class SocketStream {
  readonly #socket: Socket;
  readonly #onDrain: (() => void)[] = [];
  readonly #onEnd: (() => void)[] = [];
  readonly #onClose: ((error: Error | undefined) => void)[] = [];
  #bufferedBytes = 0;
  #hasEnded = false;
  #isClosed = false;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      this.#error ??= netErrorOf(error, 'the connection failed');
    });
    socket.once('end', () => {
      this.#hasEnded = true;
      for (const listener of this.#onEnd.splice(0)) listener();
    });
    socket.once('close', () => {
      this.#isClosed = true;
      this.#bufferedBytes = 0;
      for (const listener of this.#onClose.splice(0)) listener(this.#error);
    });
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#isClosed || !this.#socket.writable) return;
    this.#bufferedBytes += bytes.length;
    this.#socket.write(bytes, (error) => {
      if (this.#isClosed || (error !== undefined && error !== null)) return;
      this.#bufferedBytes -= bytes.length;
      assert(this.#bufferedBytes >= 0, 'no more leaves than was written');
      if (this.#bufferedBytes > 0) return;
      for (const listener of this.#onDrain) listener();
    });
  }

  bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    this.#socket.on('data', listener);
  }

  onDrain(listener: () => void): void {
    this.#onDrain.push(listener);
  }

  onEnd(listener: () => void): void {
    if (this.#hasEnded) queueMicrotask(listener);
    else this.#onEnd.push(listener);
  }

  onClose(listener: (error: Error | undefined) => void): void {
    if (this.#isClosed) queueMicrotask(() => listener(this.#error));
    else this.#onClose.push(listener);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    if (this.#isClosed) return;
    // Below TLS there is no reset to send.
    if (this.#socket instanceof TLSSocket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }
}
