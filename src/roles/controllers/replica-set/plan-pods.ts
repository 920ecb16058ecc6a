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

/** In the order in which they should go. */
export function rankForRemoval(pods: readonly Pod[]): Pod[] {
  const remaining = new Map<string, number>();
  const phases = { Pending: 0, Unknown: 1, Running: 2, Succeeded: 0, Failed: 0 };
  for (const pod of pods) {
    const node = pod.spec.nodeName ?? '';
    remaining.set(node, (remaining.get(node) ?? 0) + 1);
  }
  /** The smaller, the sooner: unassigned, not started, not ready, the newest, then by name. */
  const rank = (pod: Pod): readonly (number | string)[] => [
    pod.spec.nodeName === undefined ? 0 : 1,
    phases[pod.status?.phase ?? 'Pending'],
    isReady(pod) ? 1 : 0,
    // A node that has several of them loses one before a node that has one.
    -(remaining.get(pod.spec.nodeName ?? '') ?? 0),
    -readySinceMs(pod),
    -createdMs(pod),
    pod.metadata.name,
  ];
  const left = [...pods];
  const ranked: Pod[] = [];
  // Taking one changes how doubled-up its node is, so the rest is ranked anew.
  while (left.length > 0) {
    let first = 0;
    for (let at = 1; at < left.length; at += 1) {
      const [one, other] = [left[at], left[first]];
      if (one !== undefined && other !== undefined && isBefore(rank(one), rank(other))) first = at;
    }
    const [pod] = left.splice(first, 1);
    if (pod === undefined) break;
    const node = pod.spec.nodeName ?? '';
    remaining.set(node, (remaining.get(node) ?? 1) - 1);
    ranked.push(pod);
  }
  return ranked;
}

function isBefore(
  left: readonly (number | string)[],
  right: readonly (number | string)[],
): boolean {
  for (const [position, value] of left.entries()) {
    const other = right[position];
    if (other !== undefined && value !== other) return value < other;
  }
  return false;
}
