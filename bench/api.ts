/**
 * The Kubernetes API against Debian's etcd over TLS through its JSON gateway, and against
 * a kube-apiserver where one is on PATH: lists of 5,000 pods, get, create and patch,
 * watches from the write to the last watcher, single-object calls at 200 a second beside
 * 100 watchers, and memory. Ours and the peers in turn, the same load generator outside
 * of all. Run: `npm run bench -- api`; `--help` tells its options.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OptionTable, ValuesOf } from '../tools/command-options.ts';
import type { ApiLoadInput, ApiLoadResult, ApiScenario } from './api-load.ts';
import type { ApiMemoryInput, ApiMemoryResult } from './api-memory.ts';
import { type ApiSystem, callsOf, type PodSample } from './support/api-calls.ts';
import {
  type Benchmark,
  environmentFacts,
  printTable,
  requireChoice,
  writeResults,
} from './support/benchmark.ts';
import { ask, type Endpoint } from './support/endpoint.ts';
import { requireEtcd, startEtcd } from './support/etcd.ts';
import { kubeApiserverVersion, startKubeApiserver } from './support/kube-apiserver.ts';
import { machineCpuMs, runPart, type Started, until } from './support/processes.ts';
import { startSelvage } from './support/selvage.ts';
import { type Spread, spreadOf, spreadText } from './support/statistics.ts';

interface RunningSystem extends Started {
  readonly endpoint: Endpoint;
}

interface Case {
  readonly name: string;
  readonly title: string;
  readonly scenario: ApiScenario;
  readonly aim: { readonly of: 'p50Ms' | 'p99Ms'; readonly mostMs: number } | undefined;
}

interface Measured {
  readonly case: string;
  readonly system: ApiSystem;
  readonly round: number;
  readonly result: ApiLoadResult;
  /** Of the time of all CPUs: of everybody, this run included. */
  readonly busyShare: number;
}

interface MeasuredMemory {
  readonly system: ApiSystem;
  readonly round: number;
  readonly result: ApiMemoryResult;
}

interface Settings {
  readonly rounds: number;
  readonly measureMs: number;
  readonly pods: number;
  readonly objects: number;
  readonly serverOptions: readonly string[];
}

const objectBytes = 1024;
const warmupMs = 1_000;
const memoryWatchers = 1_000;
const ratedPerSecond = 200;
const ratedWatchers = 100;
/** Of the server's memory, for each idle watcher and each stored object of 1 KB. */
const memoryAimBytes = 6_000;
const ports = { selvage: 29_643, etcd: 29_743, 'kube-apiserver': 29_843 } as const;
const inspectorPort = 29_943;

function casesOf(pods: number): readonly Case[] {
  const cases: Case[] = [
    {
      name: 'list',
      title: `list of ${pods.toLocaleString('en')} pods`,
      scenario: { type: 'list', pods },
      aim: { of: 'p50Ms', mostMs: 300 },
    },
  ];
  for (const verb of ['get', 'create', 'patch'] as const) {
    for (const clients of [1, 64]) {
      const title = `${verb}, ${clients} client${clients === 1 ? '' : 's'}`;
      const scenario = { type: 'calls', verb, clients } as const;
      cases.push({ name: `${verb}-${clients}`, title, scenario, aim: undefined });
    }
  }
  for (const watchers of [1, 100, 1_000]) {
    cases.push({
      name: `fan-out-${watchers}`,
      title: `write to the last of ${watchers} watcher${watchers === 1 ? '' : 's'}`,
      scenario: { type: 'fan-out', watchers },
      aim: undefined,
    });
  }
  cases.push({
    name: 'rated',
    title: `${ratedPerSecond} calls/s beside ${ratedWatchers} watchers`,
    scenario: { type: 'rated', perSecond: ratedPerSecond, watchers: ratedWatchers },
    aim: { of: 'p99Ms', mostMs: 50 },
  });
  return cases;
}

function start(
  system: ApiSystem,
  folder: string,
  serverOptions: readonly string[],
  nodeFlags: readonly string[] = [],
): Promise<RunningSystem> {
  switch (system) {
    case 'selvage':
      return startSelvage(folder, ports.selvage, { serverOptions, nodeFlags });
    case 'etcd':
      return startEtcd(folder, ports.etcd);
    case 'kube-apiserver':
      return startKubeApiserver(folder, ports['kube-apiserver']);
  }
}

