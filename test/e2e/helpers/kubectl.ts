/**
 * The real kubectl against a fleet: the one on PATH, else Debian's
 * `kubernetes-client`, else the test fails.
 */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const outputBytesMax = 64 * 1024 * 1024;
const commandTimeoutMs = 60_000;

let found: string | undefined;

/** Path of kubectl; installs Debian's where there is none. Throws where that fails too. */
export function kubectlPath(): string {
  if (found !== undefined) return found;
  const look = (): string | undefined => {
    const result = spawnSync('sh', ['-c', 'command -v kubectl'], { encoding: 'utf8' });
    return result.status === 0 ? result.stdout.trim() : undefined;
  };
  found = look();
  if (found === undefined) {
    process.stderr.write('no kubectl on PATH: installing the Debian package kubernetes-client\n');
    spawnSync('sh', ['-c', 'apt-get update -q && apt-get install -q -y kubernetes-client'], {
      stdio: 'inherit',
    });
    found = look();
  }
  if (found === undefined) throw new Error('kubectl is neither on PATH nor could it be installed');
  return found;
}

export function run(
  program: string,
  words: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly input?: string;
    readonly cwd?: string;
  } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...words],
      {
        encoding: 'utf8',
        env: options.env ?? process.env,
        maxBuffer: outputBytesMax,
        timeout: commandTimeoutMs,
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') reject(error);
        else resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      },
    );
    if (options.input !== undefined) child.stdin?.end(options.input);
  });
}

export interface Kubectl {
  /** Runs and answers whatever the exit status. */
  attempt(words: readonly string[], input?: string): Promise<CommandResult>;
  /** Runs and answers the standard output; throws with all output unless the status is 0. */
  ok(words: readonly string[], input?: string): Promise<string>;
  json<T>(words: readonly string[]): Promise<T>;
  /** Starts and collects lines until closed (watches, followed logs). */
  follow(words: readonly string[]): {
    readonly lines: string[];
    close(): Promise<void>;
  };
}

export function kubectlFor(kubeconfig: string): Kubectl {
  const path = kubectlPath();
  const cacheFolder = mkdtempSync(join(tmpdir(), 'selvage-kubectl-'));
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  const all = (words: readonly string[]): string[] => ['--cache-dir', cacheFolder, ...words];
  const attempt = (words: readonly string[], input?: string): Promise<CommandResult> =>
    run(path, all(words), { env, ...(input === undefined ? {} : { input }) });
  const ok = async (words: readonly string[], input?: string): Promise<string> => {
    const result = await attempt(words, input);
    if (result.status !== 0) {
      throw new Error(
        `kubectl ${words.join(' ')} ended with ${result.status}\n${result.stdout}\n${result.stderr}`,
      );
    }
    return result.stdout;
  };
  return {
    attempt,
    ok,
    json: async <T>(words: readonly string[]) =>
      JSON.parse(await ok([...words, '-o', 'json'])) as T,
    follow(words) {
      const child = spawn(path, all(words), { env, stdio: ['ignore', 'pipe', 'pipe'] });
      const lines: string[] = [];
      let rest = '';
      child.stdout.setEncoding('utf8');
      child.stdout.on('data', (text: string) => {
        const parts = (rest + text).split('\n');
        rest = parts.pop() ?? '';
        lines.push(...parts);
      });
      const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
      return {
        lines,
        async close() {
          child.kill('SIGKILL');
          await ended;
        },
      };
    },
  };
}
