/**
 * Many idle nodes for the `idle` benchmark: each joined with a token, on a real
 * TLS link of its own, with heartbeats and its slice followed. What a whole agent
 * does besides (pods, disk) is left out: the server is what is measured.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent as HttpsAgent } from 'node:https';
import { joinFleet, type NodeIdentity } from '#platform/identity/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeHttpClient,
  createNodeKeys,
  createNodeNet,
  createNodeRandom,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { heartbeatsUnansweredMax, maintainLink } from '#platform/wire/mod.ts';
import { ask, type Endpoint } from './support/endpoint.ts';
import { costOf, readInput, until } from './support/processes.ts';
import { rssBytesOf } from './support/memory.ts';

export interface IdleNodesInput {
  readonly endpoint: Endpoint;
  readonly serverPid: number;
  readonly nodes: number;
  readonly settleMs: number;
  readonly measureMs: number;
}

export interface IdleNodesResult {
  readonly rssBeforeBytes: number;
  readonly rssAfterBytes: number;
  readonly serverCpuMs: number;
  readonly measuredMs: number;
  readonly joinedPerSecond: number;
}

const heartbeatIntervalMs = 2_000;
const joinsAtOnce = 8;
const site = 'idle';

const input = await readInput<IdleNodesInput>();
const { endpoint } = input;
const clock = createNodeClock();
const timers = createNodeTimers();
const random = createNodeRandom();
const keys = createNodeKeys();
const httpClient = createNodeHttpClient();
const keptAlive = new HttpsAgent({ keepAlive: true, maxSockets: joinsAtOnce });

async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
  const { status, text } = await ask(endpoint, 'POST', path, body, keptAlive);
  assert.equal(status, 201, `${path}: ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

const metadata = { name: site };
const apiVersion = 'selvage.dev/v1';
await post('/apis/selvage.dev/v1/regions', { apiVersion, kind: 'Region', metadata });
const spec = { region: site };
await post('/apis/selvage.dev/v1/sites', { apiVersion, kind: 'Site', metadata, spec });

const folder = mkdtempSync('/dev/shm/selvage-idle-');
try {
  const disk = createNodeDisk(folder);
  const identities: NodeIdentity[] = [];
  const joinStarted = performance.now();
  let next = 0;
  const joinSome = async (): Promise<void> => {
    while (next < input.nodes) {
      const name = `idle-${(next += 1)}`;
      const { token } = await post('/apis/selvage.dev/v1/jointokens', { site });
      await disk.makeDirectory(name);
      identities.push(
        await joinFleet({ disk: disk.within(name), keys, httpClient }, name, {
          server: { host: endpoint.host, port: endpoint.port },
          caPem: endpoint.trustPem,
          token: String(token),
        }),
      );
    }
  };
  await Promise.all(Array.from({ length: joinsAtOnce }, joinSome));
  const joinedPerSecond = input.nodes / ((performance.now() - joinStarted) / 1_000);
  await pause(2_000);
  const rssBeforeBytes = rssBytesOf(input.serverPid);

  let up = 0;
  const links = identities.map((identity) =>
    maintainLink(
      { net: createNodeNet(), clock, timers, random, logger: silentLogger },
      {
        address: identity.hubAddress,
        tls: () => identity.tls,
        product: 'selvage-bench',
        onSession(session) {
          up += 1;
          session.beat({
            intervalMs: heartbeatIntervalMs,
            unansweredMax: heartbeatsUnansweredMax,
            onAnswered: () => {},
          });
          const slice = session.open('control', 'slice.follow', {});
          slice.onMessage(() => undefined);
          slice.onClose(() => undefined);
        },
        onStream: (_method, _parameters, stream) =>
          stream.fail({ code: 'BENCH', message: 'this node serves nothing' }),
      },
    ),
  );
  await until('every node has a link', 60_000, () => up >= input.nodes);
  await pause(input.settleMs);
  const before = costOf(input.serverPid);
  const started = performance.now();
  await pause(input.measureMs);
  const result: IdleNodesResult = {
    rssBeforeBytes,
    rssAfterBytes: rssBytesOf(input.serverPid),
    serverCpuMs: costOf(input.serverPid).cpuMs - before.cpuMs,
    measuredMs: performance.now() - started,
    joinedPerSecond,
  };
  for (const link of links) link.close();
  process.stdout.write(JSON.stringify(result));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
