/**
 * `agent`: what the agent of one node takes, run from its sources, from its bundle and
 * as a single executable, each against the same server with the same two pods:
 * size, time from its start to the link, memory and CPU while nothing happens.
 *
 * The agent alone is measured: the pods are processes of their own. Each form is
 * started anew in every round, in turn, and adopts the pods that run.
 */
import { spawnSync } from 'node:child_process';
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { OptionTable, ValuesOf } from '../tools/command-options.ts';
import { buildBundles } from '../tools/build/bundles.ts';
import { buildExecutable } from '../tools/build/executable.ts';
import { agentEnvironment, agentNodeFlags } from '../src/apps/main/agent-node-flags.ts';
import {
  type Benchmark,
  environmentFacts,
  printTable,
  repositoryFolder,
  writeResults,
} from './support/benchmark.ts';
import { ask } from './support/endpoint.ts';
import { pssBytesOf, rssBytesOf } from './support/memory.ts';
import { costBetween, costOf, type Started, startProcess, until } from './support/processes.ts';
import { type RunningSelvage, runSelvage, startSelvage } from './support/selvage.ts';

const port = 26_543;
const nodeName = 'measured';
const nodePath = `/api/v1/nodes/${nodeName}`;
const podsPath = '/api/v1/namespaces/default/pods';
const podNames = ['one', 'two'];

interface Form {
  readonly name: string;
  /** Program and first arguments. */
  readonly command: readonly string[];
  /** What it is made of beside Node.js; an executable holds that too. */
  readonly file: string | undefined;
}

interface Measurement {
  readonly form: string;
  readonly startMs: number;
  readonly rssBytes: number;
  readonly pssBytes: number;
  /** Of one second, while nothing happens. */
  readonly cpuMsPerSecond: number;
}

async function buildForms(folder: string): Promise<readonly Form[]> {
  await buildBundles(repositoryFolder, folder);
  await buildExecutable(repositoryFolder, folder);
  const node = [process.execPath, ...agentNodeFlags];
  const bundle = join(folder, 'agent.cjs');
  const executable = join(folder, 'selvage-agent');
  return [
    {
      name: 'from source',
      command: [...node, join(repositoryFolder, 'src/apps/main/agent.ts')],
      file: undefined,
    },
    { name: 'bundle', command: [...node, bundle], file: bundle },
    { name: 'executable', command: [executable], file: executable },
  ];
}

async function post(server: RunningSelvage, path: string, body: unknown): Promise<string> {
  const { status, text } = await ask(server.endpoint, 'POST', path, body);
  if (status !== 201) throw new Error(`${path}: ${status} ${text}`);
  return text;
}

/** Answers the file by which one node joins. */
async function prepareFleet(server: RunningSelvage, folder: string): Promise<string> {
  const apiVersion = 'selvage.dev/v1';
  const metadata = { name: 'bench' };
  await post(server, '/apis/selvage.dev/v1/regions', { apiVersion, kind: 'Region', metadata });
  const site = { apiVersion, kind: 'Site', metadata, spec: { region: 'bench' } };
  await post(server, '/apis/selvage.dev/v1/sites', site);
  const answer = await post(server, '/apis/selvage.dev/v1/jointokens', { site: 'bench' });
  const { token } = JSON.parse(answer) as { token: string };
  const joinFile = join(folder, 'join.json');
  const { host, port: apiPort, trustPem } = server.endpoint;
  const directions = { server: { host, port: apiPort }, caPem: trustPem, token };
  writeFileSync(joinFile, JSON.stringify(directions));
  const example = join(repositoryFolder, 'examples/edge-microservice');
  runSelvage(['image', 'push', example, '--kubeconfig', server.kubeconfigPath]);
  return joinFile;
}

async function runPods(server: RunningSelvage): Promise<void> {
  for (const name of podNames) {
    await post(server, podsPath, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { containers: [{ name: 'main', image: 'edge-service-image:latest' }] },
    });
  }
  await podsAre(server, podNames.length);
}

async function podsAre(server: RunningSelvage, count: number): Promise<void> {
  await until(`${count} pods run`, 60_000, async () => {
    const { text } = await ask(server.endpoint, 'GET', podsPath);
    const { items } = JSON.parse(text) as { items: { status?: { phase?: string } }[] };
    const running = items.filter(({ status }) => status?.phase === 'Running').length;
    return items.length === count && running === count;
  });
}

const options = {
  rounds: { value: 'N', fallback: 5, least: 1, meaning: 'each starts every form anew' },
  settle: { value: 'S', fallback: 15, least: 0, meaning: 'seconds of rest before it is measured' },
  seconds: { value: 'S', fallback: 30, least: 1, meaning: 'how long it is measured' },
} as const satisfies OptionTable;