/** A pod as ours serves it, for the peer that stores bytes. */
async function samplePod(endpoint: Endpoint): Promise<PodSample> {
  const name = 'sample-pod-of-the-benchmark';
  const calls = callsOf('selvage', objectBytes, { name: '', text: '' });
  const { path, body } = calls.createPod(name);
  const created = await ask(endpoint, 'POST', path, JSON.parse(String(body)));
  if (created.status !== 201) throw new Error(`no pod: ${created.text}`);
  let text = '';
  await until('the scheduler has said why the pod waits', 10_000, async () => {
    ({ text } = await ask(endpoint, 'GET', `${path}/${name}`));
    return text.includes('PodScheduled');
  });
  await ask(endpoint, 'DELETE', `${path}/${name}`, { gracePeriodSeconds: 0 });
  await until('the pod is gone', 10_000, async () => {
    const { status } = await ask(endpoint, 'GET', `${path}/${name}`);
    return status === 404;
  });
  return { name, text };
}

/** Who goes first changes with the round. */
function inTurn(systems: readonly ApiSystem[], round: number): readonly ApiSystem[] {
  return round % 2 === 0 ? systems.toReversed() : systems;
}

async function measureRound(
  systems: readonly ApiSystem[],
  cases: readonly Case[],
  round: number,
  settings: Settings,
): Promise<Measured[]> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-bench-'));
  const running = new Map<ApiSystem, RunningSystem>();
  const measured: Measured[] = [];
  try {
    for (const system of systems) {
      running.set(system, await start(system, join(folder, system), settings.serverOptions));
    }
    const ours = running.get('selvage');
    if (ours === undefined) throw new Error('ours always runs');
    const podSample = await samplePod(ours.endpoint);
    for (const { name, scenario } of cases) {
      for (const system of inTurn(systems, round)) {
        const server = running.get(system);
        if (server === undefined) continue;
        const input: ApiLoadInput = {
          ...{ endpoint: server.endpoint, serverPid: server.pid, system, scenario, podSample },
          ...{ objectBytes, warmupMs, measureMs: settings.measureMs, label: `r${round}-${name}` },
        };
        const before = machineCpuMs();
        const began = performance.now();
        const result = await runPart<ApiLoadResult>(
          join(import.meta.dirname, 'api-load.ts'),
          input,
        );
        const machineMs = (performance.now() - began) * Number(environmentFacts()['cpus']);
        const busyShare = (machineCpuMs().busyMs - before.busyMs) / machineMs;
        measured.push({ case: name, system, round, result, busyShare });
        console.log(
          `  ${name}/${system}: ${(result.count / result.seconds).toFixed(1)}/s, ` +
            `p50 ${result.p50Ms.toFixed(2)} ms, p99 ${result.p99Ms.toFixed(2)} ms, ` +
            `all CPUs ${(busyShare * 100).toFixed(0)} % busy`,
        );
      }
    }
  } finally {
    for (const server of running.values()) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  return measured;
}

