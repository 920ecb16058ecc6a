/** A real server over real stores in a temporary folder, called through its handler. For tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JsonObject, textOf, type Uid, utf8 } from '#base/mod.ts';
import { builtInDefinitions, encodeFacet, type NodeUsage } from '#platform/api/mod.ts';
import type { AuditEvent } from '#platform/audit/mod.ts';
import {
  createImageCatalog,
  createRegistryHandler,
  openBlobStore,
  type TaggedImages,
} from '#platform/blobs/mod.ts';
import {
  createJoinTokens,
  createNodeCertificates,
  createServiceAccountTokens,
  openCertificateAuthority,
  openTokenSigner,
} from '#platform/identity/mod.ts';
import { type ByteSink, type PeerIdentity, silentLogger } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeKeys,
  createNodeRandom,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { createMetrics } from '#platform/metrics/mod.ts';
import { openStore, type OwnedStore, type StoreOptions } from '#platform/store/mod.ts';
import type { Admitter } from './admission/types.ts';
import type { PodLogListener, PodLogRequest, PodLogSource } from './pod-logs.ts';
import { createServer, type Server } from './server.ts';
import type { WatchLimits } from './watch-budget.ts';

export type Identity = 'admin' | 'viewer' | 'controller' | 'node-1' | 'stranger' | 'nobody';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly json: JsonObject;
}

/** Somebody with a certificate, beside the identities that most tests use. */
export interface Person {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface CallOptions {
  readonly as?: Identity | Person;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where the request seems to come from. */
  readonly from?: string;
}

export interface WatchOptions extends CallOptions {
  /** The client reads nothing, from the beginning. */
  readonly stalled?: boolean;
}

export interface TestWatch {
  readonly status: number;
  /** Waits for that many lines in all, then gives them. */
  lines(count: number): Promise<readonly JsonObject[]>;
  readonly ended: Promise<void>;
  /** From now on nothing leaves the server: the client has stopped reading. */
  stall(): void;
  close(): void;
}

export interface OpenedLog {
  readonly nodeName: string;
  readonly request: PodLogRequest;
  readonly listener: PodLogListener;
  isClosed: boolean;
}

export interface TestServer {
  readonly server: Server;
  readonly store: OwnedStore;
  readonly eventStore: OwnedStore;
  readonly images: TaggedImages;
  readonly logs: OpenedLog[];
  /** What nodes answer when they are asked what they use, and who was asked. */
  readonly usage: { readonly answers: Map<string, NodeUsage>; readonly asked: string[] };
  /** What the audit log was given. */
  readonly audited: readonly AuditEvent[];
  readonly audit: { omitted: number };
  /** `body` is sent as it is where it is bytes or text, else as JSON. */
  call(method: string, target: string, options?: CallOptions): Promise<Answer>;
  watch(target: string, options?: WatchOptions): Promise<TestWatch>;
}

export async function withServer(
  run: (server: TestServer) => Promise<void>,
  admitters: readonly Admitter[] = [],
  storeOptions: StoreOptions = {},
  watchLimits?: WatchLimits,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'server-'));
  const disk = createNodeDisk(folder);
  const [clock, timers, random, keys] = [
    createNodeClock(),
    createNodeTimers(),
    createNodeRandom(),
    createNodeKeys(),
  ];
  const ports = { disk: disk.within('store'), random, logger: silentLogger };
  const store = await openStore(ports, storeOptions);
  const eventStore = await openStore({
    disk: disk.within('events'),
    random,
    logger: silentLogger,
  });
  const blobs = await openBlobStore({ disk: disk.within('blobs'), random });
  const images = createImageCatalog(store, blobs, random);
  const authority = await openCertificateAuthority({
    disk: disk.within('ca'),
    keys,
    clock,
    random,
  });
  const logs: OpenedLog[] = [];
  const usage: TestServer['usage'] = { answers: new Map(), asked: [] };
  const audited: AuditEvent[] = [];
  const audit = { omitted: 0 };
  const nodeCertificates = createNodeCertificates({
    store,
    authority,
    keys,
    clock,
    lifeMs: 3_600_000,
  });
  const server = await createServer({
    store,
    eventStore,
    definitions: builtInDefinitions,
    admitters,
    clock,
    timers,
    random,
    logger: silentLogger,
    joinTokens: createJoinTokens({ store, authority, keys, clock, random }),
    nodeCertificates,
    serviceAccountTokens: createServiceAccountTokens({
      store,
      signer: await openTokenSigner({ disk: disk.within('ca'), keys }),
      clock,
      random,
      issuer: 'https://kubernetes.default.svc',
    }),
    podLogs: logSourceInto(logs),
    nodeLiveness: (name) =>
      name === 'node-1' ? { lastHeartbeatWallMs: 1_700_000_000_000 } : undefined,
    usage: {
      async refresh(names) {
        usage.asked.push(...names);
      },
      of: (name) => usage.answers.get(name),
    },
    registryHandler: createRegistryHandler({ blobs, images }),
    linkAddress: () => ({ host: '127.0.0.1', port: 7443 }),
    version: {
      version: '0.0.0',
      gitCommit: 'none',
      buildDate: '2026-01-01T00:00:00Z',
      platform: 'linux/amd64',
    },
    metrics: createMetrics(),
    ...(watchLimits === undefined ? {} : { watchLimits }),
    audit: {
      record: (event) => void audited.push(event),
      omit: () => (audit.omitted += 1),
      state: () => ({ ...{ sequence: 0, lost: 0, waiting: 0 }, ...audit, failure: undefined }),
    },
  });
  try {
    await run({
      server,
      store,
      eventStore,
      images,
      logs,
      usage,
      audited,
      audit,
      call: (method, target, options = {}) => call(server, method, target, options),
      watch: (target, options = {}) => watch(server, target, options),
    });
  } finally {
    server.close();
    nodeCertificates.close();
    images.close();
    await store.close();
    await eventStore.close();
    await rm(folder, { recursive: true });
  }
}

