/**
 * How many pods one metric asks for, from what the pods use. Pure. The rules are those
 * that Kubernetes documents for its autoscaler.
 *
 * Invariants:
 * 1. A pod that was not measured, or that only starts, never makes the number change more:
 *    where pods are too many it counts as if it used its target, where they are too few
 *    as if it used nothing; and where that turns the answer round, nothing changes.
 * 2. Within the tolerance nothing changes.
 */
import { createdMs, isReady, readySinceMs } from '../shared/pod-state.ts';
import {
  conditionOf,
  type MetricTarget,
  milliUnitsOf,
  type Pod,
  tryParseQuantity,
  wallMsOf,
} from '#platform/api/mod.ts';

/** What one pod uses of the resource, in thousandths of its unit. */
export interface PodSample {
  readonly milli: number;
  readonly atMs: number;
  readonly windowMs: number;
}

export interface MetricFacts {
  /** `cpu` or `memory`. */
  readonly resource: string;
  /** Only this container of each pod; all of them where absent. */
  readonly container: string | undefined;
  readonly target: MetricTarget;
  /** Of the workload: what its selector selects. */
  readonly pods: readonly Pod[];
  /** By name of the pod; one that is not here was not measured. */
  readonly samples: ReadonlyMap<string, PodSample>;
  readonly currentReplicas: number;
  /** As a part of one: 0.1. */
  readonly toleranceUp: number;
  readonly toleranceDown: number;
  readonly nowMs: number;
}

export type Proposal =
  | {
      readonly type: 'proposed';
      readonly replicas: number;
      /** Of the pods that count, on average. */
      readonly averageMilli: number;
      /** Percent of what they request; undefined where the target is a value. */
      readonly utilization: number | undefined;
    }
  | { readonly type: 'unknown'; readonly message: string };

/** For so long after its start a pod may need more processor time than it will later. */
const initializationMs = 5 * 60_000;
/** A pod that was never ready becomes so later than this after its start. */
const initialReadinessMs = 30_000;

export function proposeReplicas(facts: MetricFacts): Proposal {
  const groups = groupPods(facts);
  if (typeof groups === 'string') return { type: 'unknown', message: groups };
  const { ready, missing, unready } = groups;
  if (ready.size === 0) {
    const message = `unable to get metrics for resource ${facts.resource}: no metrics returned for the pods that count`;
    return { type: 'unknown', message };
  }
  const { currentReplicas } = facts;
  const first = ratioOf(ready, facts);
  const told = { averageMilli: first.averageMilli, utilization: first.utilization };
  const proposed = (replicas: number): Proposal => ({ type: 'proposed', replicas, ...told });
  const countsUnready = unready.size > 0 && first.ratio > 1;
  if (!countsUnready && missing.size === 0) {
    if (isWithin(first.ratio, facts)) return proposed(currentReplicas);
    return proposed(roundUp(first.ratio * ready.size));
  }
  const all = new Map(ready);
  for (const [name, requested] of missing) {
    if (first.ratio < 1) all.set(name, { requested, milli: atTarget(facts, requested) });
    else if (first.ratio > 1) all.set(name, { requested, milli: 0 });
  }
  if (countsUnready) {
    for (const [name, requested] of unready) all.set(name, { requested, milli: 0 });
  }
  const second = ratioOf(all, facts);
  const isTurned = first.ratio < 1 ? second.ratio > 1 : second.ratio < 1;
  if (isWithin(second.ratio, facts) || isTurned) return proposed(currentReplicas);
  const replicas = roundUp(second.ratio * all.size);
  const goesBack = second.ratio < 1 ? replicas > currentReplicas : replicas < currentReplicas;
  return proposed(goesBack ? currentReplicas : replicas);
}

interface Used {
  readonly milli: number;
  /** 0 where the target is a value. */
  readonly requested: number;
}

interface PodGroups {
  readonly ready: ReadonlyMap<string, Used>;
  /** Names with what they request. */
  readonly missing: ReadonlyMap<string, number>;
  readonly unready: ReadonlyMap<string, number>;
}

