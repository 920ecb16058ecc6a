/**
 * A kube-apiserver where one is on PATH, over an etcd of its own: the other peer of the
 * `api` benchmark. Nothing is installed for it.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ask, type Endpoint } from './endpoint.ts';
import { clientOf, makeCertificates, startEtcd } from './etcd.ts';
import { type Started, startProcess, until } from './processes.ts';

export interface RunningKubeApiserver extends Started {
  readonly endpoint: Endpoint;
}

/** Its version; undefined where there is none. */
export function kubeApiserverVersion(): string | undefined {
  try {
    return execFileSync('kube-apiserver', ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** Starts an empty one in the folder, its etcd on `port + 1`, and waits until it is ready. */
export async function startKubeApiserver(
  folder: string,
  port: number,
): Promise<RunningKubeApiserver> {
  mkdirSync(folder, { recursive: true });
  const etcdFolder = join(folder, 'etcd');
  const etcd = await startEtcd(etcdFolder, port + 1);
  // Whoever is of this group may do everything.
  makeCertificates(folder, '/O=system:masters/CN=bench');
  const own = (name: string): string => join(folder, name);
  const started = startProcess(
    [
      'kube-apiserver',
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--etcd-servers=https://127.0.0.1:${port + 1}`,
      `--etcd-cafile=${join(etcdFolder, 'ca.pem')}`,
      `--etcd-certfile=${join(etcdFolder, 'client.pem')}`,
      `--etcd-keyfile=${join(etcdFolder, 'client.key')}`,
      `--tls-cert-file=${own('server.pem')}`,
      `--tls-private-key-file=${own('server.key')}`,
      `--client-ca-file=${own('ca.pem')}`,
      '--authorization-mode=RBAC',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--service-account-issuer=https://bench.invalid',
      `--service-account-key-file=${own('server.key')}`,
      `--service-account-signing-key-file=${own('server.key')}`,
      // No controller makes the accounts that it asks for.
      '--disable-admission-plugins=ServiceAccount',
    ],
    own('kube-apiserver.log'),
  );
  const endpoint = clientOf(folder, port);
  const stop = async (): Promise<void> => {
    await started.stop();
    await etcd.stop();
  };
  try {
    await until('kube-apiserver is ready', 60_000, async () => {
      try {
        const path = '/api/v1/namespaces/default';
        return (await ask(endpoint, 'GET', path)).status === 200;
      } catch {
        return false;
      }
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: started.pid, endpoint, stop };
}
