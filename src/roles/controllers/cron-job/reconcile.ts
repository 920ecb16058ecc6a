/** Makes the jobs of a cron job and tidies up after them. The plan is in plan-cron-job. */
import { errorText, type JsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  type CronJob,
  type CronJobStatus,
  equalJson,
  type Job,
  offsetsOf,
  parseCronSchedule,
  resources,
  StatusError,
  timeZoneProblem,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext } from '../shared/context.ts';
import { keyOfObject } from '../shared/keys.ts';
import { controllerOf, controllerReference } from '../shared/ownership.ts';
import { patchStatus } from '../shared/status.ts';
import { type CronPlan, jobNameFor, missedMax, planCronJob } from './plan-cron-job.ts';

const scheduledAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
/** A wall clock that is set forward is noticed after at most this long. */
const lookAgainMs = 60_000;

export function watchForCronJobs({ informers, queue }: ControllerContext): void {
  informers.cronJobs.onChange(({ object }) => queue.add(keyOfObject(object)));
  informers.jobs.onChange(({ object }) => {
    const manager = controllerOf(object);
    if (manager?.kind !== 'CronJob') return;
    queue.add(`${object.metadata.namespace ?? ''}/${manager.name}`);
  });
}

export function cronJobReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  return async (key) => {
    const cronJob = context.informers.cronJobs.get(key);
    if (cronJob === undefined || cronJob.metadata.deletionTimestamp !== undefined) return undefined;
    return reconcileCronJob(context, cronJob);
  };
}

async function reconcileCronJob(
  context: ControllerContext,
  cronJob: CronJob,
): Promise<ReconcileResult> {
  const { clock, events, informers } = context;
  const { timeZone } = cronJob.spec;
  const parsed = parseCronSchedule(cronJob.spec.schedule);
  const zoneProblem = timeZone === undefined ? undefined : timeZoneProblem(timeZone);
  if ('problem' in parsed || zoneProblem !== undefined) {
    // It was accepted once; the database of time zones may have lost one since.
    const message = `cannot be scheduled: ${'problem' in parsed ? parsed.problem : `${timeZone} ${zoneProblem}`}`;
    events.record({ regarding: cronJob, severity: 'Warning', reason: 'InvalidSchedule', message });
    return {};
  }
  const { uid = '' } = cronJob.metadata;
  const jobs = informers.jobs.lookup('owner', uid).filter((job) => controllerOf(job)?.uid === uid);
  const offsetAt = offsetsOf(timeZone);
  const { schedule } = parsed;
  const plan = planCronJob({ cronJob, schedule, offsetAt, jobs, nowMs: clock.wallMs() });
  for (const job of plan.forget) await removeJob(context, cronJob, job, 'SuccessfulDelete');
  if (plan.isHeldBack) {
    const message =
      'Not starting job because prior execution is running and concurrency policy is Forbid';
    events.record({ regarding: cronJob, severity: 'Normal', reason: 'JobAlreadyActive', message });
  }
  let made: Job | undefined;
  if (plan.runAtMs !== undefined) {
    sayMissed(context, cronJob, plan);
    for (const job of plan.replace) await removeJob(context, cronJob, job, 'SawReplacedJob');
    made = await makeJob(context, cronJob, plan.runAtMs);
  }
  await writeStatus(context, cronJob, plan, made);
  if (plan.againAfterMs === undefined) return {};
  return { againAfterMs: Math.min(plan.againAfterMs, lookAgainMs) };
}

function sayMissed({ events }: ControllerContext, cronJob: CronJob, { missed }: CronPlan): void {
  if (missed === 0) return;
  const isMany = missed >= missedMax;
  events.record({
    regarding: cronJob,
    severity: 'Warning',
    reason: isMany ? 'TooManyMissedTimes' : 'MissedSchedule',
    message: `${isMany ? `${missedMax} or more` : missed} runs were missed; the newest is made up for. Set startingDeadlineSeconds to leave late ones out, and look at the clock of the server`,
  });
}

/** The job of that minute, also where an earlier attempt has made it; undefined where its name is taken. */
async function makeJob(
  { client, events, informers }: ControllerContext,
  cronJob: CronJob,
  runAtMs: number,
): Promise<Job | undefined> {
  const job = jobFor(cronJob, runAtMs);
  const { namespace = '', name } = job.metadata;
  try {
    const created = (await client.create(resources.jobs, job)) as Job;
    informers.jobs.observe(created);
    const message = `Created job ${name}`;
    events.record({ regarding: cronJob, severity: 'Normal', reason: 'SuccessfulCreate', message });
    return created;
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === 'AlreadyExists')) {
      const message = `Error creating job: ${errorText(error)}`;
      events.record({ regarding: cronJob, severity: 'Warning', reason: 'FailedCreate', message });
      throw error;
    }
  }
  const existing = (await client.get(resources.jobs, namespace, name)) as Job;
  if (controllerOf(existing)?.uid === cronJob.metadata.uid) return existing;
  const message = `There is a job ${name} that this one did not make: the run is left out`;
  events.record({ regarding: cronJob, severity: 'Warning', reason: 'UnexpectedJob', message });
  return undefined;
}

function jobFor(cronJob: CronJob, runAtMs: number): ApiObject {
  const { metadata = {}, spec } = cronJob.spec.jobTemplate;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobNameFor(cronJob, runAtMs),
      namespace: cronJob.metadata.namespace ?? '',
      ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
      annotations: { ...metadata.annotations, [scheduledAnnotation]: timestampOf(runAtMs) },
      ownerReferences: [controllerReference(cronJob)],
    },
    spec,
  };
}

async function removeJob(
  { client, events }: ControllerContext,
  cronJob: CronJob,
  { metadata }: Job,
  reason: string,
): Promise<void> {
  const { namespace = '', name, uid = '' } = metadata;
  try {
    await client.delete(resources.jobs, namespace, name, { uid, propagationPolicy: 'Background' });
  } catch (error) {
    const isGone = error instanceof StatusError && ['NotFound', 'Conflict'].includes(error.reason);
    if (!isGone) throw error;
    return;
  }
  const message = `Deleted job ${name}`;
  events.record({ regarding: cronJob, severity: 'Normal', reason, message });
}

async function writeStatus(
  { client, informers }: ControllerContext,
  cronJob: CronJob,
  plan: CronPlan,
  made: Job | undefined,
): Promise<void> {
  const replaced = new Set(plan.replace.map(({ metadata }) => metadata.uid));
  const active = plan.active.filter(({ metadata }) => !replaced.has(metadata.uid));
  const isNew =
    made !== undefined && !active.some(({ metadata }) => metadata.uid === made.metadata.uid);
  const status: CronJobStatus = {
    active: [...active, ...(isNew ? [made] : [])].map(({ metadata }) => ({
      apiVersion: 'batch/v1',
      kind: 'Job',
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      uid: metadata.uid ?? '',
    })),
    ...(plan.lastSuccessfulTime === undefined
      ? {}
      : { lastSuccessfulTime: plan.lastSuccessfulTime }),
    ...(plan.runAtMs === undefined ? {} : { lastScheduleTime: timestampOf(plan.runAtMs) }),
  };
  const after: JsonObject = { ...cronJob.status, ...status };
  if (equalJson(after, { active: [], ...cronJob.status })) return;
  await patchStatus(client, resources.cronJobs, informers.cronJobs, cronJob, status);
}
