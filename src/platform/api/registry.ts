/**
 * The kinds that a server serves, found by every name they go by: those of the
 * program, which are there for good, and those that people declare, which come and go.
 *
 * Invariants:
 * 1. No two definitions share a (group, version, plural) or a (group, version, kind);
 *    only the versions of one kind share a store resource.
 * 2. Every schema of the program is well formed. A definition that breaks this is a
 *    mistake in the program and refuses to start.
 * 3. Lookups read tables that are never changed: a change of what is served makes new ones.
 */
import type { ResourceDefinition } from './definition.ts';
import { ApiModelError } from './errors.ts';
import type { Schema } from './schema.ts';

export interface GroupVersion {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
}

/** What a change of the registry took away and brought. */
export interface ServedChange {
  readonly removed: readonly ResourceDefinition[];
  readonly added: readonly ResourceDefinition[];
}

export interface DefinitionRegistry {
  /** In the order in which they were given; then the declared ones by their owners' names. */
  readonly definitions: readonly ResourceDefinition[];
  /** Every served group version, the core group first, then as given, then declared ones. */
  readonly groupVersions: readonly GroupVersion[];
  byResource(group: string, version: string, plural: string): ResourceDefinition | undefined;
  byKind(group: string, version: string, kind: string): ResourceDefinition | undefined;
  /** `apiVersion` as objects carry it: `v1`, `apps/v1`. */
  byApiVersionKind(apiVersion: string, kind: string): ResourceDefinition | undefined;
  /** By the name under which the store keeps the kind: `pods`, `deployments.apps`. */
  byStoreResource(resource: string): ResourceDefinition | undefined;
  /** The same list for as long as nothing in it changes. */
  ofGroupVersion(group: string, version: string): readonly ResourceDefinition[];
  /**
   * Serves `definitions`, the versions of one declared kind, in place of those that
   * `owner` had; none takes the kind away. Throws ApiModelError
   * (API_DEFINITION_INVALID) where another kind has one of their names; then
   * everything stays as it was.
   */
  replaceDeclared(owner: string, definitions: readonly ResourceDefinition[]): void;
  /** Called after each change with what it was about; returns what forgets the listener. */
  onChange(listener: (change: ServedChange) => void): () => void;
}

/** `<plural>` for the core group, else `<plural>.<group>`. */
export function resourceName(definition: Pick<ResourceDefinition, 'group' | 'plural'>): string {
  return definition.group === '' ? definition.plural : `${definition.plural}.${definition.group}`;
}

/** `v1` for the core group, else `<group>/<version>`. */
export function apiVersionOf(definition: GroupVersion): string {
  return definition.group === '' ? definition.version : `${definition.group}/${definition.version}`;
}

/** The kind of a list of objects. */
export function listKindOf({ kind, listKind }: ResourceDefinition): string {
  return listKind ?? `${kind}List`;
}

