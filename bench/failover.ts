/**
 * How long nobody answers when a node dies: from `kill -9` of its agent and of all
 * that it runs to the first answer of the pod that replaces the one it ran.
 *
 *   npm run bench -- failover [--help]
 *
 * A fleet of four nodes as `selvage up` starts it, a Deployment of one replica, no
 * readiness probe. After each run the node is started again and the fleet comes
 * to rest; the next kill comes after a random wait, so that it falls anywhere
 * between two heartbeats.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { OptionTable, ValuesOf } from '../tools/command-options.ts';
import {
  type Benchmark,
  environmentFacts,
  printTable,
  repositoryFolder,
  writeResults,
} from './support/benchmark.ts';
import { ask, type Endpoint } from './support/endpoint.ts';
import { childrenOf, until } from './support/processes.ts';
import { endpointOf, runSelvage } from './support/selvage.ts';
import { quantile } from './support/statistics.ts';

const pollMs = 10;
const answerWithinMs = 60_000;
const restWithinMs = 60_000;
const podsPath = '/api/v1/namespaces/default/pods';
const nodesCount = 4;

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status?: {
    readonly podIP?: string;
    readonly reason?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Milliseconds from the kill. */
interface Run {
  readonly node: string;
  /** The hub gave the pod up. */
  readonly givenUpMs: number;
  /** The replacement has a node. */
  readonly placedMs: number;
  readonly answeredMs: number;
}

async function listOf<Item>(endpoint: Endpoint, path: string): Promise<readonly Item[]> {
  const { status, text } = await ask(endpoint, 'GET', path);
  if (status !== 200) throw new Error(`${path} answered ${status}: ${text.slice(0, 200)}`);
  return (JSON.parse(text) as { items: Item[] }).items;
}

function answers(address: string | undefined): Promise<boolean> {
  if (address === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const call = request({ host: address, port: 8080, path: '/', timeout: 1_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    call.on('error', () => resolve(false));
    call.on('timeout', () => call.destroy());
    call.end();
  });
}

/** The agent of the node, what it runs, and all that these have started. */
function processesOf(stateFolder: string, node: string): number[] {
  const pidIn = (path: string): number =>
    (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }).pid;
  const roots = [pidIn(join(stateFolder, `run/agent-${node}.json`))];
  const pods = join(stateFolder, 'nodes', node, 'pods');
  for (const entry of readdirSync(pods, { recursive: true, encoding: 'utf8' })) {
    if (entry.endsWith('/state.json')) roots.push(pidIn(join(pods, entry)));
  }
  const found = new Set<number>();
  for (let next = roots.shift(); next !== undefined; next = roots.shift()) {
    if (found.has(next) || !existsSync(`/proc/${next}`)) continue;
    found.add(next);
    roots.push(...childrenOf(next));
  }
  return [...found];
}

