/** Kinds that are kept nowhere: a question is posted, and comes back with its answer as status. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { Schema } from '../schema.ts';
import { dropIgnoredMetadata, objectSchema } from './metadata.ts';

export function answeredDefinition(
  names: Pick<ResourceDefinition, 'group' | 'kind' | 'plural' | 'singular' | 'namespaced'>,
  description: string,
  fields: Readonly<Record<string, Schema>>,
  required: readonly string[] = ['spec'],
): ResourceDefinition {
  return {
    ...names,
    version: 'v1',
    shortNames: [],
    categories: [],
    verbs: ['create'],
    subresources: [],
    storage: 'answered',
    schema: objectSchema(description, fields, required),
    columns: [],
    selectableFields: {},
    facets: defaultFacetLayout(),
    applyDefaults: dropIgnoredMetadata,
  };
}
