/**
 * Lease: who holds something for a while, and when he last said so. Programs elect their
 * leader by one. Those of nodes, in a namespace of their own, are made on read from what
 * the hub knows, and never stored.
 */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { instant, integer, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';

/** The namespace that the leases of nodes are served in. */
export const nodeLeaseNamespace = 'kube-node-lease';

export interface Lease extends ApiObject {
  spec: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export const leaseDefinition: ResourceDefinition = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  singular: 'lease',
  shortNames: [],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  synthesizedNamespace: nodeLeaseNamespace,
  schema: objectSchema('Who holds something for a while, and when he last said so.', {
    spec: record('Who holds the lease, and since when.', {
      holderIdentity: text('Who holds it: a candidate, or the node.', { maxLength: 1_024 }),
      leaseDurationSeconds: integer('After this long without a renewal another may take it.', {
        minimum: 1,
      }),
      acquireTime: instant('When the present holder took it.'),
      renewTime: instant('When the holder last renewed it, or the node was last heard.'),
      leaseTransitions: integer('How often it has gone from one holder to another.', {
        minimum: 0,
      }),
    }),
  }),
  columns: [
    column('Holder', 'string', 'Who holds it.', (object) => {
      return (object as Partial<Lease>).spec?.holderIdentity ?? '';
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults: dropIgnoredMetadata,
  validate({ metadata }) {
    if (metadata.namespace !== nodeLeaseNamespace) return [];
    return [
      {
        field: 'metadata.namespace',
        reason: 'FieldValueForbidden',
        message: `leases in ${nodeLeaseNamespace} are made on read from what is heard of nodes: choose another namespace`,
      },
    ];
  },
};
