/** Namespace: a room for names, and the unit that is deleted as a whole. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { atomicList, oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { conditionsSchema } from '../meta/condition.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { dnsLabelName } from '../meta/rules.ts';

/** The entry in spec.finalizers that stands for "its content is gone". */
export const namespaceFinalizer = 'kubernetes';

export interface Namespace extends ApiObject {
  spec: { finalizers?: string[] };
  status?: { phase?: 'Active' | 'Terminating' };
}

const layout = defaultFacetLayout();

export const namespaceDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  categories: [],
  namespaced: false,
  verbs: allVerbs.filter((verb) => verb !== 'deletecollection'),
  subresources: ['status', 'finalize'],
  storage: 'main',
  schema: objectSchema('A room for names. Deleting it deletes everything in it.', {
    spec: record('How the namespace is to be treated.', {
      finalizers: atomicList(
        'What has to be done before the namespace may go. The server sets it.',
        text('One piece of work.', { minLength: 1 }),
      ),
    }),
    status: record('What is known about the namespace now.', {
      phase: oneOf('Active, or Terminating while its content is deleted.', [
        'Active',
        'Terminating',
      ]),
      conditions: conditionsSchema('What keeps the namespace from going, if anything does.'),
    }),
  }),
  columns: [
    column('Status', 'string', 'Active, or Terminating.', (object) => phaseOf(object)),
    ageColumn,
  ],
  selectableFields: { 'status.phase': phaseOf },
  facets: {
    split: (object) => layout.split(object),
    fold(facets) {
      const object = layout.fold(facets) as Namespace;
      // Not a matter of observation: it is on its way out once deletion was asked for.
      const phase = object.metadata.deletionTimestamp === undefined ? 'Active' : 'Terminating';
      return { ...object, status: { ...object.status, phase } };
    },
  },
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const namespace = object as Namespace;
    namespace.spec ??= {};
    if (object.metadata.deletionTimestamp === undefined) {
      namespace.spec.finalizers ??= [namespaceFinalizer];
    }
    // Every namespace can be selected by its name.
    object.metadata.labels = {
      ...object.metadata.labels,
      ...(object.metadata.name ? { 'kubernetes.io/metadata.name': object.metadata.name } : {}),
    };
  },
  validate: (object, { operation }) =>
    operation === 'create' ? dnsLabelName(object.metadata.name) : [],
};

function phaseOf(object: ApiObject): string {
  return (object as Namespace).status?.phase ?? 'Active';
}
