/** Plain TCP. */
import { connect, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { assert } from '#base/mod.ts';
import { NetError, type Address } from '../net.ts';
import type { PlainConnection, PlainNet } from '../plain-net.ts';
import { listenOn } from './listening.ts';
import { netErrorOf } from './net-errors.ts';

/** Over any socket, also one of TLS that speaks another protocol from now on. */
export class SocketConnection implements PlainConnection {
  readonly remoteAddress: Address;
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
    this.remoteAddress = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
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

/** Real sockets without TLS. */
export function createNodePlainNet(): PlainNet {
  return {
    listen: ({ address, connectionsMax, isShared = false }, onConnection) => {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        onConnection(new SocketConnection(socket));
      });
      return listenOn(server, address, connectionsMax, { isShared });
    },
    connect: ({ address, timeoutMs }) =>
      new Promise((resolve, reject) => {
        const { host, port } = address;
        const where = `cannot connect to ${host}:${port}`;
        const socket = connect({ host, port, allowHalfOpen: true });
        const timer = setTimeout(() => {
          socket.destroy();
          const why = `${where}: no answer in ${timeoutMs} ms`;
          reject(new NetError('NET_TIMEOUT', why, { retryable: true }));
        }, timeoutMs);
        const fail = (thrown: unknown): void => {
          clearTimeout(timer);
          reject(netErrorOf(thrown, where));
        };
        socket.once('error', fail);
        socket.once('connect', () => {
          clearTimeout(timer);
          socket.off('error', fail);
          resolve(new SocketConnection(socket));
        });
      }),
  };
}
