/** Which keys of a controller's queue a change concerns. */
import {
  type ApiObject,
  type LabelSelector,
  type OwnerReference,
  selectsLabels,
} from '#platform/api/mod.ts';
import type { Informer, WorkQueue } from '#platform/reconcile/mod.ts';
import type { SharedInformers } from './context.ts';
import { controllerOf } from './ownership.ts';

export function keyOfObject({ metadata }: ApiObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

type Owner = ApiObject & { readonly spec: { readonly selector?: LabelSelector } };

/** Enqueues the owners of `kind` whose pods change, or which may adopt one that nobody manages. */
export function watchOwnedPods(
  informers: SharedInformers,
  owners: Informer<Owner>,
  kind: string,
  queue: WorkQueue,
): void {
  const isOwner = (manager: OwnerReference): boolean => manager.kind === kind;
  informers.pods.onChange(({ object, previous }) => {
    for (const pod of previous === undefined ? [object] : [object, previous]) {
      const manager = controllerOf(pod);
      const namespace = pod.metadata.namespace ?? '';
      if (manager !== undefined) {
        if (isOwner(manager)) queue.add(`${namespace}/${manager.name}`);
        continue;
      }
      for (const owner of owners.lookup('namespace', namespace)) {
        const { selector } = owner.spec;
        if (selector !== undefined && selectsLabels(selector, pod.metadata.labels)) {
          queue.add(keyOfObject(owner));
        }
      }
    }
  });
}