/** Each alone and empty, so that nothing else of this run is in its memory. */
async function measureMemory(
  systems: readonly ApiSystem[],
  round: number,
  settings: Settings,
): Promise<MeasuredMemory[]> {
  const measured: MeasuredMemory[] = [];
  for (const system of inTurn(systems, round)) {
    const folder = mkdtempSync(join(tmpdir(), 'selvage-bench-'));
    // With fronts the memory is that of the log's process alone: measured without them.
    const server = await start(system, folder, [], [`--inspect-port=${inspectorPort}`]);
    try {
      const input: ApiMemoryInput = {
        ...{ endpoint: server.endpoint, serverPid: server.pid, system, objectBytes },
        inspectorPort: system === 'selvage' ? inspectorPort : 0,
        ...{ objects: settings.objects, watchers: memoryWatchers },
        podSample: { name: '', text: '' },
      };
      const result = await runPart<ApiMemoryResult>(
        join(import.meta.dirname, 'api-memory.ts'),
        input,
      );
      measured.push({ system, round, result });
      console.log(`  memory/${system}: ${JSON.stringify(result)}`);
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return measured;
}

const aimText = (isReached: boolean, aim: string): string =>
  `${aim}: ${isReached ? 'reached' : 'missed'}`;

function printCalls(
  systems: readonly ApiSystem[],
  cases: readonly Case[],
  runs: readonly Measured[],
): void {
  const rows = [['', 'a second', 'p50 ms', 'p99 ms', 'server CPU µs', 'generator CPU µs', 'aim']];
  for (const { name, title, aim } of cases) {
    for (const system of systems) {
      const own = runs.filter((run) => run.case === name && run.system === system);
      if (own.length === 0) continue;
      const over = (value: (result: ApiLoadResult) => number): Spread =>
        spreadOf(own.map(({ result }) => value(result)));
      const latency = { p50Ms: over(({ p50Ms }) => p50Ms), p99Ms: over(({ p99Ms }) => p99Ms) };
      const isAimed = aim !== undefined && system === 'selvage';
      rows.push([
        `${title}: ${system}`,
        spreadText(
          over(({ count, seconds }) => count / seconds),
          0,
        ),
        spreadText(latency.p50Ms, 2),
        spreadText(latency.p99Ms, 2),
        spreadText(
          over(({ serverCpuMs, count }) => (serverCpuMs * 1_000) / count),
          0,
        ),
        spreadText(
          over(({ generatorCpuMs, count }) => (generatorCpuMs * 1_000) / count),
          0,
        ),
        isAimed
          ? aimText(latency[aim.of].median < aim.mostMs, `${aim.of.slice(0, 3)} < ${aim.mostMs} ms`)
          : '',
      ]);
    }
  }
  printTable(rows);
}

function printMemory(systems: readonly ApiSystem[], runs: readonly MeasuredMemory[]): void {
  const rows = [['bytes of server memory', 'heap after collection', 'resident', 'aim']];
  const parts = [
    ['stored object of 1 KB', 'perObject'],
    ['idle connection', 'perConnection'],
    ['idle watch on it', 'perWatch'],
  ] as const;
  for (const [title, part] of parts) {
    for (const system of systems) {
      const own = runs.filter((run) => run.system === system).map(({ result }) => result[part]);
      if (own.length === 0) continue;
      const heap = spreadOf(own.map(({ heapBytes }) => heapBytes));
      const resident = spreadOf(own.map(({ rssBytes }) => rssBytes));
      const isAimed = system === 'selvage' && part !== 'perConnection';
      const isReached = heap.median <= memoryAimBytes && resident.median <= memoryAimBytes;
      rows.push([
        `${title}: ${system}`,
        Number.isNaN(heap.median) ? '' : spreadText(heap, 0),
        spreadText(resident, 0),
        isAimed ? aimText(isReached, `at most ${memoryAimBytes}`) : '',
      ]);
    }
  }
  printTable(rows);
}

const options = {
  rounds: { value: 'N', fallback: 5, least: 1, meaning: 'each with all systems empty' },
  seconds: { value: 'S', fallback: 3, least: 1, meaning: 'how long each is measured' },
  only: { value: 'TEXT', fallback: '', meaning: 'those alone whose name begins with it' },
  pods: { value: 'N', fallback: 5_000, least: 1, meaning: 'that are listed' },
  objects: { value: 'N', fallback: 10_000, least: 1, meaning: 'whose memory is measured' },
  'server-options': {
    value: 'WORDS',
    fallback: '',
    meaning: "of our server, e.g. '--api-fronts 1'",
  },
} as const satisfies OptionTable;

async function runBenchmark(values: ValuesOf<typeof options>): Promise<void> {
  const settings: Settings = {
    rounds: values.rounds,
    measureMs: values.seconds * 1_000,
    pods: values.pods,
    objects: values.objects,
    serverOptions: values['server-options'].split(' ').filter((word) => word !== ''),
  };
  const etcd = requireEtcd();
  const kubeApiserver = kubeApiserverVersion();
  const systems: ApiSystem[] = ['selvage', 'etcd'];
  if (kubeApiserver === undefined) console.log('no kube-apiserver on PATH: it does not run');
  else systems.push('kube-apiserver');
  const facts = { ...environmentFacts(), etcd, kubeApiserver: kubeApiserver ?? 'none', settings };
  console.log(JSON.stringify(facts));

  const all = casesOf(settings.pods);
  const cases = all.filter(({ name }) => name.startsWith(values.only));
  const isMemoryWanted = 'memory'.startsWith(values.only);
  const names = [...all.map(({ name }) => name), 'memory'];
  requireChoice(values.only, cases.length + Number(isMemoryWanted), names);
  const runs: Measured[] = [];
  const memory: MeasuredMemory[] = [];
  let path = '';
  for (let round = 1; round <= settings.rounds; round += 1) {
    console.log(`round ${round} of ${settings.rounds}, all systems empty`);
    if (cases.length > 0) runs.push(...(await measureRound(systems, cases, round, settings)));
    if (isMemoryWanted) memory.push(...(await measureMemory(systems, round, settings)));
    // After every round: an interrupted run has measured something too.
    path = writeResults('api', { facts, warmupMs, objectBytes, runs, memory });
  }
  if (runs.length > 0) {
    console.log('\nmedian (least..most) over the rounds; CPU for each call, list or write');
    printCalls(systems, cases, runs);
    const busy = spreadOf(runs.map(({ busyShare }) => busyShare * 100));
    console.log(`all CPUs were ${spreadText(busy, 0)} % busy, with this run and everybody else`);
  }
  if (memory.length > 0) {
    console.log('');
    printMemory(systems, memory);
  }
  console.log(`raw results: ${path}`);
}

export const benchmark: Benchmark<typeof options> = {
  summary:
    'The Kubernetes API beside etcd over TLS, and beside a kube-apiserver where one is on PATH.',
  options,
  run: runBenchmark,
};
