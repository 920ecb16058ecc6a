/**
 * What a deployment says of itself, in the words that `kubectl rollout status` reads.
 *
 * Invariants:
 * 1. lastTransitionTime changes only with a condition's status, lastUpdateTime
 *    only when there was progress or the reason changed.
 * 2. A status that says the same as before is the same, byte for byte.
 */
import {
  type Condition,
  conditionOf,
  type ConditionStatus,
  type Deployment,
  type DeploymentStatus,
  type ReplicaSet,
  wallMsOf,
} from '#platform/api/mod.ts';
import { rolloutBounds } from './plan-replicas.ts';

export interface StatusFacts {
  readonly deployment: Deployment;
  readonly current: ReplicaSet | undefined;
  readonly older: readonly ReplicaSet[];
  /** RFC 3339. */
  readonly now: string;
  readonly nowMs: number;
  /** What this reconcile did to the current set. */
  readonly event: 'created' | 'found' | undefined;
}

export interface StatusPlan {
  readonly status: DeploymentStatus;
  /** When the progress deadline passes, if it is running. */
  readonly againAfterMs: number | undefined;
}

export function planStatus(facts: StatusFacts): StatusPlan {
  const { deployment, current, older } = facts;
  const { spec, metadata, status: before = {} } = deployment;
  const sets = current === undefined ? older : [...older, current];
  const total = (of: (set: ReplicaSet) => number | undefined): number =>
    sets.reduce((count, set) => count + (of(set) ?? 0), 0);
  const replicas = spec.replicas ?? 1;
  const availableReplicas = total((set) => set.status?.availableReplicas);
  const counts: DeploymentStatus = {
    observedGeneration: metadata.generation ?? 0,
    replicas: total((set) => set.status?.replicas),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: total((set) => set.status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, total((set) => set.spec.replicas) - availableReplicas),
    ...(before.collisionCount === undefined ? {} : { collisionCount: before.collisionCount }),
  };
  const progressing = progressOf(facts, counts);
  const conditions = [availabilityOf(facts, replicas, availableReplicas)];
  if (progressing !== undefined) conditions.push(progressing);
  return {
    status: { ...counts, conditions },
    againAfterMs: deadlineInMs(facts, progressing),
  };
}

/** Whether all pods are of the present template and do their work. */
export function isComplete(deployment: Deployment, counts: DeploymentStatus): boolean {
  const replicas = deployment.spec.replicas ?? 1;
  return (
    counts.updatedReplicas === replicas &&
    counts.replicas === replicas &&
    counts.availableReplicas === replicas
  );
}

function availabilityOf(facts: StatusFacts, replicas: number, available: number): Condition {
  const { maxUnavailable } = rolloutBounds(replicas, facts.deployment.spec.strategy ?? {});
  const enough = available >= replicas - maxUnavailable;
  return condition(
    facts,
    'Available',
    enough ? 'True' : 'False',
    enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    enough
      ? 'Deployment has minimum availability.'
      : 'Deployment does not have minimum availability.',
    false,
  );
}

function progressOf(facts: StatusFacts, counts: DeploymentStatus): Condition | undefined {
  const { deployment, current, event } = facts;
  const before = deployment.status ?? {};
  const previous = conditionOf(before.conditions, 'Progressing');
  const name = current?.metadata.name ?? deployment.metadata.name;
  const say = (
    status: ConditionStatus,
    reason: string,
    message: string,
    moved: boolean,
  ): Condition => condition(facts, 'Progressing', status, reason, message, moved);
  if (deployment.spec.paused === true) {
    return say('Unknown', 'DeploymentPaused', 'Deployment is paused', false);
  }
  if (isComplete(deployment, counts) && current !== undefined) {
    return say(
      'True',
      'NewReplicaSetAvailable',
      `ReplicaSet "${name}" has successfully progressed.`,
      false,
    );
  }
  if (event === 'created') {
    return say('True', 'NewReplicaSetCreated', `Created new replica set "${name}"`, true);
  }
  if (event === 'found') {
    return say('True', 'FoundNewReplicaSet', `Found new replica set "${name}"`, true);
  }
  if (previous?.reason === 'DeploymentPaused') {
    return say('Unknown', 'DeploymentResumed', 'Deployment is resumed', true);
  }
  if (isProgress(before, counts)) {
    return say('True', 'ReplicaSetUpdated', `ReplicaSet "${name}" is progressing.`, true);
  }
  if (previous === undefined || previous.reason === 'NewReplicaSetAvailable') return previous;
  const deadlineMs = (deployment.spec.progressDeadlineSeconds ?? 600) * 1000;
  if (sinceUpdateMs(previous, facts.nowMs) < deadlineMs) return previous;
  return say(
    'False',
    'ProgressDeadlineExceeded',
    `ReplicaSet "${name}" has timed out progressing.`,
    false,
  );
}

/** More new pods, fewer old ones, or more that work. */
function isProgress(before: DeploymentStatus, now: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus): number =>
    (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (now.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(now) < old(before) ||
    (now.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function deadlineInMs(facts: StatusFacts, progressing: Condition | undefined): number | undefined {
  if (progressing === undefined || progressing.status !== 'True') return undefined;
  if (progressing.reason === 'NewReplicaSetAvailable') return undefined;
  const deadlineMs = (facts.deployment.spec.progressDeadlineSeconds ?? 600) * 1000;
  // Timestamps have whole seconds; one more makes sure that the deadline has passed.
  return Math.max(1_000, deadlineMs - sinceUpdateMs(progressing, facts.nowMs) + 1_000);
}

function sinceUpdateMs(progressing: Condition, nowMs: number): number {
  const updated = progressing.lastUpdateTime ?? progressing.lastTransitionTime ?? '';
  return nowMs - (wallMsOf(updated) ?? nowMs);
}

/** The condition as it was, where it says the same and nothing moved. */
function condition(
  { deployment, now }: StatusFacts,
  type: string,
  status: ConditionStatus,
  reason: string,
  message: string,
  moved: boolean,
): Condition {
  const before = conditionOf(deployment.status?.conditions, type);
  const same = before?.status === status && before.reason === reason && before.message === message;
  if (same && !moved) return before;
  return {
    type,
    status,
    reason,
    message,
    lastUpdateTime: now,
    lastTransitionTime: before?.status === status ? (before.lastTransitionTime ?? now) : now,
  };
}
