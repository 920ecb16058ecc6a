/**
 * The kinds that a server serves, found by every name they go by.
 *
 * Invariants: no two definitions share a (group, version, plural), a (group,
 * version, kind) or a store resource; every schema is well formed. A definition
 * that breaks this is a mistake in the program and refuses to start.
 */
import type { ResourceDefinition } from './definition.ts';
import { ApiModelError } from './errors.ts';
import type { Schema } from './schema.ts';

export interface GroupVersion {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
}

export interface DefinitionRegistry {
  /** In the order in which they were given. */
  readonly definitions: readonly ResourceDefinition[];
  /** Every served group version, the core group first, then as given. */
  readonly groupVersions: readonly GroupVersion[];
  byResource(group: string, version: string, plural: string): ResourceDefinition | undefined;
  byKind(group: string, version: string, kind: string): ResourceDefinition | undefined;
  /** `apiVersion` as objects carry it: `v1`, `apps/v1`. */
  byApiVersionKind(apiVersion: string, kind: string): ResourceDefinition | undefined;
  /** By the name under which the store keeps the kind: `pods`, `deployments.apps`. */
  byStoreResource(resource: string): ResourceDefinition | undefined;
  ofGroupVersion(group: string, version: string): readonly ResourceDefinition[];
}

/** `<plural>` for the core group, else `<plural>.<group>`. */
export function resourceName(definition: Pick<ResourceDefinition, 'group' | 'plural'>): string {
  return definition.group === '' ? definition.plural : `${definition.plural}.${definition.group}`;
}

/** `v1` for the core group, else `<group>/<version>`. */
export function apiVersionOf(definition: GroupVersion): string {
  return definition.group === '' ? definition.version : `${definition.group}/${definition.version}`;
}

/** Throws ApiModelError (API_DEFINITION_INVALID) where the definitions contradict each other. */
export function createDefinitionRegistry(
  definitions: readonly ResourceDefinition[],
): DefinitionRegistry {
  const resources = new Map<string, ResourceDefinition>();
  const kinds = new Map<string, ResourceDefinition>();
  const storeResources = new Map<string, ResourceDefinition>();
  const ofGroupVersion = new Map<string, ResourceDefinition[]>();
  const groupVersions: GroupVersion[] = [];
  for (const definition of definitions) {
    const { group, version, plural, kind } = definition;
    const apiVersion = apiVersionOf(definition);
    addOnce(resources, `${apiVersion}/${plural}`, definition);
    addOnce(kinds, `${apiVersion}/${kind}`, definition);
    addOnce(storeResources, resourceName(definition), definition);
    checkDefinition(definition);
    const members = ofGroupVersion.get(apiVersion);
    if (members !== undefined) {
      members.push(definition);
      continue;
    }
    ofGroupVersion.set(apiVersion, [definition]);
    if (group === '') groupVersions.unshift({ group, version });
    else groupVersions.push({ group, version });
  }
  return {
    definitions: [...definitions],
    groupVersions,
    byResource: (group, version, plural) =>
      resources.get(`${apiVersionOf({ group, version })}/${plural}`),
    byKind: (group, version, kind) => kinds.get(`${apiVersionOf({ group, version })}/${kind}`),
    byApiVersionKind: (apiVersion, kind) => kinds.get(`${apiVersion}/${kind}`),
    byStoreResource: (resource) => storeResources.get(resource),
    ofGroupVersion: (group, version) => ofGroupVersion.get(apiVersionOf({ group, version })) ?? [],
  };
}

function addOnce(
  into: Map<string, ResourceDefinition>,
  name: string,
  definition: ResourceDefinition,
): void {
  if (into.has(name)) throw definitionInvalid(definition, `${name} is defined twice`);
  into.set(name, definition);
}

function checkDefinition(definition: ResourceDefinition): void {
  const { schema } = definition;
  if (schema.type !== 'object')
    throw definitionInvalid(definition, 'its schema is not of an object');
  for (const name of ['apiVersion', 'kind', 'metadata']) {
    if (schema.properties?.[name] === undefined) {
      throw definitionInvalid(definition, `its schema lacks ${name}`);
    }
  }
  if (definition.subresources.includes('status') && schema.properties?.['status'] === undefined) {
    throw definitionInvalid(definition, 'it has a status subresource and no status');
  }
  if (definition.subresources.includes('scale') !== (definition.scale !== undefined)) {
    throw definitionInvalid(definition, 'the scale subresource and its paths come together');
  }
  checkSchema(definition, schema, '');
}

function checkSchema(definition: ResourceDefinition, schema: Schema, path: string): void {
  const wrong = (what: string): ApiModelError =>
    definitionInvalid(definition, `${path === '' ? 'the schema' : path} ${what}`);
  if (schema.description === undefined || schema.description === '') {
    // Elements of lists and values of maps are described by what holds them.
    const isElement = path.endsWith('[]') || path.endsWith('{}');
    if (!isElement) throw wrong('has no description');
  }
  const escaped =
    schema['x-kubernetes-int-or-string'] === true ||
    schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (schema.type === undefined && !escaped) throw wrong('has no type');
  if (schema.type === 'array' && schema.items === undefined) throw wrong('has no items');
  if (schema.properties !== undefined && schema.additionalProperties !== undefined) {
    throw wrong('has both properties and additionalProperties');
  }
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(schema.properties ?? {}, name)) throw wrong(`requires unknown ${name}`);
  }
  const mapKeys = schema['x-kubernetes-list-map-keys'];
  if ((schema['x-kubernetes-list-type'] === 'map') !== (mapKeys !== undefined)) {
    throw wrong('must name list-map-keys exactly where its list-type is map');
  }
  for (const key of mapKeys ?? []) {
    if (!Object.hasOwn(schema.items?.properties ?? {}, key)) throw wrong(`lacks map key ${key}`);
  }
  const mergeKey = schema['x-kubernetes-patch-merge-key'];
  if (mergeKey !== undefined && !Object.hasOwn(schema.items?.properties ?? {}, mergeKey)) {
    throw wrong(`lacks merge key ${mergeKey}`);
  }
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    checkSchema(definition, child, path === '' ? name : `${path}.${name}`);
  }
  if (schema.items !== undefined) checkSchema(definition, schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) {
    checkSchema(definition, schema.additionalProperties, `${path}{}`);
  }
}

function definitionInvalid(definition: ResourceDefinition, what: string): ApiModelError {
  return new ApiModelError(
    'API_DEFINITION_INVALID',
    `definition of ${definition.kind} (${apiVersionOf(definition)}): ${what}`,
  );
}
