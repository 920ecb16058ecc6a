/**
 * All pods of this node: one worker each, nudged by whatever may concern it.
 *
 * Invariants:
 * 1. A pod that is absent from the replica is ended only where the replica holds
 *    a complete slice: then the owner's own record, or its complete reconcile,
 *    said that it is gone.
 * 2. No address is given to two pods; one is free again when its pod's folder is gone.
 */
import { errorText } from '#base/mod.ts';
import type { NodeAssignment, NodeReport, ResourceList } from '#platform/api/mod.ts';
import { sleep, type FileTree } from '#platform/io/mod.ts';
import type { LinkSession } from '#platform/wire/mod.ts';
import type { HubContact } from '../connection.ts';
import type { ImageCache } from '../images/image-cache.ts';
import type { ContainerResolver, ContainerRun } from '../runtimes/types.ts';
import type { Replica } from '#platform/sync/mod.ts';
import { userIdOf } from '../runtimes/script/workload.ts';
import { lowestFreeAddress } from './addresses.ts';
import { configObjectsOf } from './config-objects.ts';
import { desiredPodOf, facetOf, type DesiredPod } from './desired-pod.ts';
import { readPodRecords } from './pod-record.ts';
import { PodWorker, type WorkerContext, type WorkerDependencies } from './pod-worker.ts';
import type { PodFacts } from './pod-fields.ts';
import { createPreparer } from './prepare.ts';
import { openPodTokens } from './pod-tokens.ts';
import { claimsIn, createClaimVolumes } from './volumes/claim-volumes.ts';
import { createPodVolumes } from './volumes/pod-volumes.ts';
import { careForVolumes } from './volumes/volume-care.ts';

export interface SupervisorDependencies extends Omit<WorkerDependencies, 'preparer'> {
  readonly replica: Replica;
  readonly images: ImageCache;
  /** Absent: pods with volumes wait, and say so. */
  readonly files?: FileTree | undefined;
  /** What is known of the link to the hub. */
  readonly contact: () => HubContact;
  /** The link to the hub, while there is one; absent: no pod gets a token. */
  readonly session?: () => LinkSession | undefined;
  /** Absent: pods resolve names as the machine does. */
  readonly resolverFor?: ((namespace: string) => ContainerResolver | undefined) | undefined;
}

export interface SupervisorOptions {
  readonly nodeName: string;
  readonly hostAddress: string;
  /** Below these, pods may be shown the node's own files; none where absent. */
  readonly hostPathPrefixes?: readonly string[] | undefined;
  /** The host by which this node, and so its pods, reach the hub's machine. */
  readonly hubHost?: string;
}

export interface Supervisor {
  /** From now on pods are made what the replica says. */
  begin(): void;
  /** Uid of a pod that this node has taken up. */
  hasPod(uid: string): boolean;
  /** Undefined for a pod that it has not taken up. */
  addressOf(uid: string): string | undefined;
  /** Pods that may be told to go: here, declared, not ending and not ended. */
  pods(): readonly DesiredPod[];
  /** Digests of images that pods of this node were given, or run from. */
  imagesInUse(): ReadonlySet<string>;
  /** What each of them has on the disk, by uid: volumes of its own, and logs. */
  diskBytes(): Promise<ReadonlyMap<string, number>>;
  /** Ends a pod that the machine has no room for, with these words; another node may have it. */
  evict(uid: string, message: string): void;
  /** One that was told to go still runs, or has not given back what it had. */
  isEvicting(): boolean;
  /** There is room again: who has not begun to go stays. */
  withdrawEvictions(): void;
  /**
   * `stop` ends what runs: hooks first, sidecars last, each pod within its own grace and
   * all of them within `stopGraceMsMax`; `leave` lets it run.
   */
  close(pods: 'leave' | 'stop'): Promise<void>;
}

/** For all pods together when the whole node is stopped, however long each would be given. */
const stopGraceMsMax = 30_000;
const stopPollMs = 50;

