/**
 * Many idle nodes for the `idle` benchmark: each joined with a token, on a real
 * TLS link of its own, with heartbeats and its slice followed. What a whole agent
 * does besides (pods, disk) is left out: the server is what is measured.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { NodeIdentity } from '#platform/identity/mod.ts';
import { createNodeDisk } from '#platform/io/node/mod.ts';
import type { Endpoint } from './support/endpoint.ts';
import { rssBytesOf } from './support/memory.ts';
import { benchNodes } from './support/nodes.ts';
import { costOf, readInput, until } from './support/processes.ts';

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

const joinsAtOnce = 8;
const site = 'idle';

const input = await readInput<IdleNodesInput>();
const nodes = benchNodes(input.endpoint);

await nodes.makeSite(site);
const folder = mkdtempSync('/dev/shm/selvage-idle-');
try {
  const disk = createNodeDisk(folder);
  const identities: NodeIdentity[] = [];
  const joinStarted = performance.now();
  let next = 0;
  const joinSome = async (): Promise<void> => {
    while (next < input.nodes) {
      const name = `idle-${(next += 1)}`;
      identities.push(await nodes.join(disk, name, site));
    }
  };
  await Promise.all(Array.from({ length: joinsAtOnce }, joinSome));
  const joinedPerSecond = input.nodes / ((performance.now() - joinStarted) / 1_000);
  await pause(2_000);
  const rssBeforeBytes = rssBytesOf(input.serverPid);

  let up = 0;
  const links = identities.map((identity) =>
    nodes.link(identity, (session) => {
      up += 1;
      const slice = session.open('control', 'slice.follow', {});
      slice.onMessage(() => undefined);
      slice.onClose(() => undefined);
    }),
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
