/**
 * The load generator of the `store` benchmark: N clients, each with one kept-alive
 * HTTPS connection and one request at a time, against ours or the peer alike. A
 * process of its own, so that neither server pays for it.
 */
import { Agent, request } from 'node:https';
import { performance } from 'node:perf_hooks';
import type { TLSSocket } from 'node:tls';
import type { Endpoint } from './support/endpoint.ts';
import { type Cost, costBetween, costOf, readInput } from './support/processes.ts';
import { quantile } from './support/statistics.ts';

export type Mode = 'create' | 'update' | 'batch';

export interface LoadInput {
  readonly endpoint: Endpoint;
  readonly serverPid: number;
  readonly system: 'selvage' | 'etcd';
  readonly mode: Mode;
  readonly clients: number;
  readonly objectBytes: number;
  /** Objects that `update` and `batch` write again and again; made before the clock runs. */
  readonly objects: number;
  /** Objects in one request of `batch`. */
  readonly perRequest: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Makes the names of this run unique. */
  readonly label: string;
}

export interface LoadResult {
  /** Objects whose write was acknowledged within the measured time. */
  readonly written: number;
  readonly seconds: number;
  readonly writesPerSecond: number;
  /** Of requests. */
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** Everything that was acknowledged, preparation and warm-up too. */
  readonly writtenInAll: number;
  /** In the measured time, of the server and of this process. */
  readonly serverCost: Cost;
  readonly generatorCpuMs: number;
  readonly generatorCpuMsInAll: number;
  readonly tls: string;
}

interface Outgoing {
  readonly method: string;
  readonly path: string;
  readonly body: Buffer;
  readonly expect: number;
}

const collection = '/api/v1/namespaces/default/configmaps';
const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

/** A ConfigMap of exactly `sizeBytes` as JSON. */
function configMap(name: string, sizeBytes: number, turn: number): string {
  const make = (filling: string): string =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name },
      data: { turn: String(turn), filling },
    });
  return make('x'.repeat(Math.max(0, sizeBytes - make('').length)));
}

function selvageRequest(mode: Mode, name: string, sizeBytes: number, turn: number): Outgoing {
  const body = Buffer.from(configMap(name, sizeBytes, turn));
  return mode === 'create'
    ? { method: 'POST', path: collection, body, expect: 201 }
    : { method: 'PUT', path: `${collection}/${name}`, body, expect: 200 };
}

/** The same bytes as ours stores, under a key as Kubernetes makes them. */
function etcdPut(name: string, sizeBytes: number, turn: number): { key: string; value: string } {
  const key = base64(`/registry/configmaps/default/${name}`);
  return { key, value: base64(configMap(name, sizeBytes, turn)) };
}

function etcdRequest(names: readonly string[], sizeBytes: number, turn: number): Outgoing {
  const puts = names.map((name) => etcdPut(name, sizeBytes, turn));
  const isBatch = puts.length > 1;
  const body = isBatch ? { success: puts.map((put) => ({ requestPut: put })) } : puts[0];
  return {
    method: 'POST',
    path: isBatch ? '/v3/kv/txn' : '/v3/kv/put',
    body: Buffer.from(JSON.stringify(body)),
    expect: 200,
  };
}

