/** Composition root of the server: real ports, the assembled roles, a kubeconfig. */
import { arch } from 'node:os';
import { type AssembledServer, assembleServer, type FrontStarter } from '#apps/assembly/mod.ts';
import { type ExitCode, exitCodes, type ServerProcessOptions } from '#apps/cli/mod.ts';
import { assert, utf8 } from '#base/mod.ts';
import type { Disk } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeHttpServer,
  createNodeKeys,
  createNodeNet,
  createNodeRandom,
  createNodeTimers,
  createStreamLogger,
  startPairedProcess,
} from '#platform/io/node/mod.ts';
import { createMetrics } from '#platform/metrics/mod.ts';
import { claimFolder } from './claim-folder.ts';
import { explainDamage } from './damaged-state.ts';
import { observeProcess } from './process-metrics.ts';
import { requireKnownFormat } from './state-format.ts';
import { untilToldToStop } from './stop-signals.ts';

/** Runs the server until SIGTERM or SIGINT. */
export async function runServerProcess(
  options: ServerProcessOptions,
  version: string,
  selfCommand: readonly string[],
): Promise<ExitCode> {
  const stop = untilToldToStop();
  const logger = createStreamLogger((line) => void process.stdout.write(line), 'info');
  await claimFolder(options.stateFolder, 'the server');
  const disk = createNodeDisk(options.stateFolder);
  await requireKnownFormat(disk, version, logger);
  const metrics = createMetrics();
  observeProcess(metrics, version);
  const server = await assembleServer(
    {
      disk,
      ...(options.auditRetainBytesMax === 0 ? {} : { auditDisk: disk.within('audit') }),
      ...(options.apiFronts === 0
        ? {}
        : { apiFronts: frontStarter(selfCommand, options.apiFronts) }),
      metrics,
      clock: createNodeClock(),
      timers: createNodeTimers(),
      random: createNodeRandom(),
      keys: createNodeKeys(),
      net: createNodeNet(),
      httpServer: createNodeHttpServer(logger),
      logger,
    },
    {
      apiAddress: { host: options.apiHost, port: options.apiPort },
      linkAddress: { host: options.linkHost, port: options.linkPort },
      advertisedHost: options.advertisedHost,
      podNetwork: options.podNetwork,
      serviceNetwork: options.serviceNetwork,
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      nodeCertificateLifeMs: options.nodeCertificateLifeMs,
      auditRetainBytesMax: options.auditRetainBytesMax,
      version: {
        version,
        gitCommit: '',
        buildDate: '1970-01-01T00:00:00Z',
        platform: `linux/${arch() === 'x64' ? 'amd64' : arch()}`,
      },
    },
  ).catch((error: unknown) => {
    throw explainDamage(error);
  });
  await writeKubeconfig(disk, server, options.advertisedHost);
  if (isUnspecified(options.apiHost) && options.advertisedHost === undefined) {
    logger.log(
      'warn',
      'the API listens at all addresses, and people and nodes are told 127.0.0.1: name the one by which they reach this machine with --advertise',
    );
  }
  logger.log('info', 'server ready', { api: server.apiAddress, link: server.linkAddress });
  const signal = await stop;
  logger.log('info', 'server stopping', { signal });
  await server.close();
  return exitCodes.ok;
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** A front is this program again. */
function frontStarter([program, ...words]: readonly string[], count: number): FrontStarter {
  assert(program !== undefined, 'a command names a program');
  return { count, start: () => startPairedProcess(program, [...words, 'api-front']) };
}

/** The administrator's access, made once and kept while the address is the same. */
async function writeKubeconfig(
  disk: Disk,
  server: AssembledServer,
  advertisedHost: string | undefined,
): Promise<void> {
  const { host, port } = server.apiAddress;
  const reachable = advertisedHost ?? (isUnspecified(host) ? '127.0.0.1' : host);
  const url = `https://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
  const existing = await disk.readFile('kubeconfig', 1024 * 1024);
  if (existing !== undefined && Buffer.from(existing).includes(`server: ${url}\n`)) return;
  const credentials = await server.authority.issueClient({
    commonName: 'admin',
    organizations: ['system:masters'],
  });
  const encoded = (pem: string): string => Buffer.from(pem, 'utf8').toString('base64');
  const text = [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    '- name: selvage',
    '  cluster:',
    `    server: ${url}`,
    `    certificate-authority-data: ${encoded(server.authority.caPem)}`,
    'users:',
    '- name: admin',
    '  user:',
    `    client-certificate-data: ${encoded(credentials.certificatePem)}`,
    `    client-key-data: ${encoded(credentials.privateKeyPem)}`,
    'contexts:',
    '- name: selvage',
    '  context:',
    '    cluster: selvage',
    '    user: admin',
    'current-context: selvage',
    '',
  ].join('\n');
  await disk.writeFileAtomic('kubeconfig', utf8(text), 0o600);
}
