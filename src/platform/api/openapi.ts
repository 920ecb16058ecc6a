/**
 * The served OpenAPI v3 documents, one per group version, made from the same
 * schemas that validate. Clients read them to explain fields and to find out
 * that the server itself validates fields and offers dry runs.
 *
 * Invariants: documents depend on the definitions alone, so their hash names
 * them; metadata is one shared component, everything below it is inlined. A document
 * is made anew when a definition of its group version has changed, and only then.
 */
import { hash } from 'node:crypto';
import { type Json, type JsonObject, unreachable } from '#base/mod.ts';
import type { ResourceDefinition, Verb } from './definition.ts';
import {
  apiVersionOf,
  type DefinitionRegistry,
  type GroupVersion,
  listKindOf,
} from './registry.ts';
import type { Schema } from './schema.ts';

export interface OpenApiDocuments {
  /** `GET /openapi/v3`. */
  readonly index: JsonObject;
  /** The document of one group version as JSON text; undefined where it is not served. */
  document(group: string, version: string): OpenApiDocument | undefined;
}

export interface OpenApiDocument {
  readonly text: string;
  /** Of the text; also its entity tag. */
  readonly hash: string;
}

const objectMetaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const listMetaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta';
const statusName = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status';
const deleteOptionsName = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';
const patchName = 'io.k8s.apimachinery.pkg.apis.meta.v1.Patch';

const patchMediaTypes = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
];

/** Each is made when it is first asked for and kept as text, some ten KiB a kind. */
export function openApiDocumentsOf(
  registry: DefinitionRegistry,
  serverVersion: string,
): OpenApiDocuments {
  interface Made extends OpenApiDocument {
    readonly definitions: readonly ResourceDefinition[];
  }
  const made = new Map<string, Made>();
  function documentAt(served: GroupVersion): OpenApiDocument | undefined {
    const root = rootPathOf(served);
    const definitions = registry.ofGroupVersion(served.group, served.version);
    if (definitions.length === 0) {
      made.delete(root);
      return undefined;
    }
    const known = made.get(root);
    if (known?.definitions === definitions) return known;
    const text = JSON.stringify(documentOf(definitions, serverVersion));
    const document = { text, hash: hash('sha256', text, 'hex').toUpperCase(), definitions };
    made.set(root, document);
    return document;
  }
  return {
    get index() {
      const paths: JsonObject = {};
      for (const served of registry.groupVersions) {
        const root = rootPathOf(served);
        const digest = documentAt(served)?.hash ?? '';
        paths[root] = { serverRelativeURL: `/openapi/v3/${root}?hash=${digest}` };
      }
      return { paths };
    },
    document: (group, version) => documentAt({ group, version }),
  };
}

/** `api/v1`, `apis/apps/v1`. */
function rootPathOf(served: GroupVersion): string {
  return served.group === '' ? `api/${served.version}` : `apis/${apiVersionOf(served)}`;
}

function documentOf(definitions: readonly ResourceDefinition[], serverVersion: string): JsonObject {
  const paths: JsonObject = {};
  const schemas: JsonObject = { ...sharedComponents() };
  for (const definition of definitions) {
    addComponents(schemas, definition);
    addPaths(paths, definition);
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Selvage', version: serverVersion },
    paths,
    components: { schemas },
  };
}

/** `io.k8s.api.apps.v1.Deployment`, `dev.selvage.v1.Site`. */
export function componentNameOf(
  definition: Pick<ResourceDefinition, 'group' | 'version' | 'kind'>,
): string {
  const { group, version, kind } = definition;
  if (group === '') return `io.k8s.api.core.${version}.${kind}`;
  if (!group.includes('.')) return `io.k8s.api.${group}.${version}.${kind}`;
  if (group.endsWith('.k8s.io')) {
    return `io.k8s.api.${group.slice(0, group.indexOf('.'))}.${version}.${kind}`;
  }
  return `${group.split('.').toReversed().join('.')}.${version}.${kind}`;
}

