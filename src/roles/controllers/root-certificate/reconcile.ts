/**
 * The ConfigMap `kube-root-ca.crt` with the certificate of the fleet's authority, in
 * the namespaces where a pod may speak to the API: where a ServiceAccount gives its pods
 * tokens by itself, or a pod asks for the ConfigMap.
 */
import {
  type ApiObject,
  type Pod,
  resources,
  rootCertificateMapName,
  StatusError,
} from '#platform/api/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext } from '../shared/context.ts';

const certificateKey = 'ca.crt';

export function watchForRootCertificates({ informers, queue }: ControllerContext): void {
  informers.serviceAccounts.onChange(({ type, object }) => {
    if (type !== 'deleted') queue.add(object.metadata.namespace ?? '');
  });
  informers.pods.onChange(({ type, object }) => {
    if (type === 'added' && asksForIt(object)) queue.add(object.metadata.namespace ?? '');
  });
  informers.rootCertificates.onChange(({ object: { metadata } }) => {
    queue.add(metadata.namespace ?? '');
  });
}

export function rootCertificateReconciler(
  { client, informers }: ControllerContext,
  caPem: string | undefined,
): (namespace: string) => Promise<ReconcileResult | void> {
  return async (namespace) => {
    const found = informers.namespaces.get(namespace);
    if (caPem === undefined || found?.metadata.deletionTimestamp !== undefined) return undefined;
    const isWanted =
      informers.serviceAccounts
        .lookup('namespace', namespace)
        .some(({ automountServiceAccountToken }) => automountServiceAccountToken !== false) ||
      informers.pods.lookup('namespace', namespace).some(asksForIt);
    const present = informers.rootCertificates.get(`${namespace}/${rootCertificateMapName}`);
    const isRight = present?.data?.[certificateKey] === caPem;
    if (!isWanted || isRight) return undefined;
    const wanted: ApiObject = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: rootCertificateMapName, namespace },
      data: { [certificateKey]: caPem },
    };
    try {
      informers.rootCertificates.observe(
        present === undefined
          ? await client.create(resources.configMaps, wanted)
          : await client.mergePatch(resources.configMaps, namespace, rootCertificateMapName, {
              data: { [certificateKey]: caPem },
            }),
      );
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

function asksForIt({ spec }: Pod): boolean {
  return (spec.volumes ?? []).some(({ configMap, projected }) =>
    [configMap, ...(projected?.sources ?? []).map((source) => source.configMap)].some(
      (source) => source?.name === rootCertificateMapName,
    ),
  );
}