function kill(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // The death of its parent was faster.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}

/** One pod, Ready and answering, and every node Ready. */
async function atRest(endpoint: Endpoint): Promise<Pod> {
  let only: Pod | undefined;
  await until('the fleet is at rest', restWithinMs, async () => {
    const pods = await listOf<Pod>(endpoint, podsPath);
    const nodes = await listOf<Pod>(endpoint, '/api/v1/nodes');
    const isReady = ({ status }: Pod): boolean =>
      status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
    only = pods[0];
    return (
      pods.length === 1 &&
      only !== undefined &&
      nodes.length === nodesCount &&
      [...pods, ...nodes].every(isReady) &&
      (await answers(only.status?.podIP))
    );
  });
  if (only === undefined) throw new Error('no pod');
  return only;
}

async function failOver(endpoint: Endpoint, stateFolder: string): Promise<Run> {
  const before = await atRest(endpoint);
  const node = before.spec.nodeName ?? '';
  const victims = processesOf(stateFolder, node);
  const startMs = performance.now();
  kill(victims);
  let givenUpMs = Number.NaN;
  let placedMs = Number.NaN;
  for (;;) {
    const pods = await listOf<Pod>(endpoint, podsPath);
    const nowMs = performance.now() - startMs;
    const old = pods.find(({ metadata }) => metadata.name === before.metadata.name);
    const replacement = pods.find(({ spec }) => ![undefined, node].includes(spec.nodeName));
    if (Number.isNaN(givenUpMs) && old?.status?.reason === 'NodeLost') givenUpMs = nowMs;
    if (Number.isNaN(placedMs) && replacement !== undefined) placedMs = nowMs;
    if (await answers(replacement?.status?.podIP)) {
      return { node, givenUpMs, placedMs, answeredMs: performance.now() - startMs };
    }
    if (nowMs > answerWithinMs) throw new Error(`no replacement within ${answerWithinMs} ms`);
    await pause(pollMs);
  }
}

const options = {
  runs: { value: 'N', fallback: 50, least: 1, meaning: 'nodes that die, one after the other' },
  heartbeat: {
    value: 'MS',
    fallback: 500,
    least: 200,
    meaning: 'milliseconds between two of a node',
  },
  port: {
    value: 'PORT',
    fallback: 18_443,
    least: 1,
    meaning: 'of the API; the next one is for links',
  },
} as const satisfies OptionTable;

async function runBenchmark(values: ValuesOf<typeof options>): Promise<void> {
  const { runs, heartbeat: heartbeatMs, port } = values;
  const environment = environmentFacts();
  const folder = mkdtempSync(join(tmpdir(), 'selvage-failover-'));
  const stateFolder = join(folder, 'state');
  const fleet = spawn(
    join(repositoryFolder, 'selvage'),
    [
      ...['up', '--state', stateFolder, '--heartbeat', `${heartbeatMs}ms`],
      ...['--nodes', String(nodesCount), '--pod-network', '127.219'],
      ...['--api-port', String(port), '--link-port', String(port + 1)],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise((resolve) => fleet.once('exit', resolve));
  let printed = '';
  fleet.stdout.setEncoding('utf8').on('data', (part: string) => {
    printed += part;
  });
  const results: Run[] = [];
  try {
    await until('the fleet is up', restWithinMs, () => printed.includes('Fleet ready'));
    const endpoint = endpointOf(join(stateFolder, 'kubeconfig'), port);
    const labels = { app: 'failover' };
    const containers = [{ name: 'main', image: 'edge-service-image:latest' }];
    const template = { metadata: { labels }, spec: { containers } };
    const created = await ask(endpoint, 'POST', '/apis/apps/v1/namespaces/default/deployments', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'failover' },
      spec: { replicas: 1, selector: { matchLabels: labels }, template },
    });
    if (created.status !== 201) throw new Error(created.text);
    await atRest(endpoint);
    for (let run = 0; run < runs; run += 1) {
      await pause(Math.random() * 2 * heartbeatMs);
      const result = await failOver(endpoint, stateFolder);
      results.push(result);
      runSelvage(['lab', 'start', result.node, '--state', stateFolder]);
    }
    await atRest(endpoint);
  } finally {
    fleet.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
  const row = (name: string, of: (run: Run) => number): string[] => {
    const sorted = results.map(of).toSorted((left, right) => left - right);
    const cell = (value: number | undefined): string => (value ?? Number.NaN).toFixed(0);
    return [
      name,
      cell(sorted[0]),
      ...[0.5, 0.99].map((part) => cell(quantile(sorted, part))),
      cell(sorted.at(-1)),
    ];
  };
  console.log(
    `failover, ${runs} runs, heartbeat ${heartbeatMs} ms, ${nodesCount} nodes on one machine`,
  );
  printTable([
    ['ms after kill -9', 'min', 'p50', 'p99', 'max'],
    row('given up', (run) => run.givenUpMs),
    row('placed again', (run) => run.placedMs),
    row('first answer', (run) => run.answeredMs),
  ]);
  console.log(
    `raw: ${writeResults('failover', { environment, heartbeatMs, nodesCount, results })}`,
  );
}

export const benchmark: Benchmark<typeof options> = {
  summary: 'How long nobody answers when a node dies, until the pod in its place does.',
  options,
  run: runBenchmark,
};
