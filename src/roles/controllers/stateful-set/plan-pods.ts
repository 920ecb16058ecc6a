/**
 * Which pods a stateful set should make or delete now, and what it says of itself.
 *
 * Invariants:
 * 1. A pod is made only while its name is free: never two of one name, so a pod whose
 *    node is out of reach is not replaced. One that surely stopped by itself when it
 *    was cut off (`selvage.dev/on-cut: stop-after=…`) is taken off to be made again.
 * 2. OrderedReady: a pod is made only when all before it are available, and removed
 *    only when none after it is left.
 * 3. An update replaces pods from the highest number down to the partition, and takes
 *    no more pods out of service than maxUnavailable. A pod of the older template that
 *    cannot start is out of service already and is replaced at once.
 * 4. The work grows with the pods that there are and with changesMax, never with
 *    `replicas`, which anybody may set to two thousand million.
 */
import {
  type CountOrPercent,
  type Pod,
  type StatefulSetSpec,
  type StatefulSetStatus,
  stopAfterMsOf,
} from '#platform/api/mod.ts';
import { revisionLabel } from '../shared/plan-revisions.ts';
import { availableInMs, hasEnded, isReady } from '../shared/pod-state.ts';

/** Pods made or deleted in one go; the rest follows in the next. */
export const changesMax = 250;

/** One of the set's pods with its number. */
export interface NumberedPod {
  readonly ordinal: number;
  readonly pod: Pod;
}

export interface StatefulFacts {
  readonly spec: StatefulSetSpec;
  /** Those whose deletion was asked for have a deletionTimestamp or are in `asked`. */
  readonly pods: readonly NumberedPod[];
  readonly asked: ReadonlySet<string>;
  /** Names of the revisions before the rollout and of the present template. */
  readonly currentRevision: string;
  readonly updateRevision: string;
  readonly nowMs: number;
  /** When a pod of that number that ended by itself may be made anew. */
  readonly retryAtMs: (ordinal: number) => number;
}

export interface StatefulPlan {
  readonly create: readonly { readonly ordinal: number; readonly revision: string }[];
  readonly remove: readonly Pod[];
  /** Of those, the ones that ended by themselves. */
  readonly ended: readonly NumberedPod[];
  /** Numbers of pods that are being scaled away, with those that are only on their way out. */
  readonly condemned: readonly NumberedPod[];
  readonly status: Omit<StatefulSetStatus, 'observedGeneration' | 'collisionCount'>;
  readonly againAfterMs: number | undefined;
}

/** One number that is wanted, and the pod that has its name. */
interface Slot {
  readonly ordinal: number;
  readonly pod: Pod;
  readonly isLeaving: boolean;
  readonly isAvailable: boolean;
}

export function planStatefulPods(facts: StatefulFacts): StatefulPlan {
  const { spec, nowMs } = facts;
  const first = spec.ordinals?.start ?? 0;
  const end = first + (spec.replicas ?? 1);
  let againAtMs = Number.POSITIVE_INFINITY;
  const isLeaving = ({ metadata }: Pod): boolean =>
    metadata.deletionTimestamp !== undefined || facts.asked.has(metadata.uid ?? '');
  const isAvailable = (pod: Pod): boolean => {
    if (isLeaving(pod)) return false;
    const waitMs = availableInMs(pod, spec.minReadySeconds ?? 0, nowMs);
    if (waitMs !== undefined && waitMs > 0) againAtMs = Math.min(againAtMs, nowMs + waitMs);
    return waitMs === 0;
  };

  const slots = facts.pods
    .filter(({ ordinal }) => ordinal >= first && ordinal < end)
    .toSorted((left, right) => left.ordinal - right.ordinal)
    .map(({ ordinal, pod }) => ({
      ordinal,
      pod,
      isLeaving: isLeaving(pod),
      isAvailable: isAvailable(pod),
    }));
  const condemned = facts.pods
    .filter(({ ordinal }) => ordinal < first || ordinal >= end)
    .toSorted((left, right) => right.ordinal - left.ordinal);
  const steps = planSteps(facts, { first, end, slots, condemned }, isLeaving, (atMs) => {
    againAtMs = Math.min(againAtMs, atMs);
  });
  return {
    create: steps.create,
    remove: steps.remove.slice(0, changesMax),
    ended: steps.ended,
    condemned,
    status: statusOf(facts, isLeaving, isAvailable),
    againAfterMs: Number.isFinite(againAtMs) ? Math.max(0, againAtMs - nowMs) : undefined,
  };
}

/** The numbers that are wanted, from `first` to before `end`, and the pods that there are. */
interface Numbers {
  readonly first: number;
  readonly end: number;
  /** The wanted ones that have a pod, lowest first. */
  readonly slots: readonly Slot[];
  readonly condemned: readonly NumberedPod[];
}

interface Steps {
  readonly create: { ordinal: number; revision: string }[];
  readonly remove: Pod[];
  readonly ended: NumberedPod[];
}

