/**
 * Evictions are held to the PodDisruptionBudgets that select the pod: one that is
 * let through is taken off the budget in the same transaction, so that any number
 * of them at once cannot take away more than it allows.
 */
import {
  type Condition,
  conditionOf,
  disruptedPodsMax,
  encodeFacet,
  type Pod,
  type PodDisruptionBudget,
  type PodDisruptionBudgetStatus,
  resourceName,
  resources,
  selectsLabels,
  StatusError,
  type StatusErrorOptions,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import { isPod } from '../departure.ts';
import { forbiddenError } from './forbidden.ts';
import type { AdmissionRequest, AdmissionState, Admitter, Judgement } from './types.ts';

const budgets = resourceName(resources.podDisruptionBudgets);
/** For a budget that its controller is about to look at. */
const retryAfterSeconds = 1;

export const disruptionBudgets: Admitter = {
  name: 'DisruptionBudget',
  concerns: isPod,
  operations: ['delete'],
  endpoints: ['eviction'],
  check(request, state) {
    const pod = request.previous as Pod;
    if (isFree(pod)) return undefined;
    const selecting = budgetsOf(pod, state);
    const [budget] = selecting;
    if (budget === undefined) return undefined;
    if (selecting.length > 1) {
      const text =
        'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.';
      throw new StatusError('InternalError', text);
    }
    if (goesWithoutBudget(pod, budget)) return undefined;
    return taken(budget, request, state);
  },
};

/** One that serves nobody takes nothing away. */
function isFree({ metadata, status }: Pod): boolean {
  const phase = status?.phase ?? 'Pending';
  return (
    metadata.deletionTimestamp !== undefined || ['Pending', 'Succeeded', 'Failed'].includes(phase)
  );
}

function budgetsOf({ metadata }: Pod, { list }: AdmissionState): readonly PodDisruptionBudget[] {
  const all = list(budgets, metadata.namespace ?? '') as readonly PodDisruptionBudget[];
  return all.filter(({ spec: { selector } }) => {
    return selector !== undefined && selectsLabels(selector, metadata.labels);
  });
}

/** A pod that is not ready may go where that does not make things worse, or was said to be no matter. */
function goesWithoutBudget({ status }: Pod, { spec, status: known }: PodDisruptionBudget): boolean {
  if (conditionOf(status?.conditions, 'Ready')?.status === 'True') return false;
  if (spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = known ?? {};
  return desiredHealthy > 0 && currentHealthy >= desiredHealthy;
}

function taken(
  budget: PodDisruptionBudget,
  request: AdmissionRequest,
  { view }: AdmissionState,
): Judgement {
  const { name, namespace = '', generation = 0 } = budget.metadata;
  const { status } = budget;
  if (status === undefined || (status.observedGeneration ?? 0) < generation) {
    const text = `The disruption budget ${name} is still being processed by the server.`;
    throw refused(text, { retryAfterSeconds });
  }
  const { disruptedPods = {}, disruptionsAllowed, desiredHealthy, currentHealthy } = status;
  if (disruptionsAllowed <= 0) {
    const failed = conditionOf(status.conditions, 'DisruptionAllowed');
    throw refused(
      failed?.reason === 'SyncFailed'
        ? `The disruption budget ${name} does not allow evicting pods currently because it failed sync: ${failed.message ?? ''}`
        : `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
    );
  }
  if (Object.keys(disruptedPods).length >= disruptedPodsMax) {
    const why = 'DisruptedPods map too big - too many evictions not confirmed by PDB controller';
    throw forbiddenError(request.definition, request.name, why);
  }
  const stored = view.get({ resource: budgets, namespace, name });
  if (stored === undefined) return {};
  const now = timestampOf(request.nowMs);
  const left = disruptionsAllowed - 1;
  const next: PodDisruptionBudgetStatus = {
    ...status,
    disruptionsAllowed: left,
    disruptedPods: { ...disruptedPods, [request.name]: now },
    ...(left > 0 ? {} : { conditions: exhausted(status.conditions, now, generation) }),
  };
  const { key, uid } = stored;
  const bytes = encodeFacet({ status: next });
  return { changes: [{ type: 'put', key, uid, facet: 'report', bytes }] };
}

function exhausted(
  conditions: readonly Condition[] = [],
  now: string,
  generation: number,
): Condition[] {
  const others = conditions.filter(({ type }) => type !== 'DisruptionAllowed');
  const condition = {
    type: 'DisruptionAllowed',
    status: 'False' as const,
    reason: 'InsufficientPods',
    message: '',
    lastTransitionTime: now,
    observedGeneration: generation,
  };
  return [...others, condition];
}

function refused(message: string, options: StatusErrorOptions = {}): StatusError {
  return new StatusError(
    'TooManyRequests',
    "Cannot evict pod as it would violate the pod's disruption budget.",
    { ...options, causes: [{ reason: 'DisruptionBudget', message }] },
  );
}
