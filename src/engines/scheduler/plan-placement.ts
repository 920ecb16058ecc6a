/**
 * Decides where pending pods go. Pure: the same input gives the same plan.
 *
 * A node that passes all filters is preferred, in this order, by
 *   1. more of what the pod itself prefers of nodes and of its neighbours, by weight,
 *   2. a more even spread, where the pod asks for one,
 *   3. fewer pods of the same owner on the node,
 *   4. fewer pods of the same owner in the site,
 *   5. fewer taints it would rather have kept (`PreferNoSchedule`),
 *   6. the larger part of its cpu and memory still free, where also those that ask for
 *      nothing count,
 *   7. fewer pods on it,
 *   8. a hash of the pod's uid and the node's name, so that equal nodes are not
 *      always taken in the same order; then the name.
 *
 * Invariants:
 * 1. No node is given more than it has: what the plan itself placed counts.
 * 2. Every placement passes every filter.
 * 3. Room that is being made for a pod is not given to one of less priority.
 */
import { hasRoom, standingReason, roomReasons, type Room } from './filters.ts';
import { createNeighbours, type NeighbourCheck, type Neighbours } from './neighbours.ts';
import {
  type Budgets,
  createBudgets,
  fitsOnceEnded,
  planPreemption,
  type PreemptionCandidate,
} from './preemption.ts';
import {
  type Candidate,
  hashOf,
  type OwnerCounts,
  scoreOf,
  loadOf,
  type Wishes,
} from './ranking.ts';
import type {
  Nomination,
  Placement,
  PlacementInput,
  Plan,
  SchedulerNode,
  SchedulerPod,
} from './types.ts';

/** What the planning of one pod after the other goes by. */
interface Planning {
  readonly candidates: readonly Candidate[];
  readonly byName: ReadonlyMap<string, Candidate>;
  readonly neighbours: Neighbours;
  readonly budgets: Budgets;
  readonly countsByOwner: Map<string, OwnerCounts>;
  // Pods of one owner are alike: their standing filters are the same.
  readonly eligibleByShape: Map<string, readonly (string | undefined)[]>;
  /** Of pods whose like has been looked for in vain since the plan last made room. */
  readonly vain: Set<string>;
  /** The lowest priority of the pods that have a node. */
  readonly priorityMin: number;
  preemptionsLeft: number;
}

/** To look for victims on every node costs; what is beyond this is tried again. */
const preemptionsMax = 64;

export function planPlacement(input: PlacementInput): Plan {
  const planning = begin(input);
  const placements = input.pods.map((pod) => place(planning, input, pod));
  return { placements };
}

function begin(input: PlacementInput): Planning {
  let priorityMin = Infinity;
  const positions = new Map(
    input.nodes
      .map(({ name }) => name)
      .toSorted((left, right) => (left < right ? -1 : 1))
      .map((name, position) => [name, position]),
  );
  const candidates = input.nodes.map((node): Candidate => {
    for (const { priority } of node.pods) priorityMin = Math.min(priorityMin, priority);
    const load = node.load ?? node.requested;
    return {
      node,
      nameHash: hashOf(node.name),
      site: siteKey(node),
      position: positions.get(node.name) ?? 0,
      room: {
        cpuMilli: node.allocatable.cpuMilli - node.requested.cpuMilli,
        memoryBytes: node.allocatable.memoryBytes - node.requested.memoryBytes,
        pods: node.allocatable.podsMax - node.requested.pods,
      },
      spare: {
        cpuMilli: node.allocatable.cpuMilli - load.cpuMilli,
        memoryBytes: node.allocatable.memoryBytes - load.memoryBytes,
      },
      promised: [],
      chosen: new Set(),
    };
  });
  const byName = new Map(candidates.map((candidate) => [candidate.node.name, candidate]));
  for (const nominee of input.nominees ?? []) {
    byName.get(nominee.nodeName)?.promised.push(nominee);
  }
  return {
    candidates,
    byName,
    neighbours: createNeighbours(input.nodes),
    budgets: createBudgets(input.budgets ?? []),
    countsByOwner: new Map(),
    eligibleByShape: new Map(),
    vain: new Set(),
    priorityMin,
    preemptionsLeft: preemptionsMax,
  };
}

