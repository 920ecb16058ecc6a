/**
 * The memory part of the `api` benchmark: what stored objects, idle connections and idle
 * watches on them add to a server's memory. Ours tells its heap after a garbage collection;
 * of other systems there is what the kernel says.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type ApiSystem, callsOf, type PodSample } from './support/api-calls.ts';
import type { Endpoint } from './support/endpoint.ts';
import { collectedHeapOf, type HeapUsage } from './support/inspector.ts';
import { rssBytesOf } from './support/memory.ts';
import { costBetween, costOf, readInput } from './support/processes.ts';
import { CallClient, forEachOf, openConnections } from './support/raw-connection.ts';

export interface ApiMemoryInput {
  readonly endpoint: Endpoint;
  readonly serverPid: number;
  readonly system: ApiSystem;
  /** Of a server on Node.js started with it; 0 for others. */
  readonly inspectorPort: number;
  readonly objects: number;
  readonly watchers: number;
  readonly objectBytes: number;
  readonly podSample: PodSample;
}

/** Bytes that each added. NaN for a heap that nobody tells. */
export interface Added {
  readonly heapBytes: number;
  readonly rssBytes: number;
}

export interface ApiMemoryResult {
  readonly perObject: Added;
  readonly perConnection: Added;
  /** Beyond its connection. */
  readonly perWatch: Added;
}

const createClients = 32;
const settleLooksMax = 60;

const input = await readInput<ApiMemoryInput>();
const { endpoint, serverPid: pid } = input;
const calls = callsOf(input.system, input.objectBytes, input.podSample);

async function usage(): Promise<HeapUsage> {
  for (let look = 0; look < settleLooksMax; look += 1) {
    const before = costOf(pid);
    await pause(500);
    if (costBetween(before, costOf(pid)).cpuMs <= 20) break;
  }
  if (input.inspectorPort > 0) return collectedHeapOf(pid, input.inspectorPort);
  return { usedBytes: Number.NaN, rssBytes: rssBytesOf(pid) };
}

function added(before: HeapUsage, after: HeapUsage, count: number): Added {
  return {
    heapBytes: (after.usedBytes - before.usedBytes) / count,
    rssBytes: (after.rssBytes - before.rssBytes) / count,
  };
}

async function createObjects(label: string, count: number): Promise<void> {
  const clients = Array.from({ length: createClients }, () => new CallClient(endpoint));
  let made = 0;
  await Promise.all(
    clients.map(async (client) => {
      for (let turn = made++; turn < count; turn = made++) {
        await client.send(calls.create(`${label}-${turn}`, turn));
      }
    }),
  );
  for (const client of clients) client.close();
}

// What is compiled and allocated once for all is there before anything is counted.
await createObjects('warm', 2_000);
for (const watch of await openConnections(endpoint, 50)) {
  await watch.send(calls.get('warm-1'));
  watch.close();
}
const empty = await usage();
await createObjects('kept', input.objects);
const filled = await usage();

const reader = new CallClient(endpoint);
const revision = (await reader.send(calls.revision())).toString('utf8');
reader.close();
const before = await usage();
const watches = await openConnections(endpoint, input.watchers);
await forEachOf(watches, (watch) => watch.send(calls.get('warm-1')));
const connected = await usage();
await forEachOf(watches, (watch) => watch.send(calls.watch(revision)));
const watching = await usage();
for (const watch of watches) watch.close();

const result: ApiMemoryResult = {
  perObject: added(empty, filled, input.objects),
  perConnection: added(before, connected, input.watchers),
  perWatch: added(connected, watching, input.watchers),
};
process.stdout.write(JSON.stringify(result));
