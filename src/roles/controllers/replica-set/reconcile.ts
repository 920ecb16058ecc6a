/**
 * Keeps as many pods of a replica set as it wants.
 *
 * Invariants:
 * 1. It never makes more pods than are missing: pods that it made count from the
 *    answer on, whether or not the watch has told of them.
 * 2. A pod whose deletion it asked for does not count any more.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import {
  type Pod,
  type ReplicaSet,
  type ReplicaSetStatus,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import { claim } from '../shared/adopt.ts';
import type { ControllerContext } from '../shared/context.ts';
import { keyOfObject, watchOwnedPods } from '../shared/keys.ts';
import { createOwnedPod, forgetDone, removeOwnedPod } from '../shared/owned-pods.ts';
import { isDeleting } from '../shared/ownership.ts';
import { availableInMs, isActive, isReady } from '../shared/pod-state.ts';
import { planPods } from './plan-pods.ts';

/** Enqueues the replica sets that a change concerns. */
export function watchForReplicaSets({ informers, queue }: ControllerContext): void {
  informers.replicaSets.onChange(({ object }) => queue.add(keyOfObject(object)));
  watchOwnedPods(informers, informers.replicaSets, 'ReplicaSet', queue);
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
  forgetDone(asked, pods);

  let failure: unknown;
  if (!isDeleting(set)) {
    const remaining = pods.filter((pod) => !asked.has(pod.metadata.uid ?? ''));
    const plan = planPods(set.spec.replicas ?? 1, remaining);
    try {
      for (let made = 0; made < plan.create; made += 1) {
        await createOwnedPod(context, set, set.spec.template);
      }
      for (const pod of plan.remove) await removeOwnedPod(context, set, pod, asked);
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
