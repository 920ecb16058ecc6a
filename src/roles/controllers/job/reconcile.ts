/**
 * Carries out what plan-job says. The order is what makes counting exact: first the
 * status is stored, against the version that was read; then finalizers go; then pods
 * are made and deleted.
 */
import type { JsonObject } from '#base/mod.ts';
import {
  completionIndexAnnotation,
  type Container,
  equalJson,
  type Job,
  type JobStatus,
  jobTrackingFinalizer,
  type Pod,
  type PodSpec,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import { claim } from '../shared/adopt.ts';
import type { ControllerContext } from '../shared/context.ts';
import { keyOfObject, watchOwnedPods } from '../shared/keys.ts';
import {
  createOwnedPod,
  forgetDone,
  type PodTraits,
  removeOwnedPod,
} from '../shared/owned-pods.ts';
import { controllerOf, isDeleting } from '../shared/ownership.ts';
import { type JobPlan, planJob } from './plan-job.ts';
import { isTracked, surplusAnnotation } from './pod-facts.ts';

const indexVariable = 'JOB_COMPLETION_INDEX';
/** Before the key of a pod whose job is gone. No namespace begins with it. */
const orphanMark = '!';

/** Enqueues the jobs that a change concerns, and pods whose job will not count them any more. */
export function watchForJobs({ informers, queue }: ControllerContext): void {
  informers.jobs.onChange(({ type, object }) => {
    queue.add(keyOfObject(object));
    if (type !== 'deleted' && !isDeleting(object)) return;
    for (const pod of informers.pods.lookup('owner', object.metadata.uid ?? '')) {
      queue.add(`${orphanMark}${keyOfObject(pod)}`);
    }
  });
  watchOwnedPods(informers, informers.jobs, 'Job', queue);
  informers.pods.onChange(({ type, object }) => {
    if (type === 'deleted' || !isTracked(object)) return;
    if (!hasLivingJob(informers, object)) queue.add(`${orphanMark}${keyOfObject(object)}`);
  });
}

function hasLivingJob(informers: ControllerContext['informers'], pod: Pod): boolean {
  const [job] = informers.jobs.lookup('uid', controllerOf(pod)?.uid ?? '');
  return job !== undefined && !isDeleting(job);
}

export function jobReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  const asked = new Map<string, Set<string>>();
  return async (key) => {
    const { informers } = context;
    if (key.startsWith(orphanMark)) {
      const pod = informers.pods.get(key.slice(orphanMark.length));
      if (pod !== undefined && isTracked(pod) && !hasLivingJob(informers, pod)) {
        await release(context, pod);
      }
      return undefined;
    }
    const job = informers.jobs.get(key);
    if (job === undefined || isDeleting(job)) {
      asked.delete(key);
      return undefined;
    }
    const gone = asked.get(key) ?? new Set<string>();
    asked.set(key, gone);
    return reconcileJob(context, job, gone);
  };
}

async function reconcileJob(
  context: ControllerContext,
  job: Job,
  asked: Set<string>,
): Promise<ReconcileResult> {
  const { client, clock, events, informers } = context;
  const selector = job.spec.selector ?? {};
  const pods = await claim(client, resources.pods, informers.pods, job, selector);
  forgetDone(asked, pods);
  const nowMs = clock.wallMs();
  const plan = planJob({ job, pods, asked, nowMs, now: timestampOf(nowMs) });
  if (plan.isExpired) {
    await removeExpired(context, job);
    return {};
  }
  await writeStatus(context, job, plan.status);
  for (const event of plan.events) events.record({ regarding: job, ...event });
  for (const pod of plan.release) await release(context, pod);
  await changePods(context, job, plan, asked);
  return plan.againAfterMs === undefined ? {} : { againAfterMs: plan.againAfterMs };
}

async function changePods(
  context: ControllerContext,
  job: Job,
  plan: JobPlan,
  asked: Set<string>,
): Promise<void> {
  for (const { pod, isSurplus } of plan.remove) {
    if (isSurplus) await markSurplus(context, pod);
    await removeOwnedPod(context, job, pod, asked);
  }
  for (const index of plan.create) {
    await createOwnedPod(context, job, job.spec.template, traitsOf(job, index));
  }
}

/** Only against the version that the plan was made from: its numbers are sums. */
async function writeStatus(
  { client, informers }: ControllerContext,
  job: Job,
  status: JobStatus,
): Promise<void> {
  const before: JobStatus = job.status ?? {};
  const cleared = Object.keys(before).filter((name) => !(name in status));
  if (cleared.length === 0 && equalJson(before, status)) return;
  const { namespace = '', name, resourceVersion = '' } = job.metadata;
  const patch: JsonObject = {
    metadata: { resourceVersion },
    status: { ...Object.fromEntries(cleared.map((field) => [field, null])), ...status },
  };
  informers.jobs.observe(await client.mergePatch(resources.jobs, namespace, name, patch, 'status'));
}

async function release({ client, informers }: ControllerContext, pod: Pod): Promise<void> {
  const { namespace = '', name, resourceVersion = '', finalizers = [] } = pod.metadata;
  const kept = finalizers.filter((finalizer) => finalizer !== jobTrackingFinalizer);
  try {
    informers.pods.observe(
      await client.mergePatch(resources.pods, namespace, name, {
        metadata: { resourceVersion, finalizers: kept.length === 0 ? null : kept },
      }),
    );
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
  }
}

async function markSurplus({ client, informers }: ControllerContext, pod: Pod): Promise<void> {
  const { namespace = '', name, uid = '' } = pod.metadata;
  try {
    informers.pods.observe(
      await client.mergePatch(resources.pods, namespace, name, {
        metadata: { uid, annotations: { [surplusAnnotation]: 'true' } },
      }),
    );
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
  }
}

function traitsOf({ metadata, spec }: Job, index: number | undefined): PodTraits {
  const finalizers = [jobTrackingFinalizer];
  if (index === undefined) return { finalizers };
  const text = String(index);
  const { template } = spec;
  const withIndex = (container: Container): Container => ({
    ...container,
    env: [
      ...(container.env ?? []).filter(({ name }) => name !== indexVariable),
      { name: indexVariable, value: text },
    ],
  });
  const podSpec: PodSpec = {
    hostname: `${metadata.name.slice(0, 62 - text.length).replace(/[^a-z0-9-]/gu, '-')}-${text}`,
    ...template.spec,
    containers: template.spec.containers.map(withIndex),
  };
  const { initContainers } = template.spec;
  if (initContainers !== undefined) podSpec.initContainers = initContainers.map(withIndex);
  return {
    finalizers,
    nameBase: `${metadata.name.slice(0, 50)}-${text}`,
    labels: { [completionIndexAnnotation]: text },
    annotations: { [completionIndexAnnotation]: text },
    spec: podSpec,
  };
}

async function removeExpired({ client }: ControllerContext, job: Job): Promise<void> {
  const { namespace = '', name, uid = '' } = job.metadata;
  try {
    await client.delete(resources.jobs, namespace, name, { uid, propagationPolicy: 'Background' });
  } catch (error) {
    const isGone = error instanceof StatusError && ['NotFound', 'Conflict'].includes(error.reason);
    if (!isGone) throw error;
  }
}
