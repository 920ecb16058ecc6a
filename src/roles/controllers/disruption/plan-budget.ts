/**
 * What a PodDisruptionBudget allows now, from the pods that it selects. Pure.
 *
 * Invariants:
 * 1. A pod whose eviction was let through does not count as healthy until it has
 *    gone, or until it is clear that it does not go.
 * 2. Where it is not known how many pods there should be, nothing is allowed.
 */
import {
  type Condition,
  conditionOf,
  type CountOrPercent,
  type Pod,
  type PodDisruptionBudget,
  type PodDisruptionBudgetStatus,
  wallMsOf,
} from '#platform/api/mod.ts';
import { hasEnded, isReady } from '../shared/pod-state.ts';
import { isDeleting } from '../shared/ownership.ts';

/** An eviction that has not become a deletion after this long has come to nothing. */
const disruptionTimeoutMs = 2 * 60_000;

export interface BudgetFacts {
  readonly budget: PodDisruptionBudget;
  /** Those that the budget selects. */
  readonly pods: readonly Pod[];
  /** How many pods their workloads want together, or why that is not known. */
  readonly wanted: { readonly count: number } | { readonly unknown: string };
  readonly nowMs: number;
  /** `nowMs` in RFC 3339. */
  readonly now: string;
}

export interface BudgetPlan {
  readonly status: PodDisruptionBudgetStatus;
  /** Pods whose eviction has come to nothing. */
  readonly notDeleted: readonly string[];
  /** Why nothing could be counted. */
  readonly failure: string | undefined;
  readonly againAfterMs: number | undefined;
}

export function planBudget({ budget, pods, wanted, nowMs, now }: BudgetFacts): BudgetPlan {
  const counted = pods.filter((pod) => !hasEnded(pod));
  const { spec, status: before } = budget;
  const disrupted = disruptedPods(before?.disruptedPods ?? {}, counted, nowMs);
  const currentHealthy = counted.filter(
    (pod) => isReady(pod) && !isDeleting(pod) && disrupted.kept[pod.metadata.name] === undefined,
  ).length;
  const expected = expectation(spec, counted.length, wanted);
  const failure = 'unknown' in expected ? expected.unknown : undefined;
  const { expectedPods, desiredHealthy } =
    'unknown' in expected ? { expectedPods: 0, desiredHealthy: 0 } : expected;
  const room = currentHealthy - desiredHealthy;
  const disruptionsAllowed = failure !== undefined || expectedPods <= 0 ? 0 : Math.max(0, room);
  const { generation = 0 } = budget.metadata;
  const status: PodDisruptionBudgetStatus = {
    observedGeneration: generation,
    ...(Object.keys(disrupted.kept).length === 0 ? {} : { disruptedPods: disrupted.kept }),
    disruptionsAllowed,
    currentHealthy,
    desiredHealthy,
    expectedPods,
    conditions: conditionsOf(before?.conditions, disruptionsAllowed, failure, now, generation),
  };
  const { notDeleted, againAfterMs } = disrupted;
  return { status, notDeleted, failure, againAfterMs };
}

type Expectation =
  | { readonly expectedPods: number; readonly desiredHealthy: number }
  | { readonly unknown: string };

function expectation(
  { minAvailable, maxUnavailable }: PodDisruptionBudget['spec'],
  present: number,
  wanted: BudgetFacts['wanted'],
): Expectation {
  if (maxUnavailable !== undefined) {
    if ('unknown' in wanted) return wanted;
    const { count } = wanted;
    return {
      expectedPods: count,
      desiredHealthy: Math.max(0, count - boundOf(maxUnavailable, count)),
    };
  }
  if (typeof minAvailable === 'string') {
    if ('unknown' in wanted) return wanted;
    return { expectedPods: wanted.count, desiredHealthy: boundOf(minAvailable, wanted.count) };
  }
  return { expectedPods: present, desiredHealthy: minAvailable ?? 0 };
}

/** A part of a pod is a pod. */
function boundOf(bound: CountOrPercent, count: number): number {
  return typeof bound === 'number' ? bound : Math.ceil((Number.parseInt(bound, 10) * count) / 100);
}

/** The evictions that are still under way. */
function disruptedPods(
  known: Readonly<Record<string, string>>,
  pods: readonly Pod[],
  nowMs: number,
): {
  readonly kept: Record<string, string>;
  readonly notDeleted: readonly string[];
  readonly againAfterMs: number | undefined;
} {
  const kept: Record<string, string> = {};
  const notDeleted: string[] = [];
  let againAfterMs: number | undefined;
  for (const { metadata } of pods) {
    const since = known[metadata.name];
    if (since === undefined || metadata.deletionTimestamp !== undefined) continue;
    const leftMs = (wallMsOf(since) ?? 0) + disruptionTimeoutMs - nowMs;
    if (leftMs <= 0) {
      notDeleted.push(metadata.name);
      continue;
    }
    kept[metadata.name] = since;
    againAfterMs = Math.min(againAfterMs ?? leftMs, leftMs);
  }
  return { kept, notDeleted, againAfterMs };
}

function conditionsOf(
  before: readonly Condition[] = [],
  allowed: number,
  failure: string | undefined,
  now: string,
  observedGeneration: number,
): Condition[] {
  const type = 'DisruptionAllowed';
  const known = conditionOf(before, type);
  const status = allowed > 0 ? 'True' : 'False';
  const reason =
    failure !== undefined ? 'SyncFailed' : allowed > 0 ? 'SufficientPods' : 'InsufficientPods';
  const lastTransitionTime = known?.status === status ? (known.lastTransitionTime ?? now) : now;
  const condition = {
    type,
    status,
    reason,
    message: failure ?? '',
    lastTransitionTime,
    observedGeneration,
  } as const;
  return [...before.filter((other) => other.type !== type), condition];
}
