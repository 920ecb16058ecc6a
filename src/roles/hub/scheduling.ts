/**
 * Gives pods their nodes: what waits is looked at together, planned by the
 * scheduler engine and committed as one transaction.
 *
 * Invariants:
 * 1. One pass runs at a time, and only passes write assignments, so a plan's
 *    account of room holds until it is committed.
 * 2. The transaction looks at each pod again: one that was deleted, replaced or
 *    assigned meanwhile is left alone.
 * 3. An assignment pins each image to the digest that its name stood for.
 * 4. A pod that must wait says why, once for each reason.
 * 5. A pod goes where the data of its claims is; a claim without a node gets the pod's in
 *    the same transaction.
 * 6. A pod is tried again only after something changed that may help it, so pods
 *    that nothing helps cost nothing, and none waits behind them.
 */
import { errorText, type JsonObject } from '#base/mod.ts';
import { type Placement, planPlacement, type SchedulerPod } from '#engines/scheduler/mod.ts';
import type { ResourceDefinition } from '#platform/api/mod.ts';
import type { ImageCatalog, ResolvedImage } from '#platform/blobs/mod.ts';
import { type Clock, type Logger, timestampOf, type Timer, type Timers } from '#platform/io/mod.ts';
import type {
  Change,
  CommittedBatch,
  ObjectEvent,
  Store,
  StoredObject,
} from '#platform/store/mod.ts';
import type { EventReports } from './event-reports.ts';
import { bindClaims, type ClaimsOfPod, claimsOfPod, type ClaimsTaken } from './claims.ts';
import { isFinished, schedulerNode, schedulerPod } from './scheduler-input.ts';
import {
  claimsResource,
  imagesOf,
  isBeingDeleted,
  isUnplaced,
  nodeKey,
  nodeNameOf,
  podsByNode,
  podsUnplaced,
  putFacet,
  readFacet,
} from './stored-facets.ts';

export interface SchedulingDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly events: EventReports;
  readonly images: ImageCatalog;
  readonly nodeDefinition: ResourceDefinition;
}

/** Lets what arrives together be planned together. */
const gatherMs = 2;
/** For what no change announces. */
const lookAgainMs = 30_000;
const podsPerPassMax = 2_000;
/** After a long pass others get the processor for a multiple of its time. */
const restFactor = 4;
const restMsMax = 1_000;

/** What a pass has decided for one pod. */
type Decision =
  | { readonly type: 'assign'; readonly nodeName: string; readonly images: Record<string, string> }
  | { readonly type: 'wait'; readonly reason: string; readonly message: string };

export class Scheduling {
  readonly #dependencies: SchedulingDependencies;
  #timer: Timer | undefined;
  #again: Timer | undefined;
  #pass: Promise<void> | undefined;
  #isAskedAgain = false;
  #isClosed = false;
  /** Counts what may have made room for pods that were tried before. */
  #chances = 0;
  /** The count at which each waiting pod was tried last, by uid. */
  readonly #triedAt = new Map<string, number>();
  #notBeforeMs = 0;

  constructor(dependencies: SchedulingDependencies) {
    this.#dependencies = dependencies;
    dependencies.images.onChange(() => this.request());
  }

  /** Whether the batch may let a waiting pod run, or brings one that waits. */
  look(batch: CommittedBatch): void {
    let concerns = false;
    for (const event of batch.events) {
      if (mayHelp(event)) this.#chances += 1;
      else if (!isToBePlaced(event)) continue;
      else this.#triedAt.delete(event.object.uid);
      concerns = true;
    }
    if (concerns) this.#ask();
  }

  /** Asks for a pass over everything that waits; any number of requests make one. */
  request(): void {
    this.#chances += 1;
    this.#ask();
  }

  #ask(): void {
    if (this.#isClosed) return;
    if (this.#pass !== undefined) {
      this.#isAskedAgain = true;
      return;
    }
    if (this.#timer !== undefined) return;
    if (this.#dependencies.store.lookup(podsUnplaced, 'all').length === 0) return;
    const { timers, clock } = this.#dependencies;
    const delayMs = Math.max(gatherMs, this.#notBeforeMs - clock.monotonicMs());
    this.#timer = timers.after(delayMs, () => {
      this.#timer = undefined;
      const startedMs = clock.monotonicMs();
      this.#pass = this.#run().finally(() => {
        this.#pass = undefined;
        const endedMs = clock.monotonicMs();
        this.#notBeforeMs = endedMs + Math.min(restMsMax, (endedMs - startedMs) * restFactor);
        const again = this.#isAskedAgain;
        this.#isAskedAgain = false;
        if (again) this.#ask();
      });
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#again?.cancel();
    await this.#pass;
  }

  async #run(): Promise<void> {
    const { timers, logger } = this.#dependencies;
    this.#again?.cancel();
    this.#again = timers.after(lookAgainMs, () => this.request());
    try {
      await this.#placeWaiting();
    } catch (error) {
      // The pods still wait, and the timer above looks at them again.
      logger.log('error', 'scheduling failed; it is tried again', { error: errorText(error) });
    }
  }

