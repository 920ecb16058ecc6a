/**
 * Starts the processes of the API's fronts: this program again, with one end of a pair of
 * sockets as its fourth descriptor. Nobody else has that end, so what comes out of ours is
 * what that process says.
 */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { FrontProcess, FrontStarter } from '#apps/assembly/mod.ts';
import { assert, errorText } from '#base/mod.ts';
import { socketConnection } from './socket-connection.ts';

export const frontDescriptor = 3;

/** `command`: program and first arguments of this command line; `api-front` follows. */
export function createFrontStarter(command: readonly string[], count: number): FrontStarter {
  const [program = process.execPath, ...first] = command;
  return {
    count,
    start: () =>
      new Promise<FrontProcess>((resolve, reject) => {
        const child = spawn(program, [...first, 'api-front'], {
          stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
        });
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
          const socket = child.stdio[frontDescriptor];
          assert(socket instanceof Socket, 'the fourth descriptor is a socket');
          assert(child.pid !== undefined, 'a process that was started has a number');
          resolve({
            pid: child.pid,
            connection: socketConnection(socket),
            onExit(listener) {
              if (how === undefined) exits.push(listener);
              else listener(how);
            },
            kill: () => void child.kill('SIGKILL'),
          });
        });
      }),
  };
}
