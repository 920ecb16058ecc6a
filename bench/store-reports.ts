/**
 * The agents of the `store` benchmark: N nodes in one process, each joined with a
 * token, on a link of its own, reporting on its pods through a real outbox as fast
 * as the server takes it. Their outboxes are in memory (tmpfs): in the field each
 * agent has a disk of its own.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { Disk } from '#platform/io/mod.ts';
import { createNodeDisk } from '#platform/io/node/mod.ts';
import { openOutbox, type Outbox } from '#platform/sync/mod.ts';
import type { LoadResult } from './store-load.ts';
import { repositoryFolder } from './support/benchmark.ts';
import { ask, type Endpoint } from './support/endpoint.ts';
import { Measurement } from './support/measurement.ts';
import { benchNodes, ports } from './support/nodes.ts';
import { readInput, until } from './support/processes.ts';
import { runSelvage } from './support/selvage.ts';

export interface ReportsInput {
  readonly endpoint: Endpoint;
  readonly kubeconfigPath: string;
  readonly serverPid: number;
  readonly nodes: number;
  readonly podsPerNode: number;
  /** Of one report as JSON. */
  readonly reportBytes: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Makes the names of this run unique. */
  readonly label: string;
}

/** Latencies are those of a round of reports on all pods of a node. */
export type ReportsResult = LoadResult;

interface PodReference {
  readonly name: string;
  readonly uid: string;
}

interface Agent {
  readonly name: string;
  readonly outbox: Outbox;
  readonly pods: readonly PodReference[];
  close(): Promise<void>;
}

/** The hub looks images up before it leaves a pod to its node: one that there is. */
const imageFolder = join(repositoryFolder, 'examples/edge-microservice');
const image = 'edge-service-image:latest';
const input = await readInput<ReportsInput>();
const { endpoint } = input;
const nodes = benchNodes(endpoint);

async function createPod(nodeName: string, name: string): Promise<PodReference> {
  const created = await nodes.post('/api/v1/namespaces/default/pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { nodeName, containers: [{ name: 'main', image }] },
  });
  return { name, uid: (created['metadata'] as { uid: string }).uid };
}

async function startAgent(disk: Disk, name: string): Promise<Agent> {
  const identity = await nodes.join(disk, name, input.label);
  const outbox = await openOutbox({ ...ports, disk: disk.within(join(name, 'outbox')) });
  const link = nodes.link(identity, (session) => outbox.deliver(session));
  await reportNode(outbox, name);
  const pods = await Promise.all(
    Array.from({ length: input.podsPerNode }, (_, index) => createPod(name, `${name}-${index}`)),
  );
  return {
    name,
    outbox,
    pods,
    async close() {
      link.close();
      await outbox.close();
    },
  };
}

/** What makes the node Ready, so that the hub has nothing to say of its pods. */
async function reportNode(outbox: Outbox, name: string): Promise<void> {
  const path = `/api/v1/nodes/${name}`;
  const { text } = await ask(endpoint, 'GET', path);
  const { uid } = (JSON.parse(text) as { metadata: { uid: string } }).metadata;
  const capacity = { cpu: '4', memory: '8Gi', pods: '110' };
  const report = {
    status: { capacity, allocatable: capacity },
    labels: {},
    runtimes: ['script'],
    platforms: ['script/javascript'],
  };
  const key = { resource: 'nodes', namespace: '', name };
  await outbox.put({ type: 'report', key, uid, report });
  await until(`${name} is Ready`, 10_000, async () => {
    const { status } = JSON.parse((await ask(endpoint, 'GET', path)).text) as {
      status?: { conditions?: readonly { type: string; status: string }[] };
    };
    return (
      status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true
    );
  });
}

function reportOf(turn: number): { status: { phase: string; message: string } } {
  const make = (filling: string): { status: { phase: string; message: string } } => ({
    status: { phase: 'Running', message: `${turn}:${filling}` },
  });
  return make('x'.repeat(input.reportBytes - JSON.stringify(make('')).length));
}

const measurement = new Measurement(input, { countsLate: false });
let roundsInAll = 0;

async function drained(outbox: Outbox): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (outbox.pendingCount > 0) {
    assert.ok(performance.now() < deadline, 'the server takes what is delivered');
    await pause(1);
  }
}

/** Reports on every pod, waits until the server has all of it, and again. */
async function report(agent: Agent): Promise<void> {
  let turn = 0;
  for (; !measurement.isOver; turn += 1) {
    const began = performance.now();
    const body = reportOf(turn);
    await Promise.all(
      agent.pods.map(({ name, uid }) => {
        const key = { resource: 'pods', namespace: 'default', name };
        return agent.outbox.put({ type: 'report', key, uid, report: body });
      }),
    );
    await drained(agent.outbox);
    roundsInAll += 1;
    measurement.take(performance.now() - began);
  }
  const path = `/api/v1/namespaces/default/pods/${agent.pods.at(-1)?.name ?? ''}`;
  const { text } = await ask(endpoint, 'GET', path);
  const { status } = JSON.parse(text) as { status: { message: string } };
  assert.equal(status.message, reportOf(turn - 1).status.message, 'the last report is served');
}

await nodes.makeSite(input.label);

/** The hub has nothing left to decide. */
async function allScheduled(): Promise<boolean> {
  const { text } = await ask(endpoint, 'GET', '/api/v1/namespaces/default/pods');
  interface Listed {
    readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
  }
  const { items } = JSON.parse(text) as { items: readonly Listed[] };
  return items.every(({ status }) =>
    status?.conditions?.some(
      ({ type, status: value }) => type === 'PodScheduled' && value === 'True',
    ),
  );
}

runSelvage(['image', 'push', imageFolder, '--kubeconfig', input.kubeconfigPath]);
const folder = mkdtempSync('/dev/shm/selvage-bench-');
const disk = createNodeDisk(folder);
try {
  const agents: Agent[] = [];
  for (let index = 0; index < input.nodes; index += 1) {
    const name = `${input.label}-${index}`;
    agents.push(await startAgent(disk, name));
  }
  await until('all pods are assigned', 30_000, allScheduled);
  const { count, ...measured } = await measurement.over(() => Promise.all(agents.map(report)));
  for (const agent of agents) await agent.close();

  const written = count * input.podsPerNode;
  const inAll = process.cpuUsage();
  const result: ReportsResult = {
    ...measured,
    written,
    writesPerSecond: written / measured.seconds,
    writtenInAll: roundsInAll * input.podsPerNode,
    generatorCpuMsInAll: (inAll.user + inAll.system) / 1000,
    tls: 'TLSv1.3',
  };
  process.stdout.write(JSON.stringify(result));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
// Watches and keep-alive sockets of the ports would hold the process.
process.exit(0);
