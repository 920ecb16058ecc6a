/**
 * Brings a deployment's replica sets to what its template and strategy ask for.
 * All decisions are in plan-replicas, plan-status and revisions; this carries
 * them out. A write against a version that is behind is refused and tried again.
 */
import { type JsonObject } from '#base/mod.ts';
import {
  type Deployment,
  equalJson,
  type ReplicaSet,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import { claim } from '../shared/adopt.ts';
import type { ControllerContext } from '../shared/context.ts';
import { keyOfObject } from '../shared/keys.ts';
import { controllerOf, isDeleting } from '../shared/ownership.ts';
import { hasEnded } from '../shared/pod-state.ts';
import { planReplicas, type ReplicaSetFacts } from './plan-replicas.ts';
import { isComplete, planStatus } from './plan-status.ts';
import {
  annotationsFor,
  findCurrent,
  hasTemplate,
  inOrderOfAge,
  makeReplicaSet,
  planCleanup,
  revisionAnnotation,
  revisionOfSet,
} from './revisions.ts';

type Step = 'created' | 'found' | undefined;

/** Enqueues the deployments that a change concerns. */
export function watchForDeployments({ informers, queue }: ControllerContext): void {
  informers.deployments.onChange(({ object }) => queue.add(keyOfObject(object)));
  informers.replicaSets.onChange(({ object, previous }) => {
    for (const set of previous === undefined ? [object] : [object, previous]) {
      const manager = controllerOf(set);
      if (manager?.kind === 'Deployment') {
        queue.add(`${set.metadata.namespace ?? ''}/${manager.name}`);
      }
    }
  });
  // With Recreate the last old pod to go, or to end, is what a new set waits for.
  informers.pods.onChange(({ type, object, previous }) => {
    const hasJustEnded = hasEnded(object) && previous !== undefined && !hasEnded(previous);
    if (type !== 'deleted' && !hasJustEnded) return;
    for (const set of informers.replicaSets.lookup('uid', controllerOf(object)?.uid ?? '')) {
      const manager = controllerOf(set);
      if (manager !== undefined) queue.add(`${set.metadata.namespace ?? ''}/${manager.name}`);
    }
  });
}

export function deploymentReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  return async (key) => {
    const deployment = context.informers.deployments.get(key);
    if (deployment === undefined) return undefined;
    return reconcileDeployment(context, deployment);
  };
}

async function reconcileDeployment(
  context: ControllerContext,
  deployment: Deployment,
): Promise<ReconcileResult> {
  const { client, informers } = context;
  const { selector } = deployment.spec;
  const sets = await claim(
    client,
    resources.replicaSets,
    informers.replicaSets,
    deployment,
    selector,
  );
  const found = findCurrent(deployment, sets);
  const older = inOrderOfAge(sets.filter((set) => set !== found));
  if (isDeleting(deployment)) return writeStatus(context, deployment, found, older, undefined);

  const plan = planReplicas({
    replicas: deployment.spec.replicas ?? 1,
    strategy: deployment.spec.strategy ?? {},
    paused: deployment.spec.paused ?? false,
    current: found === undefined ? undefined : factsOf(found),
    older: older.map(factsOf),
    // One that has ended does nothing any more, and its set may keep it to be looked at.
    olderPodsRemain: older.some((set) =>
      informers.pods.lookup('owner', set.metadata.uid ?? '').some((pod) => !hasEnded(pod)),
    ),
  });
  const revision = Math.max(0, ...older.map(revisionOfSet)) + 1;
  let current = found;
  let step: Step;
  if (found === undefined && plan.current !== undefined) {
    current = await createSet(context, deployment, plan.current, revision);
    if (current === undefined) return { againAfterMs: 0 };
    step = 'created';
  } else if (found !== undefined) {
    if (revisionOfSet(found) < revision && deployment.spec.paused !== true) step = 'found';
    current = await updateCurrent(context, deployment, found, plan.current, {
      revision: step === 'found' ? revision : revisionOfSet(found),
    });
  }
  const changed = new Map<string, ReplicaSet>();
  for (const { name, replicas } of plan.older) {
    const set = older.find((candidate) => candidate.metadata.name === name);
    if (set !== undefined) changed.set(name, await scaleSet(context, deployment, set, replicas));
  }
  const present = older.map((set) => changed.get(set.metadata.name) ?? set);
  if (current !== undefined) await writeRevision(context, deployment, revisionOfSet(current));
  return writeStatus(context, deployment, current, present, step);
}

function factsOf(set: ReplicaSet): ReplicaSetFacts {
  return {
    name: set.metadata.name,
    wanted: set.spec.replicas ?? 1,
    existing: set.status?.replicas ?? 0,
    available: set.status?.availableReplicas ?? 0,
  };
}