class Client {
  readonly #agent: Agent;
  readonly #endpoint: Endpoint;
  tls = '';

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#agent = new Agent({
      keepAlive: true,
      // The same for both: each would choose another of its own.
      ciphers: 'TLS_AES_128_GCM_SHA256',
      minVersion: 'TLSv1.3',
      maxSockets: 1,
      ca: endpoint.trustPem,
      cert: endpoint.certificatePem,
      key: endpoint.privateKeyPem,
    });
  }

  send({ method, path, body, expect }: Outgoing): Promise<void> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: this.#endpoint.host,
          port: this.#endpoint.port,
          agent: this.#agent,
          method,
          path,
          headers: { 'content-type': 'application/json', 'content-length': body.length },
        },
        (incoming) => {
          if (this.tls === '') {
            const socket = incoming.socket as TLSSocket;
            this.tls = `${socket.getProtocol() ?? ''} ${socket.getCipher().name}`;
          }
          if (incoming.statusCode === expect) {
            incoming.resume();
          } else {
            incoming.setEncoding('utf8').on('data', (text: string) => {
              reject(new Error(`${method} ${path}: ${String(incoming.statusCode)} ${text}`));
            });
          }
          incoming.on('end', () => resolve());
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

const input = await readInput<LoadInput>();
const { system, mode, objectBytes, label } = input;
const nameOf = (client: number, index: number): string => `${label}-${client}-${index}`;
const clients = Array.from({ length: input.clients }, () => new Client(input.endpoint));
const objectsPerClient = Math.max(input.perRequest, Math.floor(input.objects / input.clients));

function requestFor(client: number, turn: number): Outgoing {
  if (mode === 'create') {
    const name = nameOf(client, turn);
    return system === 'selvage'
      ? selvageRequest('create', name, objectBytes, turn)
      : etcdRequest([name], objectBytes, turn);
  }
  if (system === 'selvage') {
    return selvageRequest('update', nameOf(client, turn % objectsPerClient), objectBytes, turn);
  }
  const first = turn * input.perRequest;
  const names = Array.from({ length: input.perRequest }, (_, index) =>
    nameOf(client, (first + index) % objectsPerClient),
  );
  return etcdRequest(names, objectBytes, turn);
}

/** What is to be updated has to be there. */
async function prepare(client: number): Promise<void> {
  for (let index = 0; index < objectsPerClient; index += 1) {
    const name = nameOf(client, index);
    await clients[client]?.send(
      system === 'selvage'
        ? selvageRequest('create', name, objectBytes, -1)
        : etcdRequest([name], objectBytes, -1),
    );
  }
}
if (mode !== 'create') await Promise.all(clients.map((_, client) => prepare(client)));

const latencies: number[] = [];
let requestsInAll = 0;
const phase = { isOver: false, isMeasured: false };

async function run(client: Client, number: number): Promise<void> {
  for (let turn = 0; !phase.isOver; turn += 1) {
    const outgoing = requestFor(number, turn);
    const began = performance.now();
    await client.send(outgoing);
    requestsInAll += 1;
    if (phase.isMeasured) latencies.push(performance.now() - began);
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
const running = Promise.all(clients.map((client, number) => run(client, number)));
await Promise.race([running, pause(input.warmupMs)]);
phase.isMeasured = true;
const cpuBefore = process.cpuUsage();
const costBefore = costOf(input.serverPid);
const began = performance.now();
await Promise.race([running, pause(input.measureMs)]);
phase.isMeasured = false;
const seconds = (performance.now() - began) / 1000;
const cpu = process.cpuUsage(cpuBefore);
const serverCost = costBetween(costBefore, costOf(input.serverPid));
phase.isOver = true;
await running;

const sorted = Float64Array.from(latencies).sort();
const written = sorted.length * (mode === 'batch' ? input.perRequest : 1);
const result: LoadResult = {
  written,
  seconds,
  writesPerSecond: written / seconds,
  p50Ms: quantile(sorted, 0.5),
  p90Ms: quantile(sorted, 0.9),
  p99Ms: quantile(sorted, 0.99),
  p999Ms: quantile(sorted, 0.999),
  maxMs: sorted.at(-1) ?? Number.NaN,
  writtenInAll:
    requestsInAll * (mode === 'batch' ? input.perRequest : 1) +
    (mode === 'create' ? 0 : objectsPerClient * clients.length),
  serverCost,
  generatorCpuMs: (cpu.user + cpu.system) / 1000,
  generatorCpuMsInAll: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  tls: clients[0]?.tls ?? '',
};
for (const client of clients) client.close();
process.stdout.write(JSON.stringify(result));
