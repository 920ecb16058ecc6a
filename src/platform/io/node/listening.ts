/**
 * What the two listening drivers (link and HTTP) share: binding, the cap on
 * connections, and a close that takes the open connections along.
 */
import type { Server, Socket } from 'node:net';
import { assert } from '#base/mod.ts';
import type { Address, Listener } from '../net.ts';
import { netErrorOf } from './net-errors.ts';

/** A TLS handshake that takes longer is given up on: it holds a place for nothing. */
export const handshakeTimeoutMs = 10_000;
const backlogMax = 1_024;

/** Binds and resolves once connections are taken. Rejects with NET_ADDRESS_IN_USE or NET_IO. */
export async function listenOn(
  server: Server,
  address: Address,
  connectionsMax: number,
  { isShared = false }: { readonly isShared?: boolean } = {},
): Promise<Listener> {
  assert(connectionsMax > 0, 'a listener takes at least one connection');
  // Beyond it Node closes a connection as soon as it is there, before any TLS.
  server.maxConnections = connectionsMax;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (thrown: unknown): void => {
      reject(netErrorOf(thrown, `cannot listen on ${address.host}:${address.port}`));
    };
    server.once('error', fail);
    const { host, port } = address;
    server.listen({ host, port, backlog: backlogMax, reusePort: isShared }, () => {
      server.off('error', fail);
      // An accept that fails (no descriptors left) concerns one connection, not the listener.
      server.on('error', () => {});
      resolve();
    });
  });
  const bound = server.address();
  assert(bound !== null && typeof bound === 'object', 'a TCP listener has an address');
  return {
    address: { host: address.host, port: bound.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
