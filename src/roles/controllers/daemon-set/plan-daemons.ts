/**
 * Which pods a daemon set should make or delete now, and what it says of itself.
 *
 * Invariants:
 * 1. A node gets a pod only while it has none, also none that is still ending; with
 *    maxSurge it gets the new one beside one old one.
 * 2. An update makes the pod unavailable on at most maxUnavailable nodes; nodes
 *    where it is unavailable anyway count, and are updated first.
 * 3. A pod on a node that is out of reach is left where it is.
 */
import type {
  CountOrPercent,
  DaemonSetSpec,
  DaemonSetStatus,
  Node,
  Pod,
} from '#platform/api/mod.ts';
import { availableInMs, createdMs, hasEnded, isReady } from '../shared/pod-state.ts';
import { revisionLabel } from '../shared/plan-revisions.ts';
import { fitOf, nodeNameOf } from './node-fit.ts';

/** Pods made or deleted in one go; the rest follows in the next. */
export const changesMax = 250;

export interface DaemonFacts {
  readonly spec: DaemonSetSpec;
  /** Of the present template. */
  readonly hash: string;
  readonly nodes: readonly Node[];
  /** The set's own pods; those whose deletion was asked for have a deletionTimestamp or are in `asked`. */
  readonly pods: readonly Pod[];
  readonly asked: ReadonlySet<string>;
  readonly nowMs: number;
  /** When a pod that failed on that node may be made anew. */
  readonly retryAtMs: (nodeName: string) => number;
}

export interface DaemonPlan {
  /** Names of nodes that get a pod. */
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
  /** Of those, the ones that failed by themselves, with their nodes. */
  readonly failed: readonly { readonly pod: Pod; readonly nodeName: string }[];
  readonly status: Omit<DaemonSetStatus, 'observedGeneration'>;
  readonly againAfterMs: number | undefined;
}

/** One node that the set is for, and its pods. */
interface Place {
  readonly nodeName: string;
  readonly live: readonly Pod[];
  readonly isLeaving: boolean;
  readonly newest: Pod | undefined;
  readonly old: Pod | undefined;
}

export function planDaemons(facts: DaemonFacts): DaemonPlan {
  const { spec, hash, nodes, nowMs } = facts;
  const byNode = podsByNode(facts.pods);
  const create: string[] = [];
  const remove: Pod[] = [];
  const failed: { pod: Pod; nodeName: string }[] = [];
  const places: Place[] = [];
  let misscheduled = 0;
  let againAtMs = Number.POSITIVE_INFINITY;

  const isLeaving = ({ metadata }: Pod): boolean =>
    metadata.deletionTimestamp !== undefined || facts.asked.has(metadata.uid ?? '');

  for (const node of nodes) {
    const nodeName = node.metadata.name;
    const all = byNode.get(nodeName) ?? [];
    byNode.delete(nodeName);
    const { shouldRun, mayStay } = fitOf(node, spec.template.spec);
    const staying = all.filter((pod) => !isLeaving(pod));
    const live = staying.filter((pod) => !hasEnded(pod));
    if (!mayStay) {
      remove.push(...staying);
      if (live.length > 0) misscheduled += 1;
      continue;
    }
    for (const pod of staying) {
      if (!hasEnded(pod)) continue;
      const atMs = facts.retryAtMs(nodeName);
      if (atMs > nowMs) {
        againAtMs = Math.min(againAtMs, atMs);
      } else {
        remove.push(pod);
        failed.push({ pod, nodeName });
      }
    }
    if (!shouldRun) {
      if (live.length > 0) misscheduled += 1;
      continue;
    }
    const kept = keepOnePerTemplate(live, hash, remove);
    const place: Place = {
      nodeName,
      live: kept,
      isLeaving: all.length > live.length,
      newest: kept.find((pod) => hashOf(pod) === hash),
      old: kept.find((pod) => hashOf(pod) !== hash),
    };
    places.push(place);
    if (kept.length === 0 && !place.isLeaving) create.push(nodeName);
  }
  // Their nodes are gone. What ran there went with them; what waited waits for nothing.
  for (const pods of byNode.values()) remove.push(...pods.filter((pod) => !isLeaving(pod)));

  const waitOf = (pod: Pod): number | undefined =>
    availableInMs(pod, spec.minReadySeconds ?? 0, nowMs);
  for (const { live } of places) {
    for (const pod of live) {
      const waitMs = waitOf(pod);
      if (waitMs !== undefined && waitMs > 0) againAtMs = Math.min(againAtMs, nowMs + waitMs);
    }
  }
  const isAvailable = (pod: Pod | undefined): boolean => pod !== undefined && waitOf(pod) === 0;
  if (spec.updateStrategy?.type !== 'OnDelete') {
    const update = planUpdate(spec, places, isAvailable);
    create.push(...update.create);
    remove.push(...update.remove);
  }
  return {
    create: create.slice(0, changesMax),
    remove: remove.slice(0, changesMax),
    failed,
    status: statusOf(places, misscheduled, isAvailable),
    againAfterMs: Number.isFinite(againAtMs) ? Math.max(0, againAtMs - nowMs) : undefined,
  };
}

