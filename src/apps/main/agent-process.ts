/** Composition root of the agent: real ports, a real identity, the agent role. */
import { readFileSync } from 'node:fs';
import {
  type AgentProcessOptions,
  CommandFailure,
  type ExitCode,
  exitCodes,
  type JoinFile,
} from '#apps/cli/mod.ts';
import { errorText } from '#base/mod.ts';
import {
  joinFleet,
  keepRenewed,
  loadNodeIdentity,
  type NodeIdentity,
  readCertificateRequest,
  type RenewedIdentity,
} from '#platform/identity/mod.ts';
import { type Address, type Disk, type Logger, sleep } from '#platform/io/mod.ts';
import {
  createNodeChildren,
  createNodeClock,
  createNodeDatagrams,
  createNodeDisk,
  createNodeFileTree,
  createNodeHttpClient,
  createNodeHttpServer,
  createNodeNet,
  createNodePlainNet,
  createNodeProbeNet,
  createNodeRandom,
  createNodeRequesterKeys,
  createNodeSpawn,
  createNodeTimers,
  createStreamLogger,
  containerToolsText,
  wasmHostText,
} from '#platform/io/node/mod.ts';
import { type Agent, createAgent, resolversIn } from '#roles/agent/mod.ts';
import { claimFolder } from './claim-folder.ts';
import { checkIdentity } from './damaged-identity.ts';
import { requireKnownFormat } from './state-format.ts';
import { sampleUsage } from './usage.ts';
import { controlGroupsHere } from './control-groups.ts';
import { machineFacts, sampleMachine } from './machine.ts';
import { machineAddress } from './machine-address.ts';
import { untilToldToStop } from './stop-signals.ts';

const joinAttemptsMax = 10;
const joinPauseMs = 1_000;

/**
 * Runs an agent until SIGTERM (pods stay), SIGINT (pods are stopped first), or a failure of
 * its disk after which it can keep nothing: then it answers with `failed`, and pods stay.
 */
export async function runAgentProcess(
  options: AgentProcessOptions,
  version: string,
): Promise<ExitCode> {
  const diskFailed = Promise.withResolvers<'disk failed'>();
  const stop = Promise.race([untilToldToStop(), diskFailed.promise]);
  const logger = createStreamLogger((line) => void process.stdout.write(line), 'info').with({
    node: options.nodeName,
  });
  await claimFolder(options.stateFolder, `the agent of node ${options.nodeName}`);
  const disk = createNodeDisk(options.stateFolder);
  await disk.makeDirectory('');
  await requireKnownFormat(disk, version, logger);
  const identity = await ensureIdentity(disk, options, logger);
  const renewal = keepRenewed(
    {
      disk,
      keys: createNodeRequesterKeys(),
      httpClient: createNodeHttpClient(),
      clock: createNodeClock(),
      timers: createNodeTimers(),
      random: createNodeRandom(),
      logger,
    },
    identity,
  );
  const agent = await createAgent(
    {
      disk,
      net: createNodeNet(),
      spawn: createNodeSpawn(),
      children: createNodeChildren(),
      probeNet: createNodeProbeNet(),
      plainNet: createNodePlainNet(),
      datagrams: createNodeDatagrams(),
      files: createNodeFileTree(),
      clock: createNodeClock(),
      timers: createNodeTimers(),
      random: createNodeRandom(),
      logger,
      javascriptRuntimePath: process.execPath,
      wasmHostText,
      onDiskFailed: () => diskFailed.resolve('disk failed'),
      toolsText: containerToolsText,
      controlGroups: controlGroupsHere(),
      sampleMachine: async () => sampleMachine(options.stateFolder),
      sampleUsage: async (containers) => sampleUsage(containers),
    },
    {
      nodeName: identity.nodeName,
      hubAddress: identity.hubAddress,
      tls: () => renewal.tls(),
      heartbeatIntervalMs: options.heartbeatIntervalMs,
      runtimes: options.runtimes,
      hostPathPrefixes: options.hostPathPrefixes,
      sharesMachine: options.sharesMachine,
      resolvers: machineResolvers(),
      version,
      facts: machineFacts(
        options.machineAddress ?? machineAddress(identity.hubAddress),
        options.stateFolder,
      ),
      certificateRequest: () => readCertificateRequest(disk),
    },
  );
  const endpoint = await openEndpoint(options, version, logger, renewal, agent);
  logger.log('info', 'agent started', { hub: identity.hubAddress });
  const reason = await stop;
  if (reason === 'disk failed') {
    // Nothing is kept any more, so nothing can be closed in order either; the pods go on.
    logger.log('error', 'the disk has failed: this agent ends, and its pods go on', {
      stateFolder: options.stateFolder,
      todo: 'check the disk; whoever looks after the agent starts it again, and it adopts its pods',
    });
    return exitCodes.failed;
  }
  logger.log('info', 'agent stopping', { signal: reason });
  renewal.close();
  await endpoint?.close();
  await agent.stop({ pods: reason === 'SIGINT' ? 'stop' : 'leave' });
  return exitCodes.ok;
}

