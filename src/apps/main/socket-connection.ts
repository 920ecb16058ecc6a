/** A socket between two processes of this machine as a connection of the link. */
import type { Socket } from 'node:net';
import type { Connection } from '#platform/io/mod.ts';
import { SocketConnection } from '#platform/io/node/mod.ts';

export function socketConnection(socket: Socket): Connection {
  const plain = new SocketConnection(socket);
  // There is no half of it: who says nothing more is gone.
  plain.onEnd(() => socket.destroy());
  return {
    peer: undefined,
    remoteAddress: 'this machine',
    write: (bytes) => plain.write(bytes),
    bufferedBytes: () => plain.bufferedBytes(),
    onData: (listener) => plain.onData(listener),
    onDrain: (listener) => plain.onDrain(listener),
    onClose: (listener) => plain.onClose(listener),
    pause: () => plain.pause(),
    resume: () => plain.resume(),
    end: () => plain.end(),
    destroy: () => socket.destroy(),
  };
}
