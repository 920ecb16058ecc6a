/**
 * Processes of this machine, as the kernel's process table tells of them.
 *
 * Invariants:
 * 1. A started process leads a session of its own and inherits no descriptor but
 *    its standard three.
 * 2. A zombie has ended: it is listed as one, and is never signalled.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { errorText, SelvageError } from '#base/mod.ts';
import type { ProcessEntry, ProcessHandle, ProcessSpec, Spawn } from '../spawn.ts';

const commandMaxLength = 15;

/**
 * Parses `/proc/<pid>/stat`. The command stands in parentheses and may itself hold
 * parentheses, blanks and line feeds, so the last `)` ends it.
 */
export function parseProcessStat(pid: number, text: string): ProcessEntry | undefined {
  const commandStart = text.indexOf('(');
  const commandEnd = text.lastIndexOf(')');
  if (commandStart < 0 || commandEnd < commandStart) return undefined;
  // Field 3 (state) comes first after the command; 4 is the parent, 22 the start time.
  const fields = text.slice(commandEnd + 2).split(' ');
  const [state, parentPid, startTicks] = [fields[0], Number(fields[1]), Number(fields[19])];
  if (state === undefined || !Number.isInteger(parentPid) || !Number.isInteger(startTicks)) {
    return undefined;
  }
  return {
    pid,
    startTicks,
    parentPid,
    command: text.slice(commandStart + 1, commandEnd).slice(0, commandMaxLength),
    isZombie: state === 'Z' || state === 'X',
  };
}

/** Reading the process table never waits for a device, so it is done at once. */
export function readEntry(pid: number): ProcessEntry | undefined {
  try {
    return parseProcessStat(pid, readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    // It ended between two looks.
    return undefined;
  }
}

/** A zombie and a thread of the kernel have none. */
function readCommandLine(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return text === '' ? undefined : text.replace(/\0$/, '').split('\0');
  } catch {
    // It ended between two looks.
    return undefined;
  }
}

interface Opened {
  readonly stdio: StdioOptions;
  close(): void;
}

/** Opens the output files; the child gets copies and ours are closed after the start. */
function openOutputs(spec: ProcessSpec): Opened {
  const descriptors: number[] = [];
  const outputOf = (path: string | undefined): number | 'ignore' => {
    if (path === undefined) return 'ignore';
    const descriptor = openSync(path, 'a', 0o600);
    descriptors.push(descriptor);
    return descriptor;
  };
  const close = (): void => {
    for (const descriptor of descriptors) closeSync(descriptor);
  };
  try {
    const input = spec.stdin === undefined ? 'ignore' : 'pipe';
    return { stdio: [input, outputOf(spec.stdoutPath), outputOf(spec.stderrPath)], close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

function failure(spec: ProcessSpec, thrown: unknown): SelvageError {
  return new SelvageError('SPAWN_FAILED', `cannot start ${spec.program}: ${errorText(thrown)}`, {
    cause: thrown,
  });
}

function launch(spec: ProcessSpec): ChildProcess {
  const outputs = openOutputs(spec);
  try {
    return spawn(spec.program, [...spec.arguments], {
      cwd: spec.workingDirectory,
      env: { ...spec.environment },
      stdio: outputs.stdio,
      detached: true,
    });
  } finally {
    outputs.close();
  }
}

type Exit = Parameters<Parameters<ProcessHandle['onExit']>[0]>[0];

async function start(spec: ProcessSpec): Promise<ProcessHandle> {
  let child: ChildProcess;
  try {
    child = launch(spec);
  } catch (thrown) {
    throw failure(spec, thrown);
  }
  const { pid } = child;
  if (pid === undefined) {
    throw failure(spec, await new Promise((resolve) => child.once('error', resolve)));
  }
  // Before the event loop turns, so that the process cannot have been reaped yet.
  const entry = readEntry(pid);
  const listeners: ((exit: Exit) => void)[] = [];
  let ended: Exit | undefined;
  child.on('exit', (code, signal) => {
    ended = { code: code ?? undefined, signal: signal ?? undefined };
    for (const listener of listeners.splice(0)) listener(ended);
  });
  // A later error (a signal that could not be sent) is told where it was asked for.
  child.on('error', () => {});
  if (child.stdin !== null) {
    // A program that does not read its input is no failure of the start.
    child.stdin.on('error', () => {});
    child.stdin.end(spec.stdin);
  }
  child.unref();
  if (entry === undefined) throw failure(spec, 'it is not in the process table');
  return {
    pid,
    startTicks: entry.startTicks,
    onExit: (listener) => {
      const exit = ended;
      if (exit === undefined) listeners.push(listener);
      else queueMicrotask(() => listener(exit));
    },
  };
}

/** Starts and watches real processes (Linux: it reads /proc). */
export function createNodeSpawn(): Spawn {
  return {
    start,
    inspect: async (pid) => readEntry(pid),
    commandLine: async (pid) => readCommandLine(pid),
    table: async () => {
      const pids = readdirSync('/proc')
        .filter((name) => /^[0-9]+$/.test(name))
        .map(Number)
        .toSorted((left, right) => left - right);
      const entries: ProcessEntry[] = [];
      for (const pid of pids) {
        const entry = readEntry(pid);
        if (entry !== undefined) entries.push(entry);
      }
      return entries;
    },
    signal: async (identity, signal) => {
      const entry = readEntry(identity.pid);
      if (entry === undefined || entry.isZombie || entry.startTicks !== identity.startTicks) {
        return false;
      }
      try {
        return process.kill(identity.pid, signal);
      } catch (thrown) {
        if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH') return false;
        throw new SelvageError(
          'SPAWN_SIGNAL',
          `${signal} to ${identity.pid}: ${errorText(thrown)}`,
          {
            cause: thrown,
          },
        );
      }
    },
  };
}
