/**
 * What a cron job is to do now. A pure function of what is stored and the time.
 *
 * Invariants:
 * 1. One minute of the schedule makes at most one job: its name is the minute, and
 *    `lastScheduleTime` never goes back, whatever the clock does.
 * 2. Of several minutes that were missed only the newest is made up for; the others
 *    are counted and said.
 */
import {
  conditionOf,
  type CronJob,
  type CronSchedule,
  type Job,
  nextRunMs,
  type OffsetAt,
  wallMsOf,
} from '#platform/api/mod.ts';
import { finishedMs, isFinished } from '../job/plan-job.ts';

/** Missed minutes are counted up to here. */
export const missedMax = 100;
const minuteMs = 60_000;

export interface CronFacts {
  readonly cronJob: CronJob;
  readonly schedule: CronSchedule;
  readonly offsetAt: OffsetAt;
  /** Those that it has made. */
  readonly jobs: readonly Job[];
  readonly nowMs: number;
}

export interface CronPlan {
  /** The minute to make a job for. */
  readonly runAtMs: number | undefined;
  /** Minutes before it that nothing was made for; `missedMax` stands for that many or more. */
  readonly missed: number;
  /** A run is due and is held back by one that still runs. */
  readonly isHeldBack: boolean;
  /** To be ended before the new one is made. */
  readonly replace: readonly Job[];
  /** Beyond what is kept of those that have ended. */
  readonly forget: readonly Job[];
  readonly active: readonly Job[];
  /** RFC 3339; undefined where none has succeeded. */
  readonly lastSuccessfulTime: string | undefined;
  readonly againAfterMs: number | undefined;
}

export function planCronJob(facts: CronFacts): CronPlan {
  const { cronJob, jobs, nowMs, schedule, offsetAt } = facts;
  const { spec, metadata } = cronJob;
  const active = jobs
    .filter((job) => !isFinished(job))
    .toSorted((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1));
  const known = {
    active,
    forget: planHistory(facts),
    lastSuccessfulTime: lastSuccessOf(facts),
  };
  const idle = { ...known, runAtMs: undefined, missed: 0, isHeldBack: false, replace: [] };
  if (spec.suspend === true || metadata.deletionTimestamp !== undefined) {
    return { ...idle, againAfterMs: undefined };
  }
  const due = dueRun(facts);
  const nextMs = nextRunMs(schedule, offsetAt, nowMs);
  const againAfterMs = nextMs === undefined ? undefined : nextMs - nowMs;
  if (due === undefined) return { ...idle, againAfterMs };
  const isHeldBack = spec.concurrencyPolicy === 'Forbid' && active.length > 0;
  if (isHeldBack) return { ...idle, isHeldBack, againAfterMs };
  const replace = spec.concurrencyPolicy === 'Replace' ? active : [];
  return { ...known, runAtMs: due.atMs, missed: due.missed, isHeldBack, replace, againAfterMs };
}

/** The newest minute that is due and not made yet. */
function dueRun({
  cronJob,
  schedule,
  offsetAt,
  nowMs,
}: CronFacts): { readonly atMs: number; readonly missed: number } | undefined {
  const { spec, metadata, status } = cronJob;
  const bornMs = wallMsOf(metadata.creationTimestamp ?? '') ?? nowMs;
  const lastMs = wallMsOf(status?.lastScheduleTime ?? '') ?? bornMs;
  const deadlineMs =
    spec.startingDeadlineSeconds === undefined
      ? Number.NEGATIVE_INFINITY
      : nowMs - spec.startingDeadlineSeconds * 1000 - 1;
  const afterMs = Math.max(lastMs, deadlineMs);
  const next = (fromMs: number): number | undefined => {
    const atMs = nextRunMs(schedule, offsetAt, fromMs);
    return atMs === undefined || atMs > nowMs ? undefined : atMs;
  };
  let atMs = next(afterMs);
  if (atMs === undefined) return undefined;
  let missed = 0;
  for (let later = next(atMs); later !== undefined; later = next(later)) {
    atMs = later;
    missed += 1;
    if (missed < missedMax) continue;
    return { atMs: newestRun(next, atMs, nowMs), missed };
  }
  return { atMs, missed };
}

/**
 * The last minute of the schedule up to now, where `runMs` is one. The time in between is
 * halved again and again: a year may have half a million minutes that were missed.
 */
function newestRun(
  next: (fromMs: number) => number | undefined,
  runMs: number,
  nowMs: number,
): number {
  let [beforeMs, notBeforeMs] = [runMs - 1, nowMs];
  while (notBeforeMs - beforeMs > minuteMs) {
    const middleMs = Math.floor((beforeMs + notBeforeMs) / 2);
    if (next(middleMs) === undefined) notBeforeMs = middleMs;
    else beforeMs = middleMs;
  }
  return next(beforeMs) ?? runMs;
}

function planHistory({ cronJob, jobs }: CronFacts): readonly Job[] {
  const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cronJob.spec;
  const ended = jobs
    .filter((job) => isFinished(job) && job.metadata.deletionTimestamp === undefined)
    .toSorted((left, right) => (finishedMs(right) ?? 0) - (finishedMs(left) ?? 0));
  return [
    ...ended.filter(hasSucceeded).slice(successfulJobsHistoryLimit),
    ...ended.filter((job) => !hasSucceeded(job)).slice(failedJobsHistoryLimit),
  ];
}

function lastSuccessOf({ cronJob, jobs }: CronFacts): string | undefined {
  let newest = cronJob.status?.lastSuccessfulTime;
  for (const job of jobs) {
    const { completionTime } = job.status ?? {};
    if (completionTime === undefined || !hasSucceeded(job)) continue;
    if ((wallMsOf(newest ?? '') ?? 0) < (wallMsOf(completionTime) ?? 0)) newest = completionTime;
  }
  return newest;
}

function hasSucceeded({ status }: Job): boolean {
  return conditionOf(status?.conditions, 'Complete')?.status === 'True';
}

/** `name` and the minute: whoever makes it, and however often, it is the same one. */
export function jobNameFor({ metadata }: CronJob, runAtMs: number): string {
  return `${metadata.name}-${Math.floor(runAtMs / minuteMs)}`;
}