function place(planning: Planning, input: PlacementInput, pod: SchedulerPod): Placement {
  const { candidates, neighbours, countsByOwner, eligibleByShape } = planning;
  const reasons = standingReasons(candidates, pod, eligibleByShape);
  const counts =
    pod.ownerUid === undefined ? undefined : ownerCounts(input, pod.ownerUid, countsByOwner);
  const wishes: Wishes = {
    counts,
    check: neighbours.checkFor(pod),
    score: neighbours.scoreFor(pod),
  };
  const best = bestOf(candidates, reasons, pod, wishes);
  if (best === undefined) return unplaced(planning, reasons, pod, wishes.check);
  best.room.cpuMilli -= pod.requests.cpuMilli;
  best.room.memoryBytes -= pod.requests.memoryBytes;
  best.room.pods -= 1;
  const load = loadOf(pod);
  best.spare.cpuMilli -= load.cpuMilli;
  best.spare.memoryBytes -= load.memoryBytes;
  if (counts !== undefined) {
    add(counts.byNode, best.node.name, 1);
    add(counts.bySite, best.site, 1);
  }
  neighbours.placed(pod, best.node);
  if (pod.nominatedNode !== undefined) forgetPromise(planning, pod);
  return { type: 'placed', pod, nodeName: best.node.name };
}

function forgetPromise({ byName }: Planning, { uid, nominatedNode = '' }: SchedulerPod): void {
  const promised = byName.get(nominatedNode)?.promised;
  const at = promised?.findIndex((nominee) => nominee.uid === uid) ?? -1;
  if (at >= 0) promised?.splice(at, 1);
}

/** What the pod may take: what is promised to others of its priority or more is not there for it. */
function roomFor({ room, promised }: Candidate, pod: SchedulerPod): Room {
  if (promised.length === 0) return room;
  let left = room;
  for (const { uid, priority, requests } of promised) {
    if (uid === pod.uid || priority < pod.priority) continue;
    left = {
      cpuMilli: left.cpuMilli - requests.cpuMilli,
      memoryBytes: left.memoryBytes - requests.memoryBytes,
      pods: left.pods - 1,
    };
  }
  return left;
}

const noneGone: readonly never[] = [];

function standingReasons(
  candidates: readonly Candidate[],
  pod: SchedulerPod,
  known: Map<string, readonly (string | undefined)[]>,
): readonly (string | undefined)[] {
  const shape = shapeOf(pod);
  let reasons = known.get(shape);
  if (reasons === undefined) {
    reasons = candidates.map((candidate) => standingReason(candidate.node, pod));
    known.set(shape, reasons);
  }
  return reasons;
}

function shapeOf(pod: SchedulerPod): string {
  const { nodeSelector, nodesRequired, tolerations, platformsByContainer, runtime } = pod;
  return JSON.stringify([nodeSelector, nodesRequired, tolerations, platformsByContainer, runtime]);
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
  wishes: Wishes,
): Candidate | undefined {
  const { counts, check, score: neighbourScore } = wishes;
  const podHash = hashOf(pod.uid);
  const isIndifferent = pod.nodesPreferred === undefined && neighbourScore === undefined;
  let best: Candidate | undefined;
  let bestScore: readonly number[] = [];
  for (let index = 0; index < candidates.length; index += 1) {
    const candidate = candidates[index];
    if (candidate === undefined || reasons[index] !== undefined) continue;
    const onNode = counts?.byNode.get(candidate.node.name) ?? 0;
    // Most candidates lose here already.
    if (best !== undefined && isIndifferent && onNode > (bestScore[2] ?? 0)) continue;
    if (!hasRoom(roomFor(candidate, pod), pod)) continue;
    if (check?.(candidate.node, noneGone) !== undefined) continue;
    const score = scoreOf(candidate, pod, wishes, onNode, podHash, bestScore);
    if (score === undefined) continue;
    best = candidate;
    bestScore = score;
  }
  return best;
}

