/**
 * Children with pipes, over Node's own; and children with a terminal, which the
 * machine's own `script` makes and stands between: it dies with what it was started for.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, readFileSync, readlinkSync } from 'node:fs';
import { assert, errorText, SelvageError } from '#base/mod.ts';
import type { Child, ChildExit, Children, ChildSpec, TerminalSize } from '../child.ts';
import { readEntry } from './spawn.ts';

const terminalProgram = '/usr/bin/script';
const resizeTimeoutMs = 5_000;
const terminalSizeMax = 10_000;
/** Programs that a process may become while it is looked at. */
const programReadsMax = 10;

/**
 * The words that give a program a terminal. The first thing that runs in it says
 * through descriptor 3 which one it is, and then becomes the program.
 */
function terminalWords({ program, arguments: words }: ChildSpec): readonly string[] {
  const quoted = [program, ...words].map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`);
  const command = `stty rows 24 cols 80; tty >&3; exec 3>&-; exec ${quoted.join(' ')}`;
  const options = ['--quiet', '--flush', '--return', '--echo', 'always'];
  return [...options, '--command', command, '/dev/null'];
}

function requireTerminals(): void {
  try {
    accessSync(terminalProgram, constants.X_OK);
  } catch (cause) {
    const text = `this machine makes no terminals: ${terminalProgram} (Debian's package bsdutils) is not there`;
    throw new SelvageError('SPAWN_FAILED', text, { cause });
  }
}

/** Sizes are set one after the other, the last one for certain; one that came early waits for the name. */
function createResizer({ stdio }: ChildProcess): (size: TerminalSize) => void {
  const names = stdio[3];
  let path: string | undefined;
  let wanted: TerminalSize | undefined;
  let isSetting = false;
  const setNext = (): void => {
    if (isSetting || path === undefined || wanted === undefined) return;
    const { rows, columns } = wanted;
    wanted = undefined;
    isSetting = true;
    const words = ['-F', path, 'rows', String(rows), 'cols', String(columns)];
    execFile('/bin/stty', words, { timeout: resizeTimeoutMs }, () => {
      // A terminal that has gone needs no size.
      isSetting = false;
      setNext();
    });
  };
  let text = '';
  names?.on('data', (bytes: Uint8Array) => {
    text = `${text}${Buffer.from(bytes).toString()}`.slice(0, 100);
    path = /^(\/dev\/pts\/[0-9]+)\n/.exec(text)?.[1];
    setNext();
  });
  names?.on('error', () => {});
  return (size) => {
    const isSize = [size.rows, size.columns].every(
      (count) => Number.isInteger(count) && count > 0 && count <= terminalSizeMax,
    );
    if (!isSize) return;
    wanted = size;
    setNext();
  };
}

function launch(spec: ChildSpec): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const fail = (thrown: unknown): void => {
      const text = `cannot start ${spec.program}: ${errorText(thrown)}`;
      reject(new SelvageError('SPAWN_FAILED', text, { cause: thrown }));
    };
    try {
      const hasTerminal = spec.hasTerminal === true;
      if (hasTerminal) requireTerminals();
      const program = hasTerminal ? terminalProgram : spec.program;
      const child = spawn(program, hasTerminal ? terminalWords(spec) : [...spec.arguments], {
        cwd: '/',
        env: { ...spec.environment },
        stdio: hasTerminal ? ['pipe', 'pipe', 'pipe', 'pipe'] : 'pipe',
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

/** Undefined where the process has ended. What has been replaced on the disk since runs on. */
function programPathOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
  } catch {
    return undefined;
  }
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
      const resize = spec.hasTerminal === true ? createResizer(child) : () => {};
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
        resize,
        kill() {
          child.kill('SIGKILL');
        },
      } satisfies Child;
    },
    programOf({ pid, startTicks }) {
      // A process may become another program at any moment: path and environment are of one.
      for (let attempt = 0; attempt < programReadsMax; attempt += 1) {
        const path = programPathOf(pid);
        let text: string;
        try {
          text = readFileSync(`/proc/${pid}/environ`, 'utf8');
        } catch {
          return Promise.resolve(undefined);
        }
        // Asked afterwards: then what was read is that process's.
        if (path === undefined || readEntry(pid)?.startTicks !== startTicks) break;
        if (programPathOf(pid) === path) {
          return Promise.resolve({ path, environment: parseEnvironment(text) });
        }
      }
      return Promise.resolve(undefined);
    },
  };
}
