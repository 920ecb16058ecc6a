/** Takes over objects that match a selector and that nobody manages. */
import {
  type ApiObject,
  type GroupVersionResource,
  type LabelSelector,
  type OwnerReference,
  selectsLabels,
} from '#platform/api/mod.ts';
import type { JsonObject } from '#base/mod.ts';
import type { Client } from '#platform/client/mod.ts';
import type { Informer } from '#platform/reconcile/mod.ts';
import { controllerOf, controllerReference, isDeleting } from './ownership.ts';

/** Objects that nobody manages, by namespace: few, however many objects there are. */
export const unmanagedIndex = 'unmanaged';

export function unmanagedIn(object: ApiObject): readonly string[] {
  return controllerOf(object) === undefined ? [object.metadata.namespace ?? ''] : [];
}

/**
 * The objects of `informer` that `owner` manages, after adopting those that match
 * its selector and have no manager. One that it manages but that no longer
 * matches is not counted: whoever took its label away wants it left alone. Only what
 * `mayBeOwn` is adopted.
 */
export async function claim<Kind extends ApiObject>(
  client: Client,
  resource: GroupVersionResource,
  informer: Informer<Kind>,
  owner: ApiObject,
  selector: LabelSelector,
  mayBeOwn: (object: Kind) => boolean = () => true,
): Promise<Kind[]> {
  const uid = owner.metadata.uid ?? '';
  const claimed: Kind[] = [];
  for (const object of informer.lookup('owner', uid)) {
    if (controllerOf(object)?.uid !== uid) continue;
    if (selectsLabels(selector, object.metadata.labels)) claimed.push(object);
  }
  if (isDeleting(owner)) return claimed;
  for (const object of informer.lookup(unmanagedIndex, owner.metadata.namespace ?? '')) {
    if (isDeleting(object) || !selectsLabels(selector, object.metadata.labels)) continue;
    if (!mayBeOwn(object)) continue;
    const { namespace = '', name, resourceVersion = '' } = object.metadata;
    const references = adoptedBy(owner, object.metadata.ownerReferences ?? []);
    const adopted = await client.mergePatch(resource, namespace, name, {
      metadata: { resourceVersion, ownerReferences: references as unknown as JsonObject[] },
    });
    informer.observe(adopted);
    claimed.push(adopted as Kind);
  }
  return claimed;
}

/** With the reference to the one that manages it; one that only owned it until now becomes that. */
function adoptedBy(owner: ApiObject, references: readonly OwnerReference[]): OwnerReference[] {
  const manager = controllerReference(owner);
  const isThere = references.some(({ uid }) => uid === manager.uid);
  if (!isThere) return [...references, manager];
  return references.map((one) => (one.uid === manager.uid ? { ...one, ...manager } : one));
}
