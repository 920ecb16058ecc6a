/**
 * `idle`: what a fleet costs while nothing happens.
 *   1. TCP payload both ways per node and hour, counted by a relay between a real
 *      agent and the server;
 *   2. the server's CPU and memory per 1,000 idle nodes, on real sockets;
 *   3. memory of a real agent with two pods;
 *   4. the same of bytes, CPU and memory for a fleet too large for this machine's sockets,
 *      of whole agents in simulated time.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { OptionTable, ValuesOf } from '../tools/command-options.ts';
import type { IdleNodesInput, IdleNodesResult } from './idle-nodes.ts';
import type { IdleSimulatedInput, IdleSimulatedResult } from './idle-simulated.ts';
import {
  type Benchmark,
  environmentFacts,
  printTable,
  repositoryFolder,
  writeResults,
} from './support/benchmark.ts';
import { ask } from './support/endpoint.ts';
import { pssBytesOf, rssBytesOf } from './support/memory.ts';
import { runPart, type Started, startProcess, until } from './support/processes.ts';
import { type RunningSelvage, runSelvage, startSelvage } from './support/selvage.ts';

const settleMs = 10_000;
const portFirst = 26_443;
const simulatedMinutes = 10;
/** Every simulated node is a whole agent with its disk. */
const simulatedHeapMiB = 12_288;
const selvage = join(repositoryFolder, 'src/apps/main/selvage.ts');

interface Relay {
  readonly port: number;
  readonly counts: { up: number; down: number; connections: number };
  close(): void;
}