function logSourceInto(logs: OpenedLog[]): PodLogSource {
  return {
    open(nodeName, request, listener) {
      const opened: OpenedLog = { nodeName, request, listener, isClosed: false };
      logs.push(opened);
      return {
        close() {
          opened.isClosed = true;
        },
      };
    },
  };
}

const peers: Readonly<Record<Identity, readonly [string, string] | undefined>> = {
  admin: ['admin', 'system:masters'],
  viewer: ['eve', 'selvage:viewers'],
  controller: ['system:controller:test', 'system:controllers'],
  'node-1': ['system:node:node-1', 'system:nodes'],
  stranger: ['bob', 'somebody'],
  nobody: undefined,
};

function peerOf(identity: Identity | Person): PeerIdentity | undefined {
  const names =
    typeof identity === 'string' ? peers[identity] : [identity.name, ...identity.groups];
  if (names === undefined) return undefined;
  const [commonName = '', ...organizations] = names;
  return { commonName, organizations, uris: [], serialNumber: '01', notAfterMs: 0 };
}

function request(
  method: string,
  target: string,
  options: CallOptions,
  onAbort: (abort: () => void) => void,
) {
  const { body } = options;
  const bytes =
    body === undefined
      ? undefined
      : body instanceof Uint8Array
        ? body
        : utf8(typeof body === 'string' ? body : JSON.stringify(body));
  const question = target.indexOf('?');
  return {
    method,
    path: question < 0 ? target : target.slice(0, question),
    query: question < 0 ? '' : target.slice(question + 1),
    headers: {
      host: 'test',
      ...(bytes === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    peer: peerOf(options.as ?? 'admin'),
    remoteAddress: options.from ?? '127.0.0.1',
    body: chunksOf(bytes),
    onAbort,
  };
}

async function* chunksOf(bytes: Uint8Array | undefined): AsyncGenerator<Uint8Array> {
  if (bytes === undefined) return;
  for (let at = 0; at < bytes.length; at += 65_536) {
    yield bytes.subarray(at, at + 65_536);
  }
}

/** Asks a handler, and reads its answer to the end. */
export async function call(
  server: Pick<Server, 'handler'>,
  method: string,
  target: string,
  options: CallOptions,
): Promise<Answer> {
  const response = await server.handler(request(method, target, options, () => {}));
  const text =
    typeof response.body === 'function' ? await collect(response.body) : wholeText(response.body);
  const isJson = (response.headers['content-type'] ?? '').startsWith('application/json');
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson && text.startsWith('{') ? (JSON.parse(text) as JsonObject) : {},
  };
}

function wholeText(body: Uint8Array | string): string {
  return typeof body === 'string' ? body : textOf(body);
}

/** The whole of a streamed answer. A cut one rejects. */
function collect(body: (sink: ByteSink) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    body({
      write(bytes) {
        text += textOf(bytes);
      },
      bufferedBytes: () => 0,
      onDrain() {},
      onClose() {},
      end: () => resolve(text),
      destroy: () => reject(new Error('the answer was cut')),
    });
  });
}

export async function watch(
  server: Pick<Server, 'handler'>,
  target: string,
  options: WatchOptions,
): Promise<TestWatch> {
  let abort = (): void => {};
  const response = await server.handler(
    request('GET', target, options, (listener) => {
      abort = listener;
    }),
  );
  const lines: JsonObject[] = [];
  const waiting: { count: number; resolve: (lines: readonly JsonObject[]) => void }[] = [];
  let stalledBytes = options.stalled === true ? 0 : undefined;
  const onClose: (() => void)[] = [];
  const ended = new Promise<void>((resolve) => {
    if (typeof response.body !== 'function') {
      lines.push(JSON.parse(wholeText(response.body)) as JsonObject);
      resolve();
      return;
    }
    response.body({
      write(bytes) {
        if (stalledBytes !== undefined) {
          stalledBytes += bytes.length;
          return;
        }
        for (const line of textOf(bytes).trimEnd().split('\n'))
          lines.push(JSON.parse(line) as JsonObject);
        for (const one of waiting) if (lines.length >= one.count) one.resolve(lines);
      },
      bufferedBytes: () => stalledBytes ?? 0,
      onDrain() {},
      onClose(listener) {
        onClose.push(listener);
      },
      end: resolve,
      destroy: resolve,
    });
  });
  return {
    status: response.status,
    lines: (count) =>
      lines.length >= count
        ? Promise.resolve(lines)
        : new Promise((resolve) => waiting.push({ count, resolve })),
    ended,
    stall() {
      stalledBytes = 0;
    },
    close() {
      for (const listener of onClose) listener();
      abort();
    },
  };
}

/** A node of which the hub has concluded this. */
export async function putNode(server: TestServer, name: string, ready: string): Promise<void> {
  const key = { resource: 'nodes', namespace: '', name };
  const facets: readonly [facet: 'intent' | 'verdict', content: JsonObject][] = [
    ['intent', { apiVersion: 'v1', kind: 'Node', metadata: { name } }],
    ['verdict', { ready, reason: 'R', message: 'm', sinceTime: '2026-01-01T00:00:00Z' }],
  ];
  await server.store.transact(() => ({
    changes: facets.map(([facet, content]) => ({
      ...{ type: 'put' as const, key, uid: `uid-${name}` as Uid },
      ...{ facet, bytes: encodeFacet(content) },
    })),
    result: undefined,
  }));
}
