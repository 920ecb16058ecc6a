/**
 * Empties a namespace that is being deleted, then lets it go.
 */
import {
  type ApiObject,
  type GroupVersionResource,
  type Namespace,
  namespaceFinalizer,
} from '#platform/api/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext } from '../shared/context.ts';
import { deleteAllOf, isAnyOf } from '../shared/empty-kind.ts';

/** Pods take as long as their grace period; looking again this often is cheap. */
const lookAgainMs = 1_000;

export function watchForNamespaces({ informers, queue }: ControllerContext): void {
  informers.namespaces.onChange(({ type, object }) => {
    const leaving = object.metadata.deletionTimestamp !== undefined;
    if (type !== 'deleted' && leaving) queue.add(object.metadata.name);
  });
}

/** `contents`: every kind that lives in namespaces now and can be deleted. */
export function namespaceReconciler(
  context: ControllerContext,
  contents: () => readonly GroupVersionResource[],
): (key: string) => Promise<ReconcileResult | void> {
  return async (name) => {
    const namespace = context.informers.namespaces.get(name);
    if (namespace?.metadata.deletionTimestamp === undefined) return undefined;
    let left = 0;
    for (const resource of contents()) left += await deleteAllOf(context.client, resource, name);
    if (left > 0) return { againAfterMs: lookAgainMs };
    await letGo(context, namespace);
    return undefined;
  };
}

async function letGo({ client }: ControllerContext, namespace: Namespace): Promise<void> {
  const finalizers = namespace.spec.finalizers ?? [];
  if (!finalizers.includes(namespaceFinalizer)) return;
  const kept = finalizers.filter((finalizer) => finalizer !== namespaceFinalizer);
  const left: ApiObject = { ...namespace, spec: { ...namespace.spec, finalizers: kept } };
  try {
    await client.finalize({ group: '', version: 'v1', plural: 'namespaces' }, left);
  } catch (error) {
    if (!isAnyOf(error, ['NotFound'])) throw error;
  }
}