/** Loaded where it is asked for: an agent that serves nothing carries no server. */
async function openEndpoint(
  { metricsAddress }: AgentProcessOptions,
  version: string,
  logger: Logger,
  renewal: RenewedIdentity,
  agent: Agent,
): Promise<{ close(): Promise<void> } | undefined> {
  if (metricsAddress === undefined) return undefined;
  const { openAgentEndpoint } = await import('./agent-endpoint.ts');
  const { createMetrics } = await import('#platform/metrics/mod.ts');
  const { observeProcess } = await import('./process-metrics.ts');
  const metrics = createMetrics();
  observeProcess(metrics, version);
  return await openAgentEndpoint(
    { httpServer: createNodeHttpServer(logger), timers: createNodeTimers(), logger },
    { address: metricsAddress, tls: () => renewal.tls(), agent, metrics },
  );
}

async function ensureIdentity(
  disk: Disk,
  options: AgentProcessOptions,
  logger: Logger,
): Promise<NodeIdentity> {
  await checkIdentity(disk, options, logger);
  const existing = await loadNodeIdentity(disk);
  if (existing !== undefined) {
    if (existing.nodeName !== options.nodeName) {
      throw new CommandFailure(
        `this state folder belongs to node ${existing.nodeName}, not ${options.nodeName}`,
      );
    }
    return existing;
  }
  if (options.joinFile === undefined) {
    throw new CommandFailure(
      'this node has not joined a fleet yet: give it a --join-file. On the server: selvage join-token --site SITE.',
    );
  }
  const directions = JSON.parse(readFileSync(options.joinFile, 'utf8')) as JoinFile;
  const ports = { disk, keys: createNodeRequesterKeys(), httpClient: createNodeHttpClient() };
  for (let attempt = 1; ; attempt += 1) {
    try {
      const identity = await joinFleet(ports, options.nodeName, directions);
      logger.log('info', 'joined the fleet', { server: directions.server });
      return identity;
    } catch (error) {
      const refused =
        error instanceof Error && 'code' in error && error.code === 'IDENTITY_JOIN_REFUSED';
      if (refused || attempt === joinAttemptsMax) throw error;
      logger.log('warn', 'the server cannot be reached to join; trying again', {
        attempt,
        error: errorText(error),
      });
      await sleep(createNodeTimers(), joinPauseMs * attempt);
    }
  }
}

/** The resolvers that this machine uses itself: where names outside the fleet are asked for. */
function machineResolvers(): readonly Address[] {
  try {
    return resolversIn(readFileSync('/etc/resolv.conf', 'utf8'));
  } catch {
    // A machine without the file resolves nothing, and so do its pods.
    return [];
  }
}
