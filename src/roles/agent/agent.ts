/**
 * The agent: one per node. It follows its slice of the hub's store, makes the
 * node's pods what the slice says, and reports what it sees. With the link gone
 * it goes on from its disk for as long as it takes.
 */
import { errorText, ownOf } from '#base/mod.ts';
import { openBlobStore } from '#platform/blobs/mod.ts';
import type {
  Address,
  Children,
  ClientTls,
  Clock,
  Datagrams,
  Disk,
  FileTree,
  Logger,
  Net,
  PlainNet,
  ProbeNet,
  Random,
  Spawn,
  Timer,
  Timers,
} from '#platform/io/mod.ts';
import { openOutbox, openReplica, type Outbox, type Replica } from '#platform/sync/mod.ts';
import type { LinkSession, LinkStream } from '#platform/wire/mod.ts';
import { connectToHub } from './connection.ts';
import { createCopyOffer } from './copy-offer.ts';
import { AgentError } from './errors.ts';
import { createBlobFetcher } from './images/blob-fetch.ts';
import { openImageCache } from './images/image-cache.ts';
import { keepLogs } from './log-keeper.ts';
import type { MachineFacts, SampleMachine } from './machine.ts';
import { watchMachine } from './machine-watch.ts';
import { createNodeReporter } from './node-report.ts';
import { createPodExec } from './pod-exec.ts';
import { createPodForward } from './pod-forward.ts';
import { createPodLogs } from './pod-logs.ts';
import { openSupervisor } from './pods/supervisor.ts';
import { combineRuntimes } from './runtimes/runtime-set.ts';
import type { ControlGroups } from './runtimes/script/control-groups.ts';
import { openProcessRuntimes } from './runtimes/script/script-runtime.ts';
import type { Runtime } from './runtimes/types.ts';
import { createServiceCarrier } from './services/away.ts';
import type { ForwarderState } from './services/forwarder.ts';
import { type NodeServices, startNodeServices } from './services/node-services.ts';
import { openOrSetAside } from './set-aside.ts';
import { createNodeUsage, type SampleUsage } from './usage.ts';

export interface AgentDependencies {
  /** The agent's own state folder. */
  readonly disk: Disk;
  readonly net: Net;
  readonly spawn: Spawn;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /**
   * The ways to a pod's ports and into its containers: for probes, hooks, exec and
   * port-forward. Where one is absent, what needs it fails and says so.
   */
  readonly plainNet?: PlainNet;
  readonly probeNet?: ProbeNet;
  /** Absent, or without `plainNet`: this node does nothing for services. */
  readonly datagrams?: Datagrams;
  readonly children?: Children;
  /** What volumes are made with; absent: pods that have some wait, and say so. */
  readonly files?: FileTree;
  /** Absent: the machine is never found to be short of anything. */
  readonly sampleMachine?: SampleMachine;
  /** Absent: nobody hears what is used on this machine. */
  readonly sampleUsage?: SampleUsage;
  /** Absolute path of the JavaScript runtime that bundles are run by. */
  readonly javascriptRuntimePath: string;
  /** Program that runs WebAssembly modules; absent where none are run here. */
  readonly wasmHostText?: string;
  /** Program that stands in for `tar` and a few others beside workloads; absent where none does. */
  readonly toolsText?: string;
  /** Absent where this machine cannot hold limits: containers that have some do not start. */
  readonly controlGroups?: ControlGroups | undefined;
  /** Called when a failure of the disk has ended all writing: the process must start anew. */
  readonly onDiskFailed?: () => void;
  /** Where an observer may come between the parts; production hands in none. */
  readonly seams?: AgentSeams;
}

export interface AgentSeams {
  /** What the agent gets in place of its copy of its slice. */
  replica?(replica: Replica): Replica;
  /** What the agent gets in place of its outbox. */
  outbox?(outbox: Outbox): Outbox;
}

