/**
 * What is to happen to a job and its pods now. A pure function of what is stored.
 *
 * Invariants:
 * 1. A pod is counted once. It carries a finalizer until it is named in
 *    `uncountedTerminatedPods` (or its index in `completedIndexes`); the name moves
 *    into the number in one write, once the finalizer is gone. Whenever the
 *    controller dies in between, what is stored says how far it was.
 * 2. Never more pods than `parallelism`, and never more than completions are missing.
 * 3. A job is Complete or Failed only when everything has been counted, and stays so.
 */
import {
  type Condition,
  conditionOf,
  type Job,
  type JobCondition,
  type JobStatus,
  type Pod,
  wallMsOf,
} from '#platform/api/mod.ts';
import { hasEnded, isActive, isReady } from '../shared/pod-state.ts';
import { formatIndexes, parseIndexes } from './indexes.ts';
import { endedMs, indexOf, isSurplus, isTracked, restartsOf } from './pod-facts.ts';

/** Pods made or deleted in one go; the rest follows in the next. */
export const changesMax = 250;
/** Pods that wait to be counted at one time. */
const uncountedMax = 500;
const retryFirstMs = 10_000;
const retryMaxMs = 600_000;

export interface JobFacts {
  readonly job: Job;
  /** All that belong to it. */
  readonly pods: readonly Pod[];
  /** Uids of pods whose deletion was asked for. */
  readonly asked: ReadonlySet<string>;
  readonly nowMs: number;
  /** The same instant as RFC 3339. */
  readonly now: string;
}

