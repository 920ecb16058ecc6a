/**
 * The load generator of the `store` benchmark: N clients, each with one kept-alive
 * HTTPS connection and one request at a time, against ours or the peer alike. A
 * process of its own, so that neither server pays for it.
 */
import { Agent, request } from 'node:https';
import { performance } from 'node:perf_hooks';
import type { TLSSocket } from 'node:tls';
import { configMapText } from './support/api-calls.ts';
import type { Endpoint } from './support/endpoint.ts';
import { type Measured, Measurement } from './support/measurement.ts';
import { readInput } from './support/processes.ts';

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

/** Latencies are those of requests. */
export interface LoadResult extends Omit<Measured, 'count'> {
  /** Objects whose write was acknowledged within the measured time. */
  readonly written: number;
  readonly writesPerSecond: number;
  /** Everything that was acknowledged, preparation and warm-up too. */
  readonly writtenInAll: number;
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

function selvageRequest(mode: Mode, name: string, sizeBytes: number, turn: number): Outgoing {
  const body = Buffer.from(configMapText(name, sizeBytes, turn));
  return mode === 'create'
    ? { method: 'POST', path: collection, body, expect: 201 }
    : { method: 'PUT', path: `${collection}/${name}`, body, expect: 200 };
}

/** The same bytes as ours stores, under a key as Kubernetes makes them. */
function etcdPut(name: string, sizeBytes: number, turn: number): { key: string; value: string } {
  const key = base64(`/registry/configmaps/default/${name}`);
  return { key, value: base64(configMapText(name, sizeBytes, turn)) };
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

const measurement = new Measurement(input, { countsLate: false });
let requestsInAll = 0;

async function run(client: Client, number: number): Promise<void> {
  for (let turn = 0; !measurement.isOver; turn += 1) {
    const outgoing = requestFor(number, turn);
    const began = performance.now();
    await client.send(outgoing);
    requestsInAll += 1;
    measurement.take(performance.now() - began);
  }
}

const { count, ...measured } = await measurement.over(() =>
  Promise.all(clients.map((client, number) => run(client, number))),
);
const written = count * (mode === 'batch' ? input.perRequest : 1);
const result: LoadResult = {
  ...measured,
  written,
  writesPerSecond: written / measured.seconds,
  writtenInAll:
    requestsInAll * (mode === 'batch' ? input.perRequest : 1) +
    (mode === 'create' ? 0 : objectsPerClient * clients.length),
  generatorCpuMsInAll: (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  tls: clients[0]?.tls ?? '',
};
for (const client of clients) client.close();
process.stdout.write(JSON.stringify(result));
