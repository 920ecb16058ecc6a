/**
 * The ServiceAccount that a pod runs as. One that it names must be there; `default`
 * need not be, and stands for no rights of its own.
 *
 * Where neither the pod nor its account says otherwise, its containers are shown a
 * token, the certificate of the API and the name of the namespace, where programs of
 * Kubernetes look for them. The account `default` says otherwise from the start.
 */
import {
  defaultServiceAccountName,
  type Pod,
  rootCertificateMapName,
  type ServiceAccount,
  StatusError,
  type Volume,
} from '#platform/api/mod.ts';
import type { Admitter } from '../admission/types.ts';

const accessPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const accessVolumeName = 'kube-api-access';
/** A node that is cut off can renew nothing: a day is what its pods have then. */
const accessTokenSeconds = 24 * 3_600;
const accessFileMode = 0o644;

export const podAccountAdmitter: Admitter = {
  name: 'service account',
  concerns: ({ group, kind }) => group === '' && kind === 'Pod',
  operations: ['create'],
  shape(object, { namespace, name }, { get }) {
    const { spec } = object as Pod;
    const accountName = spec.serviceAccountName ?? defaultServiceAccountName;
    if (spec.automountServiceAccountToken === false && accountName === defaultServiceAccountName) {
      return undefined;
    }
    const account: ServiceAccount | undefined = get('serviceaccounts', namespace, accountName);
    if (account === undefined && accountName !== defaultServiceAccountName) {
      throw new StatusError(
        'Forbidden',
        `pods ${JSON.stringify(name)} is forbidden: error looking up service account ` +
          `${namespace}/${accountName}: serviceaccount ${JSON.stringify(accountName)} not found`,
        { kind: 'pods', name },
      );
    }
    const isWanted =
      spec.automountServiceAccountToken ??
      account?.automountServiceAccountToken ??
      account !== undefined;
    return isWanted && showAccess(spec) ? { isChanged: true } : undefined;
  },
};

/** In place and idempotent; whether it did anything. What a container has at that place of its own stays. */
function showAccess(spec: Pod['spec']): boolean {
  let isShown = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    const mounts = (container.volumeMounts ??= []);
    if (mounts.some(({ mountPath }) => mountPath === accessPath)) continue;
    mounts.push({ name: accessVolumeName, mountPath: accessPath, readOnly: true });
    isShown = true;
  }
  if (!isShown) return false;
  const volumes = (spec.volumes ??= []);
  if (!volumes.some(({ name }) => name === accessVolumeName)) volumes.push(accessVolume());
  return true;
}

function accessVolume(): Volume {
  const fieldRef = { apiVersion: 'v1', fieldPath: 'metadata.namespace' };
  return {
    name: accessVolumeName,
    projected: {
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: accessTokenSeconds } },
        {
          configMap: {
            name: rootCertificateMapName,
            items: [{ key: 'ca.crt', path: 'ca.crt' }],
          },
        },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef }] } },
      ],
      defaultMode: accessFileMode,
    },
  };
}
