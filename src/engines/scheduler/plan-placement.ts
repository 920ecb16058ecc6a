/**
 * Decides where pending pods go. Pure: the same input gives the same plan.
 *
 * A node that passes all filters is preferred, in this order, by
 *   1. more of what the pod itself prefers, by weight,
 *   2. fewer pods of the same owner on the node,
 *   3. fewer pods of the same owner in the site,
 *   4. fewer taints it would rather have kept (`PreferNoSchedule`),
 *   5. the larger part of its cpu and memory still free,
 *   6. fewer pods on it,
 *   7. a hash of the pod's uid and the node's name, so that equal nodes are not
 *      always taken in the same order; then the name.
 *
 * Invariants:
 * 1. No node is given more than it has: what the plan itself placed counts.
 * 2. Every placement passes every filter.
 */
import { preferenceFor } from './affinity.ts';
import { standingReason, roomReasons, tolerates, type Room } from './filters.ts';
import type { Placement, PlacementInput, Plan, SchedulerNode, SchedulerPod } from './types.ts';

interface Candidate {
  readonly node: SchedulerNode;
  readonly room: Room;
  readonly nameHash: number;
}

/** How many pods of one owner there are, by node and by site. */
interface OwnerCounts {
  readonly byNode: Map<string, number>;
  readonly bySite: Map<string, number>;
}

export function planPlacement(input: PlacementInput): Plan {
  const candidates = input.nodes.map((node) => ({
    node,
    nameHash: hashOf(node.name),
    room: {
      cpuMilli: node.allocatable.cpuMilli - node.requested.cpuMilli,
      memoryBytes: node.allocatable.memoryBytes - node.requested.memoryBytes,
      pods: node.allocatable.podsMax - node.requested.pods,
    },
  }));
  const countsByOwner = new Map<string, OwnerCounts>();
  // Pods of one owner are alike: their standing filters are the same.
  const eligibleByShape = new Map<string, readonly (string | undefined)[]>();
  const placements = input.pods.map((pod): Placement => {
    const reasons = standingReasons(candidates, pod, eligibleByShape);
    const counts =
      pod.ownerUid === undefined ? undefined : ownerCounts(input, pod.ownerUid, countsByOwner);
    const best = bestOf(candidates, reasons, pod, counts);
    if (best === undefined) return unplaced(candidates, reasons, pod);
    best.room.cpuMilli -= pod.requests.cpuMilli;
    best.room.memoryBytes -= pod.requests.memoryBytes;
    best.room.pods -= 1;
    if (counts !== undefined) {
      add(counts.byNode, best.node.name, 1);
      add(counts.bySite, siteKey(best.node), 1);
    }
    return { type: 'placed', pod, nodeName: best.node.name };
  });
  return { placements };
}

function standingReasons(
  candidates: readonly Candidate[],
  pod: SchedulerPod,
  known: Map<string, readonly (string | undefined)[]>,
): readonly (string | undefined)[] {
  const { nodeSelector, nodesRequired, tolerations, platformsByContainer } = pod;
  const shape = JSON.stringify([nodeSelector, nodesRequired, tolerations, platformsByContainer]);
  let reasons = known.get(shape);
  if (reasons === undefined) {
    reasons = candidates.map((candidate) => standingReason(candidate.node, pod));
    known.set(shape, reasons);
  }
  return reasons;
}

function ownerCounts(
  input: PlacementInput,
  ownerUid: string,
  known: Map<string, OwnerCounts>,
): OwnerCounts {
  let counts = known.get(ownerUid);
  if (counts === undefined) {
    counts = { byNode: new Map(), bySite: new Map() };
    for (const node of input.nodes) {
      const pods = Object.hasOwn(node.podsByOwner, ownerUid)
        ? (node.podsByOwner[ownerUid] ?? 0)
        : 0;
      if (pods === 0) continue;
      add(counts.byNode, node.name, pods);
      add(counts.bySite, siteKey(node), pods);
    }
    known.set(ownerUid, counts);
  }
  return counts;
}

function bestOf(
  candidates: readonly Candidate[],
  reasons: readonly (string | undefined)[],
  pod: SchedulerPod,
  counts: OwnerCounts | undefined,
): Candidate | undefined {
  const podHash = hashOf(pod.uid);
  let best: Candidate | undefined;
  let bestScore: readonly number[] = [];
  for (const [index, candidate] of candidates.entries()) {
    if (reasons[index] !== undefined || roomReasons(candidate.room, pod).length > 0) continue;
    const onNode = counts?.byNode.get(candidate.node.name) ?? 0;
    // Most candidates lose here already.
    const isLess = pod.nodesPreferred === undefined && onNode > (bestScore[1] ?? 0);
    if (best !== undefined && isLess) continue;
    const score = scoreOf(candidate, pod, counts, onNode, podHash);
    if (best === undefined || isBetter(score, bestScore, candidate, best)) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}

/** Less is better, from the first number on. */
function scoreOf(
  { node, room, nameHash }: Candidate,
  pod: SchedulerPod,
  counts: OwnerCounts | undefined,
  onNode: number,
  podHash: number,
): readonly number[] {
  const inSite = counts?.bySite.get(siteKey(node)) ?? 0;
  let unwanted = 0;
  for (const taint of node.taints) {
    if (taint.effect === 'PreferNoSchedule' && !tolerates(pod.tolerations, taint)) unwanted += 1;
  }
  const cpuFree = partOf(room.cpuMilli - pod.requests.cpuMilli, node.allocatable.cpuMilli);
  const memoryFree = partOf(
    room.memoryBytes - pod.requests.memoryBytes,
    node.allocatable.memoryBytes,
  );
  // In hundredths: a small difference should not decide against the number of pods.
  const used = 100 - Math.round(50 * (cpuFree + memoryFree));
  const pods = node.allocatable.podsMax - room.pods;
  const unpreferred = pod.nodesPreferred === undefined ? 0 : -preferenceFor(node, pod);
  const luck = Math.imul(nameHash ^ podHash, 0x9e3779b1) >>> 0;
  return [unpreferred, onNode, inSite, unwanted, used, pods, luck];
}

function isBetter(
  score: readonly number[],
  other: readonly number[],
  candidate: Candidate,
  best: Candidate,
): boolean {
  for (let index = 0; index < score.length; index += 1) {
    const difference = (score[index] ?? 0) - (other[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return candidate.node.name < best.node.name;
}

function unplaced(
  candidates: readonly Candidate[],
  standing: readonly (string | undefined)[],
  pod: SchedulerPod,
): Placement {
  const counts = new Map<string, number>();
  for (const [index, candidate] of candidates.entries()) {
    const reason = standing[index];
    const reasons = reason === undefined ? roomReasons(candidate.room, pod) : [reason];
    for (const each of reasons) add(counts, each, 1);
  }
  const sorted = [...counts].sort(([left], [right]) => (left < right ? -1 : 1));
  const texts = sorted.map(([reason, count]) => `${count} ${reason}`);
  const detail = texts.length === 0 ? ' no nodes have joined' : ` ${texts.join(', ')}`;
  return {
    type: 'unplaced',
    pod,
    message: `0/${candidates.length} nodes are available:${detail}.`,
    nodesByReason: Object.fromEntries(sorted),
  };
}

function partOf(free: number, all: number): number {
  return all <= 0 ? 0 : Math.max(0, free / all);
}

function siteKey(node: SchedulerNode): string {
  return `${node.region}/${node.site}`;
}

function add(counts: Map<string, number>, key: string, step: number): void {
  counts.set(key, (counts.get(key) ?? 0) + step);
}

/** FNV-1a over UTF-16 code units. */
function hashOf(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
