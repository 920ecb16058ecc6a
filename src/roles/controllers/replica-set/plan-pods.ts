/**
 * Which pods a replica set should make or delete now.
 *
 * Invariants:
 * 1. Never more pods than wanted come out of a plan, counting those that exist.
 * 2. Deleted first are the pods that are missed least.
 * 3. A pod that was given up with its node does not count, and is not deleted
 *    either: whether it still runs is the node's to say.
 * 4. Of the pods that have ended, the newest few stay to be looked at.
 */
import type { Pod } from '#platform/api/mod.ts';
import { createdMs, hasEnded, isActive, isReady, readySinceMs } from '../shared/pod-state.ts';

/** Pods of one set that have ended and are kept. */
export const endedPodsMax = 3;

/** Pods made or deleted in one go; the rest follows in the next. */
export const changesMax = 500;

export interface PodPlan {
  readonly create: number;
  readonly remove: readonly Pod[];
}

/** `pods` are the set's own pods; those whose deletion was asked for are not among them. */
export function planPods(wanted: number, pods: readonly Pod[]): PodPlan {
  const active = pods.filter(isActive);
  const missing = wanted - active.length;
  const ended = pods
    .filter((pod) => hasEnded(pod) && pod.metadata.deletionTimestamp === undefined)
    .toSorted((left, right) => createdMs(right) - createdMs(left))
    .slice(endedPodsMax);
  if (missing >= 0) {
    return { create: Math.min(missing, changesMax), remove: ended.slice(0, changesMax) };
  }
  const surplus = rankForRemoval(active).slice(0, -missing);
  return { create: 0, remove: [...surplus, ...ended].slice(0, changesMax) };
}

/** What of a pod decides when it goes. The smaller, the sooner. */
interface Rank {
  readonly pod: Pod;
  readonly node: string;
  /** Unassigned, not started, not ready: one after the other. */
  readonly stage: number;
  /** The newest first. */
  readonly readySinceMs: number;
  readonly createdMs: number;
}

/**
 * In the order in which they should go: unassigned, not started, not ready, then from
 * the node that has most of them at that moment, the newest, by name. Each pod's times
 * are read once, and there is no comparing of each with all: it runs between requests.
 */
export function rankForRemoval(pods: readonly Pod[]): Pod[] {
  const onNode = new Map<string, number>();
  for (const { spec } of pods) {
    const node = spec.nodeName ?? '';
    onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  // Whatever goes elsewhere, those of one node go in this order. So how many the node
  // will have left when a pod's turn comes is known beforehand.
  const doubled = pods
    .map(rankOf)
    .toSorted((left, right) => left.stage - right.stage || compareAge(left, right))
    .map((rank) => {
      const count = onNode.get(rank.node) ?? 0;
      onNode.set(rank.node, count - 1);
      return { rank, count };
    });
  return doubled
    .toSorted(
      (left, right) =>
        left.rank.stage - right.rank.stage ||
        right.count - left.count ||
        compareAge(left.rank, right.rank),
    )
    .map(({ rank }) => rank.pod);
}

const phases = { Pending: 0, Unknown: 1, Running: 2, Succeeded: 0, Failed: 0 };
/** More than there are phases, and than phases and readiness together. */
const [phaseStep, assignedStep] = [10, 100];

function rankOf(pod: Pod): Rank {
  const { nodeName } = pod.spec;
  const phase = phases[pod.status?.phase ?? 'Pending'];
  return {
    pod,
    node: nodeName ?? '',
    stage: (nodeName === undefined ? 0 : assignedStep) + phase * phaseStep + (isReady(pod) ? 1 : 0),
    readySinceMs: readySinceMs(pod),
    createdMs: createdMs(pod),
  };
}

function compareAge(left: Rank, right: Rank): number {
  const [one, other] = [left.pod.metadata.name, right.pod.metadata.name];
  return (
    right.readySinceMs - left.readySinceMs ||
    right.createdMs - left.createdMs ||
    (one < other ? -1 : one > other ? 1 : 0)
  );
}