/** The new set; undefined where another set has its name, after which a new name is tried. */
async function createSet(
  { client, events, informers }: ControllerContext,
  deployment: Deployment,
  replicas: number,
  revision: number,
): Promise<ReplicaSet | undefined> {
  const { metadata, spec, status } = deployment;
  const wanted = makeReplicaSet(deployment, replicas, revision);
  try {
    const created = (await client.create(resources.replicaSets, wanted)) as ReplicaSet;
    informers.replicaSets.observe(created);
    events.record(scaled(deployment, created, 0, replicas));
    return created;
  } catch (error) {
    if (!(error instanceof StatusError && error.reason === 'AlreadyExists')) throw error;
  }
  const namespace = metadata.namespace ?? '';
  const existing = (await client.get(
    resources.replicaSets,
    namespace,
    wanted.metadata.name,
  )) as ReplicaSet;
  if (controllerOf(existing)?.uid === metadata.uid && hasTemplate(existing, spec.template)) {
    // An earlier attempt made it and its answer was lost.
    informers.replicaSets.observe(existing);
    return existing;
  }
  const collisionCount = (status?.collisionCount ?? 0) + 1;
  informers.deployments.observe(
    await client.mergePatch(
      resources.deployments,
      namespace,
      metadata.name,
      { status: { collisionCount } },
      'status',
    ),
  );
  return undefined;
}

/** Scales the current set and keeps its annotations and readiness time those of the deployment. */
async function updateCurrent(
  context: ControllerContext,
  deployment: Deployment,
  set: ReplicaSet,
  replicas: number | undefined,
  { revision }: { readonly revision: number },
): Promise<ReplicaSet> {
  const wanted = replicas ?? set.spec.replicas ?? 1;
  const annotations = annotationsFor(deployment, set.metadata.annotations ?? {}, revision);
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  const same =
    set.spec.replicas === wanted &&
    (set.spec.minReadySeconds ?? 0) === minReadySeconds &&
    equalJson(annotations, set.metadata.annotations ?? {});
  if (same) return set;
  return patchSet(context, deployment, set, wanted, { minReadySeconds }, { annotations });
}

async function scaleSet(
  context: ControllerContext,
  deployment: Deployment,
  set: ReplicaSet,
  replicas: number,
): Promise<ReplicaSet> {
  return patchSet(context, deployment, set, replicas, {}, {});
}

async function patchSet(
  { client, events, informers }: ControllerContext,
  deployment: Deployment,
  set: ReplicaSet,
  replicas: number,
  spec: JsonObject,
  metadata: JsonObject,
): Promise<ReplicaSet> {
  const { namespace = '', name, resourceVersion = '' } = set.metadata;
  const patched = (await client.mergePatch(resources.replicaSets, namespace, name, {
    metadata: { ...metadata, resourceVersion },
    spec: { ...spec, replicas },
  })) as ReplicaSet;
  informers.replicaSets.observe(patched);
  const before = set.spec.replicas ?? 1;
  if (before !== replicas) events.record(scaled(deployment, set, before, replicas));
  return patched;
}

function scaled(
  regarding: Deployment,
  set: ReplicaSet,
  before: number,
  after: number,
): { regarding: Deployment; severity: 'Normal'; reason: string; message: string } {
  const direction = after < before ? 'down' : 'up';
  return {
    regarding,
    severity: 'Normal',
    reason: 'ScalingReplicaSet',
    message: `Scaled ${direction} replica set ${set.metadata.name} from ${before} to ${after}`,
  };
}

async function writeRevision(
  { client, informers }: ControllerContext,
  { metadata }: Deployment,
  revision: number,
): Promise<void> {
  if (metadata.annotations?.[revisionAnnotation] === String(revision)) return;
  const annotations = { [revisionAnnotation]: String(revision) };
  informers.deployments.observe(
    await client.mergePatch(resources.deployments, metadata.namespace ?? '', metadata.name, {
      metadata: { annotations },
    }),
  );
}

async function writeStatus(
  context: ControllerContext,
  deployment: Deployment,
  current: ReplicaSet | undefined,
  older: readonly ReplicaSet[],
  event: Step,
): Promise<ReconcileResult> {
  const { client, clock, informers } = context;
  const nowMs = clock.wallMs();
  const now = timestampOf(nowMs);
  const plan = planStatus({ deployment, current, older, now, nowMs, event });
  const { namespace = '', name } = deployment.metadata;
  if (!equalJson(plan.status, deployment.status ?? {})) {
    informers.deployments.observe(
      await client.mergePatch(
        resources.deployments,
        namespace,
        name,
        { status: plan.status },
        'status',
      ),
    );
  }
  if (isComplete(deployment, plan.status) && !isDeleting(deployment)) {
    await cleanUp(context, deployment, older);
  }
  return plan.againAfterMs === undefined ? {} : { againAfterMs: plan.againAfterMs };
}

async function cleanUp(
  { client }: ControllerContext,
  deployment: Deployment,
  older: readonly ReplicaSet[],
): Promise<void> {
  for (const { metadata } of planCleanup(older, deployment.spec.revisionHistoryLimit ?? 10)) {
    const { namespace = '', name, uid } = metadata;
    try {
      await client.delete(resources.replicaSets, namespace, name, {
        propagationPolicy: 'Background',
        ...(uid === undefined ? {} : { uid }),
      });
    } catch (error) {
      if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
    }
  }
}
