/** Lease: when a node was last in touch. Made on read from the hub's own knowledge, never stored. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { instant, integer, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { objectSchema } from '../meta/metadata.ts';

/** The namespace that the leases of nodes are served in. */
export const nodeLeaseNamespace = 'kube-node-lease';

export interface Lease extends ApiObject {
  spec: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
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
  verbs: ['get', 'list'],
  subresources: [],
  storage: 'synthesized',
  schema: objectSchema('When a node was last in touch.', {
    spec: record('Who holds the lease, and since when.', {
      holderIdentity: text('The node.'),
      leaseDurationSeconds: integer('After this long without contact the node counts as lost.'),
      acquireTime: instant('When the present connection began.'),
      renewTime: instant('When the node was last heard.'),
    }),
  }),
  columns: [
    column('Holder', 'string', 'The node.', (object) => {
      return (object as Lease).spec.holderIdentity ?? '';
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
};
