/**
 * Decides whose end makes room for a pod of higher priority, with the least harm. Pure.
 *
 * Of the nodes where it helps, one is chosen by, in this order,
 *   1. fewest victims beyond what their budgets allow,
 *   2. the least important of the most important victims,
 *   3. the smallest sum of priorities of the victims,
 *   4. fewest victims,
 *   5. the most important victims having begun last; then the name.
 *
 * Invariants:
 * 1. A victim has less priority than the pod, and nobody ends who could have stayed.
 * 2. Pods that are ending anyway make room without being victims.
 * 3. No budget is counted on twice in one plan.
 */
import { hasRoom, type Room } from './filters.ts';
import { labelsHold } from './labels.ts';
import type { NeighbourCheck } from './neighbours.ts';
import type {
  Nomination,
  SchedulerBudget,
  SchedulerNode,
  SchedulerPlacedPod,
  SchedulerPod,
} from './types.ts';

export interface PreemptionCandidate {
  readonly node: SchedulerNode;
  /** What is free for the pod now, promises to other pods taken off. */
  readonly room: Room;
  /** Pods that earlier parts of the plan have chosen as victims. */
  readonly chosen: ReadonlySet<string>;
}

export interface Budgets {
  /** Whether taking the pod away is within its budgets, others of `taken` being away too. */
  isWithin(pod: SchedulerPlacedPod, taken: Map<SchedulerBudget, number>): boolean;
  /** The plan takes these away. */
  take(pods: readonly SchedulerPlacedPod[]): void;
}

export function createBudgets(all: readonly SchedulerBudget[]): Budgets {
  const left = new Map(all.map((budget) => [budget, budget.allowed]));
  const over = (pod: SchedulerPlacedPod): SchedulerBudget[] =>
    all.filter(
      ({ namespace, selector }) => namespace === pod.namespace && labelsHold(pod.labels, selector),
    );
  return {
    isWithin(pod, taken) {
      let isWithin = true;
      for (const budget of over(pod)) {
        const used = (taken.get(budget) ?? 0) + 1;
        taken.set(budget, used);
        if (used > (left.get(budget) ?? 0)) isWithin = false;
      }
      return isWithin;
    },
    take(pods) {
      for (const pod of pods) {
        for (const budget of over(pod)) left.set(budget, (left.get(budget) ?? 0) - 1);
      }
    },
  };
}

interface Option {
  readonly node: SchedulerNode;
  readonly victims: readonly SchedulerPlacedPod[];
  readonly violations: number;
}

/** Undefined where nobody's end would help. `check`: see `neighbours.ts`. */
export function planPreemption(
  candidates: Iterable<PreemptionCandidate>,
  pod: SchedulerPod,
  check: NeighbourCheck | undefined,
  budgets: Budgets,
):
  | { readonly nomination: Nomination; readonly victims: readonly SchedulerPlacedPod[] }
  | undefined {
  let best: Option | undefined;
  for (const candidate of candidates) {
    const option = optionOn(candidate, pod, check, budgets);
    if (option !== undefined && (best === undefined || isLessHarm(option, best))) best = option;
  }
  if (best === undefined) return undefined;
  const { node, victims } = best;
  budgets.take(victims);
  const nomination = { nodeName: node.name, victims: victims.map(({ uid }) => uid) };
  return { nomination, victims };
}

/** Whether the pod fits once those have gone that are on their way out. */
export function fitsOnceEnded(
  { node, room, chosen }: PreemptionCandidate,
  pod: SchedulerPod,
  check: NeighbourCheck | undefined,
): boolean {
  const going = node.pods.filter(({ uid, isEnding }) => isEnding || chosen.has(uid));
  if (going.length === 0) return false;
  return hasRoom(freed(room, going), pod) && check?.(node, going) === undefined;
}

function optionOn(
  { node, room, chosen }: PreemptionCandidate,
  pod: SchedulerPod,
  check: NeighbourCheck | undefined,
  budgets: Budgets,
): Option | undefined {
  const going: SchedulerPlacedPod[] = [];
  const lesser: SchedulerPlacedPod[] = [];
  for (const placed of node.pods) {
    if (placed.isEnding || chosen.has(placed.uid)) going.push(placed);
    else if (placed.priority < pod.priority) lesser.push(placed);
  }
  if (going.length + lesser.length === 0) return undefined;
  let gone = [...going, ...lesser];
  let free = freed(room, gone);
  const fits = (): boolean => hasRoom(free, pod) && check?.(node, gone) === undefined;
  if (!fits()) return undefined;
  lesser.sort(byImportance);
  const taken = new Map<SchedulerBudget, number>();
  const violating = new Set(lesser.filter((victim) => !budgets.isWithin(victim, taken)));
  const victims: SchedulerPlacedPod[] = [];
  // Those whose budget would be broken are the first to be let be.
  const order = [...violating, ...lesser.filter((victim) => !violating.has(victim))];
  for (const victim of order) {
    const before = { gone, free };
    gone = gone.filter((other) => other !== victim);
    free = freed(room, gone);
    if (fits()) continue;
    ({ gone, free } = before);
    victims.push(victim);
  }
  return {
    node,
    victims: victims.sort(byImportance),
    violations: victims.filter((victim) => violating.has(victim)).length,
  };
}

/** The more important, and then the longer there, the earlier. */
function byImportance(left: SchedulerPlacedPod, right: SchedulerPlacedPod): number {
  return (
    right.priority - left.priority || left.since - right.since || (left.uid < right.uid ? -1 : 1)
  );
}

function freed(room: Room, gone: readonly SchedulerPlacedPod[]): Room {
  const free = { ...room };
  for (const { requests } of gone) {
    free.cpuMilli += requests.cpuMilli;
    free.memoryBytes += requests.memoryBytes;
    free.pods += 1;
  }
  return free;
}

function isLessHarm(option: Option, other: Option): boolean {
  const [own, others] = [harmOf(option), harmOf(other)];
  for (const [index, harm] of own.entries()) {
    const difference = harm - (others[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return option.node.name < other.node.name;
}

function harmOf({ victims, violations }: Option): readonly number[] {
  const [first] = victims;
  // Room that comes by itself harms nobody.
  if (first === undefined) return [0, -Infinity, 0, 0, 0];
  let sum = 0;
  let begun = Infinity;
  for (const { priority, since } of victims) {
    sum += priority - prioritiesMin;
    if (priority === first.priority) begun = Math.min(begun, since);
  }
  return [violations, first.priority, sum, victims.length, -begun];
}

/** So that one more victim never makes a sum smaller. */
const prioritiesMin = -(2 ** 31);