export interface JobEvent {
  readonly severity: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export interface JobPlan {
  readonly status: JobStatus;
  /** Lose their finalizer, once the status is stored. */
  readonly release: readonly Pod[];
  readonly remove: readonly { readonly pod: Pod; readonly isSurplus: boolean }[];
  /** One entry for each pod to make: its index, or undefined where there are none. */
  readonly create: readonly (number | undefined)[];
  readonly events: readonly JobEvent[];
  /** The time to keep it after its end is over. */
  readonly isExpired: boolean;
  readonly againAfterMs: number | undefined;
}

interface Counts {
  succeeded: number;
  failed: number;
  readonly uncounted: { readonly succeeded: string[]; readonly failed: string[] };
  readonly completed: Set<number>;
  readonly release: Pod[];
}

export function planJob(facts: JobFacts): JobPlan {
  const { job, pods, asked } = facts;
  const before = job.status ?? {};
  const active = pods.filter((pod) => isActive(pod) && !asked.has(pod.metadata.uid ?? ''));
  if (isFinished(job)) return planEnd(facts, active);

  const events: JobEvent[] = [];
  const conditions = [...(before.conditions ?? [])];
  const startTime = planStart(facts, conditions, events);
  const counts = countPods(facts);
  const { spec } = job;
  const isIndexed = spec.completionMode === 'Indexed';
  const succeeded = isIndexed
    ? counts.completed.size
    : counts.succeeded + counts.uncounted.succeeded.length;
  const failed = counts.failed + counts.uncounted.failed.length;

  const end =
    endBegun(conditions) ?? endOf(facts, active, { succeeded, failed, startTime }, conditions);
  const isSettled = counts.uncounted.succeeded.length + counts.uncounted.failed.length === 0;
  let completionTime: string | undefined;
  if (end !== undefined && active.length === 0 && isSettled) {
    const type = end.type === 'SuccessCriteriaMet' ? 'Complete' : 'Failed';
    setCondition(conditions, facts, { type, reason: end.reason, message: end.message });
    if (type === 'Complete') completionTime = facts.now;
    events.push(
      type === 'Complete'
        ? { severity: 'Normal', reason: 'Completed', message: 'Job completed' }
        : { severity: 'Warning', reason: end.reason, message: end.message },
    );
  }
  const pace = planPods(facts, active, counts, { succeeded, isEnding: end !== undefined });
  const isFailing = end?.type === 'FailureTarget';
  return {
    status: {
      ...(conditions.length > 0 ? { conditions } : {}),
      ...(startTime === undefined ? {} : { startTime }),
      ...(completionTime === undefined ? {} : { completionTime }),
      active: active.length,
      ready: active.filter(isReady).length,
      terminating: pods.filter((pod) => !isActive(pod) && !hasEnded(pod)).length,
      succeeded: isIndexed ? counts.completed.size : counts.succeeded,
      failed: counts.failed,
      ...(isIndexed ? { completedIndexes: formatIndexes(counts.completed) } : {}),
      uncountedTerminatedPods: counts.uncounted,
    },
    release: counts.release,
    // What a failed job ends has failed with it; anything else was one too many.
    remove: pace.remove.map((pod) => ({ pod, isSurplus: !isFailing })),
    create: pace.create,
    events,
    isExpired: false,
    againAfterMs: earliest(pace.againAfterMs, deadlineInMs(facts, startTime)),
  };
}

export function isFinished({ status }: Job): boolean {
  return ['Complete', 'Failed'].some(
    (type) => conditionOf(status?.conditions, type)?.status === 'True',
  );
}

/** When it ended, Complete or Failed; undefined while it runs. */
export function finishedMs(job: Job): number | undefined {
  const { conditions = [] } = job.status ?? {};
  const end = conditions.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  return wallMsOf(end?.lastTransitionTime ?? '');
}

/** Nothing is counted any more: what is left of its pods is let go. */
function planEnd({ job, pods, nowMs }: JobFacts, active: readonly Pod[]): JobPlan {
  const ttlSeconds = job.spec.ttlSecondsAfterFinished;
  const leftMs =
    ttlSeconds === undefined ? undefined : (finishedMs(job) ?? nowMs) + ttlSeconds * 1000 - nowMs;
  return {
    status: job.status ?? {},
    release: pods.filter(isTracked),
    remove: active.map((pod) => ({ pod, isSurplus: false })),
    create: [],
    events: [],
    isExpired: leftMs !== undefined && leftMs <= 0,
    againAfterMs: leftMs !== undefined && leftMs > 0 ? leftMs : undefined,
  };
}

/** The start time, which counts anew after every suspension. */
function planStart(
  facts: JobFacts,
  conditions: JobCondition[],
  events: JobEvent[],
): string | undefined {
  const { job, now } = facts;
  const { startTime } = job.status ?? {};
  const wasSuspended = conditionOf(conditions, 'Suspended')?.status === 'True';
  if (job.spec.suspend === true) {
    if (!wasSuspended) {
      const [reason, message] = ['JobSuspended', 'Job suspended'];
      setCondition(conditions, facts, { type: 'Suspended', reason, message });
      events.push({ severity: 'Normal', reason: 'Suspended', message });
    }
    return undefined;
  }
  if (!wasSuspended) return startTime ?? now;
  const [reason, message] = ['JobResumed', 'Job resumed'];
  setCondition(conditions, facts, { type: 'Suspended', status: 'False', reason, message });
  events.push({ severity: 'Normal', reason: 'Resumed', message });
  return now;
}

/** Invariant 1. */
function countPods({ job, pods, asked }: JobFacts): Counts {
  const { succeeded = 0, failed = 0, completedIndexes = '' } = job.status ?? {};
  const { uncountedTerminatedPods: waiting = {} } = job.status ?? {};
  const isIndexed = job.spec.completionMode === 'Indexed';
  const tracked = new Set(pods.filter(isTracked).map((pod) => pod.metadata.uid ?? ''));
  const stillTracked = (uids: readonly string[] = []): string[] =>
    uids.filter((uid) => tracked.has(uid));
  const uncounted = {
    succeeded: stillTracked(waiting.succeeded),
    failed: stillTracked(waiting.failed),
  };
  const counts: Counts = {
    succeeded: succeeded + (waiting.succeeded ?? []).length - uncounted.succeeded.length,
    failed: failed + (waiting.failed ?? []).length - uncounted.failed.length,
    uncounted,
    completed: parseIndexes(completedIndexes, job.spec.completions ?? 0),
    release: [],
  };
  const known = new Set([...uncounted.succeeded, ...uncounted.failed]);
  for (const pod of pods) {
    const uid = pod.metadata.uid ?? '';
    if (!isTracked(pod)) continue;
    const hasSucceeded = pod.status?.phase === 'Succeeded';
    const isLeaving = pod.metadata.deletionTimestamp !== undefined || asked.has(uid);
    if (!hasEnded(pod) && !isLeaving) continue;
    if (known.has(uid)) {
      counts.release.push(pod);
      continue;
    }
    if (hasSucceeded && isIndexed) {
      const index = indexOf(pod);
      if (index !== undefined && index < (job.spec.completions ?? 0)) counts.completed.add(index);
    } else if (hasSucceeded || !isSurplus(pod)) {
      if (uncounted.succeeded.length + uncounted.failed.length >= uncountedMax) continue;
      (hasSucceeded ? uncounted.succeeded : uncounted.failed).push(uid);
    }
    counts.release.push(pod);
  }
  return counts;
}

interface End {
  readonly type: 'SuccessCriteriaMet' | 'FailureTarget';
  readonly reason: string;
  readonly message: string;
}

/** How it was decided that the job ends. */
function endBegun(conditions: readonly Condition[]): End | undefined {
  for (const type of ['FailureTarget', 'SuccessCriteriaMet'] as const) {
    const { status, reason = '', message = '' } = conditionOf(conditions, type) ?? {};
    if (status === 'True') return { type, reason, message };
  }
  return undefined;
}

function endOf(
  facts: JobFacts,
  active: readonly Pod[],
  so: { succeeded: number; failed: number; startTime: string | undefined },
  conditions: JobCondition[],
): End | undefined {
  const { spec } = facts.job;
  const { backoffLimit = 6, completions } = spec;
  const restarts =
    spec.template.spec.restartPolicy === 'OnFailure'
      ? active.reduce((sum, pod) => sum + restartsOf(pod), 0)
      : 0;
  const tooManyRestarts = restarts > 0 && restarts >= backoffLimit;
  const leftMs = deadlineInMs(facts, so.startTime);
  const hasSucceeded =
    completions === undefined
      ? so.succeeded > 0 && active.length === 0
      : so.succeeded >= completions;
  let end: End | undefined;
  if (so.failed > backoffLimit || tooManyRestarts) {
    end = {
      type: 'FailureTarget',
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
    };
  } else if (leftMs !== undefined && leftMs <= 0) {
    end = {
      type: 'FailureTarget',
      reason: 'DeadlineExceeded',
      message: 'Job was active longer than specified deadline',
    };
  } else if (hasSucceeded) {
    end = {
      type: 'SuccessCriteriaMet',
      reason: 'CompletionsReached',
      message: 'Reached expected number of succeeded pods',
    };
  }
  if (end !== undefined) setCondition(conditions, facts, end);
  return end;
}

function planPods(
  facts: JobFacts,
  active: readonly Pod[],
  counts: Counts,
  { succeeded, isEnding }: { readonly succeeded: number; readonly isEnding: boolean },
): Pick<JobPlan, 'create' | 'againAfterMs'> & { readonly remove: readonly Pod[] } {
  const { spec } = facts.job;
  const { completions, parallelism = 1 } = spec;
  const isIndexed = spec.completionMode === 'Indexed';
  const none = { create: [], remove: [], againAfterMs: undefined };
  if (isEnding || spec.suspend === true) return { ...none, remove: active.slice(0, changesMax) };
  const doubled = isIndexed ? needless(active, counts.completed) : [];
  const isDoubled = new Set(doubled);
  const useful = active.filter((pod) => !isDoubled.has(pod));
  const wanted =
    completions !== undefined
      ? Math.min(parallelism, completions - succeeded)
      : succeeded > 0
        ? Math.min(parallelism, useful.length)
        : parallelism;
  if (useful.length > wanted) {
    const surplus = inOrderOfUse(useful).slice(wanted);
    return { ...none, remove: [...doubled, ...surplus].slice(0, changesMax) };
  }
  const missing = Math.min(wanted - useful.length, changesMax);
  if (missing === 0) return { ...none, remove: doubled };
  const waitMs = retryInMs(facts);
  if (waitMs > 0) return { ...none, remove: doubled, againAfterMs: waitMs };
  const create = isIndexed
    ? missingIndexes(completions ?? 0, counts.completed, useful).slice(0, missing)
    : Array.from({ length: missing }, () => undefined);
  return { ...none, remove: doubled, create };
}

/** Pods of an index that is done, or that an older pod works on. */
function needless(active: readonly Pod[], completed: ReadonlySet<number>): readonly Pod[] {
  const taken = new Set<number>();
  return inOrderOfUse(active).filter((pod) => {
    const index = indexOf(pod);
    if (index === undefined || completed.has(index) || taken.has(index)) return true;
    taken.add(index);
    return false;
  });
}

function missingIndexes(
  completions: number,
  completed: ReadonlySet<number>,
  active: readonly Pod[],
): number[] {
  const taken = new Set(active.map(indexOf));
  const missing: number[] = [];
  for (let index = 0; index < completions && missing.length < changesMax; index += 1) {
    if (!completed.has(index) && !taken.has(index)) missing.push(index);
  }
  return missing;
}

/** What is furthest comes first: ready, running, the oldest. */
function inOrderOfUse(pods: readonly Pod[]): Pod[] {
  const rank = (pod: Pod): number => (isReady(pod) ? 0 : pod.status?.phase === 'Running' ? 1 : 2);
  return pods.toSorted(
    (left, right) =>
      rank(left) - rank(right) ||
      compareText(left.metadata.creationTimestamp ?? '', right.metadata.creationTimestamp ?? '') ||
      compareText(left.metadata.name, right.metadata.name),
  );
}

/** After failures the next pod waits, twice as long after each since the last success. */
function retryInMs({ pods, nowMs }: JobFacts): number {
  const ends = pods
    .filter((pod) => hasEnded(pod) && !isSurplus(pod))
    .map((pod) => ({ atMs: endedMs(pod), isFailure: pod.status?.phase === 'Failed' }));
  const succeededMs = latestMs(ends.filter((end) => !end.isFailure));
  const failures = ends.filter(({ atMs, isFailure }) => isFailure && atMs >= succeededMs);
  if (failures.length === 0) return 0;
  const lastMs = latestMs(failures);
  const delayMs = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(failures.length - 1, 20));
  return Math.min(delayMs, Math.max(0, lastMs + delayMs - nowMs));
}