export interface AgentOptions {
  readonly nodeName: string;
  readonly hubAddress: Address;
  /** Asked at every connection, so that a renewed certificate is used at once. */
  readonly tls: () => ClientTls;
  /** Names of the runtimes to offer, best first; all that there are where absent. */
  readonly runtimes?: readonly string[];
  /** 2000 where absent. */
  readonly heartbeatIntervalMs?: number;
  /** How long the hub is asked first before pods are started from disk; 5000 where absent. */
  readonly startupGraceMs?: number;
  /** The certificate request over the node's key, which proves it to a server that lost the node. */
  readonly certificateRequest?: () => Promise<string | undefined>;
  readonly facts: MachineFacts;
  /** Absolute paths below which pods may be shown the node's own files; none where absent. */
  readonly hostPathPrefixes?: readonly string[];
  /** Other nodes run on this machine too, with the same loopback addresses. */
  readonly sharesMachine?: boolean;
  /** Resolvers for names outside the fleet; none where absent. */
  readonly resolvers?: readonly Address[];
  /** Of this program, without a leading `v`. */
  readonly version: string;
}

/** What an agent knows of itself at a moment, for metrics and for health. */
export interface AgentState {
  readonly isLinked: boolean;
  /** How long the hub has been silent; 0 where it never spoke. */
  readonly silentMs: number;
  /** Entries that the hub has not taken yet. */
  readonly outboxPending: number;
  readonly containers: readonly {
    readonly runtime: string;
    readonly isRunning: boolean;
    readonly restartCount: number;
  }[];
  /** Undefined where this node does nothing for services. */
  readonly services: ForwarderState | undefined;
}

export interface Agent {
  state(): AgentState;
  /** `leave`: pods go on without an agent. `stop`: they are ended first. */
  stop(options: { readonly pods: 'leave' | 'stop' }): Promise<void>;
}

const heartbeatIntervalMsDefault = 2_000;
const startupGraceMsDefault = 5_000;
type StreamService = (parameters: Readonly<Record<string, unknown>>, stream: LinkStream) => void;

/** What is done in pods, and so by nobody whom this node does not obey any more. */
const actingStreams: ReadonlySet<string> = new Set(['pod.exec', 'pod.forward']);
/** A slice that has brought something is complete when nothing more came for this long. */
const caughtUpMs = 100;
/** How long a new session may take to say what has changed, before pods start from what is here. */
const settleMs = 1_000;

