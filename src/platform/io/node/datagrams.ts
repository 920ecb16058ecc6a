/** UDP sockets. */
import { createSocket } from 'node:dgram';
import { assert } from '#base/mod.ts';
import { datagramBytesMax, type Datagrams, type DatagramSocket } from '../datagrams.ts';
import { netErrorOf } from './net-errors.ts';

/** Real UDP, IPv4 or IPv6 by the address. */
export function createNodeDatagrams(): Datagrams {
  return {
    bind: ({ address, isShared = false }) =>
      new Promise((resolve, reject) => {
        const socket = createSocket({
          type: address.host.includes(':') ? 'udp6' : 'udp4',
          reusePort: isShared,
        });
        const fail = (thrown: unknown): void => {
          socket.close();
          reject(netErrorOf(thrown, `cannot bind ${address.host}:${address.port}`));
        };
        socket.once('error', fail);
        socket.bind({ address: address.host, port: address.port, exclusive: !isShared }, () => {
          socket.off('error', fail);
          // A message that could not be sent is a lost one; the socket goes on.
          socket.on('error', () => {});
          const { address: host, port } = socket.address();
          let isClosed = false;
          const bound: DatagramSocket = {
            address: { host, port },
            send(bytes, to) {
              assert(bytes.length <= datagramBytesMax, 'a datagram fits into a packet');
              // Who sends from port 0 (raw sockets can) cannot be answered, and is nobody.
              if (isClosed || to.port === 0) return;
              socket.send(bytes, to.port, to.host, () => {});
            },
            onMessage(listener) {
              socket.on('message', (bytes, from) => {
                listener(bytes, { host: from.address, port: from.port });
              });
            },
            close: () =>
              new Promise((done) => {
                if (isClosed) return done();
                isClosed = true;
                socket.close(() => done());
              }),
          };
          resolve(bound);
        });
      }),
  };
}
