/** Our server as a process of its own, as `selvage server` starts it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryFolder } from './benchmark.ts';
import { ask, type Endpoint } from './endpoint.ts';
import { type Started, startProcess, until } from './processes.ts';

export interface RunningSelvage extends Started {
  readonly endpoint: Endpoint;
  readonly kubeconfigPath: string;
}

/** The administrator's access from the kubeconfig that the server wrote. */
export function endpointOf(kubeconfigPath: string, port: number): Endpoint {
  const text = readFileSync(kubeconfigPath, 'utf8');
  const pem = (name: string): string => {
    const encoded = new RegExp(`${name}-data: (\\S+)`).exec(text)?.[1];
    if (encoded === undefined) throw new Error(`no ${name} in ${kubeconfigPath}`);
    return Buffer.from(encoded, 'base64').toString('utf8');
  };
  return {
    host: '127.0.0.1',
    port,
    trustPem: pem('certificate-authority'),
    certificatePem: pem('client-certificate'),
    privateKeyPem: pem('client-key'),
  };
}

/** Runs a command of `selvage` to its end. */
export function runSelvage(words: readonly string[]): void {
  execFileSync(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    join(repositoryFolder, 'src/apps/main/selvage.ts'),
    ...words,
  ]);
}

/** Starts an empty one in the folder, its link on `port + 1`, and waits until it is ready. */
export async function startSelvage(
  folder: string,
  port: number,
  options: {
    readonly wrapper?: readonly string[];
    readonly nodeFlags?: readonly string[];
    /** More words for `selvage server`. */
    readonly serverOptions?: readonly string[];
  } = {},
): Promise<RunningSelvage> {
  mkdirSync(folder, { recursive: true });
  const started = startProcess(
    [
      ...(options.wrapper ?? []),
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      ...(options.nodeFlags ?? []),
      join(repositoryFolder, 'src/apps/main/selvage.ts'),
      'server',
      '--state',
      folder,
      '--api',
      `127.0.0.1:${port}`,
      '--link',
      `127.0.0.1:${port + 1}`,
      ...(options.serverOptions ?? []),
    ],
    join(folder, 'server.log'),
  );
  const kubeconfig = join(folder, 'kubeconfig');
  try {
    await until('the server is ready', 20_000, async () => {
      try {
        const { status } = await ask(endpointOf(kubeconfig, port), 'GET', '/readyz');
        return status === 200;
      } catch {
        return false;
      }
    });
  } catch (late) {
    await started.stop();
    throw late;
  }
  return { ...started, endpoint: endpointOf(kubeconfig, port), kubeconfigPath: kubeconfig };
}
