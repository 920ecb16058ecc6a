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
 * 4. A pod that must wait says why, once for each reason; what is wrong with its images
 *    it says of its containers too (image-waiting.ts).
 * 5. A pod goes where the data of its claims is; a claim without a node gets the pod's in
 *    the same transaction.
 * 6. A pod is tried again only after something changed that may help it, so pods
 *    that nothing helps cost nothing, and none waits behind them.
 * 7. Pods of higher priority come first; where room is made for one, those that end
 *    for it are asked to in the transaction that says so.
 */
import { errorText } from '#base/mod.ts';
import {
  type Nomination,
  type Placement,
  planPlacement,
  type SchedulerPod,
} from '#engines/scheduler/mod.ts';
import type { ResourceDefinition } from '#platform/api/mod.ts';
import { BlobError, type ImageCatalog } from '#platform/blobs/mod.ts';
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
import { type ChosenImages, chooseImages, type Resolution } from './image-choice.ts';
import { type ImageProblem, type WaitingEvent, waitingEvents } from './image-waiting.ts';
import { objectIn } from './json-fields.ts';
import { sayPreempted, victimChanges } from './preempting.ts';
import { scheduledVerdict } from './scheduled-verdict.ts';
import {
  budgetOf,
  hasNeighbourWishes,
  isFinished,
  namespacesIn,
  nomineeOf,
  priorityOf,
  schedulerNode,
  schedulerPod,
} from './scheduler-input.ts';
import {
  claimsResource,
  imagesOf,
  isBeingDeleted,
  hasResolvedImages,
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
  | {
      readonly type: 'wait';
      readonly reason: string;
      readonly message: string;
      readonly nomination?: Nomination;
      /** Of its images, by reference. */
      readonly problems?: ReadonlyMap<string, ImageProblem>;
    };

/** A pod to be planned, with what is known of it already. */
interface ToPlan extends ChosenImages {
  /** Where the data of its claims is. */
  readonly dataNode: string | undefined;
}

/** Of a pod, what its events are to tell. */
interface News {
  readonly pod: StoredObject;
  readonly decision: Decision;
  /** Whether where it goes, or why it waits, is other than before. */
  readonly isNews: boolean;
  readonly ofImages: readonly WaitingEvent[];
}

/** What a transaction has made of the decisions. */
interface Said {
  /** A claim of theirs went elsewhere meanwhile. */
  readonly overtaken: readonly StoredObject[];
  readonly news: readonly News[];
  readonly preempted: readonly (readonly [victim: StoredObject, by: StoredObject])[];
}

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
  /** Whether one that waits looks at its neighbours, so that any of these may help it. */
  #isNeighbourAwaited = false;
  #notBeforeMs = 0;

  constructor(dependencies: SchedulingDependencies) {
    this.#dependencies = dependencies;
    dependencies.images.onChange(() => this.request());
  }

  /** Whether the batch may let a waiting pod run, or brings one that waits. */
  look(batch: CommittedBatch): void {
    let concerns = false;
    for (const event of batch.events) {
      if (mayHelp(event, this.#isNeighbourAwaited)) this.#chances += 1;
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
      .toSorted(
        (left, right) =>
          priorityOf(right) - priorityOf(left) || left.createdRevision - right.createdRevision,
      );
    const waiting = untried.slice(0, podsPerPassMax);
    if (waiting.length === 0) return;
    if (this.#triedAt.size > 2 * unplaced.length) this.#forgetPlaced(unplaced);
    for (const pod of waiting) this.#triedAt.set(pod.uid, chances);
    if (untried.length > waiting.length) this.#isAskedAgain = true;
    this.#isNeighbourAwaited = unplaced.some(hasNeighbourWishes);
    const resolved = await this.#resolveImages(waiting);
    const decisions = new Map<StoredObject, Decision>();
    const toPlan = new Map<StoredObject, ToPlan>();
    for (const pod of waiting) {
      const chosen = chooseImages(store, pod, resolved);
      const nodeName = nodeNameOf(pod);
      const claims = claimsOfPod(store, pod);
      if (chosen.type === 'none') decisions.set(pod, { ...chosen, type: 'wait' });
      else if (claims.type === 'wait') decisions.set(pod, unschedulable(claims.message));
      else if (nodeName === undefined) toPlan.set(pod, { ...chosen, dataNode: claims.nodeName });
      else if ((claims.nodeName ?? nodeName) !== nodeName) {
        const message = `spec.nodeName is ${JSON.stringify(nodeName)}, and the data of its claims is on node ${claims.nodeName}`;
        decisions.set(pod, unschedulable(message));
      } else decisions.set(pod, this.#pinned(nodeName, chosen));
    }
    this.#plan(toPlan, decisions);
    await this.#commit(decisions);
  }

  #forgetPlaced(unplaced: readonly StoredObject[]): void {
    const uids = new Set<string>(unplaced.map((pod) => pod.uid));
    for (const uid of this.#triedAt.keys()) if (!uids.has(uid)) this.#triedAt.delete(uid);
  }

  async #resolveImages(pods: readonly StoredObject[]): Promise<ReadonlyMap<string, Resolution>> {
    const resolved = new Map<string, Resolution>();
    for (const pod of pods) {
      for (const image of imagesOf(pod)) {
        if (resolved.has(image)) continue;
        resolved.set(image, await this.#resolveImage(image));
      }
    }
    return resolved;
  }

  /** What is wrong with one image holds up nobody but those who ask for it. */
  async #resolveImage(reference: string): Promise<Resolution> {
    try {
      return await this.#dependencies.images.resolve(reference);
    } catch (error) {
      if (error instanceof BlobError) return error;
      throw error;
    }
  }

  /** For a pod that was created with a node name: nothing is left but its images. */
  #pinned(nodeName: string, { digests }: ChosenImages): Decision {
    return this.#dependencies.store.get(nodeKey(nodeName)) === undefined
      ? {
          type: 'wait',
          reason: 'NodeNotFound',
          message: `spec.nodeName is ${JSON.stringify(nodeName)}, and there is no such node`,
        }
      : { type: 'assign', nodeName, images: digests };
  }

  #plan(pods: ReadonlyMap<StoredObject, ToPlan>, decisions: Map<StoredObject, Decision>): void {
    if (pods.size === 0) return;
    const { store, nodeDefinition } = this.#dependencies;
    const namespacesLike = namespacesIn(() => store.list('namespaces'));
    const nodes = store.list('nodes').map((node) => {
      const assigned = store.lookup(podsByNode, node.key.name);
      return schedulerNode(nodeDefinition, node, assigned, namespacesLike);
    });
    const storedOf = new Map<SchedulerPod, StoredObject>();
    const inputs = Array.from(pods, ([pod, toPlan]) => {
      const input = schedulerPod(pod, toPlan, namespacesLike);
      storedOf.set(input, pod);
      return input;
    });
    const nominees = store.lookup(podsUnplaced, 'all').flatMap((pod) => nomineeOf(pod) ?? []);
    const budgets = store
      .list('poddisruptionbudgets.policy')
      .flatMap((budget) => budgetOf(budget) ?? []);
    const { placements } = planPlacement({ nodes, pods: inputs, nominees, budgets });
    for (const placement of placements) {
      const pod = storedOf.get(placement.pod);
      const chosen = pod === undefined ? undefined : pods.get(pod);
      if (pod === undefined || chosen === undefined) continue;
      if (placement.type === 'unplaced' && placement.isToTryAgain === true) {
        this.#triedAt.delete(pod.uid);
        this.#isAskedAgain = true;
      }
      decisions.set(pod, decisionOf(placement, chosen));
    }
  }

  async #commit(decisions: ReadonlyMap<StoredObject, Decision>): Promise<void> {
    const { store, clock, events } = this.#dependencies;
    const nowMs = clock.wallMs();
    const { result } = await store.transact<Said>((view) => {
      const changes: Change[] = [];
      const news: News[] = [];
      const preempted: [StoredObject, StoredObject][] = [];
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
        const said = scheduledVerdict(now, decision, timestampOf(nowMs));
        if (said !== undefined) changes.push(putFacet(now, 'verdict', said.verdict));
        if (decision.type === 'assign') {
          const { nodeName, images } = decision;
          if (view.get(nodeKey(nodeName)) === undefined) continue;
          if (claims?.type === 'ready') changes.push(...bindClaims(claims.claims, nodeName, taken));
          changes.push(putFacet(now, 'assignment', { nodeName, images }));
          news.push({ pod: now, decision, isNews: !hasResolvedImages(now), ofImages: [] });
          continue;
        }
        if (said !== undefined) {
          const before = objectIn(readFacet(now, 'verdict'), 'waiting');
          const ofImages = waitingEvents(before, objectIn(said.verdict, 'waiting'));
          const isNews = said.isNews && !hasResolvedImages(now);
          news.push({ pod: now, decision, isNews, ofImages });
        }
        for (const victim of victimChanges(store, view, decision.nomination, nowMs)) {
          changes.push(...victim.changes);
          preempted.push([victim.pod, now]);
        }
      }
      return { changes, result: { news, preempted, overtaken } };
    });
    // These are planned again.
    for (const { uid } of result.overtaken) this.#triedAt.delete(uid);
    if (result.overtaken.length > 0) this.#isAskedAgain = true;
    for (const { pod, decision, isNews, ofImages } of result.news) {
      if (isNews && decision.type === 'assign') {
        const message = `Successfully assigned ${pod.key.namespace}/${pod.key.name} to ${decision.nodeName}`;
        events.record('scheduler', pod, 'Normal', 'Scheduled', message);
      } else if (isNews && decision.type === 'wait') {
        events.record('scheduler', pod, 'Warning', 'FailedScheduling', decision.message);
      }
      for (const { severity, reason, message } of ofImages) {
        events.record('scheduler', pod, severity, reason, message);
      }
    }
    for (const [victim, by] of result.preempted) sayPreempted(events, victim, by);
  }
}

