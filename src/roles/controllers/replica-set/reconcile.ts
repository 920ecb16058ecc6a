/**
 * Keeps as many pods of a replica set as it wants.
 *
 * Invariants:
 * 1. It never makes more pods than are missing: pods that it made count from the
 *    answer on, whether or not the watch has told of them.
 * 2. A pod whose deletion it asked for does not count any more.
 */
import { isJsonObject, errorText, type JsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  type Pod,
  type ReplicaSet,
  type ReplicaSetStatus,
  resources,
  selectsLabels,
  StatusError,
} from '#platform/api/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import { claim } from '../shared/adopt.ts';
import type { ControllerContext } from '../shared/context.ts';
import { controllerOf, controllerReference, isDeleting } from '../shared/ownership.ts';
import { randomSuffix } from '../shared/random-suffix.ts';
import { availableInMs, isActive, isReady, planPods } from './plan-pods.ts';

const nameAttemptsMax = 5;

/** Enqueues the replica sets that a change concerns. */
export function watchForReplicaSets({ informers, queue }: ControllerContext): void {
  informers.replicaSets.onChange(({ object }) => queue.add(keyOfSet(object)));
  informers.pods.onChange(({ object, previous }) => {
    for (const pod of previous === undefined ? [object] : [object, previous]) {
      const manager = controllerOf(pod);
      const namespace = pod.metadata.namespace ?? '';
      if (manager?.kind === 'ReplicaSet') queue.add(`${namespace}/${manager.name}`);
      if (manager !== undefined) continue;
      // Nobody manages it: whoever selects it may adopt it.
      for (const set of informers.replicaSets.lookup('namespace', namespace)) {
        if (selectsLabels(set.spec.selector, pod.metadata.labels)) queue.add(keyOfSet(set));
      }
    }
  });
}

function keyOfSet({ metadata }: ApiObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** `asked` remembers per set the uids of pods whose deletion was asked for. */
export function replicaSetReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  const asked = new Map<string, Set<string>>();
  return async (key) => {
    const set = context.informers.replicaSets.get(key);
    if (set === undefined) {
      asked.delete(key);
      return undefined;
    }
    const gone = asked.get(key) ?? new Set<string>();
    asked.set(key, gone);
    return reconcileSet(context, set, gone);
  };
}

async function reconcileSet(
  context: ControllerContext,
  set: ReplicaSet,
  asked: Set<string>,
): Promise<ReconcileResult> {
  const own = (): Promise<Pod[]> =>
    claim(context.client, resources.pods, context.informers.pods, set, set.spec.selector);
  const pods = await own();
  const staying = new Set(
    pods.filter((pod) => !isDeleting(pod)).map((pod) => pod.metadata.uid ?? ''),
  );
  for (const uid of asked) if (!staying.has(uid)) asked.delete(uid);

  let failure: unknown;
  if (!isDeleting(set)) {
    const remaining = pods.filter((pod) => !asked.has(pod.metadata.uid ?? ''));
    const plan = planPods(set.spec.replicas ?? 1, remaining);
    try {
      for (let made = 0; made < plan.create; made += 1) await createPod(context, set);
      for (const pod of plan.remove) await removePod(context, set, pod, asked);
    } catch (error) {
      // What was done shows in the status; the rest is tried again.
      failure = error;
    }
  }
  const present = (await own()).filter((pod) => !asked.has(pod.metadata.uid ?? ''));
  const result = await writeStatus(context, set, present.filter(isActive));
  if (failure !== undefined) throw failure;
  return result;
}

async function createPod(context: ControllerContext, set: ReplicaSet): Promise<void> {
  const { client, events, informers, random } = context;
  for (let attempt = 1; ; attempt += 1) {
    const pod = podOf(set, `${set.metadata.name.slice(0, 57)}-${randomSuffix(random, 5)}`);
    try {
      const created = await client.create(resources.pods, pod);
      informers.pods.observe(created);
      events.record({
        regarding: set,
        severity: 'Normal',
        reason: 'SuccessfulCreate',
        message: `Created pod: ${created.metadata.name}`,
      });
      return;
    } catch (error) {
      const taken = error instanceof StatusError && error.reason === 'AlreadyExists';
      if (taken && attempt < nameAttemptsMax) continue;
      events.record({
        regarding: set,
        severity: 'Warning',
        reason: 'FailedCreate',
        message: `Error creating: ${errorText(error)}`,
      });
      throw error;
    }
  }
}

function podOf(set: ReplicaSet, name: string): ApiObject {
  const { metadata = {}, spec } = set.spec.template;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace ?? '',
      ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
      ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      ownerReferences: [controllerReference(set)],
    },
    spec,
  };
}

async function removePod(
  { client, events }: ControllerContext,
  set: ReplicaSet,
  pod: Pod,
  asked: Set<string>,
): Promise<void> {
  const { namespace = '', name, uid = '' } = pod.metadata;
  asked.add(uid);
  try {
    await client.delete(resources.pods, namespace, name, { uid, propagationPolicy: 'Background' });
  } catch (error) {
    // It is gone, or another pod has its name by now: either way this one went.
    if (error instanceof StatusError && ['NotFound', 'Conflict'].includes(error.reason)) return;
    asked.delete(uid);
    throw error;
  }
  events.record({
    regarding: set,
    severity: 'Normal',
    reason: 'SuccessfulDelete',
    message: `Deleted pod: ${name}`,
  });
}

async function writeStatus(
  { client, clock, informers }: ControllerContext,
  set: ReplicaSet,
  pods: readonly Pod[],
): Promise<ReconcileResult> {
  const nowMs = clock.wallMs();
  const waits = pods.map((pod) => availableInMs(pod, set.spec.minReadySeconds ?? 0, nowMs));
  const labels = Object.entries(set.spec.template.metadata?.labels ?? {});
  const status: ReplicaSetStatus = {
    replicas: pods.length,
    fullyLabeledReplicas: pods.filter((pod) =>
      labels.every(([key, value]) => pod.metadata.labels?.[key] === value),
    ).length,
    readyReplicas: pods.filter(isReady).length,
    availableReplicas: waits.filter((wait) => wait === 0).length,
    observedGeneration: set.metadata.generation ?? 0,
  };
  if (!sameFields(set.status, status)) {
    const { namespace = '', name } = set.metadata;
    try {
      informers.replicaSets.observe(
        await client.mergePatch(resources.replicaSets, namespace, name, { status }, 'status'),
      );
    } catch (error) {
      if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
    }
  }
  const next = waits.filter((wait) => wait !== undefined && wait > 0).map((wait) => wait ?? 0);
  return next.length === 0 ? {} : { againAfterMs: Math.min(...next) };
}

function sameFields(before: JsonObject | undefined, after: JsonObject): boolean {
  return (
    isJsonObject(before) && Object.entries(after).every(([name, value]) => before[name] === value)
  );
}
