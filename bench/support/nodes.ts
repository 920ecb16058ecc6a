/**
 * Nodes of a benchmark without whole agents: each joined with a token, on a real TLS
 * link of its own, with heartbeats. What else it does is the benchmark's.
 */
import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { joinFleet, type NodeIdentity } from '#platform/identity/mod.ts';
import { type Disk, silentLogger } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeHttpClient,
  createNodeKeys,
  createNodeNet,
  createNodeRandom,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { heartbeatsUnansweredMax, type LinkSession, maintainLink } from '#platform/wire/mod.ts';
import { ask, type Endpoint } from './endpoint.ts';

const requestsAtOnce = 8;
const heartbeatIntervalMs = 2_000;
const apiVersion = 'selvage.dev/v1';

export const ports = {
  net: createNodeNet(),
  clock: createNodeClock(),
  timers: createNodeTimers(),
  random: createNodeRandom(),
  logger: silentLogger,
};

export interface BenchNodes {
  /** The created object. Throws where it was not created. */
  post(path: string, body: unknown): Promise<Record<string, unknown>>;
  /** A region and a site of this name. */
  makeSite(name: string): Promise<void>;
  /** Joins as a node of the site; its identity is kept in the disk's folder NAME. */
  join(disk: Disk, name: string, site: string): Promise<NodeIdentity>;
  /** Opens the node's link and beats on it. */
  link(identity: NodeIdentity, onSession: (session: LinkSession) => void): { close(): void };
}

export function benchNodes(endpoint: Endpoint): BenchNodes {
  const keptAlive = new Agent({ keepAlive: true, maxSockets: requestsAtOnce });
  const keys = createNodeKeys();
  const httpClient = createNodeHttpClient();

  async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
    const { status, text } = await ask(endpoint, 'POST', path, body, keptAlive);
    assert.equal(status, 201, `${path}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  return {
    post,
    async makeSite(name) {
      const metadata = { name };
      await post('/apis/selvage.dev/v1/regions', { apiVersion, kind: 'Region', metadata });
      const spec = { region: name };
      await post('/apis/selvage.dev/v1/sites', { apiVersion, kind: 'Site', metadata, spec });
    },
    async join(disk, name, site) {
      const { token } = await post('/apis/selvage.dev/v1/jointokens', { site });
      await disk.makeDirectory(name);
      return joinFleet({ disk: disk.within(name), keys, httpClient }, name, {
        server: { host: endpoint.host, port: endpoint.port },
        caPem: endpoint.trustPem,
        token: String(token),
      });
    },
    link: (identity, onSession) =>
      maintainLink(ports, {
        address: identity.hubAddress,
        tls: () => identity.tls,
        product: 'selvage-bench',
        onSession(session) {
          session.beat({
            intervalMs: heartbeatIntervalMs,
            unansweredMax: heartbeatsUnansweredMax,
            onAnswered: () => {},
          });
          onSession(session);
        },
        onStream: (_method, _parameters, stream) =>
          stream.fail({ code: 'BENCH', message: 'this node serves nothing' }),
      }),
  };
}
