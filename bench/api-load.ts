/**
 * The load generator of the `api` benchmark: one scenario against one system, a process
 * of its own, so that no server pays for it.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { type ApiSystem, type Call, callsOf, type PodSample } from './support/api-calls.ts';
import type { Endpoint } from './support/endpoint.ts';
import { type Measured, Measurement } from './support/measurement.ts';
import { costBetween, costOf, readInput } from './support/processes.ts';
import { CallClient, forEachOf, openConnections, type RawWatch } from './support/raw-connection.ts';

export type ApiScenario =
  /** Lists of all pods, one after the other. */
  | { readonly type: 'list'; readonly pods: number }
  /** As many calls as that many clients can make, each one at a time. */
  | {
      readonly type: 'calls';
      readonly verb: 'get' | 'create' | 'patch';
      readonly clients: number;
    }
  /** Single writes, each until the last of the watchers has it. */
  | { readonly type: 'fan-out'; readonly watchers: number }
  /** Gets, creates and patches at a fixed rate beside watchers of all that is written. */
  | { readonly type: 'rated'; readonly perSecond: number; readonly watchers: number };

export interface ApiLoadInput {
  readonly endpoint: Endpoint;
  readonly serverPid: number;
  readonly system: ApiSystem;
  readonly scenario: ApiScenario;
  readonly objectBytes: number;
  readonly podSample: PodSample;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Makes the names of this run unique. */
  readonly label: string;
}

export interface ApiLoadResult extends Omit<Measured, 'serverCost'> {
  /** Of the server in the measured time. */
  readonly serverCpuMs: number;
  /** Of the answer to a list; 0 for other scenarios. */
  readonly answerBytes: number;
  /** Of `rated`: lines that the watchers got, each of every write. 0 for other scenarios. */
  readonly watchedLines: number;
}

const preparedObjects = 256;
const fanOutPauseMs = 20;
const fanOutTimeoutMs = 60_000;
const ratedClients = 32;

const input = await readInput<ApiLoadInput>();
const { endpoint, scenario, label } = input;
const calls = callsOf(input.system, input.objectBytes, input.podSample);

const clientsOf = (count: number): CallClient[] =>
  Array.from({ length: count }, () => new CallClient(endpoint));

async function sendAll(clients: readonly CallClient[], all: readonly Call[]): Promise<void> {
  let next = 0;
  const worker = async (client: CallClient): Promise<void> => {
    for (let call = all[next++]; call !== undefined; call = all[next++]) await client.send(call);
  };
  await Promise.all(clients.map(worker));
}

const measurement = new Measurement(input, { countsLate: true });

async function measuredOver(load: () => Promise<unknown>): Promise<ApiLoadResult> {
  const { serverCost, ...measured } = await measurement.over(load);
  return { ...measured, serverCpuMs: serverCost.cpuMs, answerBytes: 0, watchedLines: 0 };
}

async function timed(client: CallClient, call: Call): Promise<Buffer> {
  const began = performance.now();
  const answer = await client.send(call);
  measurement.take(performance.now() - began);
  return answer;
}

/** Pods that are there stay from one round of a server to its next. */
async function runList(pods: number): Promise<ApiLoadResult> {
  const clients = clientsOf(16);
  const [reader] = clients;
  if (reader === undefined) throw new Error('there is a client');
  const list = calls.listPods();
  const count = async (): Promise<number> =>
    calls.countPods((await reader.send(list)).toString('utf8'));
  const missing = pods - (await count());
  const names = Array.from({ length: Math.max(0, missing) }, (_, index) => `${label}-${index}`);
  await sendAll(
    clients,
    names.map((name) => calls.createPod(name)),
  );
  const found = await count();
  if (found !== pods) throw new Error(`${found} pods are listed, not ${pods}`);
  await settle();
  let answerBytes = 0;
  const result = await measuredOver(async () => {
    while (!measurement.isOver) answerBytes = (await timed(reader, list)).length;
  });
  for (const client of clients) client.close();
  return { ...result, answerBytes };
}

/** Until the server does nothing more about what was written: its controllers look at pods. */
async function settle(): Promise<void> {
  for (let look = 0; look < 100; look += 1) {
    const before = costOf(input.serverPid);
    await pause(300);
    if (costBetween(before, costOf(input.serverPid)).cpuMs <= 20) return;
  }
}

async function prepare(clients: readonly CallClient[]): Promise<readonly string[]> {
  const names = Array.from({ length: preparedObjects }, (_, index) => `${label}-p-${index}`);
  await sendAll(
    clients,
    names.map((name) => calls.create(name, -1)),
  );
  return names;
}

