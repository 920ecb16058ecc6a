/** The server of the `api` soak: killed as a whole, started again on what it left. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryFolder } from '../../bench/support/benchmark.ts';
import type { Endpoint } from '../../bench/support/endpoint.ts';
import { childrenOf, until } from '../../bench/support/processes.ts';
import { endpointOf } from '../../bench/support/selvage.ts';
import { SoakClient } from './api-client.ts';

const apiPort = 25_643;
const startTimeoutMs = 60_000;

export class SoakServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'selvage-soak-api-'));
  readonly #fronts: number;
  #child: ChildProcess | undefined;

  constructor(fronts: number) {
    this.#fronts = fronts;
  }

  get endpoint(): Endpoint {
    return endpointOf(join(this.folder, 'kubeconfig'), apiPort);
  }

  async start(): Promise<void> {
    const words = [
      ...['server', '--state', this.folder],
      ...['--api', `127.0.0.1:${apiPort}`, '--link', `127.0.0.1:${apiPort + 1}`],
      ...['--api-fronts', String(this.#fronts)],
    ];
    this.#child = spawn(join(repositoryFolder, 'selvage'), words, {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await until('the server is ready', startTimeoutMs, async () => {
      if (this.#child?.exitCode !== null) throw new Error('the server ended at its start');
      if (!existsSync(join(this.folder, 'kubeconfig'))) return false;
      const client = new SoakClient(this.endpoint);
      const { status } = await client.call('GET', '/readyz');
      client.close();
      return status === 200;
    });
  }

  /** Resolves when it and its fronts are gone: they end by themselves. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null) return;
    const fronts = childrenOf(child.pid);
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
    await until('the fronts of a killed server end', 10_000, () =>
      fronts.every((pid) => !existsSync(`/proc/${pid}`)),
    );
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