export async function openSupervisor(
  dependencies: SupervisorDependencies,
  options: SupervisorOptions,
): Promise<Supervisor> {
  const { disk, replica, runtime, images, clock, timers, logger } = dependencies;
  const records = await readPodRecords(disk, logger, runtime.list());
  const reportedAt = [...records.values()].flatMap((record) => record?.reportedAt ?? []);
  dependencies.outbox.declareLoss(reportedAt).catch((error: unknown) => {
    const what = 'that the outbox has lost entries could not be kept';
    logger.log('error', what, { error: errorText(error) });
  });
  const addresses = new Map<string, string>();
  for (const [uid, record] of records) if (record !== undefined) addresses.set(uid, record.ip);
  const objects = configObjectsOf(replica);
  const claims = createClaimVolumes(
    { disk, tree: dependencies.files, replica, outbox: dependencies.outbox, logger },
    { nodeName: options.nodeName, userIdOf, isUsed: isClaimUsed },
  );
  const tokens = await openPodTokens({
    ...{ disk, clock, timers, logger },
    session: dependencies.session ?? (() => undefined),
    hubHost: options.hubHost ?? '',
    onRenewed: (podUid) => care.lookAgain(podsHere().filter(({ uid }) => uid === podUid)),
  });
  const volumes = createPodVolumes(
    { disk, tree: dependencies.files, objects, claims, tokens, logger },
    { hostPathPrefixes: options.hostPathPrefixes ?? [], userIdOf },
  );
  const preparer = createPreparer({
    images,
    objects,
    volumes,
    apiAddress: () => tokens.apiAddress(),
    factsOf,
    resolverFor: dependencies.resolverFor ?? (() => undefined),
  });
  const workers = new Map<string, PodWorker>();
  /** Pods that the machine has no room for, and why. */
  const evictions = new Map<string, string>();
  let desired = new Map<string, DesiredPod>();
  /** What the node has for pods, as the hub has it. */
  let allocatable: ResourceList | undefined;
  let hasBegun = false;
  let isClosed = false;

  function readReplica(): void {
    desired = new Map();
    const incarnation = replica.cursor?.incarnation ?? '';
    for (const object of replica.list('pods')) {
      const pod = desiredPodOf(object, options.nodeName, incarnation);
      if (pod !== undefined) desired.set(pod.uid, pod);
    }
    const node = replica.get({ resource: 'nodes', namespace: '', name: options.nodeName });
    const report = node === undefined ? undefined : facetOf(node, 'report');
    allocatable = (report as unknown as NodeReport | undefined)?.status?.allocatable;
  }

  function factsOf({ uid, key, metadata, spec }: DesiredPod, ip: string): PodFacts {
    const { nodeName, hostAddress } = options;
    const { namespace, name } = key;
    return { uid, namespace, name, metadata, spec, ip, nodeName, hostAddress, allocatable };
  }

  /** A pod that is ending and not declared any more may have anything; one that has ended, nothing. */
  function isClaimUsed(namespace: string, claimName: string, exceptPodUid?: string): boolean {
    return [...addresses.keys()].some((uid) => {
      if (uid === exceptPodUid) return false;
      const pod = desired.get(uid);
      if (pod === undefined) return true;
      const { phase } = pod.report?.status ?? {};
      if (phase === 'Succeeded' || phase === 'Failed') return false;
      const hasIt = claimsIn(pod.spec).some((claim) => claim.claimName === claimName);
      return hasIt && pod.key.namespace === namespace;
    });
  }

  /** Only what the hub says now counts, not what was here before it spoke. */
  function releaseClaims(): void {
    if (replica.cursor !== undefined && replica.isOwnerSuperseded !== true) {
      void claims.releaseUnused();
    }
  }

  function podsHere(): readonly PodFacts[] {
    return [...desired.values()].flatMap((pod) => {
      const ip = addresses.get(pod.uid);
      const hasGone = pod.isDeleting || workers.get(pod.uid)?.hasGivenBack === true;
      return ip === undefined || hasGone ? [] : [factsOf(pod, ip)];
    });
  }

  function podCidr(): string | undefined {
    const node = replica.get({ resource: 'nodes', namespace: '', name: options.nodeName });
    const assignment = node === undefined ? undefined : facetOf(node, 'assignment');
    return (assignment as unknown as NodeAssignment | undefined)?.podCIDR;
  }

  const context: WorkerContext = {
    ...options,
    contact() {
      const { lastMs, linkedSinceMs } = dependencies.contact();
      const nowMs = clock.monotonicMs();
      return {
        // An agent that has not reached its hub since it started cannot know for how long.
        silentMs: lastMs === undefined ? Infinity : nowMs - lastMs,
        linkedForMs: linkedSinceMs === undefined ? 0 : nowMs - linkedSinceMs,
      };
    },
    desired(uid) {
      const pod = desired.get(uid);
      if (pod !== undefined) return pod;
      return replica.cursor === undefined ? undefined : 'gone';
    },
    address(uid) {
      const known = addresses.get(uid);
      if (known !== undefined) return known;
      const free = lowestFreeAddress(podCidr(), new Set(addresses.values()));
      if (free !== undefined) addresses.set(uid, free);
      return free;
    },
    overuse: (uid) => evictions.get(uid) ?? care.overuse(uid),
    removeVolumes: (uid) => volumes.remove(uid),
    finished(uid) {
      workers.delete(uid);
      addresses.delete(uid);
      care.forget(uid);
      evictions.delete(uid);
      releaseClaims();
    },
  };

  function nudgeAll(): void {
    if (!hasBegun || isClosed) return;
    readReplica();
    const uids = new Set([
      ...desired.keys(),
      ...workers.keys(),
      ...records.keys(),
      ...runtime.list().map((run) => run.podUid),
    ]);
    for (const uid of uids) {
      let worker = workers.get(uid);
      if (worker === undefined) {
        worker = new PodWorker({ ...dependencies, preparer }, context, uid, records.get(uid));
        workers.set(uid, worker);
      }
      worker.nudge();
    }
    // The workers have them now, and they change.
    records.clear();
    care.lookAgain(podsHere());
    releaseClaims();
  }

  const care = careForVolumes({ volumes, timers, logger }, podsHere, (uid) => {
    workers.get(uid)?.nudge();
  });

  replica.onChange(nudgeAll);
  images.onChange(nudgeAll);
  runtime.onExit((run) => {
    if (hasBegun) workers.get(run.podUid)?.nudge();
  });

  /** Answers what ran when it was asked. */
  async function stopAll(): Promise<readonly ContainerRun[]> {
    const deadlineMs = clock.monotonicMs() + stopGraceMsMax;
    const running = () => runtime.list().filter((run) => run.exit === undefined);
    await Promise.all([...workers.values()].map((worker) => worker.windDown(deadlineMs)));
    const stopped = running();
    // What nobody has looked after yet has no worker: it is asked all the same.
    for (const run of stopped) {
      if (!workers.has(run.podUid)) await runtime.stop(run, 'graceful');
    }
    while (running().length > 0 && clock.monotonicMs() < deadlineMs) {
      await sleep(timers, stopPollMs);
    }
    // Once for the workload, once more for a shim that does not end by that.
    for (let round = 0; round < 2 && running().length > 0; round += 1) {
      for (const run of running()) await runtime.stop(run, 'kill');
      for (let waited = 0; waited < 20 && running().length > 0; waited += 1) {
        await sleep(timers, stopPollMs);
      }
    }
    const left = running();
    if (left.length > 0) {
      logger.log('error', 'containers could not be stopped', { count: left.length });
    }
    return stopped;
  }

  return {
    begin() {
      hasBegun = true;
      nudgeAll();
    },
    hasPod: (uid) => addresses.has(uid),
    addressOf: (uid) => addresses.get(uid),
    pods: () =>
      [...desired.values()].filter(
        ({ uid, isDeleting, lossId }) =>
          addresses.has(uid) &&
          !isDeleting &&
          lossId === undefined &&
          !evictions.has(uid) &&
          workers.get(uid)?.isOver !== true,
      ),
    imagesInUse: () =>
      new Set([
        ...[...desired.values()].flatMap(({ images: digests }) => Object.values(digests)),
        ...runtime.list().map(({ digest }) => digest),
      ]),
    async diskBytes() {
      const used = new Map<string, number>();
      for (const { uid } of podsHere()) used.set(uid, await volumes.diskBytes(uid));
      return used;
    },
    evict(uid, message) {
      evictions.set(uid, message);
      workers.get(uid)?.nudge();
    },
    isEvicting: () => [...evictions.keys()].some((uid) => workers.get(uid)?.hasGivenBack === false),
    withdrawEvictions() {
      for (const uid of evictions.keys()) {
        if (workers.get(uid)?.isOver !== true) evictions.delete(uid);
      }
    },
    async close(pods) {
      isClosed = true;
      care.close();
      tokens.close();
      const stopped = pods === 'stop' ? await stopAll() : [];
      await Promise.all([...workers.values()].map((worker) => worker.close()));
      for (const run of stopped) await workers.get(run.podUid)?.noteStopped(run);
      if (pods === 'stop') await volumes.releaseMemory();
      runtime.close();
    },
  };
}