async function runCalls(verb: 'get' | 'create' | 'patch', count: number): Promise<ApiLoadResult> {
  const clients = clientsOf(count);
  const names = verb === 'create' ? [] : await prepare(clients);
  const callOf = (client: number, turn: number): Call => {
    if (verb === 'create') return calls.create(`${label}-${client}-${turn}`, turn);
    // No two clients write one object at one time.
    const name = names[(client + turn * count) % names.length] ?? '';
    return verb === 'get' ? calls.get(name) : calls.patch(name, turn);
  };
  const result = await measuredOver(() =>
    Promise.all(
      clients.map(async (client, number) => {
        for (let turn = 0; !measurement.isOver; turn += 1)
          await timed(client, callOf(number, turn));
      }),
    ),
  );
  for (const client of clients) client.close();
  return result;
}

async function openWatches(client: CallClient, count: number): Promise<RawWatch[]> {
  const revision = (await client.send(calls.revision())).toString('utf8');
  const watches = await openConnections(endpoint, count);
  await forEachOf(watches, (watch) => watch.send(calls.watch(revision)));
  await pause(500);
  // The peer says with a line that a watch has begun.
  for (const watch of watches) watch.lines = 0;
  return watches;
}

async function runFanOut(count: number): Promise<ApiLoadResult> {
  const [client] = clientsOf(1);
  if (client === undefined) throw new Error('there is a client');
  const names = await prepare([client]);
  const watches = await openWatches(client, count);
  let waiting = 0;
  let allHaveIt = (): void => {};
  for (const watch of watches) {
    watch.onLine = () => {
      waiting -= 1;
      if (waiting === 0) allHaveIt();
    };
  }
  const result = await measuredOver(async () => {
    for (let turn = 0; !measurement.isOver; turn += 1) {
      waiting = count;
      const told = new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`${waiting} of ${count} watchers were not told`)),
          fanOutTimeoutMs,
        );
        allHaveIt = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      const began = performance.now();
      const written = client.send(calls.patch(names[turn % names.length] ?? '', turn));
      await told;
      measurement.take(performance.now() - began);
      await written;
      await pause(fanOutPauseMs);
    }
  });
  for (const watch of watches) watch.close();
  client.close();
  return result;
}

/**
 * Every call has its time, and its latency counts from there, so that a server that
 * stops for a while is not spared the calls that would have come.
 */
async function runRated(perSecond: number, watchers: number): Promise<ApiLoadResult> {
  const clients = clientsOf(ratedClients);
  const [first] = clients;
  if (first === undefined) throw new Error('there is a client');
  const names = await prepare(clients);
  const watches = await openWatches(first, watchers);
  const free = [...clients];
  const due: { readonly call: Call; readonly dueMs: number }[] = [];
  let writes = 0;
  const callOf = (turn: number): Call => {
    const name = names[turn % names.length] ?? '';
    if (turn % 2 === 0) return calls.get(name);
    writes += 1;
    return turn % 4 === 1 ? calls.patch(name, turn) : calls.create(`${label}-${turn}`, turn);
  };
  const flying = new Set<Promise<void>>();
  const fly = async (client: CallClient): Promise<void> => {
    for (let next = due.shift(); next !== undefined; next = due.shift()) {
      await client.send(next.call);
      measurement.take(performance.now() - next.dueMs);
    }
    free.push(client);
  };
  const result = await measuredOver(async () => {
    const began = performance.now();
    for (let turn = 0; !measurement.isOver;) {
      const dueMs = began + (turn * 1_000) / perSecond;
      const nowMs = performance.now();
      if (dueMs > nowMs) {
        await pause(Math.ceil(dueMs - nowMs));
        continue;
      }
      due.push({ call: callOf(turn), dueMs });
      turn += 1;
      const client = free.pop();
      if (client === undefined) continue;
      const flight = fly(client);
      flying.add(flight);
      void flight.finally(() => flying.delete(flight));
    }
    await Promise.all(flying);
  });
  const lines = (): number => watches.reduce((sum, watch) => sum + watch.lines, 0);
  const looksMax = input.system === 'etcd' ? 10 : 200;
  for (let look = 0; look < looksMax && lines() < writes * watchers; look += 1) await pause(50);
  const watchedLines = lines();
  // The peer puts changes that come together into one line.
  if (input.system === 'etcd' ? watchedLines === 0 : watchedLines !== writes * watchers) {
    throw new Error(`${watchedLines} lines came to ${watchers} watchers of ${writes} writes`);
  }
  for (const watch of watches) watch.close();
  for (const client of clients) client.close();
  return { ...result, watchedLines };
}

function run(): Promise<ApiLoadResult> {
  switch (scenario.type) {
    case 'list':
      return runList(scenario.pods);
    case 'calls':
      return runCalls(scenario.verb, scenario.clients);
    case 'fan-out':
      return runFanOut(scenario.watchers);
    case 'rated':
      return runRated(scenario.perSecond, scenario.watchers);
  }
}

process.stdout.write(JSON.stringify(await run()));
