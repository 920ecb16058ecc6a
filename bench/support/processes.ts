/** Processes that a benchmark starts, and what the kernel says they cost. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

export interface Started {
  readonly pid: number;
  /** Tells it to end and resolves when it has; kills it where it does not. */
  stop(): Promise<void>;
}

export interface Cost {
  /** Of all its threads, user and system. */
  readonly cpuMs: number;
  /** Handed to the file systems, sockets included. */
  readonly writtenBytes: number;
  /** That went, or will go, to storage. */
  readonly storageBytes: number;
}

const stopTimeoutMs = 15_000;
const ticksPerSecond = 100;

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });
}

/** Starts a server; all it prints goes to the file. */
export function startProcess(
  command: readonly string[],
  logPath: string,
  environment: Readonly<Record<string, string>> = {},
): Started {
  const log = openSync(logPath, 'a');
  const [file = '', ...rest] = command;
  const child = spawn(file, rest, {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...environment },
  });
  closeSync(log);
  const pid = child.pid;
  if (pid === undefined) throw new Error(`could not start ${file}`);
  return {
    pid,
    async stop() {
      // What strace runs is told itself, so that strace sees it end and prints its counts.
      for (const target of childrenOf(pid).length > 0 ? childrenOf(pid) : [pid]) {
        process.kill(target, 'SIGTERM');
      }
      const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      await ended(child);
      clearTimeout(timer);
    },
  };
}

export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

/** Runs a part of a benchmark as a process of its own: JSON in by stdin, JSON out by stdout. */
export function runPart<Result>(
  script: string,
  input: unknown,
  flags: readonly string[] = [],
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const words = ['--disable-warning=ExperimentalWarning', ...flags, script];
    const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(text) as Result);
      else reject(new Error(`${script} ended with ${String(code)}`));
    });
    child.stdin.end(JSON.stringify(input));
  });
}

/** What `runPart` sent. */
export async function readInput<Input>(): Promise<Input> {
  let text = '';
  for await (const part of process.stdin.setEncoding('utf8')) text += String(part);
  return JSON.parse(text) as Input;
}

/** Of a process and of those that it has started and that run. */
export function costOf(pid: number): Cost {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  const all = [pid, ...(children === '' ? [] : children.split(' ').map(Number))].map(costOfOne);
  const sum = (name: keyof Cost): number => all.reduce((total, cost) => total + cost[name], 0);
  return {
    cpuMs: sum('cpuMs'),
    writtenBytes: sum('writtenBytes'),
    storageBytes: sum('storageBytes'),
  };
}

function costOfOne(pid: number): Cost {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const io = readFileSync(`/proc/${pid}/io`, 'utf8');
  const number = (name: string): number =>
    Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? Number.NaN);
  return {
    cpuMs: (ticks * 1000) / ticksPerSecond,
    writtenBytes: number('wchar'),
    storageBytes: number('write_bytes'),
  };
}

export function costBetween(before: Cost, after: Cost): Cost {
  return {
    cpuMs: after.cpuMs - before.cpuMs,
    writtenBytes: after.writtenBytes - before.writtenBytes,
    storageBytes: after.storageBytes - before.storageBytes,
  };
}

/** Time that all CPUs of the machine have worked for anybody, and were taken away (steal). */
export function machineCpuMs(): { readonly busyMs: number; readonly stolenMs: number } {
  const line = readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '';
  const ticks = line.trim().split(/\s+/).slice(1).map(Number);
  const at = (index: number): number => ticks[index] ?? 0;
  const busy = at(0) + at(1) + at(2) + at(5) + at(6);
  return { busyMs: (busy * 1000) / ticksPerSecond, stolenMs: (at(7) * 1000) / ticksPerSecond };
}

/** Resolves once `holds` answers true, asked again and again; throws with `what` after the limit. */
export async function until(
  what: string,
  limitMs: number,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(50);
  }
}