/** Should there be several of one template, the oldest stays. */
function keepOnePerTemplate(live: readonly Pod[], hash: string, remove: Pod[]): readonly Pod[] {
  const inOrder = live.toSorted((left, right) => createdMs(left) - createdMs(right));
  const kept: Pod[] = [];
  for (const isNew of [false, true]) {
    const [first, ...surplus] = inOrder.filter((pod) => (hashOf(pod) === hash) === isNew);
    if (first !== undefined) kept.push(first);
    remove.push(...surplus);
  }
  return kept;
}

function planUpdate(
  spec: DaemonSetSpec,
  places: readonly Place[],
  isAvailable: (pod: Pod | undefined) => boolean,
): { readonly create: readonly string[]; readonly remove: readonly Pod[] } {
  const { maxUnavailable = 1, maxSurge = 0 } = spec.updateStrategy?.rollingUpdate ?? {};
  const surgeMax = countOf(maxSurge, places.length);
  const unavailableMax = surgeMax > 0 ? 0 : Math.max(1, countOf(maxUnavailable, places.length));
  const create: string[] = [];
  const remove: Pod[] = [];
  let surging = places.filter(
    ({ newest, old }) => newest !== undefined && old !== undefined,
  ).length;
  let unavailable = places.filter(
    ({ newest, old }) => !isAvailable(newest) && !isAvailable(old),
  ).length;
  for (const { nodeName, newest, old, isLeaving } of places) {
    if (old === undefined) continue;
    if (newest !== undefined) {
      // The new one has taken over, or there is nothing to take over from.
      if (isAvailable(newest) || !isAvailable(old)) remove.push(old);
    } else if (!isAvailable(old)) {
      remove.push(old);
    } else if (surgeMax > 0) {
      if (surging >= surgeMax || isLeaving) continue;
      surging += 1;
      create.push(nodeName);
    } else if (unavailable < unavailableMax) {
      unavailable += 1;
      remove.push(old);
    }
  }
  return { create, remove };
}

function statusOf(
  places: readonly Place[],
  numberMisscheduled: number,
  isAvailable: (pod: Pod | undefined) => boolean,
): DaemonPlan['status'] {
  const count = (holds: (place: Place) => boolean): number => places.filter(holds).length;
  const numberAvailable = count(({ live }) => live.some(isAvailable));
  return {
    desiredNumberScheduled: places.length,
    currentNumberScheduled: count(({ live }) => live.length > 0),
    numberMisscheduled,
    numberReady: count(({ live }) => live.some(isReady)),
    updatedNumberScheduled: count(({ newest }) => newest !== undefined),
    numberAvailable,
    numberUnavailable: places.length - numberAvailable,
  };
}

/** A percentage is of the nodes, rounded up. */
function countOf(bound: CountOrPercent, nodes: number): number {
  if (typeof bound === 'number') return bound;
  return Math.ceil((Number.parseInt(bound, 10) * nodes) / 100);
}

function hashOf({ metadata }: Pod): string | undefined {
  return metadata.labels?.[revisionLabel];
}

function podsByNode(pods: readonly Pod[]): Map<string, Pod[]> {
  const byNode = new Map<string, Pod[]>();
  for (const pod of pods) {
    const nodeName = nodeNameOf(pod) ?? '';
    const known = byNode.get(nodeName);
    if (known === undefined) byNode.set(nodeName, [pod]);
    else known.push(pod);
  }
  return byNode;
}