function addComponents(schemas: JsonObject, definition: ResourceDefinition): void {
  const name = componentNameOf(definition);
  const metadata = definition.schema.properties?.['metadata'];
  if (metadata !== undefined) schemas[objectMetaName] ??= openApiSchema(metadata);
  const properties: JsonObject = {};
  for (const [field, schema] of Object.entries(definition.schema.properties ?? {})) {
    properties[field] =
      field === 'metadata' ? referenceWith(objectMetaName, schema) : openApiSchema(schema);
  }
  schemas[name] = {
    ...openApiSchema({ ...definition.schema, properties: {} }),
    properties,
    'x-kubernetes-group-version-kind': [groupVersionKind(definition)],
  };
  schemas[`${name}List`] = {
    type: 'object',
    description: `A list of ${definition.kind} objects.`,
    required: ['items'],
    properties: {
      apiVersion: { type: 'string', description: 'Group and version of the list.' },
      kind: { type: 'string', description: 'The kind of the list.' },
      metadata: {
        allOf: [reference(listMetaName)],
        description: 'About the list as a whole.',
        default: {},
      },
      items: {
        type: 'array',
        description: 'The objects.',
        items: { allOf: [reference(name)], default: {} },
      },
    },
    'x-kubernetes-group-version-kind': [
      { ...groupVersionKind(definition), kind: listKindOf(definition) },
    ],
  };
}

/** Our schema in the words of OpenAPI 3.0. */
function openApiSchema(schema: Schema): JsonObject {
  const { properties, items, additionalProperties, notYet: _notYet, rules, ...rest } = schema;
  const written: JsonObject = { ...rules?.served };
  for (const [name, value] of Object.entries(rest)) {
    if (value !== undefined) written[name] = structuredClone(value) as Json;
  }
  if (schema['x-kubernetes-int-or-string'] === true && rules === undefined) {
    written['oneOf'] = [{ type: 'integer' }, { type: 'string' }];
    written['format'] = schema.format === 'quantity' ? 'quantity' : 'int-or-string';
  }
  if (properties !== undefined) {
    const entries = Object.entries(properties);
    if (entries.length > 0 || schema.type === 'object') {
      written['properties'] = Object.fromEntries(
        entries.map(([name, child]) => [name, openApiSchema(child)]),
      );
    }
  }
  if (items !== undefined) written['items'] = openApiSchema(items);
  if (additionalProperties !== undefined) {
    written['additionalProperties'] = openApiSchema(additionalProperties);
  }
  return written;
}

function reference(name: string): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

function referenceWith(name: string, schema: Schema): JsonObject {
  return { allOf: [reference(name)], description: schema.description ?? '', default: {} };
}

function sharedComponents(): JsonObject {
  const text = (description: string): JsonObject => ({ type: 'string', description });
  const count = (description: string, format: string): JsonObject => ({
    type: 'integer',
    format,
    description,
  });
  const typed = {
    apiVersion: text('Group and version of this object.'),
    kind: text('The kind of this object.'),
  };
  return {
    [listMetaName]: {
      type: 'object',
      description: 'What the server says about a list.',
      properties: {
        resourceVersion: text('The version of the store that the list shows.'),
        continue: text('Where the next part of the list begins; empty at its end.'),
        remainingItemCount: count('How many objects follow after this part.', 'int64'),
      },
    },
    [statusName]: {
      type: 'object',
      description: 'The outcome of a request that answers with no object.',
      properties: {
        ...typed,
        metadata: reference(listMetaName),
        status: text('Success or Failure.'),
        message: text('The outcome, for people.'),
        reason: text('The outcome in one word, for programs.'),
        details: {
          type: 'object',
          description: 'What the outcome is about.',
          'x-kubernetes-preserve-unknown-fields': true,
        },
        code: count('The HTTP status code.', 'int32'),
      },
      'x-kubernetes-group-version-kind': [{ group: '', version: 'v1', kind: 'Status' }],
    },
    [deleteOptionsName]: {
      type: 'object',
      description: 'How an object is to be deleted.',
      properties: {
        ...typed,
        gracePeriodSeconds: count('Time that the object has to finish.', 'int64'),
        propagationPolicy: text('What happens to dependents: Orphan, Background or Foreground.'),
        preconditions: {
          type: 'object',
          description: 'What must hold of the object, or nothing is deleted.',
          properties: {
            uid: text('The identity that the object must have.'),
            resourceVersion: text('The version that the object must have.'),
          },
        },
        dryRun: {
          type: 'array',
          description: 'All: the request is checked and nothing is changed.',
          items: { type: 'string' },
        },
      },
    },
    [patchName]: {
      type: 'object',
      description: 'A patch, in the form that its content type names.',
    },
  };
}

