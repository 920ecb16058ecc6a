/**
 * A real server process on a state folder, alone or under strace, which kills it
 * or fails its disk at a chosen call. Debian's strace is installed where there is
 * none.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { projectFolder } from './fleet.ts';
import { rawApiFor } from './raw-api.ts';

const readyTimeoutMs = 60_000;

/** The calls by which bytes and names of files reach the disk. */
export const diskCalls = ['pwrite64', 'pwritev', 'fsync', 'fdatasync', 'rename'] as const;
export type DiskCall = (typeof diskCalls)[number];

export interface ServerProcess {
  /** False where it ended before it was ready. */
  readonly isReady: boolean;
  readonly kubeconfig: string;
  output(): string;
  hasEnded(): boolean;
  /** Null while it runs and where a signal ended it. */
  exitCode(): number | null;
  /** SIGKILL to it and to its tracer. */
  kill(): Promise<void>;
  /** Resolves when it has ended, whoever did it. */
  readonly ended: Promise<void>;
}

export interface ServerPlace {
  readonly stateFolder: string;
  readonly apiPort: number;
}

let isStraceThere = false;

export function ensureStrace(): void {
  if (isStraceThere) return;
  const look = (): boolean => spawnSync('strace', ['-V'], { stdio: 'ignore' }).status === 0;
  if (!look()) {
    process.stderr.write('no strace on PATH: installing the Debian package strace\n');
    spawnSync('sh', ['-c', 'apt-get update -q && apt-get install -q -y strace'], {
      stdio: 'inherit',
    });
    if (!look()) throw new Error('strace is neither on PATH nor could it be installed');
  }
  isStraceThere = true;
}

/** Starts a server and waits until it is ready or has ended. `strace` are options of it. */
export async function startServer(
  { stateFolder, apiPort }: ServerPlace,
  strace?: readonly string[],
): Promise<ServerProcess> {
  const command = [
    join(projectFolder, 'selvage'),
    'server',
    ...['--state', stateFolder],
    ...['--api', `127.0.0.1:${apiPort}`],
    ...['--link', `127.0.0.1:${apiPort + 1}`],
  ];
  if (strace !== undefined) {
    ensureStrace();
    command.unshift('strace', '-f', '-qq', ...strace);
  }
  const [program = '', ...words] = command;
  const child: ChildProcess = spawn(program, words, {
    cwd: projectFolder,
    // Its own group, so that the tracer and the traced end together.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    // One thread for the disk: strace counts the calls of each thread apart.
    env: strace === undefined ? process.env : { ...process.env, UV_THREADPOOL_SIZE: '1' },
  });
  let printed = '';
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      hasEnded = true;
      resolve();
    });
  });
  const ready = new Promise<boolean>((resolve) => {
    const collect = (chunk: Buffer): void => {
      printed += chunk.toString('utf8');
      if (printed.includes('"server ready"')) resolve(true);
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    void ended.then(() => resolve(false));
  });
  const kill = async (): Promise<void> => {
    if (!hasEnded && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    await ended;
  };
  const timer = setTimeout(() => void kill(), readyTimeoutMs);
  const isReady = await ready;
  clearTimeout(timer);
  return {
    isReady,
    kubeconfig: join(stateFolder, 'kubeconfig'),
    output: () => printed,
    hasEnded: () => hasEnded,
    exitCode: () => child.exitCode,
    kill,
    ended,
  };
}

/** The same, and fails where the server does not become ready. */
export async function startReadyServer(place: ServerPlace): Promise<ServerProcess> {
  const server = await startServer(place);
  if (!server.isReady) throw new Error(`the server did not become ready:\n${server.output()}`);
  return server;
}

/**
 * From now on that call of a process that runs fails. Resolves when strace is at every
 * thread of it; `output` ends with how the process ended.
 */
export async function failFromNowOn(
  pid: number,
  call: DiskCall,
): Promise<{ output(): string; readonly ended: Promise<void> }> {
  ensureStrace();
  const words = ['-f', '-p', String(pid), '-e', `trace=${call}`, '-e', `inject=${call}:error=EIO`];
  const child = spawn('strace', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let printed = '';
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      printed += chunk.toString('utf8');
      // It says so of the process once all threads are held.
      if (printed.includes(`Process ${pid} attached`)) resolve();
    });
    void ended.then(() => reject(new Error(`strace has ended:\n${printed}`)));
  });
  return { output: () => printed, ended };
}

/** What strace has to do so that `inject` (`signal=KILL`, `error=EIO`) strikes the n-th call. */
export function injection(call: DiskCall, inject: string, count: number): string[] {
  return ['-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:${inject}:when=${count}`];
}

export async function readiness(server: ServerProcess): Promise<number> {
  return (await rawApiFor(server.kubeconfig).send('GET', '/readyz')).status;
}