/** Throws ApiModelError (API_DEFINITION_INVALID) where the definitions contradict each other. */
export function createDefinitionRegistry(
  definitions: readonly ResourceDefinition[],
): DefinitionRegistry {
  const listeners = new Set<(change: ServedChange) => void>();
  const declared = new Map<string, readonly ResourceDefinition[]>();
  for (const definition of definitions) checkDefinition(definition);
  let tables = tablesOf(definitions, undefined);
  return {
    get definitions() {
      return tables.definitions;
    },
    get groupVersions() {
      return tables.groupVersions;
    },
    byResource: (group, version, plural) =>
      tables.resources.get(`${apiVersionOf({ group, version })}/${plural}`),
    byKind: (group, version, kind) =>
      tables.kinds.get(`${apiVersionOf({ group, version })}/${kind}`),
    byApiVersionKind: (apiVersion, kind) => tables.kinds.get(`${apiVersion}/${kind}`),
    byStoreResource: (resource) => tables.storeResources.get(resource),
    ofGroupVersion: (group, version) =>
      tables.ofGroupVersion.get(apiVersionOf({ group, version })) ?? [],
    replaceDeclared(owner, versions) {
      const removed = declared.get(owner) ?? [];
      const next = new Map(declared);
      if (versions.length === 0) next.delete(owner);
      else next.set(owner, versions);
      tables = tablesOf([...definitions, ...inOrder(next)], tables);
      if (versions.length === 0) declared.delete(owner);
      else declared.set(owner, versions);
      for (const listener of [...listeners]) listener({ removed, added: versions });
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** What is served does not depend on the order in which it was declared. */
function inOrder(
  declared: ReadonlyMap<string, readonly ResourceDefinition[]>,
): ResourceDefinition[] {
  const owners = [...declared.keys()].sort();
  return owners
    .flatMap((owner) => declared.get(owner) ?? [])
    .map((definition, position) => ({ definition, position }))
    .sort(
      (left, right) =>
        compareText(left.definition.group, right.definition.group) ||
        compareVersions(left.definition.version, right.definition.version) ||
        left.position - right.position,
    )
    .map(({ definition }) => definition);
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

const versionPattern = /^v(\d{1,9})(?:(alpha|beta)(\d{1,9}))?$/;
const stageRanks: Readonly<Record<string, number>> = { alpha: 1, beta: 2 };

/**
 * The order in which clients prefer versions: v2, v1, v2beta1, v1beta2, v1beta1,
 * v1alpha1, then all others by name.
 */
function compareVersions(left: string, right: string): number {
  const [one, other] = [versionPattern.exec(left), versionPattern.exec(right)];
  if (one === null || other === null) {
    if (one === null && other === null) return compareText(left, right);
    return one === null ? 1 : -1;
  }
  const rank = (found: RegExpExecArray): readonly number[] => [
    stageRanks[found[2] ?? ''] ?? 3,
    Number(found[1]),
    Number(found[3] ?? 0),
  ];
  const [mine, others] = [rank(one), rank(other)];
  for (const [position, value] of mine.entries()) {
    const difference = (others[position] ?? 0) - value;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Everything that lookups read, made as a whole and never changed. */
interface Tables {
  readonly definitions: readonly ResourceDefinition[];
  readonly groupVersions: readonly GroupVersion[];
  readonly resources: ReadonlyMap<string, ResourceDefinition>;
  readonly kinds: ReadonlyMap<string, ResourceDefinition>;
  readonly storeResources: ReadonlyMap<string, ResourceDefinition>;
  readonly ofGroupVersion: ReadonlyMap<string, readonly ResourceDefinition[]>;
}

/** Lists that are as they were in `before` are taken over. */
function tablesOf(definitions: readonly ResourceDefinition[], before: Tables | undefined): Tables {
  const resources = new Map<string, ResourceDefinition>();
  const kinds = new Map<string, ResourceDefinition>();
  const storeResources = new Map<string, ResourceDefinition>();
  const ofGroupVersion = new Map<string, readonly ResourceDefinition[]>();
  const members = new Map<string, ResourceDefinition[]>();
  const groupVersions: GroupVersion[] = [];
  for (const definition of definitions) {
    const { group, version, plural, kind } = definition;
    const apiVersion = apiVersionOf(definition);
    addOnce(resources, `${apiVersion}/${plural}`, definition);
    addOnce(kinds, `${apiVersion}/${kind}`, definition);
    addStoreResource(storeResources, definition);
    const known = members.get(apiVersion);
    if (known !== undefined) {
      known.push(definition);
      continue;
    }
    members.set(apiVersion, [definition]);
    if (group === '') groupVersions.unshift({ group, version });
    else groupVersions.push({ group, version });
  }
  for (const [apiVersion, list] of members) {
    const old = before?.ofGroupVersion.get(apiVersion);
    const isSame =
      old?.length === list.length && list.every((definition, at) => old[at] === definition);
    ofGroupVersion.set(apiVersion, isSame ? old : list);
  }
  return { definitions, groupVersions, resources, kinds, storeResources, ofGroupVersion };
}

/** The versions of one declared kind are stored together, as one of them says. */
function addStoreResource(
  into: Map<string, ResourceDefinition>,
  definition: ResourceDefinition,
): void {
  const resource = resourceName(definition);
  const { declared, viewOf } = definition;
  const known = into.get(resource);
  if (viewOf !== undefined && known === viewOf) return;
  const isSibling = known !== undefined && known.declared?.by === declared?.by;
  if (declared === undefined || !isSibling) addOnce(into, resource, definition);
  else if (declared.isStored) into.set(resource, definition);
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