function groupVersionKind({ group, version, kind }: ResourceDefinition): JsonObject {
  return { group, version, kind };
}

const queryParameters: Readonly<Record<string, JsonObject>> = {
  pretty: parameter('pretty', 'Ask for indented output.', 'string'),
  dryRun: parameter('dryRun', 'All: the request is checked and nothing is stored.', 'string'),
  fieldManager: parameter('fieldManager', 'Who makes the change.', 'string'),
  fieldValidation: parameter(
    'fieldValidation',
    'What is done about unknown and duplicate fields: Ignore, Warn or Strict.',
    'string',
  ),
  force: parameter('force', 'Take fields over from other managers (apply only).', 'boolean'),
  labelSelector: parameter('labelSelector', 'Only objects with these labels.', 'string'),
  fieldSelector: parameter('fieldSelector', 'Only objects with these field values.', 'string'),
  limit: parameter('limit', 'At most this many objects.', 'integer'),
  continue: parameter('continue', 'Where the next part of the list begins.', 'string'),
  resourceVersion: parameter('resourceVersion', 'The version to read from.', 'string'),
  timeoutSeconds: parameter('timeoutSeconds', 'How long a watch lasts at most.', 'integer'),
  watch: parameter('watch', 'Report changes as they happen.', 'boolean'),
  allowWatchBookmarks: parameter('allowWatchBookmarks', 'Send bookmarks in a watch.', 'boolean'),
  gracePeriodSeconds: parameter('gracePeriodSeconds', 'Time to finish.', 'integer'),
  propagationPolicy: parameter('propagationPolicy', 'What happens to dependents.', 'string'),
};

const writeParameters = ['pretty', 'dryRun', 'fieldManager', 'fieldValidation'];
const listParameters = [
  'allowWatchBookmarks',
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'resourceVersion',
  'timeoutSeconds',
  'watch',
];

interface OperationShape {
  readonly verb: Verb;
  readonly action: string;
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  readonly parameters: readonly string[];
  readonly on: 'collection' | 'object';
}

const operationShapes: readonly OperationShape[] = [
  { verb: 'list', action: 'list', method: 'get', parameters: listParameters, on: 'collection' },
  { verb: 'create', action: 'post', method: 'post', parameters: writeParameters, on: 'collection' },
  {
    verb: 'deletecollection',
    action: 'deletecollection',
    method: 'delete',
    parameters: [...listParameters, 'dryRun', 'gracePeriodSeconds', 'propagationPolicy'],
    on: 'collection',
  },
  { verb: 'get', action: 'get', method: 'get', parameters: ['pretty'], on: 'object' },
  { verb: 'update', action: 'put', method: 'put', parameters: writeParameters, on: 'object' },
  {
    verb: 'patch',
    action: 'patch',
    method: 'patch',
    parameters: [...writeParameters, 'force'],
    on: 'object',
  },
  {
    verb: 'delete',
    action: 'delete',
    method: 'delete',
    parameters: ['pretty', 'dryRun', 'gracePeriodSeconds', 'propagationPolicy'],
    on: 'object',
  },
];

