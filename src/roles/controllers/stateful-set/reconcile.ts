/** Keeps the numbered pods of a stateful set. The plan is in plan-pods. */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import {
  type ControllerRevision,
  equalJson,
  type PodTemplate,
  resources,
  type StatefulSet,
} from '#platform/api/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import { claim } from '../shared/adopt.ts';
import type { ControllerContext } from '../shared/context.ts';
import { type Revisions, syncRevisions, trimRevisions } from '../shared/controller-revisions.ts';
import { keyOfObject, watchOwnedPods } from '../shared/keys.ts';
import { createOwnedPod, forgetDone, removeOwnedPod } from '../shared/owned-pods.ts';
import { isDeleting } from '../shared/ownership.ts';
import { revisionLabel } from '../shared/plan-revisions.ts';
import { createRetries, type Retries } from '../shared/retries.ts';
import { patchStatus } from '../shared/status.ts';
import { ensureClaims, mayBeClaimOf, ordinalsWithClaims, ownClaims } from './claims.ts';
import { labelsOfPod, ordinalOf, podNameOf, specOfPod } from './pod-identity.ts';
import { type NumberedPod, planStatefulPods, type StatefulPlan } from './plan-pods.ts';

/** Enqueues the sets that a change concerns. */
export function watchForStatefulSets({ informers, queue }: ControllerContext): void {
  informers.statefulSets.onChange(({ object }) => queue.add(keyOfObject(object)));
  watchOwnedPods(informers, informers.statefulSets, 'StatefulSet', queue);
  informers.persistentVolumeClaims.onChange(({ type, object }) => {
    // A pod may have waited for it to be gone.
    if (type !== 'deleted') return;
    for (const set of informers.statefulSets.lookup('namespace', object.metadata.namespace ?? '')) {
      if (mayBeClaimOf(set, object)) queue.add(keyOfObject(set));
    }
  });
}

/** What this controller remembers of one set. */
interface Memory {
  /** Uids of pods whose deletion was asked for. */
  readonly asked: Set<string>;
  /** By the number of the pod. */
  readonly retries: Retries<number>;
}

export function statefulSetReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  const memories = new Map<string, Memory>();
  return async (key) => {
    const set = context.informers.statefulSets.get(key);
    if (set === undefined) {
      memories.delete(key);
      return undefined;
    }
    const memory = memories.get(key) ?? { asked: new Set(), retries: createRetries() };
    memories.set(key, memory);
    // What it made is the garbage collector's, or orphaned.
    if (isDeleting(set)) return reportDeleting(context, set, memory);
    return reconcileSet(context, set, memory);
  };
}

/** Says how much of it is left; one that was never looked at says nothing. */
async function reportDeleting(
  context: ControllerContext,
  set: StatefulSet,
  { asked }: Memory,
): Promise<void> {
  if (set.status === undefined) return;
  const { currentRevision = '', updateRevision = '' } = set.status;
  const { status } = planStatefulPods({
    spec: set.spec,
    pods: await numberedPods(context, set),
    asked,
    currentRevision,
    updateRevision,
    nowMs: context.clock.wallMs(),
    retryAtMs: () => 0,
  });
  await writeStatus(context, set, status);
}

async function reconcileSet(
  context: ControllerContext,
  set: StatefulSet,
  memory: Memory,
): Promise<ReconcileResult> {
  const { clock, informers } = context;
  const revisions = await syncRevisions(
    context,
    resources.statefulSets,
    informers.statefulSets,
    set,
  );
  const updateRevision = revisions.update.metadata.name;
  const named = set.status?.currentRevision ?? '';
  const isKnown = revisions.all.some(({ metadata }) => metadata.name === named);
  const currentRevision = isKnown ? named : updateRevision;
  const plan = async (): Promise<StatefulPlan> => {
    const pods = await numberedPods(context, set);
    forgetDone(
      memory.asked,
      pods.map(({ pod }) => pod),
    );
    return planStatefulPods({
      spec: set.spec,
      pods,
      asked: memory.asked,
      currentRevision,
      updateRevision,
      nowMs: clock.wallMs(),
      retryAtMs: (ordinal) => memory.retries.untilMs(ordinal),
    });
  };
  let failure: unknown;
  let waitsForClaims = false;
  try {
    waitsForClaims = !(await carryOut(context, set, revisions, await plan(), memory));
  } catch (error) {
    // What was done shows in the status; the rest is tried again.
    failure = error;
  }
  const { status, againAfterMs, create, remove } = await plan();
  await writeStatus(context, set, status);
  await trim(context, set, revisions, status.currentRevision ?? '');
  if (failure !== undefined) throw failure;
  if (remove.length > 0 || (create.length > 0 && !waitsForClaims)) return { againAfterMs: 0 };
  return againAfterMs === undefined ? {} : { againAfterMs };
}

