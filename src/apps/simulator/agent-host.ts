/** The agent's process on a simulated machine: the real role over the machine's ports. */
import { SelvageError } from '#base/mod.ts';
import {
  joinFleet,
  keepRenewed,
  loadNodeIdentity,
  type NodeIdentity,
} from '#platform/identity/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import type { Host } from '#platform/sim/mod.ts';
import { createAgent, type MachineFacts } from '#roles/agent/mod.ts';
import type { Checkers } from './checkers.ts';
import { apiAddress, productVersion } from './constants.ts';
import type { Pace } from './pace.ts';
import type { Sabotage } from './sabotages.ts';

const joinPauseMs = 1_000;
const javascriptRuntimePath = '/usr/bin/node';
const stateFolder = 'selvage/agent';

/** What a node needs to join: handed over by the operator, used until it has joined. */
export interface JoinGrant {
  readonly caPem: string;
  readonly token: string;
}

function factsOf(host: Host): MachineFacts {
  return {
    architecture: 'amd64',
    osImage: 'simulated machine',
    kernelVersion: '6.18.0',
    cpuMillis: 4_000,
    memoryBytes: 8 * 1024 ** 3,
    podsMax: 110,
    hostAddress: host.address,
    bootId: `boot-of-${host.name}`,
    machineId: host.name,
  };
}

/**
 * Joins where the node has not yet, then runs the agent. Never resolves after a crash.
 * `onDiskFailed`: the process has to end, as the real one does, and to be started again.
 */
export async function startAgentOn(
  host: Host,
  grant: JoinGrant,
  checkers: Checkers,
  sabotage: Partial<Sabotage>,
  { heartbeatIntervalMs }: Pace,
  onDiskFailed: () => void,
): Promise<void> {
  sabotage.beforeAgent?.(host);
  const { net, clock, random, logger, keys, httpClient, disk } = host.ports;
  const timers = sabotage.agentTimers?.(host.ports.timers) ?? host.ports.timers;
  const spawn = checkers.agentSpawn(host.ports.spawn, host);
  await disk.makeDirectory(stateFolder);
  const state = disk.within(stateFolder);
  const identity = await ensureIdentity(
    { disk: state, keys, httpClient, timers },
    host.name,
    grant,
  );
  const { certificatePem = '' } = identity.tls.credentials ?? {};
  checkers.renewals.begin(identity, keys.readCertificate(certificatePem).notAfterMs);
  const renewalPorts = {
    ...{ disk: state, keys, httpClient, clock, timers, random },
    logger: checkers.renewals.counting(logger, clock, identity),
  };
  const renewal =
    sabotage.forgetsToRenew === true ? undefined : keepRenewed(renewalPorts, identity);
  await createAgent(
    {
      disk: state,
      net,
      spawn,
      clock,
      timers,
      random,
      logger,
      javascriptRuntimePath,
      onDiskFailed,
      seams: {
        replica: (replica) => checkers.agentReplica(replica, host),
        outbox: (outbox) => checkers.agentOutbox(outbox, host),
      },
    },
    {
      nodeName: identity.nodeName,
      hubAddress: identity.hubAddress,
      tls: () => renewal?.tls() ?? identity.tls,
      heartbeatIntervalMs,
      version: productVersion,
      facts: factsOf(host),
    },
  );
}

async function ensureIdentity(
  ports: Pick<Host['ports'], 'disk' | 'keys' | 'httpClient' | 'timers'>,
  nodeName: string,
  grant: JoinGrant,
): Promise<NodeIdentity> {
  const existing = await loadNodeIdentity(ports.disk);
  if (existing !== undefined) return existing;
  for (;;) {
    try {
      return await joinFleet(ports, nodeName, { server: apiAddress, ...grant });
    } catch (thrown) {
      // As the real one: a server that cannot be reached is tried again, a refusal is final.
      if (!(thrown instanceof SelvageError) || thrown.code === 'IDENTITY_JOIN_REFUSED')
        throw thrown;
      await sleep(ports.timers, joinPauseMs);
    }
  }
}
