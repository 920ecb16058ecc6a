/**
 * The ServiceAccount `default` of every namespace, for pods that name none.
 *
 * It says itself that its pods get no token by themselves: a program that speaks to the
 * API has an account of its own. Who wants it otherwise changes that, and it stays so.
 */
import {
  type ApiObject,
  defaultServiceAccountName,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext } from '../shared/context.ts';

export function watchForServiceAccounts({ informers, queue }: ControllerContext): void {
  informers.namespaces.onChange(({ type, object }) => {
    if (type !== 'deleted') queue.add(object.metadata.name);
  });
  informers.serviceAccounts.onChange(({ type, object: { metadata } }) => {
    if (type === 'deleted' && metadata.name === defaultServiceAccountName) {
      queue.add(metadata.namespace ?? '');
    }
  });
}

export function serviceAccountReconciler({
  client,
  informers,
}: ControllerContext): (name: string) => Promise<ReconcileResult | void> {
  return async (namespace) => {
    const found = informers.namespaces.get(namespace);
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return undefined;
    const key = `${namespace}/${defaultServiceAccountName}`;
    if (informers.serviceAccounts.get(key) !== undefined) return undefined;
    const account: ApiObject = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: defaultServiceAccountName, namespace },
      automountServiceAccountToken: false,
    };
    try {
      informers.serviceAccounts.observe(await client.create(resources.serviceAccounts, account));
    } catch (error) {
      // Made by somebody else, or the namespace goes: the next change tells.
      const isSettled =
        error instanceof StatusError &&
        ['AlreadyExists', 'NotFound', 'Forbidden'].includes(error.reason);
      if (!isSettled) throw error;
    }
    return undefined;
  };
}