  async #placeWaiting(): Promise<void> {
    const { store } = this.#dependencies;
    const chances = this.#chances;
    const unplaced = store.lookup(podsUnplaced, 'all');
    const untried = unplaced
      .filter((pod) => this.#triedAt.get(pod.uid) !== chances && !isBeingDeleted(pod))
      .toSorted((left, right) => left.createdRevision - right.createdRevision);
    const waiting = untried.slice(0, podsPerPassMax);
    if (waiting.length === 0) return;
    if (this.#triedAt.size > 2 * unplaced.length) this.#forgetPlaced(unplaced);
    for (const pod of waiting) this.#triedAt.set(pod.uid, chances);
    if (untried.length > waiting.length) this.#isAskedAgain = true;
    const resolved = await this.#resolveImages(waiting);
    const decisions = new Map<StoredObject, Decision>();
    const toPlan: { readonly pod: StoredObject; readonly dataNode: string | undefined }[] = [];
    for (const pod of waiting) {
      const missing = imagesOf(pod).find((image) => resolved.get(image) === undefined);
      const nodeName = nodeNameOf(pod);
      const claims = claimsOfPod(store, pod);
      if (missing !== undefined) decisions.set(pod, imageMissing(missing));
      else if (claims.type === 'wait') decisions.set(pod, unschedulable(claims.message));
      else if (nodeName === undefined) toPlan.push({ pod, dataNode: claims.nodeName });
      else if ((claims.nodeName ?? nodeName) !== nodeName) {
        const message = `spec.nodeName is ${JSON.stringify(nodeName)}, and the data of its claims is on node ${claims.nodeName}`;
        decisions.set(pod, unschedulable(message));
      } else decisions.set(pod, this.#pinned(pod, nodeName, resolved));
    }
    this.#plan(toPlan, resolved, decisions);
    await this.#commit(decisions);
  }

  #forgetPlaced(unplaced: readonly StoredObject[]): void {
    const uids = new Set<string>(unplaced.map((pod) => pod.uid));
    for (const uid of this.#triedAt.keys()) if (!uids.has(uid)) this.#triedAt.delete(uid);
  }

  async #resolveImages(
    pods: readonly StoredObject[],
  ): Promise<ReadonlyMap<string, ResolvedImage | undefined>> {
    const resolved = new Map<string, ResolvedImage | undefined>();
    for (const pod of pods) {
      for (const image of imagesOf(pod)) {
        if (resolved.has(image)) continue;
        resolved.set(image, await this.#dependencies.images.resolve(image));
      }
    }
    return resolved;
  }

  /** For a pod that was created with a node name: nothing is left but its images. */
  #pinned(
    pod: StoredObject,
    nodeName: string,
    resolved: ReadonlyMap<string, ResolvedImage | undefined>,
  ): Decision {
    return this.#dependencies.store.get(nodeKey(nodeName)) === undefined
      ? {
          type: 'wait',
          reason: 'NodeNotFound',
          message: `spec.nodeName is ${JSON.stringify(nodeName)}, and there is no such node`,
        }
      : { type: 'assign', nodeName, images: digestsOf(pod, resolved) };
  }

  #plan(
    pods: readonly { readonly pod: StoredObject; readonly dataNode: string | undefined }[],
    resolved: ReadonlyMap<string, ResolvedImage | undefined>,
    decisions: Map<StoredObject, Decision>,
  ): void {
    if (pods.length === 0) return;
    const { store, nodeDefinition } = this.#dependencies;
    const nodes = store
      .list('nodes')
      .map((node) => schedulerNode(nodeDefinition, node, store.lookup(podsByNode, node.key.name)));
    const storedOf = new Map<SchedulerPod, StoredObject>();
    const inputs = pods.map(({ pod, dataNode }) => {
      const platforms = imagesOf(pod).map((image) => resolved.get(image)?.platforms ?? []);
      const input = schedulerPod(pod, platforms, dataNode);
      storedOf.set(input, pod);
      return input;
    });
    for (const placement of planPlacement({ nodes, pods: inputs }).placements) {
      const pod = storedOf.get(placement.pod);
      if (pod !== undefined) decisions.set(pod, decisionOf(placement, pod, resolved));
    }
  }

