/**
 * Has the use of every ResourceQuota counted anew when something in its namespace may
 * have given room back. The API counts, in the transaction that writes the status, and
 * adds what is created by itself: what is decided here is only when.
 */
import type { JsonObject } from '#base/mod.ts';
import { type Pod, type ResourceQuota, resources } from '#platform/api/mod.ts';
import type { Change } from '#platform/reconcile/mod.ts';
import type { ControllerContext, StoredKind } from '../shared/context.ts';
import { keyOfObject } from '../shared/keys.ts';
import { hasEnded } from '../shared/pod-state.ts';
import { patchStatus } from '../shared/status.ts';

export function watchForResourceQuotas({ informers, queue }: ControllerContext): void {
  informers.resourceQuotas.onChange(({ type, object, previous }) => {
    // What the API adds by itself needs no counting.
    const isNew = previous?.metadata.generation !== object.metadata.generation;
    if (type !== 'deleted' && isNew) queue.add(keyOfObject(object));
  });
  informers.onKind((stored) => {
    if (!stored.kind.namespaced) return;
    stored.informer.onChange((change) => {
      if (!mayGiveBack(stored, change)) return;
      const { namespace = '' } = change.object.metadata;
      for (const quota of informers.resourceQuotas.lookup('namespace', namespace)) {
        queue.add(keyOfObject(quota));
      }
    });
  });
}

function mayGiveBack({ kind }: StoredKind, { type, object, previous }: Change): boolean {
  if (type === 'deleted') return true;
  if (type === 'added' || kind.resource.group !== '') return false;
  const { plural } = kind.resource;
  if (plural === 'pods') return hasEnded(object as Pod) && !hasEnded(previous as Pod);
  return plural === 'services' || plural === 'persistentvolumeclaims';
}

export function resourceQuotaReconciler({
  client,
  informers,
}: ControllerContext): (key: string) => Promise<void> {
  return async (key) => {
    const quota: ResourceQuota | undefined = informers.resourceQuotas.get(key);
    if (quota === undefined || quota.metadata.deletionTimestamp !== undefined) return;
    const status: JsonObject = { hard: { ...quota.spec.hard } };
    await patchStatus(client, resources.resourceQuotas, informers.resourceQuotas, quota, status);
  };
}
