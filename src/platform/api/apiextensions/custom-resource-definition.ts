/** CustomResourceDefinition: a kind that people add to those of the program. */
import { column } from '../meta/columns.ts';
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldForbidden } from '../field-errors.ts';
import { atomicList, flag, oneOf, record, setList, text } from '../meta/build.ts';
import { conditionsSchema } from '../meta/condition.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import type { ApiObject } from '../object.ts';
import type { Schema } from '../schema.ts';
import { validateCustomResourceDefinition } from './definition-rules.ts';
import {
  categoriesMax,
  celMessageLengthMax,
  columnsMax,
  definitionsMax,
  jsonPathLengthMax,
  selectableFieldsMax,
  shortNamesMax,
  versionsMax,
} from './limits.ts';
import { type CustomResourceDefinition, customResourceFinalizer } from './types.ts';

function openObject(description: string): Schema {
  return { type: 'object', description, 'x-kubernetes-preserve-unknown-fields': true };
}

const jsonPath = { minLength: 1, maxLength: jsonPathLengthMax };

function namesSchema(description: string, required: readonly string[]): Schema {
  return record(
    description,
    {
      plural: text('Lower-case name of many of them, as in the path and in kubectl get.'),
      singular: text('Lower-case name of one of them. The kind in lower case where absent.'),
      kind: text('The kind that objects carry, such as CronTab.'),
      listKind: text('The kind of lists of them. The kind with List at its end where absent.'),
      shortNames: atomicList('Abbreviations for the command line.', text('One abbreviation.'), {
        maxItems: shortNamesMax,
      }),
      categories: atomicList(
        'Words under which kubectl gets them together with others, such as all.',
        text('One word.'),
        { maxItems: categoriesMax },
      ),
    },
    required,
  );
}

const columnSchema = record(
  'One column.',
  {
    name: text('Title of the column.', { minLength: 1 }),
    type: text('What the values are: string, integer, number, boolean or date.'),
    jsonPath: text('Where in the object the value is, such as .spec.replicas.', jsonPath),
    format: text('How clients may show the value.'),
    description: text('What the column tells.'),
    priority: {
      type: 'integer',
      format: 'int32',
      description: '0: always shown. Above: in wide output only.',
    },
  },
  ['name', 'type', 'jsonPath'],
);

const versionSchema = record(
  'One version of the kind.',
  {
    name: text('Name of the version, such as v1 or v1beta1.'),
    served: flag('Whether the API serves the version.'),
    storage: flag('Whether objects are stored in the version. True for exactly one.'),
    deprecated: flag('Whether who uses the version is warned.'),
    deprecationWarning: text('The warning, in place of the usual one.', {
      maxLength: celMessageLengthMax,
    }),
    schema: record('What objects of the version look like.', {
      openAPIV3Schema: openObject(
        'A structural schema (OpenAPI v3): types, bounds, defaults, and rules in x-kubernetes-validations.',
      ),
    }),
    subresources: record('Parts of an object that are written apart from the rest.', {
      status: openObject('Present: the status is written through /status alone.'),
      scale: record(
        'Present: /scale reads and writes how many replicas there are.',
        {
          specReplicasPath: text('Where the wanted number is, below .spec.', jsonPath),
          statusReplicasPath: text('Where the present number is, below .status.', jsonPath),
          labelSelectorPath: text(
            'Where the label selector of the replicas is, as text.',
            jsonPath,
          ),
        },
        ['specReplicasPath', 'statusReplicasPath'],
      ),
    }),
    additionalPrinterColumns: atomicList(
      'What kubectl get shows beside the name. The age where absent.',
      columnSchema,
      { maxItems: columnsMax },
    ),
    selectableFields: atomicList(
      'Fields that field selectors may ask for.',
      record('One field.', { jsonPath: text('Where it is, such as .spec.colour.', jsonPath) }, [
        'jsonPath',
      ]),
      { maxItems: selectableFieldsMax },
    ),
  },
  ['name', 'served', 'storage'],
);

export const customResourceDefinitionDefinition: ResourceDefinition = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  singular: 'customresourcedefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  namespaced: false,
  verbs: allVerbs,
  subresources: ['status'],
  storage: 'main',
  schema: objectSchema(
    'A kind that is not one of the program: what it is called and what its objects look like.',
    {
      spec: record(
        'What the kind is.',
        {
          group: text('The API group, a domain name. Cannot be changed.'),
          scope: oneOf('Whether its objects live in namespaces.', ['Cluster', 'Namespaced']),
          names: namesSchema('What the kind is called.', ['plural', 'kind']),
          versions: atomicList('The versions of the kind.', versionSchema, {
            minItems: 1,
            maxItems: versionsMax,
          }),
          conversion: record(
            'How an object is made from one version into another.',
            {
              strategy: oneOf(
                'None: only apiVersion changes, and what the other version does not know goes.',
                ['None', 'Webhook'],
              ),
              webhook: openObject('Not supported.'),
            },
            ['strategy'],
          ),
          preserveUnknownFields: flag(
            'Must be false or absent: schemas say which fields are kept.',
          ),
        },
        ['group', 'scope', 'names', 'versions'],
      ),
      status: record('How far the kind is served.', {
        conditions: conditionsSchema(
          'NamesAccepted: no other kind has its names. Established: it is served. Terminating: its objects are being deleted.',
        ),
        acceptedNames: namesSchema('The names under which it is served.', []),
        storedVersions: setList(
          'Versions in which objects may be stored. One can be removed from the spec only when it is removed here.',
          text('Name of one version.'),
        ),
      }),
    },
    ['spec'],
  ),
  columns: [
    column(
      'Created At',
      'date',
      'When it was created.',
      ({ metadata }) => metadata.creationTimestamp ?? '',
    ),
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults: completeDefinition,
  validate: validateCustomResourceDefinition,
  settle: (_object, { previous, others }) =>
    previous === undefined && others().length >= definitionsMax
      ? [fieldForbidden('metadata.name', `a server has at most ${definitionsMax} definitions`)]
      : [],
  deletionFinalizers: [customResourceFinalizer],
};

function completeDefinition(object: ApiObject): void {
  dropIgnoredMetadata(object);
  const { spec } = object as CustomResourceDefinition;
  const { names } = spec;
  names.singular ??= names.kind.toLowerCase();
  names.listKind ??= `${names.kind}List`;
  spec.conversion ??= { strategy: 'None' };
}