async function runBenchmark(values: ValuesOf<typeof options>): Promise<void> {
  const environment = environmentFacts();
  const folder = mkdtempSync(join(tmpdir(), 'selvage-agent-bench-'));
  const state = join(folder, 'agent');
  mkdirSync(state);
  const running: Started[] = [];
  const measurements: Measurement[] = [];
  try {
    const forms = await buildForms(join(folder, 'dist'));
    const server = await startSelvage(join(folder, 'server'), port);
    running.push(server);
    const joinFile = await prepareFleet(server, folder);
    const options = ['--name', nodeName, '--state', state, '--join-file', joinFile];
    const startAgent = async (form: Form): Promise<{ agent: Started; startMs: number }> => {
      const log = join(folder, 'agent.log');
      writeFileSync(log, '');
      const startedAt = performance.now();
      const agent = startProcess([...form.command, ...options], log, agentEnvironment);
      running.push(agent);
      await until('the agent has started', 20_000, () =>
        readFileSync(log, 'utf8').includes('"agent started"'),
      );
      const startMs = performance.now() - startedAt;
      await until('the node is ready', 20_000, async () => {
        const { text } = await ask(server.endpoint, 'GET', nodePath);
        return text.includes('"type":"Ready","status":"True"');
      });
      return { agent, startMs };
    };
    const [first] = forms;
    if (first === undefined) throw new Error('there is nothing to measure');
    // Joins and starts the pods; not measured, as it does both only once.
    const joining = await startAgent(first);
    await runPods(server);
    await joining.agent.stop();
    running.pop();
    for (let round = 0; round < values.rounds; round += 1) {
      for (const form of forms) {
        const { agent, startMs } = await startAgent(form);
        await podsAre(server, podNames.length);
        await pause(values.settle * 1_000);
        const before = costOf(agent.pid);
        await pause(values.seconds * 1_000);
        const { cpuMs } = costBetween(before, costOf(agent.pid));
        measurements.push({
          form: form.name,
          startMs,
          rssBytes: rssBytesOf(agent.pid),
          pssBytes: pssBytesOf(agent.pid),
          cpuMsPerSecond: cpuMs / values.seconds,
        });
        await agent.stop();
        running.pop();
      }
    }
    const last = await startAgent(first);
    for (const name of podNames) await ask(server.endpoint, 'DELETE', `${podsPath}/${name}`);
    await podsAre(server, 0);
    await last.agent.stop();
    await server.stop();
    running.length = 0;
    const sizes = forms.map(({ name, file }) => ({
      form: name,
      bytes: file === undefined ? undefined : statSync(file).size,
    }));
    const versionMs = forms.map(({ name, command: [program = '', ...rest] }) => {
      const times = Array.from({ length: 5 }, () => {
        const startedAt = performance.now();
        spawnSync(program, [...rest, '--version']);
        return performance.now() - startedAt;
      });
      return { form: name, ms: median(times) };
    });
    print(forms, measurements, sizes, versionMs);
    console.log(writeResults('agent', { environment, values, sizes, versionMs, measurements }));
  } finally {
    for (const started of running.reverse()) {
      await started.stop().catch((error: unknown) => console.error(String(error)));
    }
    killPods(state);
    rmSync(folder, { recursive: true, force: true });
  }
}

export const benchmark: Benchmark<typeof options> = {
  summary: 'What the agent of one node takes, from its sources, its bundle and as one executable.',
  options,
  run: runBenchmark,
};

/** An agent leaves its pods running; so does one that could not be measured to the end. */
function killPods(state: string): void {
  for (const file of globSync(join(state, 'pods/*/*/state.json'))) {
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid?: number };
    const words = pid === undefined ? '' : commandLineOf(pid);
    if (pid !== undefined && words.includes(state)) process.kill(pid, 'SIGKILL');
  }
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function median(values: readonly number[]): number {
  return (
    values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN
  );
}

function print(
  forms: readonly Form[],
  measurements: readonly Measurement[],
  sizes: readonly { readonly bytes: number | undefined }[],
  versionMs: readonly { readonly ms: number }[],
): void {
  /** Median, and in brackets the least and the most. */
  const row = (title: string, aim: string, text: (one: Measurement) => number, digits: number) => [
    title,
    ...forms.map(({ name }) => {
      const own = measurements.filter(({ form }) => form === name).map(text);
      const shown = (value: number): string => value.toFixed(digits);
      return `${shown(median(own))} (${shown(Math.min(...own))}-${shown(Math.max(...own))})`;
    }),
    aim,
  ];
  const megabytes = (bytes: number): number => bytes / 1e6;
  printTable([
    ['agent, alone, with two pods', ...forms.map(({ name }) => name), 'aim'],
    row('resident memory, MB', '60', ({ rssBytes }) => megabytes(rssBytes), 1),
    row('proportional set, MB', '', ({ pssBytes }) => megabytes(pssBytes), 1),
    row('CPU, ms per idle second', '', ({ cpuMsPerSecond }) => cpuMsPerSecond, 1),
    row('start to ready for work, ms', '', ({ startMs }) => startMs, 0),
    ['start to the version, ms', ...versionMs.map(({ ms }) => ms.toFixed(0)), ''],
    [
      'size beside Node.js, MB',
      ...sizes.map(({ bytes }) => (bytes === undefined ? '' : megabytes(bytes).toFixed(1))),
      '',
    ],
  ]);
}