  async #commit(decisions: ReadonlyMap<StoredObject, Decision>): Promise<void> {
    const { store, clock, events } = this.#dependencies;
    const nowText = timestampOf(clock.wallMs());
    const { result } = await store.transact((view) => {
      const changes: Change[] = [];
      const said: [StoredObject, Decision][] = [];
      const overtaken: StoredObject[] = [];
      const taken: ClaimsTaken = { nodes: new Map(), single: new Set() };
      for (const [pod, decision] of decisions) {
        const now = view.get(pod.key);
        if (now === undefined || now.uid !== pod.uid || isBeingDeleted(now) || !isUnplaced(now)) {
          continue;
        }
        const claims = decision.type === 'assign' ? claimsOfPod(view, now, taken) : undefined;
        if (decision.type === 'assign' && !isUsableOn(decision.nodeName, claims)) {
          overtaken.push(now);
          continue;
        }
        const verdict = verdictOf(now, decision, nowText);
        if (verdict !== undefined) changes.push(putFacet(now, 'verdict', verdict));
        if (decision.type === 'assign') {
          const { nodeName, images } = decision;
          if (view.get(nodeKey(nodeName)) === undefined) continue;
          if (claims?.type === 'ready') changes.push(...bindClaims(claims.claims, nodeName, taken));
          changes.push(putFacet(now, 'assignment', { nodeName, images }));
          said.push([now, decision]);
        } else if (verdict !== undefined) {
          said.push([now, decision]);
        }
      }
      return { changes, result: { said, overtaken } };
    });
    // A claim of theirs went elsewhere meanwhile: they are planned again.
    for (const { uid } of result.overtaken) this.#triedAt.delete(uid);
    if (result.overtaken.length > 0) this.#isAskedAgain = true;
    for (const [pod, decision] of result.said) {
      if (decision.type === 'assign') {
        const message = `Successfully assigned ${pod.key.namespace}/${pod.key.name} to ${decision.nodeName}`;
        events.record('scheduler', pod, 'Normal', 'Scheduled', message);
      } else {
        events.record('scheduler', pod, 'Warning', 'FailedScheduling', decision.message);
      }
    }
  }
}

function imageMissing(image: string): Decision {
  return {
    type: 'wait',
    reason: 'ImageUnknown',
    message: `the registry of this fleet has no image ${image}; push it with: selvage image push <folder> ${image}`,
  };
}

function decisionOf(
  placement: Placement,
  pod: StoredObject,
  resolved: ReadonlyMap<string, ResolvedImage | undefined>,
): Decision {
  return placement.type === 'placed'
    ? { type: 'assign', nodeName: placement.nodeName, images: digestsOf(pod, resolved) }
    : unschedulable(placement.message);
}

function isUsableOn(nodeName: string, claims: ClaimsOfPod | undefined): boolean {
  return claims?.type === 'ready' && (claims.nodeName ?? nodeName) === nodeName;
}

function unschedulable(message: string): Decision {
  return { type: 'wait', reason: 'Unschedulable', message };
}

function digestsOf(
  pod: StoredObject,
  resolved: ReadonlyMap<string, ResolvedImage | undefined>,
): Record<string, string> {
  const digests: Record<string, string> = {};
  for (const image of imagesOf(pod)) {
    const digest = resolved.get(image)?.digest;
    if (digest !== undefined) digests[image] = digest;
  }
  return digests;
}

/** The verdict with its PodScheduled condition; undefined where it says that already. */
function verdictOf(pod: StoredObject, decision: Decision, nowText: string): JsonObject | undefined {
  const before = readFacet(pod, 'verdict') ?? {};
  const others = Array.isArray(before['conditions']) ? before['conditions'] : [];
  const isScheduled = (condition: unknown): condition is JsonObject =>
    typeof condition === 'object' &&
    condition !== null &&
    'type' in condition &&
    condition.type === 'PodScheduled';
  const known = others.find(isScheduled);
  const status = decision.type === 'assign' ? 'True' : 'False';
  const words: JsonObject =
    decision.type === 'assign' ? {} : { reason: decision.reason, message: decision.message };
  if (known?.['status'] === status && known['message'] === words['message']) return undefined;
  const lastTransitionTime =
    known?.['status'] === status ? (known['lastTransitionTime'] ?? nowText) : nowText;
  const condition: JsonObject = { type: 'PodScheduled', status, ...words, lastTransitionTime };
  return {
    ...before,
    conditions: [...others.filter((other) => !isScheduled(other)), condition],
  };
}

const storageResources: readonly string[] = [claimsResource, 'storageclasses.storage.k8s.io'];

/**
 * Whether room may have come: a node changed, a pod that had a place has left it, or a
 * claim is there or gone.
 */
function mayHelp({ type, object, previous }: ObjectEvent): boolean {
  if (object.key.resource === 'nodes') return true;
  if (storageResources.includes(object.key.resource)) {
    return (
      object.facets.intent?.revision !== previous?.facets.intent?.revision || type === 'delete'
    );
  }
  if (object.key.resource !== 'pods') return false;
  if (type === 'delete') return nodeNameOf(object) !== undefined;
  return previous !== undefined && isFinished(object) && !isFinished(previous);
}

/** A pod that is new, or whose wishes have changed, and that has no place yet. */
function isToBePlaced({ type, object, previous }: ObjectEvent): boolean {
  return (
    object.key.resource === 'pods' &&
    type === 'put' &&
    isUnplaced(object) &&
    object.facets.intent?.revision !== previous?.facets.intent?.revision
  );
}
