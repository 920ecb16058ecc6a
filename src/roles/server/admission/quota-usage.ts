/**
 * What one object takes of a quota: how many of its kind it is, and what it asks
 * for. Pure; names are those of `spec.hard`.
 */
import {
  type Amounts,
  hasNodePorts,
  parseQuantity,
  type Pod,
  podAmounts,
  qualityClassOf,
  type Quantity,
  quantitiesOf,
  type QuotaScope,
  type ResourceDefinition,
  resourceName,
  type ResourceQuotaSpec,
  type ScopeRequirement,
  type Service,
} from '#platform/api/mod.ts';
import { isPod } from '../departure.ts';

type Served = { readonly kind: string; readonly spec?: unknown };

const one = parseQuantity(1);
/** Kinds that may be counted by their name alone. */
const countedByName = new Set([
  'pods',
  'services',
  'configmaps',
  'secrets',
  'replicationcontrollers',
  'resourcequotas',
  'persistentvolumeclaims',
]);

/** What the object takes, as far as anything of it may be in a quota. */
export function usageOf(definition: ResourceDefinition, object: Served): Amounts {
  const usage: Record<string, Quantity> = { [`count/${resourceName(definition)}`]: one };
  if (isPod(definition)) return hasEnded(object as Pod) ? usage : { ...usage, ...podUsage(object) };
  if (definition.group !== '') return usage;
  const { plural } = definition;
  if (countedByName.has(plural)) usage[plural] = one;
  if (plural === 'services') Object.assign(usage, serviceUsage(object as Service));
  if (plural === 'persistentvolumeclaims') Object.assign(usage, claimUsage(object));
  return usage;
}

/** One that has ended takes nothing of its node any more; it is still there to be counted. */
export function hasEnded({ status }: Pick<Pod, 'status'>): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

function podUsage(object: Served): Amounts {
  const { spec } = object as Pod;
  const usage: Record<string, Quantity> = { pods: one };
  for (const [name, quantity] of Object.entries(podAmounts(spec, 'requests'))) {
    usage[name] = quantity;
    usage[`requests.${name}`] = quantity;
  }
  for (const [name, quantity] of Object.entries(podAmounts(spec, 'limits'))) {
    usage[`limits.${name}`] = quantity;
  }
  return usage;
}

function serviceUsage({ spec }: Service): Amounts {
  if (!hasNodePorts(spec)) return {};
  const nodePorts = { 'services.nodeports': parseQuantity((spec.ports ?? []).length) };
  return spec.type === 'LoadBalancer' ? { ...nodePorts, 'services.loadbalancers': one } : nodePorts;
}

type ClaimSpec = {
  storageClassName?: string;
  resources?: { requests?: Record<string, string> };
};

function claimUsage({ spec }: Served): Amounts {
  const { storageClassName, resources } = (spec ?? {}) as ClaimSpec;
  const { storage } = quantitiesOf(resources?.requests);
  const usage: Record<string, Quantity> = {};
  if (storage !== undefined) usage['requests.storage'] = storage;
  if (storageClassName === undefined || storageClassName === '') return usage;
  const ofClass = `${storageClassName}.storageclass.storage.k8s.io`;
  usage[`${ofClass}/persistentvolumeclaims`] = one;
  if (storage !== undefined) usage[`${ofClass}/requests.storage`] = storage;
  return usage;
}

/** Whether the scopes of the quota take in the object. Scopes are about pods alone. */
export function isInScope(
  spec: ResourceQuotaSpec,
  definition: ResourceDefinition,
  object: Served,
): boolean {
  const requirements: readonly ScopeRequirement[] = [
    ...(spec.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists' as const })),
    ...(spec.scopeSelector?.matchExpressions ?? []),
  ];
  if (requirements.length === 0) return true;
  if (!isPod(definition)) return false;
  return requirements.every((requirement) => meets(object as Pod, requirement));
}

function meets({ spec }: Pod, { scopeName, operator, values = [] }: ScopeRequirement): boolean {
  if (scopeName !== 'PriorityClass') return hasScope(spec, scopeName);
  const { priorityClassName = '' } = spec;
  switch (operator) {
    case 'In':
      return values.includes(priorityClassName);
    case 'NotIn':
      return !values.includes(priorityClassName);
    case 'Exists':
      return priorityClassName !== '';
    case 'DoesNotExist':
      return priorityClassName === '';
  }
}

function hasScope(spec: Pod['spec'], scope: Exclude<QuotaScope, 'PriorityClass'>): boolean {
  switch (scope) {
    case 'Terminating':
      return spec.activeDeadlineSeconds !== undefined;
    case 'NotTerminating':
      return spec.activeDeadlineSeconds === undefined;
    case 'BestEffort':
    case 'NotBestEffort': {
      const isBest = qualityClassOf({ spec }) === 'BestEffort';
      return isBest === (scope === 'BestEffort');
    }
    case 'CrossNamespacePodAffinity':
      return looksElsewhere(spec);
  }
}

function looksElsewhere({ affinity = {} }: Pod['spec']): boolean {
  return [affinity.podAffinity, affinity.podAntiAffinity].some((wishes) =>
    [
      ...(wishes?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(wishes?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
        ({ podAffinityTerm }) => podAffinityTerm,
      ),
    ].some(
      ({ namespaces = [], namespaceSelector }) =>
        namespaces.length > 0 || namespaceSelector !== undefined,
    ),
  );
}

const askedForByContainers = new Set(
  ['cpu', 'memory', 'ephemeral-storage'].flatMap((name) => [
    name,
    `requests.${name}`,
    `limits.${name}`,
  ]),
);

/**
 * What containers must state where a quota limits it, and do not: `limits.cpu for: main`,
 * by resource.
 */
export function unstated(pod: Pod, limited: readonly string[]): readonly string[] {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  return limited
    .filter((name) => askedForByContainers.has(name))
    .toSorted()
    .flatMap((name) => {
      const isLimit = name.startsWith('limits.');
      const resource = name.slice(name.indexOf('.') + 1) as 'cpu' | 'memory';
      const missing = containers.filter(
        ({ resources }) => resources?.[isLimit ? 'limits' : 'requests']?.[resource] === undefined,
      );
      const names = missing.map((container) => container.name);
      return names.length === 0 ? [] : [`${name} for: ${names.join(',')}`];
    });
}
