/**
 * What a client learns first: which groups, versions and kinds are served.
 * Both the plain lists and aggregated discovery (apidiscovery.k8s.io/v2).
 */
import type { JsonObject } from '#base/mod.ts';
import type { ResourceDefinition, Subresource } from './definition.ts';
import { apiVersionOf, type DefinitionRegistry, type GroupVersion } from './registry.ts';

/** The content type of `aggregatedDiscoveryOf`, as clients ask for it. */
export const aggregatedDiscoveryMediaType =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

interface SubresourceShape {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

/** `GET /api`. */
export function coreVersionsOf(registry: DefinitionRegistry): JsonObject {
  return {
    kind: 'APIVersions',
    versions: registry.groupVersions
      .filter(({ group }) => group === '')
      .map(({ version }) => version),
    serverAddressByClientCIDRs: [],
  };
}

/** `GET /apis`. */
export function apiGroupListOf(registry: DefinitionRegistry): JsonObject {
  const groups = namedGroupsOf(registry).map((group) => apiGroupOf(registry, group) ?? {});
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

/** `GET /apis/<group>`; undefined for a group that is not served. */
export function apiGroupOf(registry: DefinitionRegistry, group: string): JsonObject | undefined {
  const versions = registry.groupVersions
    .filter((served) => served.group === group)
    .map((served) => ({ groupVersion: apiVersionOf(served), version: served.version }));
  const preferred = versions[0];
  if (preferred === undefined || group === '') return undefined;
  return {
    kind: 'APIGroup',
    apiVersion: 'v1',
    name: group,
    versions,
    preferredVersion: { ...preferred },
  };
}

/** `GET /api/v1`, `GET /apis/<group>/<version>`; undefined for one that is not served. */
export function apiResourceListOf(
  registry: DefinitionRegistry,
  group: string,
  version: string,
): JsonObject | undefined {
  const definitions = registry.ofGroupVersion(group, version);
  if (definitions.length === 0) return undefined;
  const resources = definitions.flatMap((definition) => [
    plainResource(definition),
    ...definition.subresources.map((subresource) => plainSubresource(definition, subresource)),
  ]);
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group, version }),
    resources,
  };
}

/** Aggregated discovery of `/api` (`core`) or of `/apis` (`groups`), in one answer. */
export function aggregatedDiscoveryOf(
  registry: DefinitionRegistry,
  part: 'core' | 'groups',
): JsonObject {
  const groups = part === 'core' ? [''] : namedGroupsOf(registry);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === '' ? {} : { name: group },
      versions: registry.groupVersions
        .filter((served) => served.group === group)
        .map((served) => aggregatedVersion(registry, served)),
    })),
  };
}

function namedGroupsOf(registry: DefinitionRegistry): string[] {
  const groups = registry.groupVersions.map(({ group }) => group).filter((group) => group !== '');
  return [...new Set(groups)];
}

function aggregatedVersion(registry: DefinitionRegistry, served: GroupVersion): JsonObject {
  return {
    version: served.version,
    freshness: 'Current',
    resources: registry.ofGroupVersion(served.group, served.version).map((definition) => ({
      resource: definition.plural,
      responseKind: responseKind(definition),
      scope: definition.namespaced ? 'Namespaced' : 'Cluster',
      singularResource: definition.singular,
      verbs: [...definition.verbs],
      ...(definition.shortNames.length > 0 ? { shortNames: [...definition.shortNames] } : {}),
      ...(definition.categories.length > 0 ? { categories: [...definition.categories] } : {}),
      ...(definition.subresources.length > 0
        ? {
            subresources: definition.subresources.map((name) =>
              aggregatedSubresource(definition, name),
            ),
          }
        : {}),
    })),
  };
}

function aggregatedSubresource(
  definition: ResourceDefinition,
  subresource: Subresource,
): JsonObject {
  const shape = subresourceShape(definition, subresource);
  return { subresource, responseKind: responseKind(shape), verbs: [...shape.verbs] };
}

function responseKind({ group, version, kind }: Omit<SubresourceShape, 'verbs'>): JsonObject {
  return { group, version, kind };
}

function plainResource(definition: ResourceDefinition): JsonObject {
  return {
    name: definition.plural,
    singularName: definition.singular,
    namespaced: definition.namespaced,
    kind: definition.kind,
    verbs: [...definition.verbs],
    ...(definition.shortNames.length > 0 ? { shortNames: [...definition.shortNames] } : {}),
    ...(definition.categories.length > 0 ? { categories: [...definition.categories] } : {}),
  };
}

function plainSubresource(definition: ResourceDefinition, subresource: Subresource): JsonObject {
  const shape = subresourceShape(definition, subresource);
  const isForeign = shape.group !== definition.group || shape.version !== definition.version;
  return {
    name: `${definition.plural}/${subresource}`,
    singularName: '',
    namespaced: definition.namespaced,
    ...(isForeign ? { group: shape.group, version: shape.version } : {}),
    kind: shape.kind,
    verbs: [...shape.verbs],
  };
}

/** What a subresource takes and answers, which is not always the kind itself. */
export function subresourceShape(
  definition: ResourceDefinition,
  subresource: Subresource,
): SubresourceShape {
  const { group, version, kind } = definition;
  const shapes: Readonly<Record<Subresource, SubresourceShape>> = {
    status: { group, version, kind, verbs: ['get', 'patch', 'update'] },
    scale: {
      group: 'autoscaling',
      version: 'v1',
      kind: 'Scale',
      verbs: ['get', 'patch', 'update'],
    },
    log: { group, version, kind, verbs: ['get'] },
    exec: { group, version, kind: 'PodExecOptions', verbs: ['create', 'get'] },
    attach: { group, version, kind: 'PodAttachOptions', verbs: ['create', 'get'] },
    portforward: { group, version, kind: 'PodPortForwardOptions', verbs: ['create', 'get'] },
    eviction: { group: 'policy', version: 'v1', kind: 'Eviction', verbs: ['create'] },
    finalize: { group, version, kind, verbs: ['update'] },
    approval: { group, version, kind, verbs: ['get', 'patch', 'update'] },
    token: {
      group: 'authentication.k8s.io',
      version: 'v1',
      kind: 'TokenRequest',
      verbs: ['create'],
    },
  };
  return shapes[subresource];
}