function addPaths(paths: JsonObject, definition: ResourceDefinition): void {
  const root = `/${rootPathOf(definition)}`;
  const scope = definition.namespaced ? '/namespaces/{namespace}' : '';
  const collection = `${root}${scope}/${definition.plural}`;
  addOperations(paths, collection, definition, 'collection', definition.verbs);
  addOperations(paths, `${collection}/{name}`, definition, 'object', definition.verbs);
  if (definition.subresources.includes('status')) {
    const verbs: readonly Verb[] = ['get', 'update', 'patch'];
    addOperations(paths, `${collection}/{name}/status`, definition, 'object', verbs);
  }
  if (definition.namespaced && definition.verbs.includes('list')) {
    addOperations(paths, `${root}/${definition.plural}`, definition, 'collection', ['list']);
  }
}

function addOperations(
  paths: JsonObject,
  path: string,
  definition: ResourceDefinition,
  on: OperationShape['on'],
  verbs: readonly Verb[],
): void {
  const operations: JsonObject = {};
  for (const shape of operationShapes) {
    if (shape.on !== on || !verbs.includes(shape.verb)) continue;
    operations[shape.method] = operationOf(definition, shape, path);
  }
  if (Object.keys(operations).length === 0) return;
  const pathParameters = ['namespace', 'name'].filter((name) => path.includes(`{${name}}`));
  paths[path] = {
    ...operations,
    parameters: pathParameters.map((name) => ({
      name,
      in: 'path',
      description: name === 'name' ? `Name of the ${definition.kind}.` : 'The namespace.',
      required: true,
      schema: { type: 'string', uniqueItems: true },
    })),
  };
}

function operationOf(
  definition: ResourceDefinition,
  shape: OperationShape,
  path: string,
): JsonObject {
  const component = componentNameOf(definition);
  const answer = shape.verb === 'list' ? `${component}List` : component;
  const isDelete = shape.method === 'delete';
  return {
    operationId: operationIdOf(definition, shape, path),
    description: `${shape.verb} ${definition.plural}`,
    tags: [definition.group === '' ? 'core' : definition.group],
    parameters: shape.parameters.map((name) => queryParameters[name] ?? {}),
    ...bodyOf(component, shape, definition.declared === undefined),
    responses: {
      '200': {
        description: 'OK',
        content: { 'application/json': { schema: reference(isDelete ? statusName : answer) } },
      },
    },
    'x-kubernetes-action': shape.action,
    'x-kubernetes-group-version-kind': groupVersionKind(definition),
  };
}

function bodyOf(component: string, shape: OperationShape, takesStrategic: boolean): JsonObject {
  switch (shape.method) {
    case 'get':
      return {};
    case 'patch': {
      const types = patchMediaTypes.filter((type) => takesStrategic || !type.includes('strategic'));
      const content = types.map((type) => [type, { schema: reference(patchName) }]);
      return {
        requestBody: { content: Object.fromEntries(content) as JsonObject, required: true },
      };
    }
    case 'delete':
      return { requestBody: { content: { '*/*': { schema: reference(deleteOptionsName) } } } };
    case 'post':
    case 'put':
      return {
        requestBody: { content: { '*/*': { schema: reference(component) } }, required: true },
      };
    default:
      return unreachable(shape.method);
  }
}

function operationIdOf(
  definition: ResourceDefinition,
  shape: OperationShape,
  path: string,
): string {
  const group =
    definition.group === '' ? 'Core' : capitalised(definition.group.split('.')[0] ?? '');
  const scope = path.includes('{namespace}') ? 'Namespaced' : '';
  const isAll = definition.namespaced && scope === '';
  const tail = path.endsWith('/status') ? 'Status' : isAll ? 'ForAllNamespaces' : '';
  return `${shape.verb}${group}${capitalised(definition.version)}${scope}${definition.kind}${tail}`;
}

function capitalised(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function parameter(name: string, description: string, type: string): JsonObject {
  return { name, in: 'query', description, schema: { type, uniqueItems: true } };
}