/** False where a pod waits for a claim to be gone. */
async function carryOut(
  context: ControllerContext,
  set: StatefulSet,
  revisions: Revisions,
  { create, remove, ended, condemned }: StatefulPlan,
  { asked, retries }: Memory,
): Promise<boolean> {
  const nowMs = context.clock.wallMs();
  for (const { ordinal, pod } of condemned) await ownClaims(context, set, ordinal, pod);
  for (const ordinal of ordinalsWithClaims(context, set)) {
    await ownClaims(context, set, ordinal, undefined);
  }
  for (const { ordinal, pod } of ended) {
    retries.noteFailure(ordinal, nowMs);
    context.events.record({
      regarding: set,
      severity: 'Warning',
      reason: 'RecreatingFailedPod',
      message: `StatefulSet ${keyOfObject(set)} is recreating ended pod ${pod.metadata.name}`,
    });
  }
  for (const pod of remove) await removeOwnedPod(context, set, pod, asked);
  let hasClaims = true;
  for (const { ordinal, revision } of create) {
    if (!(await ensureClaims(context, set, ordinal))) {
      hasClaims = false;
      continue;
    }
    await ownClaims(context, set, ordinal, undefined);
    const template = templateOf(set, revisions, revision);
    await createOwnedPod(context, set, template, {
      name: podNameOf(set, ordinal),
      labels: { ...labelsOfPod(set, ordinal), [revisionLabel]: revision },
      spec: specOfPod(set, template, ordinal),
    });
  }
  return hasClaims;
}

/** The set's own pods that have a name which it gives; others of its labels are left alone. */
async function numberedPods(
  { client, informers }: ControllerContext,
  set: StatefulSet,
): Promise<readonly NumberedPod[]> {
  const { name } = set.metadata;
  const pods = await claim(
    client,
    resources.pods,
    informers.pods,
    set,
    set.spec.selector,
    (pod) => {
      return ordinalOf(name, pod) !== undefined;
    },
  );
  return pods.flatMap((pod) => {
    const ordinal = ordinalOf(name, pod);
    return ordinal === undefined ? [] : [{ ordinal, pod }];
  });
}

function templateOf(set: StatefulSet, { all }: Revisions, name: string): PodTemplate {
  const revision = all.find(({ metadata }) => metadata.name === name);
  return revision === undefined ? set.spec.template : templateIn(revision, set.spec.template);
}

/** What the revision holds; `otherwise` where somebody put something else into it. */
function templateIn({ data }: ControllerRevision, otherwise: PodTemplate): PodTemplate {
  const spec = isJsonObject(data) ? data['spec'] : undefined;
  const held = isJsonObject(spec) ? spec['template'] : undefined;
  if (!isJsonObject(held)) return otherwise;
  const { $patch: _replace, ...template } = held;
  return template as unknown as PodTemplate;
}

async function writeStatus(
  { client, informers }: ControllerContext,
  set: StatefulSet,
  counts: StatefulPlan['status'],
): Promise<void> {
  const status: JsonObject = { ...counts, observedGeneration: set.metadata.generation ?? 0 };
  if (equalJson({ ...set.status, ...status }, set.status ?? {})) return;
  await patchStatus(client, resources.statefulSets, informers.statefulSets, set, status);
}

async function trim(
  context: ControllerContext,
  set: StatefulSet,
  revisions: Revisions,
  currentRevision: string,
): Promise<void> {
  const pods = await numberedPods(context, set);
  const inUse = pods.map(({ pod }) => pod.metadata.labels?.[revisionLabel] ?? '');
  await trimRevisions(context, set, revisions, new Set([...inUse, currentRevision]));
}
