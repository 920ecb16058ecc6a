/**
 * Which of two nodes that are both possible is the better one for a pod: the order is at
 * the top of `plan-placement.ts`.
 */
import { preferenceFor } from './affinity.ts';
import { type Room, tolerates } from './filters.ts';
import type { NeighbourCheck, NeighbourScore } from './neighbours.ts';
import type { Amounts, SchedulerNode, SchedulerNominee, SchedulerPod } from './types.ts';

export interface Candidate {
  readonly node: SchedulerNode;
  readonly room: Room;
  /** What is left of the node where nodes are compared. */
  readonly spare: { cpuMilli: number; memoryBytes: number };
  readonly nameHash: number;
  /** Its site with its region. */
  readonly site: string;
  /** Among all nodes by their names. */
  readonly position: number;
  /** Pods that room is being made for here. */
  readonly promised: SchedulerNominee[];
  /** Pods that are to end for others. */
  readonly chosen: Set<string>;
}

/** How many pods of one owner there are, by node and by site. */
export interface OwnerCounts {
  readonly byNode: Map<string, number>;
  readonly bySite: Map<string, number>;
}

/** What differs from pod to pod of one shape. */
export interface Wishes {
  readonly counts: OwnerCounts | undefined;
  readonly check: NeighbourCheck | undefined;
  readonly score: NeighbourScore | undefined;
}

/**
 * Less is better, from the first number on. Undefined where it is no better than `best`,
 * which is told as soon as one number says so.
 */
export function scoreOf(
  candidate: Candidate,
  pod: SchedulerPod,
  wishes: Wishes,
  onNode: number,
  podHash: number,
  best: readonly number[],
): readonly number[] | undefined {
  const score: number[] = [];
  let isAhead = best.length === 0;
  for (let rank = 0; rank < ranksCount; rank += 1) {
    const value = rankOf(rank, candidate, pod, wishes, onNode, podHash);
    if (!isAhead) {
      const other = best[rank] ?? 0;
      if (value > other) return undefined;
      isAhead = value < other;
    }
    score.push(value);
  }
  return isAhead ? score : undefined;
}

/** As at the top of `plan-placement.ts`; the last is the name of the node. */
const ranksCount = 9;

function rankOf(
  rank: number,
  { node, room, spare, nameHash, site, position }: Candidate,
  pod: SchedulerPod,
  { counts, score }: Wishes,
  onNode: number,
  podHash: number,
): number {
  switch (rank) {
    case 0:
      return (
        (pod.nodesPreferred === undefined ? 0 : -preferenceFor(node, pod)) +
        (score === undefined ? 0 : score(node)[0])
      );
    case 1:
      return score === undefined ? 0 : score(node)[1];
    case 2:
      return onNode;
    case 3:
      return counts?.bySite.get(site) ?? 0;
    case 4:
      return unwantedTaints(node, pod);
    case 5: {
      const { cpuMilli, memoryBytes } = node.allocatable;
      const load = loadOf(pod);
      const cpuFree = partOf(spare.cpuMilli - load.cpuMilli, cpuMilli);
      const memoryFree = partOf(spare.memoryBytes - load.memoryBytes, memoryBytes);
      // In hundredths: a small difference should not decide against the number of pods.
      return 100 - Math.round(50 * (cpuFree + memoryFree));
    }
    case 6:
      return node.allocatable.podsMax - room.pods;
    case 7:
      return Math.imul(nameHash ^ podHash, 0x9e3779b1) >>> 0;
    default:
      return position;
  }
}

/** What the pod takes of what is left where nodes are compared. */
export function loadOf({ load, requests }: SchedulerPod): Amounts {
  return load ?? requests;
}

function unwantedTaints({ taints }: SchedulerNode, { tolerations }: SchedulerPod): number {
  let unwanted = 0;
  for (const taint of taints) {
    if (taint.effect === 'PreferNoSchedule' && !tolerates(tolerations, taint)) unwanted += 1;
  }
  return unwanted;
}

function partOf(free: number, all: number): number {
  return all <= 0 ? 0 : Math.max(0, free / all);
}

/** FNV-1a over UTF-16 code units. */
export function hashOf(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