/** Opens everything on disk, adopts what runs, and connects. Rejects where the disk fails. */
export async function createAgent(
  dependencies: AgentDependencies,
  options: AgentOptions,
): Promise<Agent> {
  const { disk, spawn, clock, timers, random, logger, seams } = dependencies;
  const onLatched = (): void => dependencies.onDiskFailed?.();
  const runtime = combineRuntimes(
    preferred(
      await openProcessRuntimes(
        { disk, spawn, clock, timers, logger, children: dependencies.children },
        {
          javascriptRuntimePath: dependencies.javascriptRuntimePath,
          wasmHostText: dependencies.wasmHostText,
          toolsText: dependencies.toolsText,
          controlGroups: dependencies.controlGroups,
        },
      ),
      options.runtimes,
    ),
  );
  await disk.makeDirectory('blobs');
  const blobs = await openBlobStore({ disk: disk.within('blobs'), random, logger });
  // Without its copy of the slice the agent stops nothing, and starts nothing until the hub says what.
  const { opened: openedReplica } = await openOrSetAside(disk, 'replica', logger, (within) =>
    openReplica({ disk: within, random, timers, logger, onLatched }),
  );
  const replica = seams?.replica?.(openedReplica) ?? openedReplica;
  const { opened: openedOutbox, wasDamaged: hasLostOutbox } = await openOrSetAside(
    disk,
    'outbox',
    logger,
    (within) => openOutbox({ disk: within, clock, random, logger, onLatched }),
  );
  const outbox = seams?.outbox?.(openedOutbox) ?? openedOutbox;
  if (hasLostOutbox) {
    // Reports are held against what the hub has, and said again; of events nobody knows more.
    outbox.put({ type: 'gap', cause: 'disk' }).catch((error: unknown) => {
      const what = 'that events were lost with the outbox could not be kept';
      logger.log('error', what, { error: errorText(error) });
    });
  }
  const fetcher = createBlobFetcher({ blobs, timers, session: () => connection.session });
  const images = await openImageCache(
    { disk, blobs, fetcher, clock, timers, logger },
    { platforms: runtime.platforms },
  );
  const nodeServices = servicesOf(dependencies, options, replica, () => connection.session);
  const supervisor = await openSupervisor(
    {
      disk,
      replica,
      outbox,
      runtime,
      images,
      files: dependencies.files,
      clock,
      timers,
      logger,
      contact: () => connection.contact(),
      session: () => connection.session,
      resolverFor: (namespace) => nodeServices?.resolverFor(namespace),
      actions: {
        timers,
        plainNet: dependencies.plainNet,
        probeNet: dependencies.probeNet,
        exec: (key, command) => runtime.exec(key, command),
      },
    },
    {
      nodeName: options.nodeName,
      hostAddress: options.facts.hostAddress,
      hostPathPrefixes: options.hostPathPrefixes,
      hubHost: options.hubAddress.host,
    },
  );
  const reporter = createNodeReporter(
    { replica, outbox },
    {
      nodeName: options.nodeName,
      facts: options.facts,
      version: options.version,
      runtimes: runtime.names,
      platforms: runtime.platforms,
    },
  );
  const gate = openGate(timers, options.startupGraceMs ?? startupGraceMsDefault, () => {
    supervisor.begin();
  });
  replica.onChange(() => {
    reporter.lookAgain().catch((error: unknown) => {
      logger.log('error', 'the node report could not be kept', { error: errorText(error) });
    });
    // What came while there was no link comes in several steps: the last may say that
    // a pod is not to be started.
    gate.openAfterQuiet(caughtUpMs);
  });
  const hasPod = (uid: string): boolean => supervisor.hasPod(uid);
  const keeper = keepLogs({ disk, clock, timers, logger, outbox, runtime });
  /** What the hub may ask of this agent, by the name of the stream. */
  const streamServices: Readonly<Record<string, StreamService>> = {
    'pod.logs': createPodLogs({ disk, clock, timers, runtime, hasPod, keeper }),
    'slice.offer': createCopyOffer(replica, options.certificateRequest),
    'pod.exec': createPodExec({ runtime, hasPod }),
    'node.usage': createNodeUsage({
      ...{ clock, timers, sample: dependencies.sampleUsage },
      runs: () => runtime.list(),
    }),
    'pod.forward': createPodForward({
      plainNet: dependencies.plainNet,
      addressOf: (uid) => supervisor.addressOf(uid),
    }),
    'service.connect': createServiceCarrier({
      plainNet: dependencies.plainNet,
      addressOf: (uid) => supervisor.addressOf(uid),
    }),
  };
  const connection = connectToHub(dependencies, {
    address: options.hubAddress,
    tls: options.tls,
    product: `selvage-agent/${options.version}`,
    heartbeatIntervalMs: options.heartbeatIntervalMs ?? heartbeatIntervalMsDefault,
    onSession(session) {
      logger.log('info', 'connected to the hub', { hub: session.remote.product });
      replica.follow(session);
      outbox.deliver(session);
      images.retryUnreachable();
      gate.openWithin(settleMs);
    },
    onStream(method, parameters, stream) {
      const serve = ownOf(streamServices, method);
      if (replica.isOwnerSuperseded === true && actingStreams.has(method)) {
        const message = 'this node obeys a server of a later epoch';
        stream.fail({ code: 'HUB_SUPERSEDED', message });
      } else if (serve !== undefined) serve(parameters, stream);
      else stream.fail({ code: 'LINK_NO_METHOD', message: `an agent does not serve ${method}` });
    },
  });
  // What an earlier session brought may not have been reported yet.
  await reporter.lookAgain();
  const { sampleMachine } = dependencies;
  const machineWatch =
    sampleMachine === undefined
      ? undefined
      : watchMachine(
          { clock, timers, logger },
          {
            sample: sampleMachine,
            diskBytes: options.facts.diskBytes ?? 0,
            pods: () => supervisor.pods(),
            podDiskBytes: () => supervisor.diskBytes(),
            async reclaimDisk() {
              const removed = await images.removeUnused(supervisor.imagesInUse());
              if (removed > 0)
                logger.log('info', 'images that no pod needs were removed', { removed });
              return removed > 0;
            },
            evict: (uid, message) => supervisor.evict(uid, message),
            isEvicting: () => supervisor.isEvicting(),
            withdrawEvictions: () => supervisor.withdrawEvictions(),
            onChanged: (now) => reporter.changed(now),
          },
        );

  return {
    state: () => ({
      isLinked: connection.session !== undefined,
      silentMs: clock.monotonicMs() - (connection.contact().lastMs ?? clock.monotonicMs()),
      outboxPending: outbox.pendingCount,
      containers: runtime.list().map(({ containerId, exit, restartCount }) => ({
        runtime: containerId.slice(0, containerId.indexOf('://')),
        isRunning: exit === undefined,
        restartCount,
      })),
      services: nodeServices?.state(),
    }),
    async stop({ pods }) {
      gate.close();
      machineWatch?.close();
      connection.close();
      images.close();
      keeper.close();
      await supervisor.close(pods);
      await nodeServices?.close();
      await closeAll(replica, outbox);
    },
  };
}