/** Passes bytes on and counts them: TLS records and all, as the link would carry them. */
async function startRelay(toPort: number): Promise<Relay> {
  const counts = { up: 0, down: 0, connections: 0 };
  const server: Server = createServer((child) => {
    counts.connections += 1;
    const parent = connect(toPort, '127.0.0.1');
    child.on('data', (bytes) => {
      counts.up += bytes.length;
      parent.write(bytes);
    });
    parent.on('data', (bytes) => {
      counts.down += bytes.length;
      child.write(bytes);
    });
    for (const [one, other] of [
      [child, parent],
      [parent, child],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { port: address.port, counts, close: () => server.close() };
}

async function post(server: RunningSelvage, path: string, body: unknown): Promise<string> {
  const { status, text } = await ask(server.endpoint, 'POST', path, body);
  assert.equal(status, 201, `${path}: ${text}`);
  return text;
}

/** A real agent whose link goes through the relay. */
async function startAgent(server: RunningSelvage, folder: string, relay: Relay): Promise<Started> {
  const apiVersion = 'selvage.dev/v1';
  const metadata = { name: 'relay' };
  await post(server, '/apis/selvage.dev/v1/regions', { apiVersion, kind: 'Region', metadata });
  const site = { apiVersion, kind: 'Site', metadata, spec: { region: 'relay' } };
  await post(server, '/apis/selvage.dev/v1/sites', site);
  const answer = await post(server, '/apis/selvage.dev/v1/jointokens', { site: 'relay' });
  const { token } = JSON.parse(answer) as { token: string };
  const state = join(folder, 'agent');
  mkdirSync(state);
  const { host, port, trustPem } = server.endpoint;
  const joinFile = join(folder, 'join.json');
  writeFileSync(joinFile, JSON.stringify({ server: { host, port }, caPem: trustPem, token }));
  const command = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    selvage,
    'agent',
    ...['--name', 'relayed', '--state', state, '--join-file', joinFile],
  ];
  const log = join(folder, 'agent.log');
  const first = startProcess(command, log);
  const connectionPath = join(state, 'identity/connection.json');
  await until('the agent has joined', 20_000, () => {
    try {
      return readFileSync(join(state, 'identity/certificate.pem')).length > 0;
    } catch {
      return false;
    }
  });
  await first.stop();
  const connection = JSON.parse(readFileSync(connectionPath, 'utf8')) as {
    hubAddress: { host: string; port: number };
  };
  connection.hubAddress.port = relay.port;
  writeFileSync(connectionPath, JSON.stringify(connection));
  const agent = startProcess(command, log);
  await until('the node is ready', 20_000, async () => {
    const { text } = await ask(server.endpoint, 'GET', '/api/v1/nodes/relayed');
    return text.includes('"type":"Ready","status":"True"');
  });
  return agent;
}

async function runTwoPods(server: RunningSelvage): Promise<void> {
  const example = join(repositoryFolder, 'examples/edge-microservice');
  runSelvage(['image', 'push', example, '--kubeconfig', server.kubeconfigPath]);
  for (const name of ['one', 'two']) {
    await post(server, '/api/v1/namespaces/default/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { containers: [{ name: 'main', image: 'edge-service-image:latest' }] },
    });
  }
  await until('both pods run', 20_000, async () => {
    const { text } = await ask(server.endpoint, 'GET', '/api/v1/namespaces/default/pods');
    return text.split('"phase":"Running"').length === 3;
  });
}

function simulate(nodes: number): Promise<IdleSimulatedResult | undefined> {
  if (nodes === 0) return Promise.resolve(undefined);
  const script = join(import.meta.dirname, 'idle-simulated.ts');
  const input: IdleSimulatedInput = { nodes, minutes: simulatedMinutes };
  return runPart<IdleSimulatedResult>(script, input, [`--max-old-space-size=${simulatedHeapMiB}`]);
}

function rowsOf(nodes: number, simulated: IdleSimulatedResult | undefined): string[][] {
  if (simulated === undefined) return [];
  const { tlsBytesPerNodeHour, serverCpuMs, idleMs, serverHeapBytes } = simulated;
  const perThousand = 1_000 / nodes;
  const name = `simulated, ${nodes.toLocaleString('en')} nodes`;
  const cpuPercent = (serverCpuMs / idleMs) * 100 * perThousand;
  const heapMiB = (serverHeapBytes / 2 ** 20) * perThousand;
  return [
    [
      `${name}: TCP payload, node and hour`,
      `${(tlsBytesPerNodeHour / 1_000).toFixed(0)} KB`,
      '150 KB',
    ],
    [`  server CPU per 1,000 nodes, without TLS`, `${cpuPercent.toFixed(1)} %`, ''],
    [`  server heap per 1,000 nodes, without TLS`, `${heapMiB.toFixed(1)} MiB`, ''],
  ];
}

const options = {
  nodes: { value: 'N', fallback: 1_000, least: 1, meaning: 'idle ones on real sockets' },
  seconds: { value: 'S', fallback: 60, least: 1, meaning: 'how long each is measured' },
  simulated: {
    value: 'N',
    fallback: 10_000,
    least: 0,
    meaning: 'nodes in simulated time; 0: none',
  },
} as const satisfies OptionTable;

async function runBenchmark(values: ValuesOf<typeof options>): Promise<void> {
  const measureMs = values.seconds * 1_000;
  const nodes = values.nodes;
  const environment = environmentFacts();
  const folder = mkdtempSync(join(tmpdir(), 'selvage-idle-'));
  const running: Started[] = [];
  try {
    const server = await startSelvage(join(folder, 'one'), portFirst);
    running.push(server);
    const relay = await startRelay(portFirst + 1);
    const agent = await startAgent(server, folder, relay);
    running.push(agent);
    await runTwoPods(server);
    await pause(settleMs);
    const before = { ...relay.counts };
    await pause(measureMs);
    const perHour = (bytes: number): number => Math.round((bytes * 3_600_000) / measureMs);
    const bytes = {
      upPerHour: perHour(relay.counts.up - before.up),
      downPerHour: perHour(relay.counts.down - before.down),
      newConnections: relay.counts.connections - before.connections,
    };
    const memory = { rssBytes: rssBytesOf(agent.pid), pssBytes: pssBytesOf(agent.pid) };
    const podNames = ['one', 'two'];
    for (const name of podNames) {
      await ask(server.endpoint, 'DELETE', `/api/v1/namespaces/default/pods/${name}`);
    }
    await until('the pods are gone', 60_000, async () => {
      const { text } = await ask(server.endpoint, 'GET', '/api/v1/namespaces/default/pods');
      return (JSON.parse(text) as { items: unknown[] }).items.length === 0;
    });
    await agent.stop();
    await server.stop();
    relay.close();
    running.length = 0;

    const second = await startSelvage(join(folder, 'many'), portFirst + 2);
    running.push(second);
    const many = await runPart<IdleNodesResult>(join(import.meta.dirname, 'idle-nodes.ts'), {
      endpoint: second.endpoint,
      serverPid: second.pid,
      nodes,
      settleMs,
      measureMs,
    } satisfies IdleNodesInput);
    await second.stop();
    running.length = 0;

    const simulatedNodes = values.simulated;
    const simulated = await simulate(simulatedNodes);

    const perThousand = 1_000 / nodes;
    const cpuPercent = (many.serverCpuMs / many.measuredMs) * 100 * perThousand;
    const memoryMiB = ((many.rssAfterBytes - many.rssBeforeBytes) / 2 ** 20) * perThousand;
    printTable([
      ['idle', 'measured', 'aim'],
      [
        'TCP payload, node and hour, 2 s heartbeats',
        `${((bytes.upPerHour + bytes.downPerHour) / 1_000).toFixed(0)} KB`,
        '150 KB',
      ],
      ['  up', `${(bytes.upPerHour / 1_000).toFixed(0)} KB`, ''],
      ['  down', `${(bytes.downPerHour / 1_000).toFixed(0)} KB`, ''],
      ['server CPU per 1,000 nodes, of one core', `${cpuPercent.toFixed(1)} %`, ''],
      ['server memory per 1,000 nodes', `${memoryMiB.toFixed(0)} MiB`, ''],
      ['nodes joined a second', many.joinedPerSecond.toFixed(0), ''],
      [
        'agent with two pods, resident (not bundled)',
        `${(memory.rssBytes / 2 ** 20).toFixed(0)} MiB`,
        '60 MiB',
      ],
      ['  proportional', `${(memory.pssBytes / 2 ** 20).toFixed(0)} MiB`, ''],
      ...rowsOf(simulatedNodes, simulated),
    ]);
    const results = { environment, measureMs, nodes, bytes, memory, many };
    console.log(writeResults('idle', { ...results, simulatedNodes, simulated }));
  } finally {
    for (const started of running) await started.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const benchmark: Benchmark<typeof options> = {
  summary: 'What a fleet costs while nothing happens: bytes, CPU and memory.',
  options,
  run: runBenchmark,
};