/** A job may have more pods than a function may have arguments. */
function latestMs(ends: readonly { readonly atMs: number }[]): number {
  return ends.reduce((latest, { atMs }) => Math.max(latest, atMs), 0);
}

/** Undefined where there is no deadline, or it does not count now. */
function deadlineInMs({ job, nowMs }: JobFacts, startTime: string | undefined): number | undefined {
  const { activeDeadlineSeconds } = job.spec;
  const startMs = wallMsOf(startTime ?? '');
  if (activeDeadlineSeconds === undefined || startMs === undefined) return undefined;
  return startMs + activeDeadlineSeconds * 1000 - nowMs;
}

function earliest(left: number | undefined, right: number | undefined): number | undefined {
  const times = [left, right].filter((ms) => ms !== undefined && ms > 0) as number[];
  return times.length === 0 ? undefined : Math.min(...times);
}

function setCondition(
  conditions: JobCondition[],
  { now }: JobFacts,
  {
    status = 'True',
    ...words
  }: { type: string; reason: string; message: string; status?: 'True' | 'False' },
): void {
  const at = conditions.findIndex(({ type }) => type === words.type);
  const condition = { ...words, status, lastProbeTime: now, lastTransitionTime: now };
  if (at < 0) conditions.push(condition);
  else conditions[at] = condition;
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
