/**
 * A process of our own that is started with one end of a pair of sockets, as its fourth
 * descriptor. Nobody else has that end, so what comes out of ours is what that process says.
 */
import { spawn } from 'node:child_process';
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { assert, errorText } from '#base/mod.ts';
import type { Connection } from '../net.ts';
import { SocketConnection } from './plain-net.ts';

const descriptor = 3;

export interface PairedProcess {
  readonly pid: number;
  readonly connection: Connection;
  /** Called once, with how it ended. */
  onExit(listener: (how: string) => void): void;
  kill(): void;
}

/** Starts it with this process's outputs and environment. Rejects where it cannot be started. */
export function startPairedProcess(
  program: string,
  words: readonly string[],
): Promise<PairedProcess> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
    const exits: ((how: string) => void)[] = [];
    let how: string | undefined;
    child.once('error', (error) => {
      if (child.pid === undefined) reject(error);
      else how = errorText(error);
    });
    child.once('exit', (code, signal) => {
      how ??= signal === null ? `exit code ${code ?? 0}` : `signal ${signal}`;
      for (const listener of exits.splice(0)) listener(how);
    });
    child.once('spawn', () => {
      const socket = child.stdio[descriptor];
      assert(socket instanceof Socket, 'the fourth descriptor is a socket');
      assert(child.pid !== undefined, 'a process that was started has a number');
      resolve({
        pid: child.pid,
        connection: connectionOver(socket),
        onExit(listener) {
          if (how === undefined) exits.push(listener);
          else listener(how);
        },
        kill: () => void child.kill('SIGKILL'),
      });
    });
  });
}

/** The end that this process was started with; undefined where it was started without. */
export function inheritedConnection(): Connection | undefined {
  try {
    if (!fstatSync(descriptor).isSocket()) return undefined;
  } catch {
    return undefined;
  }
  return connectionOver(new Socket({ fd: descriptor, readable: true, writable: true }));
}

function connectionOver(socket: Socket): Connection {
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