function isUsableOn(nodeName: string, claims: ClaimsOfPod | undefined): boolean {
  return claims?.type === 'ready' && (claims.nodeName ?? nodeName) === nodeName;
}

function unschedulable(message: string, nomination?: Nomination): Decision {
  const decision = { type: 'wait', reason: 'Unschedulable', message } as const;
  return nomination === undefined ? decision : { ...decision, nomination };
}

function decisionOf(placement: Placement, { digests }: ChosenImages): Decision {
  if (placement.type === 'placed') {
    return { type: 'assign', nodeName: placement.nodeName, images: digests };
  }
  return unschedulable(placement.message, placement.nomination);
}

const storageResources: readonly string[] = [claimsResource, 'storageclasses.storage.k8s.io'];

/**
 * Whether room may have come: a node changed, a pod that had a place has left it, or a
 * claim is there or gone. Where one that waits looks at its neighbours, also whether they
 * may have changed.
 */
function mayHelp({ type, object, previous }: ObjectEvent, isNeighbourAwaited: boolean): boolean {
  const { resource } = object.key;
  if (resource === 'nodes' || resource === 'runtimeclasses.node.k8s.io') return true;
  if (storageResources.includes(resource)) {
    return (
      object.facets.intent?.revision !== previous?.facets.intent?.revision || type === 'delete'
    );
  }
  if (resource !== 'pods') return false;
  if (type === 'delete') return nodeNameOf(object) !== undefined;
  if (previous !== undefined && isFinished(object) && !isFinished(previous)) return true;
  if (!isNeighbourAwaited || nodeNameOf(object) === undefined) return false;
  const { intent, assignment } = object.facets;
  const before = previous?.facets;
  const isNew = assignment?.revision !== before?.assignment?.revision;
  return isNew || intent?.revision !== before?.intent?.revision;
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