/** Best first: an image that has variants for several of them is run by the first. */
function preferred(
  runtimes: readonly Runtime[],
  names: readonly string[] | undefined,
): readonly Runtime[] {
  if (names === undefined) return runtimes;
  return names.map((name) => {
    const runtime = runtimes.find((one) => one.name === name);
    if (runtime !== undefined) return runtime;
    const known = runtimes.map((one) => one.name).join(', ');
    throw new AgentError('RUNTIME_UNKNOWN', `there is no runtime ${name}; there are ${known}`);
  });
}

function servicesOf(
  dependencies: AgentDependencies,
  { nodeName, facts, sharesMachine = false, resolvers = [] }: AgentOptions,
  replica: Replica,
  session: () => LinkSession | undefined,
): NodeServices | undefined {
  const { plainNet, datagrams } = dependencies;
  if (plainNet === undefined || datagrams === undefined) return undefined;
  return startNodeServices(
    { ...dependencies, plainNet, datagrams, replica, session },
    { nodeName, hostAddress: facts.hostAddress, sharesMachine, resolvers },
  );
}

async function closeAll(replica: Replica, outbox: Outbox): Promise<void> {
  await replica.close();
  await outbox.close();
}

interface Gate {
  /** When this was not called for so long. */
  openAfterQuiet(quietMs: number): void;
  /** No later than this from now. */
  openWithin(delayMs: number): void;
  close(): void;
}

/** Runs `onOpen` once: when what came has settled, else after `graceMs`. */
function openGate(timers: Timers, graceMs: number, onOpen: () => void): Gate {
  let isDone = false;
  const pending: Timer[] = [];
  const openNow = (): void => {
    if (isDone) return;
    gate.close();
    onOpen();
  };
  let quiet: Timer | undefined;
  const gate: Gate = {
    openAfterQuiet(quietMs) {
      quiet?.cancel();
      quiet = isDone ? undefined : timers.after(quietMs, openNow);
    },
    openWithin(delayMs) {
      if (!isDone) pending.push(timers.after(delayMs, openNow));
    },
    close() {
      isDone = true;
      quiet?.cancel();
      for (const timer of pending.splice(0)) timer.cancel();
    },
  };
  gate.openWithin(graceMs);
  return gate;
}
