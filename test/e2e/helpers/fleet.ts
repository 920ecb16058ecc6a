/**
 * A real fleet for a test: `./selvage up` as a user would start it, on ports and
 * pod addresses of the tests' own, so that a fleet of the developer's may run
 * beside it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type CommandResult, type Kubectl, kubectlFor, run } from './kubectl.ts';

export const projectFolder = join(import.meta.dirname, '..', '..', '..');
const selvagePath = join(projectFolder, 'selvage');
const readyTimeoutMs = 90_000;
const endTimeoutMs = 60_000;

export interface TestFleet {
  readonly stateFolder: string;
  readonly kubeconfig: string;
  readonly apiPort: number;
  readonly kubectl: Kubectl;
  /** All that `up` has printed so far. */
  output(): string;
  selvage(words: readonly string[]): Promise<CommandResult>;
  /** Of the folder with its `image.json`. Throws where it is refused. */
  pushImage(folder: string): Promise<void>;
  /** Ctrl-C, and wait; answers the exit code. */
  interrupt(): Promise<number | null>;
  /** Starts `up` again on the same state. */
  again(words?: readonly string[]): Promise<void>;
  remove(): Promise<void>;
}

let fleetsStarted = 0;

/** `prepare` may fill the state folder, which is not there yet, before the fleet is started. */
export async function startFleet(
  words: readonly string[] = [],
  prepare?: (stateFolder: string, ports: { readonly api: number; readonly link: number }) => void,
): Promise<TestFleet> {
  fleetsStarted += 1;
  const stateFolder = join(mkdtempSync(join(tmpdir(), 'selvage-fleet-')), 'state');
  const apiPort = 17443 + (process.pid % 500) * 4 + fleetsStarted * 2;
  const first = [
    ...['--api-port', String(apiPort)],
    ...['--link-port', String(apiPort + 1)],
    ...['--pod-network', `127.${60 + (process.pid % 100)}`],
  ];
  let printed = '';
  let child: ChildProcess | undefined;
  let ended: Promise<number | null> = Promise.resolve(0);

  const start = async (more: readonly string[]): Promise<void> => {
    printed = '';
    const process_ = spawn(selvagePath, ['up', '--state', stateFolder, ...first, ...more], {
      cwd: projectFolder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = process_;
    const collect = (chunk: Buffer): void => {
      printed += chunk.toString('utf8');
    };
    process_.stdout.on('data', collect);
    process_.stderr.on('data', collect);
    ended = new Promise((resolve) => process_.once('close', (code) => resolve(code)));
    const deadline = Date.now() + readyTimeoutMs;
    while (!printed.includes('Fleet ready')) {
      if (process_.exitCode !== null) throw new Error(`up ended while starting:\n${printed}`);
      if (Date.now() > deadline) {
        process_.kill('SIGINT');
        await ended;
        throw new Error(`no fleet after ${readyTimeoutMs} ms:\n${printed}`);
      }
      await wait(50);
    }
  };
  const interrupt = async (): Promise<number | null> => {
    child?.kill('SIGINT');
    const timeout = wait(endTimeoutMs, undefined, { ref: false }).then(() => {
      throw new Error(`up has not ended ${endTimeoutMs} ms after the interrupt:\n${printed}`);
    });
    return await Promise.race([ended, timeout]);
  };

  prepare?.(stateFolder, { api: apiPort, link: apiPort + 1 });
  await start(words);
  const kubeconfig = join(stateFolder, 'kubeconfig');
  return {
    stateFolder,
    kubeconfig,
    apiPort,
    kubectl: kubectlFor(kubeconfig),
    output: () => printed,
    selvage: (more) => run(selvagePath, [...more, '--state', stateFolder], { cwd: projectFolder }),
    async pushImage(folder) {
      const words = ['image', 'push', folder, '--kubeconfig', kubeconfig];
      const { status, stderr } = await run(selvagePath, words, { cwd: projectFolder });
      if (status !== 0) throw new Error(`${folder} was not pushed: ${stderr}`);
    },
    interrupt,
    again: (more = []) => start(more),
    async remove() {
      if (child?.exitCode === null) await interrupt();
      rmSync(join(stateFolder, '..'), { recursive: true, force: true });
    },
  };
}

/** Asks until `probe` answers something, and answers that. Throws with the last reason. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let reason: unknown = 'it answered nothing';
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== undefined) return answer;
    } catch (error) {
      reason = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: reason });
    }
    await wait(100);
  }
}