function unplaced(
  planning: Planning,
  standing: readonly (string | undefined)[],
  pod: SchedulerPod,
  check: NeighbourCheck | undefined,
): Placement {
  const { candidates } = planning;
  const counts = new Map<string, number>();
  for (const [index, candidate] of candidates.entries()) {
    for (const reason of reasonsOf(candidate, standing[index], pod, check)) add(counts, reason, 1);
  }
  const sorted = [...counts].sort(([left], [right]) => (left < right ? -1 : 1));
  const texts = sorted.map(([reason, count]) => `${count} ${reason}`);
  const detail = texts.length === 0 ? ' no nodes have joined' : ` ${texts.join(', ')}`;
  const { note, ...more } = roomMadeFor(planning, standing, pod, check);
  return {
    type: 'unplaced',
    pod,
    message: `0/${candidates.length} nodes are available:${detail}.${note}`,
    nodesByReason: Object.fromEntries(sorted),
    ...more,
  };
}

function reasonsOf(
  candidate: Candidate,
  standing: string | undefined,
  pod: SchedulerPod,
  check: NeighbourCheck | undefined,
): readonly string[] {
  if (standing !== undefined) return [standing];
  const room = roomReasons(roomFor(candidate, pod), pod);
  if (room.length > 0) return room;
  const reason = check?.(candidate.node, noneGone);
  return reason === undefined ? [] : [reason];
}

interface RoomMade {
  /** Behind the message, where the pod is more important than some that have a node. */
  readonly note: string;
  readonly nomination?: Nomination;
  readonly isToTryAgain?: true;
}

/** Chooses pods that are to end for this one, where that helps. */
function roomMadeFor(
  planning: Planning,
  standing: readonly (string | undefined)[],
  pod: SchedulerPod,
  check: NeighbourCheck | undefined,
): RoomMade {
  const { candidates, budgets, vain } = planning;
  if (pod.priority <= planning.priorityMin) return { note: '' };
  const none = ` preemption: 0/${candidates.length} nodes are available`;
  if (!pod.mayPreempt) {
    return { note: ' preemption: not eligible due to preemptionPolicy=Never.' };
  }
  const waitsFor = endingFor(planning, standing, pod, check);
  if (waitsFor !== undefined) {
    return {
      note: ' preemption: not eligible due to a terminating pod on the nominated node.',
      nomination: { nodeName: waitsFor, victims: [] },
    };
  }
  const like = JSON.stringify([shapeOf(pod), pod.priority, pod.requests]);
  if (check === undefined && vain.has(like)) return { note: `${none}: ${noVictims}` };
  if (planning.preemptionsLeft === 0) return { note: '', isToTryAgain: true };
  planning.preemptionsLeft -= 1;
  const possible = candidates.filter((_candidate, index) => standing[index] === undefined);
  const found = planPreemption(
    possible.map((candidate) => forPreemption(candidate, pod)),
    pod,
    check,
    budgets,
  );
  if (found === undefined) {
    vain.add(like);
    return { note: `${none}: ${noVictims}` };
  }
  const { nomination, victims } = found;
  forgetPromise(planning, pod);
  const { uid, priority, requests } = pod;
  const candidate = planning.byName.get(nomination.nodeName);
  candidate?.promised.push({ uid, nodeName: nomination.nodeName, priority, requests });
  for (const victim of victims) candidate?.chosen.add(victim.uid);
  vain.clear();
  return { note: '', nomination };
}

const noVictims = 'No preemption victims found for incoming pod.';

/** The node on which pods are already ending for this one. */
function endingFor(
  { byName, candidates }: Planning,
  standing: readonly (string | undefined)[],
  pod: SchedulerPod,
  check: NeighbourCheck | undefined,
): string | undefined {
  const { nominatedNode } = pod;
  const candidate = nominatedNode === undefined ? undefined : byName.get(nominatedNode);
  if (candidate === undefined || standing[candidates.indexOf(candidate)] !== undefined) {
    return undefined;
  }
  return fitsOnceEnded(forPreemption(candidate, pod), pod, check) ? nominatedNode : undefined;
}

function forPreemption(candidate: Candidate, pod: SchedulerPod): PreemptionCandidate {
  const { node, chosen } = candidate;
  return { node, room: roomFor(candidate, pod), chosen };
}

function siteKey(node: SchedulerNode): string {
  return `${node.region}/${node.site}`;
}

function add(counts: Map<string, number>, key: string, step: number): void {
  counts.set(key, (counts.get(key) ?? 0) + step);
}
