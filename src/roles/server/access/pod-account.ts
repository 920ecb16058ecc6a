/**
 * The ServiceAccount that a pod runs as. One that it names must be there; `default`
 * need not be, and stands for no rights of its own.
 */
import { defaultServiceAccountName, type Pod, StatusError } from '#platform/api/mod.ts';
import type { Admitter } from '../admission/types.ts';

export const podAccountAdmitter: Admitter = {
  name: 'service account',
  concerns: ({ group, kind }) => group === '' && kind === 'Pod',
  operations: ['create'],
  shape(object, { namespace, name }, { get }) {
    const { serviceAccountName } = (object as Pod).spec;
    if (serviceAccountName === undefined || serviceAccountName === defaultServiceAccountName)
      return;
    if (get('serviceaccounts', namespace, serviceAccountName) !== undefined) return;
    throw new StatusError(
      'Forbidden',
      `pods ${JSON.stringify(name)} is forbidden: error looking up service account ` +
        `${namespace}/${serviceAccountName}: serviceaccount ${JSON.stringify(serviceAccountName)} not found`,
      { kind: 'pods', name },
    );
  },
};
