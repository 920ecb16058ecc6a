/** ServiceAccount: who a program is, for the API and for others that trust its tokens. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { atomicList, flag, keyedList, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import type { ApiObject } from '../object.ts';

export interface ServiceAccount extends ApiObject {
  secrets?: { name: string }[];
  automountServiceAccountToken?: boolean;
}

/** The one of pods that name none; a controller makes it in every namespace. */
export const defaultServiceAccountName = 'default';
/** The ConfigMap with the certificate by which pods know the API. */
export const rootCertificateMapName = 'kube-root-ca.crt';
const secretsMax = 256;

export const serviceAccountDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  singular: 'serviceaccount',
  shortNames: ['sa'],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['token'],
  storage: 'main',
  schema: objectSchema(
    'Who a program is. Its tokens are asked for when they are needed and end by themselves; roles are bound to it.',
    {
      secrets: keyedList(
        'Secrets that belong to it. Nothing is made for it here, and nothing checked.',
        ['name'],
        record('One Secret.', { name: text('Its name.', { minLength: 1 }) }, ['name']),
        { maxItems: secretsMax },
      ),
      imagePullSecrets: atomicList(
        'Accepted for clients that send it: images come from the registry of the fleet.',
        record('One Secret.', { name: text('Its name.') }),
        { maxItems: secretsMax },
      ),
      automountServiceAccountToken: flag(
        'False: pods of this account get no token unless they ask for one themselves.',
      ),
    },
  ),
  columns: [
    column('Secrets', 'integer', 'How many Secrets belong to it.', (object) => {
      return ((object as ServiceAccount).secrets ?? []).length;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults: dropIgnoredMetadata,
};
