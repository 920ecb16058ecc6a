/**
 * Namespaces are held to their ResourceQuotas: what an object takes is added to the
 * quota's status in the transaction that stores the object, so that any number of
 * writes at once cannot exceed it.
 *
 * Invariants:
 * 1. What a quota says is used is never less than what there is: every write adds,
 *    and only a count of all there is, in a transaction, takes away.
 * 2. Whoever writes the status of a quota writes that count, whatever the body says.
 */
import { ownOf } from '#base/mod.ts';
import {
  addQuantities,
  type Amounts,
  compareQuantities,
  encodeFacet,
  formatQuantity,
  parseQuantity,
  type Pod,
  type Quantity,
  quantitiesOf,
  type ResourceDefinition,
  resourceName,
  type ResourceQuota,
} from '#platform/api/mod.ts';
import type { Change } from '#platform/store/mod.ts';
import { isPod } from '../departure.ts';
import { forbiddenError } from './forbidden.ts';
import { isInScope, unstated, usageOf } from './quota-usage.ts';
import type { AdmissionRequest, AdmissionState, Admitter, Judgement } from './types.ts';

const quotas = 'resourcequotas';
const zero = parseQuantity(0);

export const resourceQuotas: Admitter = {
  name: 'ResourceQuota',
  concerns: ({ namespaced }) => namespaced,
  operations: ['create', 'update'],
  check(request, state) {
    const { definition, namespace, operation } = request;
    if (state.acknowledged.list(quotas, namespace).length === 0) return undefined;
    // What a pod asks for does not change, and an update of most kinds takes nothing more.
    if (operation === 'update' && !mayGrow(definition)) return undefined;
    const changes = (state.list(quotas, namespace) as readonly ResourceQuota[]).flatMap((quota) =>
      charged(quota, request, state),
    );
    return changes.length === 0 ? undefined : ({ changes } satisfies Judgement);
  },
};

function mayGrow({ group, plural }: ResourceDefinition): boolean {
  return group === '' && (plural === 'services' || plural === 'persistentvolumeclaims');
}

/** The quota with what the write takes; throws where that is too much. */
function charged(
  quota: ResourceQuota,
  { definition, name, object, previous }: AdmissionRequest,
  state: AdmissionState,
): Change[] {
  const { spec, metadata } = quota;
  if (object === undefined || !isInScope(spec, definition, object)) return [];
  const hard = quantitiesOf(spec.hard);
  if (isPod(definition)) {
    const missing = unstated(object as Pod, Object.keys(hard));
    if (missing.length > 0) {
      const why = `failed quota: ${metadata.name}: must specify ${missing.join('; ')}`;
      throw forbiddenError(definition, name, why);
    }
  }
  const before = previous === undefined ? {} : usageOf(definition, previous);
  const asked = added(before, usageOf(definition, object), hard);
  const names = Object.keys(asked);
  if (names.length === 0) return [];
  const used = usedOf(quota, hard, state);
  const exceeded = names.filter((resource) => {
    const sum = addQuantities(ownOf(used, resource) ?? zero, ownOf(asked, resource) ?? zero);
    return compareQuantities(sum, ownOf(hard, resource) ?? zero) > 0;
  });
  if (exceeded.length > 0) {
    const listed = (amounts: Amounts): string =>
      exceeded
        .toSorted()
        .map((resource) => `${resource}=${formatQuantity(ownOf(amounts, resource) ?? zero)}`)
        .join(',');
    const why = `exceeded quota: ${metadata.name}, requested: ${listed(asked)}, used: ${listed(used)}, limited: ${listed(hard)}`;
    throw forbiddenError(definition, name, why);
  }
  const sums = { ...used };
  for (const resource of names) {
    sums[resource] = addQuantities(ownOf(used, resource) ?? zero, ownOf(asked, resource) ?? zero);
  }
  return statusChange(quota, sums, state);
}

/** What is more than before, of what the quota limits. */
function added(before: Amounts, after: Amounts, hard: Amounts): Amounts {
  const more: Record<string, Quantity> = {};
  for (const [name, quantity] of Object.entries(after)) {
    if (!Object.hasOwn(hard, name)) continue;
    const nano = quantity.nano - (ownOf(before, name) ?? zero).nano;
    if (nano > 0n) more[name] = { ...quantity, nano };
  }
  return more;
}

/** As the quota says, where it says so of everything that it limits; else counted. */
function usedOf(quota: ResourceQuota, hard: Amounts, state: AdmissionState): Amounts {
  const said = quantitiesOf(quota.status?.used);
  return Object.keys(hard).every((name) => Object.hasOwn(said, name))
    ? said
    : countUsed(quota, state);
}

function countUsed({ spec, metadata }: ResourceQuota, state: AdmissionState): Amounts {
  const hard = quantitiesOf(spec.hard);
  const sums: Record<string, Quantity> = {};
  for (const name of Object.keys(hard)) sums[name] = zero;
  const counted = new Set<string>();
  for (const definition of state.definitions()) {
    const resource = resourceName(definition);
    // The versions of one kind are the same objects.
    if (!definition.namespaced || definition.storage !== 'main' || counted.has(resource)) continue;
    if (!Object.keys(hard).some((name) => mayCount(definition, name))) continue;
    counted.add(resource);
    for (const object of state.list(resource, metadata.namespace ?? '')) {
      if (!isInScope(spec, definition, object)) continue;
      for (const [name, quantity] of Object.entries(usageOf(definition, object))) {
        const sum = ownOf(sums, name);
        if (sum !== undefined) sums[name] = addQuantities(sum, quantity);
      }
    }
  }
  return sums;
}

/** Whether objects of the kind may take something of the resource of that name. */
function mayCount(definition: ResourceDefinition, name: string): boolean {
  if (name.startsWith('count/')) return name === `count/${resourceName(definition)}`;
  if (definition.group !== '') return false;
  const { plural } = definition;
  if (name === plural || name.startsWith(`${plural}.`)) return true;
  const isStorage = name === 'requests.storage' || name.includes('.storageclass.storage.k8s.io/');
  if (isStorage) return plural === 'persistentvolumeclaims';
  return plural === 'pods';
}

function statusChange(quota: ResourceQuota, used: Amounts, { view }: AdmissionState): Change[] {
  const { name, namespace = '' } = quota.metadata;
  const stored = view.get({ resource: quotas, namespace, name });
  if (stored === undefined) return [];
  const { key, uid } = stored;
  const bytes = encodeFacet({ status: statusOf(quota, used) });
  return [{ type: 'put', key, uid, facet: 'report', bytes }];
}

function statusOf({ spec }: ResourceQuota, used: Amounts): Required<ResourceQuota>['status'] {
  const { hard = {} } = spec;
  const names = Object.keys(hard).sort();
  const shown = names.map((name) => [name, formatQuantity(ownOf(used, name) ?? zero)] as const);
  return {
    hard: Object.fromEntries(names.map((name) => [name, hard[name] ?? ''])),
    used: Object.fromEntries(shown),
  };
}

/** What a status of a quota says is counted anew when it is written. */
export const quotaStatus: Admitter = {
  name: 'ResourceQuotaStatus',
  concerns: ({ group, plural }) => group === '' && plural === quotas,
  operations: ['update'],
  endpoints: ['status'],
  shape(object, { previous }, state) {
    // The specification that counts is the one that is stored, not the one in the body.
    const quota = previous as ResourceQuota;
    (object as ResourceQuota).status = statusOf(quota, countUsed(quota, state));
    return { isChanged: true };
  },
};
