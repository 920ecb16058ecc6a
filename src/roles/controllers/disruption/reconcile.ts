/**
 * Keeps the status of every PodDisruptionBudget. Evictions take from it in the API;
 * here it is counted anew, always against the version that was read, so that an
 * eviction in between is never forgotten.
 */
import type { JsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  equalJson,
  type OwnerReference,
  type Pod,
  type PodDisruptionBudget,
  resources,
  selectsLabels,
  StatusError,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext, SharedInformers } from '../shared/context.ts';
import { keyOfObject } from '../shared/keys.ts';
import { controllerOf } from '../shared/ownership.ts';
import { type BudgetPlan, planBudget } from './plan-budget.ts';

/** Enqueues the budgets that a change of pods, or of what wants them, concerns. */
export function watchForDisruptionBudgets({ informers, queue }: ControllerContext): void {
  informers.podDisruptionBudgets.onChange(({ object }) => queue.add(keyOfObject(object)));
  informers.pods.onChange(({ object, previous }) => {
    for (const budget of budgetsIn(informers, object)) {
      const isConcerned = selects(budget, object) || (previous && selects(budget, previous));
      if (isConcerned === true) queue.add(keyOfObject(budget));
    }
  });
  informers.onKind(({ kind, informer }) => {
    if (kind.resource.group !== 'apps') return;
    informer.onChange(({ object }) => {
      for (const budget of budgetsIn(informers, object)) queue.add(keyOfObject(budget));
    });
  });
}

function budgetsIn(
  { podDisruptionBudgets }: SharedInformers,
  { metadata }: ApiObject,
): readonly PodDisruptionBudget[] {
  return podDisruptionBudgets.lookup('namespace', metadata.namespace ?? '');
}

function selects({ spec }: PodDisruptionBudget, { metadata }: ApiObject): boolean {
  return spec.selector !== undefined && selectsLabels(spec.selector, metadata.labels);
}

export function disruptionBudgetReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  return async (key) => {
    const { informers, clock, events } = context;
    const budget = informers.podDisruptionBudgets.get(key);
    // One that is on its way out holds back evictions until it is gone.
    if (budget === undefined) return undefined;
    const pods = informers.pods
      .lookup('namespace', budget.metadata.namespace ?? '')
      .filter((pod) => selects(budget, pod));
    const nowMs = clock.wallMs();
    const wanted = wantedBy(informers, pods);
    const plan = planBudget({ budget, pods, wanted, nowMs, now: timestampOf(nowMs) });
    if (plan.failure !== undefined) {
      const report = { severity: 'Warning', reason: 'CalculateExpectedPodCountFailed' } as const;
      const message = `Failed to calculate the number of expected pods: ${plan.failure}`;
      events.record({ regarding: budget, ...report, message });
    }
    for (const name of plan.notDeleted) {
      const pod = pods.find(({ metadata }) => metadata.name === name) ?? budget;
      const message = 'Pod was expected by PDB to be deleted but it was not';
      events.record({ regarding: pod, severity: 'Warning', reason: 'NotDeleted', message });
    }
    await writeStatus(context, budget, plan);
    return plan.againAfterMs === undefined ? undefined : { againAfterMs: plan.againAfterMs };
  };
}

async function writeStatus(
  { client, informers }: ControllerContext,
  budget: PodDisruptionBudget,
  { status }: BudgetPlan,
): Promise<void> {
  if (equalJson(budget.status ?? {}, status)) return;
  const { namespace = '', name, resourceVersion = '' } = budget.metadata;
  const gone = Object.keys(budget.status?.disruptedPods ?? {}).filter(
    (pod) => status.disruptedPods?.[pod] === undefined,
  );
  const patch = {
    metadata: { resourceVersion },
    status: {
      ...status,
      disruptedPods:
        status.disruptedPods === undefined
          ? null
          : { ...status.disruptedPods, ...Object.fromEntries(gone.map((pod) => [pod, null])) },
    },
  } as unknown as JsonObject;
  const { podDisruptionBudgets } = resources;
  try {
    informers.podDisruptionBudgets.observe(
      await client.mergePatch(podDisruptionBudgets, namespace, name, patch, 'status'),
    );
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
  }
}

/** How many pods the workloads of these want together. Pods that nobody manages are not counted. */
function wantedBy(
  informers: SharedInformers,
  pods: readonly Pod[],
): { readonly count: number } | { readonly unknown: string } {
  const owners = new Map<string, number>();
  for (const pod of pods) {
    const reference = controllerOf(pod);
    if (reference === undefined) continue;
    const found = scaleOf(informers, reference, pod.metadata.namespace ?? '');
    if (found === undefined) {
      const { kind, name } = reference;
      return { unknown: `how many pods ${kind} ${JSON.stringify(name)} wants is not known` };
    }
    owners.set(found.uid, found.replicas);
  }
  let count = 0;
  for (const replicas of owners.values()) count += replicas;
  return { count };
}

/** Deployment above ReplicaSet above pod. */
const ownersMax = 3;

/** Of the topmost owner that says how many it wants. */
function scaleOf(
  informers: SharedInformers,
  reference: OwnerReference,
  namespace: string,
): { readonly uid: string; readonly replicas: number } | undefined {
  let found: { uid: string; replicas: number } | undefined;
  let next: OwnerReference | undefined = reference;
  for (let depth = 0; next !== undefined && depth < ownersMax; depth += 1) {
    const owner = ownerOf(informers, next, namespace);
    const replicas = owner === undefined ? undefined : replicasOf(owner);
    if (owner === undefined || replicas === undefined) break;
    found = { uid: owner.metadata.uid ?? '', replicas };
    next = controllerOf(owner);
  }
  return found;
}

function ownerOf(
  { all }: SharedInformers,
  { apiVersion, kind, name, uid }: OwnerReference,
  namespace: string,
): ApiObject | undefined {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  const stored = all.find((one) => one.kind.kind === kind && one.kind.resource.group === group);
  const owner = stored?.informer.get(`${namespace}/${name}`);
  return owner?.metadata.uid === uid ? owner : undefined;
}

function replicasOf({ spec, status }: ApiObject): number | undefined {
  const wanted = spec?.['replicas'] ?? status?.['desiredNumberScheduled'];
  return typeof wanted === 'number' ? wanted : undefined;
}
