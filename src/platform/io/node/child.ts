/** Children with pipes, over Node's own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { assert, errorText, SelvageError } from '#base/mod.ts';
import type { Child, ChildExit, Children, ChildSpec } from '../child.ts';
import { readEntry } from './spawn.ts';

function launch(spec: ChildSpec): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const fail = (thrown: unknown): void => {
      const text = `cannot start ${spec.program}: ${errorText(thrown)}`;
      reject(new SelvageError('SPAWN_FAILED', text, { cause: thrown }));
    };
    try {
      const child = spawn(spec.program, [...spec.arguments], {
        cwd: '/',
        env: { ...spec.environment },
        stdio: 'pipe',
        detached: true,
      });
      child.once('error', fail);
      child.once('spawn', () => {
        child.removeListener('error', fail);
        child.on('error', () => {});
        resolve(child);
      });
    } catch (thrown) {
      fail(thrown);
    }
  });
}

/** Anything may stand there: a process may write over its own. What is no assignment is left out. */
function parseEnvironment(text: string): Record<string, string> {
  const environment: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of text.split('\0')) {
    const at = pair.indexOf('=');
    if (at > 0) environment[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return environment;
}

/** Real processes, each in a session of its own. */
export function createNodeChildren(): Children {
  return {
    async start(spec) {
      const child = await launch(spec);
      const { pid, stdin, stdout, stderr } = child;
      assert(pid !== undefined, 'a child that was spawned has a pid');
      assert(stdin !== null && stdout !== null && stderr !== null, 'it has three pipes');
      const streams = [stdout, stderr];
      const drains: (() => void)[] = [];
      let bufferedBytes = 0;
      let exit: ChildExit | undefined;
      const exits: ((exit: ChildExit) => void)[] = [];
      // It may read nothing, or have ended: then what was written is of no use to anyone.
      stdin.on('error', () => {});
      child.once('close', (code, signal) => {
        exit = { code: code ?? undefined, signal: signal ?? undefined };
        for (const listener of exits.splice(0)) listener(exit);
      });
      return {
        pid,
        write(bytes) {
          if (!stdin.writable) return;
          bufferedBytes += bytes.length;
          stdin.write(bytes, () => {
            bufferedBytes -= bytes.length;
            if (bufferedBytes === 0) for (const listener of drains) listener();
          });
        },
        bufferedBytes: () => bufferedBytes,
        onDrain: (listener) => void drains.push(listener),
        endInput: () => void stdin.end(),
        onOutput(listener) {
          stdout.on('data', (bytes: Uint8Array) => listener('stdout', bytes));
          stderr.on('data', (bytes: Uint8Array) => listener('stderr', bytes));
        },
        pause: () => streams.forEach((stream) => stream.pause()),
        resume: () => streams.forEach((stream) => stream.resume()),
        onExit(listener) {
          const known = exit;
          if (known === undefined) exits.push(listener);
          else queueMicrotask(() => listener(known));
        },
        kill() {
          child.kill('SIGKILL');
        },
      } satisfies Child;
    },
    environmentOf({ pid, startTicks }) {
      let text: string;
      try {
        text = readFileSync(`/proc/${pid}/environ`, 'utf8');
      } catch {
        // It has ended.
        return Promise.resolve(undefined);
      }
      // Asked afterwards: then what was read is that process's.
      const isSame = readEntry(pid)?.startTicks === startTicks;
      return Promise.resolve(isSame ? parseEnvironment(text) : undefined);
    },
  };
}
