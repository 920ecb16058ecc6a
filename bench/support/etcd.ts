/**
 * Debian's etcd-server, alone, over TLS with client certificates, with its fsync
 * on (its default): the peer of the `store` and the `api` benchmark.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, type Endpoint } from './endpoint.ts';
import { type Started, startProcess, until } from './processes.ts';

export interface RunningEtcd extends Started {
  readonly endpoint: Endpoint;
}

/** The version; installs the package where there is none. Throws where that fails. */
export function requireEtcd(): string {
  const version = (): string =>
    execFileSync('etcd', ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
  try {
    return version();
  } catch {
    console.log('etcd is not here: installing etcd-server with apt-get');
    for (const command of ['update', 'install -y etcd-server']) {
      execFileSync('apt-get', command.split(' '), { stdio: 'inherit' });
    }
    return version();
  }
}

/** An authority with a server's and a client's certificate, as PEM files in the folder. */
export function makeCertificates(folder: string, clientSubject = '/CN=client'): void {
  const openssl = (...words: string[]): void => {
    execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=peer',
    '-days',
    '30',
  );
  // The JSON gateway is a client of the server and shows it the server's own certificate.
  writeFileSync(
    join(folder, 'names'),
    'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n',
  );
  for (const name of ['server', 'client']) {
    const subject = name === 'client' ? clientSubject : `/CN=${name}`;
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      `${name}.pem`,
      '-days',
      '30',
      '-extfile',
      'names',
    );
  }
}

/** The access of the client whose certificate is in the folder. */
export function clientOf(folder: string, port: number): Endpoint {
  const pem = (name: string): string => readFileSync(join(folder, name), 'utf8');
  return {
    host: '127.0.0.1',
    port,
    trustPem: pem('ca.pem'),
    certificatePem: pem('client.pem'),
    privateKeyPem: pem('client.key'),
  };
}

/** Starts an empty one in the folder and waits until it answers. */
export async function startEtcd(
  folder: string,
  port: number,
  wrapper: readonly string[] = [],
): Promise<RunningEtcd> {
  mkdirSync(folder, { recursive: true });
  makeCertificates(folder);
  const path = (name: string): string => join(folder, name);
  const url = `https://127.0.0.1:${port}`;
  const started = startProcess(
    [
      ...wrapper,
      'etcd',
      '--name=peer',
      `--data-dir=${path('data')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=http://127.0.0.1:${port + 1}`,
      `--cert-file=${path('server.pem')}`,
      `--key-file=${path('server.key')}`,
      `--trusted-ca-file=${path('ca.pem')}`,
      '--client-cert-auth',
      // Its 2 GiB by default; raised so that no round ends for want of it.
      '--quota-backend-bytes=8589934592',
    ],
    path('etcd.log'),
  );
  const endpoint = clientOf(folder, port);
  await until('etcd answers a put', 20_000, () =>
    ask(endpoint, 'POST', '/v3/kv/put', { key: 'cmVhZHk=', value: 'MQ==' }).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  return { ...started, endpoint };
}