/** A text says why nothing can be said. */
function groupPods(facts: MetricFacts): PodGroups | string {
  const ready = new Map<string, Used>();
  const missing = new Map<string, number>();
  const unready = new Map<string, number>();
  for (const pod of facts.pods) {
    const { name, deletionTimestamp } = pod.metadata;
    const { phase, reason } = pod.status ?? {};
    const isGone = phase === 'Failed' || phase === 'Succeeded' || reason === 'NodeLost';
    if (deletionTimestamp !== undefined || isGone) continue;
    const requested = facts.target.type === 'Utilization' ? requestOf(pod, facts) : 0;
    if (typeof requested === 'string') return requested;
    const sample = facts.samples.get(name);
    if (phase !== 'Running') unready.set(name, requested);
    else if (sample === undefined) missing.set(name, requested);
    else if (facts.resource === 'cpu' && isStarting(pod, sample, facts.nowMs)) {
      unready.set(name, requested);
    } else ready.set(name, { milli: sample.milli, requested });
  }
  return { ready, missing, unready };
}

function isStarting(pod: Pod, { atMs, windowMs }: PodSample, nowMs: number): boolean {
  const startedMs = wallMsOf(pod.status?.startTime ?? '') ?? createdMs(pod);
  if (startedMs + initializationMs > nowMs) {
    // What was measured before it was ready tells nothing of how it will be.
    return !isReady(pod) || atMs < readySinceMs(pod) + windowMs;
  }
  const condition = conditionOf(pod.status?.conditions, 'Ready');
  const changedMs = wallMsOf(condition?.lastTransitionTime ?? '') ?? startedMs;
  return !isReady(pod) && startedMs + initialReadinessMs > changedMs;
}

function requestOf(pod: Pod, { resource, container: only }: MetricFacts): number | string {
  const sidecars = (pod.spec.initContainers ?? []).filter(
    ({ restartPolicy }) => restartPolicy === 'Always',
  );
  const counted = [...sidecars, ...pod.spec.containers].filter(
    ({ name }) => only === undefined || name === only,
  );
  const { name } = pod.metadata;
  if (counted.length === 0) return `container ${only} not found in Pod ${name}`;
  let sum = 0;
  for (const container of counted) {
    const amount = container.resources?.requests?.[resource as 'cpu'];
    const parsed = amount === undefined ? undefined : tryParseQuantity(amount);
    if (parsed === undefined) {
      return `missing request for ${resource} in container ${container.name} of Pod ${name}`;
    }
    sum += milliUnitsOf(parsed);
  }
  return sum;
}

function ratioOf(
  used: ReadonlyMap<string, Used>,
  { target }: MetricFacts,
): {
  readonly ratio: number;
  readonly averageMilli: number;
  readonly utilization: number | undefined;
} {
  let [milli, requested] = [0, 0];
  for (const one of used.values()) {
    milli += one.milli;
    requested += one.requested;
  }
  const averageMilli = Math.round(milli / used.size);
  if (target.type === 'Utilization') {
    const utilization = requested === 0 ? 0 : Math.floor((milli * 100) / requested);
    const ratio = utilization / (target.averageUtilization ?? 100);
    return { ratio, averageMilli, utilization };
  }
  return { ratio: milli / used.size / valueOf(target), averageMilli, utilization: undefined };
}

/** What a pod that was not measured is taken to use where there are too many. */
function atTarget({ target }: MetricFacts, requested: number): number {
  return target.type === 'Utilization'
    ? (requested * Math.max(100, target.averageUtilization ?? 100)) / 100
    : valueOf(target);
}

function valueOf({ averageValue = '1' }: MetricTarget): number {
  const amount = tryParseQuantity(averageValue);
  return amount === undefined ? 1 : Math.max(1, milliUnitsOf(amount));
}

function isWithin(ratio: number, { toleranceUp, toleranceDown }: MetricFacts): boolean {
  return ratio >= 1 - toleranceDown && ratio <= 1 + toleranceUp;
}

/** Up, but for what is only the error of the division; never below nothing. */
function roundUp(value: number): number {
  return Math.max(0, Math.ceil(value - 1e-9));
}
