/**
 * ReplicationController: the forerunner of Deployments. There never is one here; it is read
 * by clients that go through all old kinds (`kubectl apply --prune`, `cluster-info dump`).
 */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { ageColumn } from '../meta/columns.ts';
import { objectSchema } from '../meta/metadata.ts';

export const replicationControllerDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'ReplicationController',
  plural: 'replicationcontrollers',
  singular: 'replicationcontroller',
  shortNames: ['rc'],
  categories: [],
  namespaced: true,
  verbs: ['get', 'list'],
  subresources: [],
  storage: 'synthesized',
  schema: objectSchema('The forerunner of Deployments. There are none; use a Deployment.', {}),
  columns: [ageColumn],
  selectableFields: {},
  facets: defaultFacetLayout(),
};
