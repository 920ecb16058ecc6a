/**
 * How many replicas each replica set of a deployment should have now.
 *
 * Carried out step by step, with every set's status following its specification:
 * 1. there are never more than replicas + maxSurge pods;
 * 2. while it rolls, no step takes the available pods below replicas − maxUnavailable;
 * 3. it ends with all replicas in the new set.
 */
import type { CountOrPercent, DeploymentStrategy } from '#platform/api/mod.ts';

export interface ReplicaSetFacts {
  readonly name: string;
  /** What it was told to keep. */
  readonly wanted: number;
  /** Pods that it has, as it reported last. */
  readonly existing: number;
  /** Of these, pods that do their work. */
  readonly available: number;
}

export interface RolloutFacts {
  readonly replicas: number;
  readonly strategy: DeploymentStrategy;
  readonly paused: boolean;
  /** The set with the present template; undefined where there is none yet. */
  readonly current: ReplicaSetFacts | undefined;
  /** Oldest first. */
  readonly older: readonly ReplicaSetFacts[];
  /** Whether any pod of an older set has yet to end, on its way out included. */
  readonly olderPodsRemain: boolean;
}

export interface RolloutPlan {
  /** For the current set, or a set still to be made; undefined: do not make one now. */
  readonly current: number | undefined;
  /** Only sets whose number changes. */
  readonly older: readonly { readonly name: string; readonly replicas: number }[];
}

export interface RolloutBounds {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/** Counts from percentages: the surge is rounded up, the unavailable down, and one is above 0. */
export function rolloutBounds(replicas: number, strategy: DeploymentStrategy): RolloutBounds {
  if (strategy.type === 'Recreate') return { maxSurge: 0, maxUnavailable: replicas };
  const { maxSurge = '25%', maxUnavailable = '25%' } = strategy.rollingUpdate ?? {};
  const surge = countOf(maxSurge, replicas, Math.ceil);
  const unavailable = Math.min(replicas, countOf(maxUnavailable, replicas, Math.floor));
  // Small percentages of few replicas round to nothing; then nothing could ever move.
  return {
    maxSurge: surge,
    maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable,
  };
}

function countOf(
  bound: CountOrPercent,
  replicas: number,
  round: (value: number) => number,
): number {
  if (typeof bound === 'number') return bound;
  return round((Number.parseInt(bound, 10) * replicas) / 100);
}

export function planReplicas(facts: RolloutFacts): RolloutPlan {
  if (facts.paused) return planPaused(facts);
  return facts.strategy.type === 'Recreate' ? planRecreate(facts) : planRolling(facts);
}

function planRecreate({ replicas, current, older, olderPodsRemain }: RolloutFacts): RolloutPlan {
  const stopped = older
    .filter((set) => set.wanted > 0)
    .map((set) => ({ name: set.name, replicas: 0 }));
  const wait = stopped.length > 0 || olderPodsRemain;
  return { current: wait ? current?.wanted : replicas, older: stopped };
}

function planRolling(facts: RolloutFacts): RolloutPlan {
  const { replicas, current, older } = facts;
  const bounds = rolloutBounds(replicas, facts.strategy);
  return {
    current: currentOfRolling(replicas, bounds, current, older),
    older: olderOfRolling(replicas, bounds, current, older),
  };
}

/** A set that was told to shrink still has its pods until it says otherwise. */
function occupied(set: ReplicaSetFacts): number {
  return Math.max(set.wanted, set.existing);
}

/** Of the available pods, those that will still be there when the set has done as it was told. */
function lastingAvailable(set: ReplicaSetFacts): number {
  return Math.min(set.wanted, set.available);
}

function sum(sets: readonly ReplicaSetFacts[], of: (set: ReplicaSetFacts) => number): number {
  return sets.reduce((total, set) => total + of(set), 0);
}

function currentOfRolling(
  replicas: number,
  { maxSurge }: RolloutBounds,
  current: ReplicaSetFacts | undefined,
  older: readonly ReplicaSetFacts[],
): number {
  const wanted = current?.wanted ?? 0;
  if (wanted >= replicas) return replicas;
  const others = sum(older, occupied) + (current === undefined ? 0 : occupied(current) - wanted);
  const room = replicas + maxSurge - others - wanted;
  return wanted + Math.max(0, Math.min(room, replicas - wanted));
}

function olderOfRolling(
  replicas: number,
  { maxUnavailable }: RolloutBounds,
  current: ReplicaSetFacts | undefined,
  older: readonly ReplicaSetFacts[],
): { name: string; replicas: number }[] {
  const all = current === undefined ? older : [...older, current];
  const left = new Map(older.map((set) => [set.name, set.wanted]));
  const minAvailable = replicas - maxUnavailable;
  // Pods that do no work go first, oldest template first. But not all at once: they may
  // only be out of touch, and the new ones have yet to show that they do better.
  let idle = sum(older, (set) => set.wanted) - minAvailable;
  idle += current === undefined ? 0 : lastingAvailable(current);
  for (const set of older) {
    const goes = Math.max(0, Math.min(idle, set.wanted - lastingAvailable(set)));
    left.set(set.name, set.wanted - goes);
    idle -= goes;
  }
  let spare = sum(all, lastingAvailable) - minAvailable;
  for (const set of older) {
    const stays = left.get(set.name) ?? 0;
    const goes = Math.max(0, Math.min(spare, stays, lastingAvailable(set)));
    left.set(set.name, stays - goes);
    spare -= goes;
  }
  return older
    .filter((set) => left.get(set.name) !== set.wanted)
    .map((set) => ({ name: set.name, replicas: left.get(set.name) ?? 0 }));
}

/**
 * A paused rollout keeps its proportions: when the number of replicas changes,
 * every set that has some takes its part of the change.
 */
function planPaused({ replicas, strategy, current, older }: RolloutFacts): RolloutPlan {
  const sets = current === undefined ? [...older] : [...older, current];
  const active = sets.filter((set) => set.wanted > 0);
  const only = active[0] ?? current;
  const targets = new Map(sets.map((set) => [set.name, set.wanted]));
  if (active.length <= 1) {
    if (only !== undefined) targets.set(only.name, replicas);
  } else {
    const total = sum(active, (set) => set.wanted);
    const { maxSurge } = rolloutBounds(replicas, strategy);
    const most = replicas === 0 ? 0 : replicas + maxSurge;
    const goal = total > most ? most : Math.max(total, replicas);
    for (const [name, share] of sharesOf(active, goal)) targets.set(name, share);
  }
  return {
    current: current === undefined ? undefined : (targets.get(current.name) ?? 0),
    older: older
      .filter((set) => targets.get(set.name) !== set.wanted)
      .map((set) => ({ name: set.name, replicas: targets.get(set.name) ?? 0 })),
  };
}

/** `goal` divided in proportion to what each set has; the largest remainders are rounded up. */
function sharesOf(sets: readonly ReplicaSetFacts[], goal: number): Map<string, number> {
  const total = sum(sets, (set) => set.wanted);
  const shares = new Map<string, number>();
  const remainders: { name: string; remainder: number }[] = [];
  let given = 0;
  for (const set of sets) {
    const exact = (goal * set.wanted) / total;
    shares.set(set.name, Math.floor(exact));
    given += Math.floor(exact);
    remainders.push({ name: set.name, remainder: exact - Math.floor(exact) });
  }
  remainders.sort((left, right) => right.remainder - left.remainder);
  for (const { name } of remainders.slice(0, goal - given)) {
    shares.set(name, (shares.get(name) ?? 0) + 1);
  }
  return shares;
}
