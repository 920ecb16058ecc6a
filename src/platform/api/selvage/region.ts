/** Region: a part of the fleet with a hub of its own. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { record, text } from '../meta/build.ts';
import { ageColumn } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { dnsLabelName } from '../meta/rules.ts';

export interface Region extends ApiObject {
  spec?: { description?: string };
}

export const regionDefinition: ResourceDefinition = {
  group: 'selvage.dev',
  version: 'v1',
  kind: 'Region',
  plural: 'regions',
  singular: 'region',
  shortNames: [],
  categories: ['fleet'],
  namespaced: false,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema('A part of the fleet: sites that belong together.', {
    spec: record('What the region is.', {
      description: text('What people should know about it.', { maxLength: 1024 }),
    }),
  }),
  columns: [ageColumn],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults: dropIgnoredMetadata,
  // The name is the value of a node label.
  validate: (object, { operation }) =>
    operation === 'create' ? dnsLabelName(object.metadata.name) : [],
};
