/** Plain TCP. */
import { connect, createServer, type Socket } from 'node:net';
import { NetError, type Address } from '../net.ts';
import type { PlainConnection, PlainNet } from '../plain-net.ts';
import { listenOn } from './listening.ts';
import { netErrorOf } from './net-errors.ts';
import { SocketStream } from './socket-stream.ts';

/** Over any socket, also one of TLS that speaks another protocol from now on. */
export class SocketConnection extends SocketStream implements PlainConnection {
  readonly remoteAddress: Address;

  constructor(socket: Socket) {
    super(socket);
    this.remoteAddress = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
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
