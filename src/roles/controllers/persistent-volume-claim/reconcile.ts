/**
 * Lets a claim that is being deleted go when its data is gone: at once where it never
 * had any, after its node has said so, or with the node.
 */
import {
  claimFinalizer,
  conditionOf,
  dataReleasedCondition,
  nodeOfClaim,
  type PersistentVolumeClaim,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import type { ControllerContext } from '../shared/context.ts';
import { keyOfObject } from '../shared/keys.ts';
import { isDeleting } from '../shared/ownership.ts';

export function watchForClaims({ informers, queue }: ControllerContext): void {
  informers.persistentVolumeClaims.onChange(({ type, object }) => {
    if (type !== 'deleted' && isDeleting(object)) queue.add(keyOfObject(object));
  });
  informers.nodes.onChange(({ type, object }) => {
    if (type !== 'deleted') return;
    for (const claim of informers.persistentVolumeClaims.list()) {
      if (isDeleting(claim) && nodeOfClaim(claim) === object.metadata.name) {
        queue.add(keyOfObject(claim));
      }
    }
  });
}

export function claimReconciler(context: ControllerContext): (key: string) => Promise<void> {
  return async (key) => {
    const { client, informers } = context;
    const claim = informers.persistentVolumeClaims.get(key);
    if (claim === undefined || !isDeleting(claim)) return;
    const { finalizers = [], namespace = '', name, resourceVersion = '' } = claim.metadata;
    if (!finalizers.includes(claimFinalizer) || !(await isWithoutData(context, claim))) return;
    const kept = finalizers.filter((finalizer) => finalizer !== claimFinalizer);
    const metadata = { resourceVersion, finalizers: kept };
    const resource = resources.persistentVolumeClaims;
    try {
      informers.persistentVolumeClaims.observe(
        await client.mergePatch(resource, namespace, name, { metadata }),
      );
    } catch (error) {
      if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
    }
  };
}

async function isWithoutData(
  { client, informers }: ControllerContext,
  claim: PersistentVolumeClaim,
): Promise<boolean> {
  const nodeName = nodeOfClaim(claim);
  if (nodeName === undefined) return true;
  if (conditionOf(claim.status?.conditions, dataReleasedCondition)?.status === 'True') return true;
  if (informers.nodes.get(nodeName) !== undefined) return false;
  // The copy in memory may be behind.
  try {
    await client.get(resources.nodes, '', nodeName);
    return false;
  } catch (error) {
    if (error instanceof StatusError && error.reason === 'NotFound') return true;
    throw error;
  }
}