function planSteps(
  facts: StatefulFacts,
  numbers: Numbers,
  isLeaving: (pod: Pod) => boolean,
  lookAgainAt: (atMs: number) => void,
): Steps {
  const { slots, condemned } = numbers;
  const { spec, nowMs } = facts;
  const isOrdered = spec.podManagementPolicy !== 'Parallel';
  const steps: Steps = { create: [], remove: [], ended: [] };
  /** True where a number of the gap is missing, which in order is as far as one gets. */
  const fillGap = (from: number, to: number): boolean => {
    for (let ordinal = from; ordinal < to; ordinal += 1) {
      if (steps.create.length >= changesMax) break;
      // Only a pod that ended lets its number wait, so these are no more than there were pods.
      const waitsUntilMs = facts.retryAtMs(ordinal);
      if (waitsUntilMs > nowMs) lookAgainAt(waitsUntilMs);
      else steps.create.push({ ordinal, revision: revisionFor(facts, ordinal) });
      if (isOrdered) break;
    }
    return from < to;
  };
  let next = numbers.first;
  for (const slot of slots) {
    const { ordinal, pod } = slot;
    if (fillGap(next, ordinal) && isOrdered) return steps;
    next = ordinal + 1;
    if (!slot.isLeaving && (hasEnded(pod) || isSurelyStopped(pod))) {
      steps.remove.push(pod);
      if (hasEnded(pod)) steps.ended.push({ ordinal, pod });
    } else if (isToBeUpdated(facts, slot) && isStuck(pod)) {
      steps.remove.push(pod);
    }
    if (isOrdered && !slot.isAvailable) return steps;
  }
  if (fillGap(next, numbers.end) && isOrdered) return steps;
  for (const { pod } of condemned) {
    if (!isLeaving(pod)) steps.remove.push(pod);
    if (isOrdered) return steps;
  }
  if (spec.updateStrategy?.type !== 'OnDelete') {
    steps.remove.push(...planUpdate(facts, slots, new Set(steps.remove)));
  }
  return steps;
}

function planUpdate(
  facts: StatefulFacts,
  slots: readonly Slot[],
  removed: ReadonlySet<Pod>,
): readonly Pod[] {
  const { replicas = 1, updateStrategy } = facts.spec;
  const bound = updateStrategy?.rollingUpdate?.maxUnavailable ?? 1;
  const outOfService = replicas - slots.filter((slot) => slot.isAvailable).length;
  let free = Math.max(1, countOf(bound, replicas)) - outOfService;
  const remove: Pod[] = [];
  for (const slot of slots.toReversed()) {
    if (free <= 0) break;
    if (removed.has(slot.pod) || !isToBeUpdated(facts, slot)) continue;
    // One that is not available yet gets the time to become so before others go.
    if (!slot.isAvailable) break;
    remove.push(slot.pod);
    free -= 1;
  }
  return remove;
}

function isToBeUpdated(facts: StatefulFacts, { ordinal, pod, isLeaving }: Slot): boolean {
  return (
    !isLeaving &&
    facts.spec.updateStrategy?.type !== 'OnDelete' &&
    revisionFor(facts, ordinal) === facts.updateRevision &&
    revisionOf(pod) !== facts.updateRevision
  );
}

/** The revision that a pod of that number is made from. */
function revisionFor(facts: StatefulFacts, ordinal: number): string {
  const { updateStrategy, ordinals } = facts.spec;
  const { partition = 0 } = updateStrategy?.rollingUpdate ?? {};
  const isHeld = ordinal < (ordinals?.start ?? 0) + partition;
  return updateStrategy?.type !== 'OnDelete' && isHeld
    ? facts.currentRevision
    : facts.updateRevision;
}

/** The node is given up, and by then the pod has stopped there: that is what it was told. */
function isSurelyStopped({ metadata, status }: Pod): boolean {
  return status?.reason === 'NodeLost' && stopAfterMsOf(metadata.annotations) !== undefined;
}

/** It has no node, or a container of it cannot be started: waiting for it leads nowhere. */
function isStuck({ spec, status = {} }: Pod): boolean {
  if (isReady({ status } as Pod)) return false;
  if (spec.nodeName === undefined) return true;
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return all.some(({ state }) => /BackOff$|Error$|^Err/u.test(state?.waiting?.reason ?? ''));
}

function revisionOf({ metadata }: Pod): string | undefined {
  return metadata.labels?.[revisionLabel];
}

function statusOf(
  { spec, pods, currentRevision, updateRevision }: StatefulFacts,
  isLeaving: (pod: Pod) => boolean,
  isAvailable: (pod: Pod) => boolean,
): StatefulPlan['status'] {
  const staying = pods.map(({ pod }) => pod).filter((pod) => !isLeaving(pod));
  const count = (holds: (pod: Pod) => boolean): number => staying.filter(holds).length;
  const readyReplicas = count(isReady);
  const updatedReplicas = count((pod) => revisionOf(pod) === updateRevision);
  const wanted = spec.replicas ?? 1;
  const isComplete =
    pods.length === wanted && updatedReplicas === wanted && readyReplicas === wanted;
  const current = isComplete ? updateRevision : currentRevision;
  return {
    replicas: pods.length,
    readyReplicas,
    availableReplicas: count(isAvailable),
    currentReplicas: count((pod) => revisionOf(pod) === current),
    updatedReplicas,
    currentRevision: current,
    updateRevision,
  };
}

/** A percentage is of the wanted pods, rounded up. */
function countOf(bound: CountOrPercent, replicas: number): number {
  if (typeof bound === 'number') return bound;
  return Math.ceil((Number.parseInt(bound, 10) * replicas) / 100);
}
