/** Keeps one pod of a daemon set on every node that it is for. The plan is in plan-daemons. */
import {
  type DaemonSet,
  type DaemonSetStatus,
  equalJson,
  type Node,
  type Pod,
  resources,
} from '#platform/api/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import { claim } from '../shared/adopt.ts';
import type { ControllerContext } from '../shared/context.ts';
import { hashOfRevision, syncRevisions, trimRevisions } from '../shared/controller-revisions.ts';
import { keyOfObject, watchOwnedPods } from '../shared/keys.ts';
import { createOwnedPod, forgetDone, removeOwnedPod } from '../shared/owned-pods.ts';
import { isDeleting } from '../shared/ownership.ts';
import { revisionLabel } from '../shared/plan-revisions.ts';
import { createRetries, type Retries } from '../shared/retries.ts';
import { patchStatus } from '../shared/status.ts';
import { templateHash } from '../shared/template-hash.ts';
import { specForNode } from './node-fit.ts';
import { planDaemons } from './plan-daemons.ts';

/** Enqueues the sets that a change concerns: of a node that counts, all of them. */
export function watchForDaemonSets({ informers, queue }: ControllerContext): void {
  informers.daemonSets.onChange(({ object }) => queue.add(keyOfObject(object)));
  watchOwnedPods(informers, informers.daemonSets, 'DaemonSet', queue);
  informers.nodes.onChange(({ type, object, previous }) => {
    if (type === 'updated' && placementOf(object) === placementOf(previous)) return;
    for (const set of informers.daemonSets.list()) queue.add(keyOfObject(set));
  });
}

/** What of a node decides whether it is one for a set. */
function placementOf({ metadata, spec }: Node): string {
  return JSON.stringify([metadata.labels, spec.taints]);
}

/** What this controller remembers of one set. */
interface Memory {
  /** Uids of pods whose deletion was asked for. */
  readonly asked: Set<string>;
  /** By the name of the node. */
  readonly retries: Retries<string>;
}

export function daemonSetReconciler(
  context: ControllerContext,
): (key: string) => Promise<ReconcileResult | void> {
  const memories = new Map<string, Memory>();
  return async (key) => {
    const set = context.informers.daemonSets.get(key);
    if (set === undefined) {
      memories.delete(key);
      return undefined;
    }
    const memory = memories.get(key) ?? { asked: new Set(), retries: createRetries() };
    memories.set(key, memory);
    return reconcileSet(context, set, memory);
  };
}

async function reconcileSet(
  context: ControllerContext,
  set: DaemonSet,
  { asked, retries }: Memory,
): Promise<ReconcileResult> {
  const { client, clock, informers } = context;
  const { spec } = set;
  const own = (): Promise<Pod[]> =>
    claim(client, resources.pods, informers.pods, set, spec.selector);
  const revisions = isDeleting(set)
    ? undefined
    : await syncRevisions(context, resources.daemonSets, informers.daemonSets, set);
  const hash =
    revisions === undefined
      ? templateHash(spec.template, set.status?.collisionCount ?? 0)
      : hashOfRevision(revisions.update);
  const nowMs = clock.wallMs();
  const plan = async (): Promise<ReturnType<typeof planDaemons>> => {
    const pods = await own();
    forgetDone(asked, pods);
    const retryAtMs = (nodeName: string): number => retries.untilMs(nodeName);
    const nodes = informers.nodes.list();
    return planDaemons({ spec, hash, nodes, pods, asked, nowMs, retryAtMs });
  };
  let failure: unknown;
  if (!isDeleting(set)) {
    const { create, remove, failed } = await plan();
    for (const { pod, nodeName } of failed) {
      retries.noteFailure(nodeName, nowMs);
      context.events.record({
        regarding: set,
        severity: 'Warning',
        reason: pod.status?.phase === 'Succeeded' ? 'SucceededDaemonPod' : 'FailedDaemonPod',
        message: `Found ended daemon pod ${keyOfObject(pod)} on node ${nodeName}, will try to replace it`,
      });
    }
    try {
      for (const pod of remove) await removeOwnedPod(context, set, pod, asked);
      for (const nodeName of create) {
        await createOwnedPod(context, set, spec.template, {
          labels: { [revisionLabel]: hash },
          spec: specForNode(spec.template.spec, nodeName),
        });
      }
    } catch (error) {
      // What was done shows in the status; the rest is tried again.
      failure = error;
    }
  }
  const { status, againAfterMs, create, remove } = await plan();
  await writeStatus(context, set, status);
  if (revisions !== undefined) {
    const hashes = new Set((await own()).map(({ metadata }) => metadata.labels?.[revisionLabel]));
    const inUse = revisions.all.filter((revision) => hashes.has(hashOfRevision(revision)));
    await trimRevisions(
      context,
      set,
      revisions,
      new Set(inUse.map(({ metadata }) => metadata.name)),
    );
  }
  if (failure !== undefined) throw failure;
  const hasMore = !isDeleting(set) && create.length + remove.length > 0;
  if (hasMore) return { againAfterMs: 0 };
  return againAfterMs === undefined ? {} : { againAfterMs };
}

async function writeStatus(
  { client, informers }: ControllerContext,
  set: DaemonSet,
  counts: Omit<DaemonSetStatus, 'observedGeneration'>,
): Promise<void> {
  const status = { ...counts, observedGeneration: set.metadata.generation ?? 0 };
  if (equalJson({ ...set.status, ...status }, set.status ?? {})) return;
  await patchStatus(client, resources.daemonSets, informers.daemonSets, set, status);
}
