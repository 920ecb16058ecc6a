/**
 * ControllerRevision: a template that a daemon set or stateful set once had, so that a
 * rollout can be undone. Controllers write these; what one holds never changes.
 */
import type { JsonObject } from '#base/mod.ts';
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';

export interface ControllerRevision extends ApiObject {
  /** A patch that gives its owner this template again. */
  data?: JsonObject;
  revision: number;
}

export const controllerRevisionDefinition: ResourceDefinition = {
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  singular: 'controllerrevision',
  shortNames: [],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema(
    'A template that a daemon set or stateful set has or once had, for undoing a rollout.',
    {
      data: {
        type: 'object',
        description: 'A patch that gives the owner this template again. Cannot be changed.',
        'x-kubernetes-preserve-unknown-fields': true,
      },
      revision: {
        type: 'integer',
        format: 'int64',
        description: 'Its place in the history of its owner; rises when it is used again.',
        minimum: 0,
      },
    },
    ['revision'],
  ),
  columns: [
    column('Controller', 'string', 'The workload whose template this is.', (object) => {
      const owner = object.metadata.ownerReferences?.find(({ controller }) => controller === true);
      if (owner === undefined) return '<none>';
      const group = owner.apiVersion.split('/')[0] ?? '';
      return `${owner.kind.toLowerCase()}.${group}/${owner.name}`;
    }),
    column('Revision', 'integer', 'Its place in the history of its owner.', (object) => {
      return (object as ControllerRevision).revision;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults: dropIgnoredMetadata,
  validate(object, { previous }): readonly FieldError[] {
    return previous === undefined
      ? []
      : immutable('data', previous['data'], (object as ControllerRevision).data);
  },
};
