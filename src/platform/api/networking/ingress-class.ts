/** IngressClass: who serves the ingresses that name it. Stored; nothing here serves ingresses yet. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '../field-errors.ts';
import { dnsSubdomainProblem } from '../formats.ts';
import type { ApiObject } from '../object.ts';
import { oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import { notServedYet } from './not-served.ts';

export interface IngressClass extends ApiObject {
  spec: {
    controller?: string;
    parameters?: {
      apiGroup?: string;
      kind: string;
      name: string;
      scope?: 'Cluster' | 'Namespace';
      namespace?: string;
    };
  };
}

const controllerLengthMax = 250;

export const ingressClassDefinition: ResourceDefinition = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IngressClass',
  plural: 'ingressclasses',
  singular: 'ingressclass',
  shortNames: [],
  categories: [],
  namespaced: false,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema('Says who serves the ingresses that name this class.', {
    spec: record('Who it is, and how it is set up.', {
      controller: text(
        'The program that serves them, such as example.com/proxy. Cannot be changed.',
        {
          maxLength: controllerLengthMax,
        },
      ),
      parameters: record(
        'An object with settings for the program.',
        {
          apiGroup: text('Group of the object; the core group where not given.'),
          kind: text('Kind of the object.', { minLength: 1 }),
          name: text('Name of the object.', { minLength: 1 }),
          scope: oneOf('Whether the object is in a namespace.', ['Cluster', 'Namespace']),
          namespace: text('The namespace, with scope Namespace.', { format: 'dns-label' }),
        },
        ['kind', 'name'],
      ),
    }),
  }),
  columns: [
    column('Controller', 'string', 'The program that serves them.', (object) => {
      return (object as IngressClass).spec.controller ?? '';
    }),
    column('Parameters', 'string', 'The object with its settings.', (object) => {
      const { parameters } = (object as IngressClass).spec;
      if (parameters === undefined) return '<none>';
      const { apiGroup = '', kind, name } = parameters;
      return `${kind}${apiGroup === '' ? '' : `.${apiGroup}`}/${name}`;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    (object as Partial<IngressClass>).spec ??= {};
    const { parameters } = (object as IngressClass).spec;
    if (parameters !== undefined) parameters.scope ??= 'Cluster';
  },
  warnings: () => [notServedYet('IngressClass', 'ingresses')],
  validate(object, { previous }): readonly FieldError[] {
    const { controller = '', parameters } = (object as IngressClass).spec;
    const errors: FieldError[] = [];
    const slash = controller.indexOf('/');
    const domain = slash < 0 ? '' : controller.slice(0, slash);
    if (controller === '') errors.push(fieldRequired('spec.controller', 'name the program'));
    else if (slash < 0 || slash === controller.length - 1 || dnsSubdomainProblem(domain)) {
      const mend = 'must be a domain and a path, such as example.com/proxy';
      errors.push(fieldInvalid('spec.controller', controller, mend));
    }
    if (previous !== undefined) {
      const before = (previous as IngressClass).spec.controller;
      errors.push(...immutable('spec.controller', before, controller));
    }
    const { scope, namespace } = parameters ?? {};
    if (scope === 'Namespace' && namespace === undefined) {
      const mend = "must be given when scope is 'Namespace'";
      errors.push(fieldRequired('spec.parameters.namespace', mend));
    }
    if (scope === 'Cluster' && namespace !== undefined) {
      const why = "may not be given when scope is 'Cluster'";
      errors.push(fieldForbidden('spec.parameters.namespace', why));
    }
    return errors;
  },
};
