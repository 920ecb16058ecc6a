/**
 * What the LimitRanges of a namespace give to pods that do not say what they ask
 * for, and what they refuse. Looked at when a pod or a claim is created, not again.
 */
import { ownOf } from '#base/mod.ts';
import {
  type Amounts,
  amountsOf,
  compareQuantities,
  type Container,
  formatQuantity,
  isLimitedBy,
  type LimitRange,
  type LimitRangeItem,
  type Pod,
  podAmounts,
  type PodSpec,
  type Quantity,
  quantitiesOf,
  type ResourceDefinition,
  type ResourceList,
} from '#platform/api/mod.ts';
import { isPod } from '../departure.ts';
import { forbiddenError } from './forbidden.ts';
import type { AdmissionState, Admitter } from './types.ts';

const annotation = 'kubernetes.io/limit-ranger';

export const limitRanges: Admitter = {
  name: 'LimitRanger',
  concerns: (definition) => isPod(definition) || isClaim(definition),
  operations: ['create'],
  shape(object, { definition, namespace }, state) {
    if (!isPod(definition)) return undefined;
    let isChanged = false;
    const { spec } = object as Pod;
    for (const { spec: limits, metadata } of rangesIn(state, namespace)) {
      const item = limits.limits.find(({ type }) => type === 'Container');
      const set = item === undefined ? [] : applyDefaults(spec, item);
      if (set.length === 0) continue;
      isChanged = true;
      const { annotations = {} } = object.metadata;
      const before = annotations[annotation];
      const text = `LimitRanger plugin set: ${set.join('; ')}`;
      object.metadata.annotations = {
        ...annotations,
        [annotation]: before === undefined ? text : `${before}; ${metadata.name}: ${text}`,
      };
    }
    return { isChanged };
  },
  check({ definition, namespace, name, object }, state) {
    const problems = rangesIn(state, namespace).flatMap(({ spec }) =>
      spec.limits.flatMap((item) =>
        isPod(definition) ? podProblems((object as Pod).spec, item) : claimProblems(object, item),
      ),
    );
    if (problems.length === 0) return undefined;
    const all = problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`;
    throw forbiddenError(definition, name, String(all));
  },
};

function isClaim({ group, plural }: ResourceDefinition): boolean {
  return group === '' && plural === 'persistentvolumeclaims';
}

function rangesIn(
  { acknowledged, list }: AdmissionState,
  namespace: string,
): readonly LimitRange[] {
  if (acknowledged.list('limitranges', namespace).length === 0) return [];
  return list('limitranges', namespace) as readonly LimitRange[];
}

/** What was set, in words: `cpu, memory request for container main`. */
function applyDefaults(spec: PodSpec, item: LimitRangeItem): string[] {
  const said: string[] = [];
  const lists = [
    ['container', spec.containers],
    ['init container', spec.initContainers ?? []],
  ] as const;
  for (const [word, containers] of lists) {
    for (const container of containers) {
      const resources = (container.resources ??= {});
      for (const [field, given, name] of [
        ['requests', item.defaultRequest, 'request'],
        ['limits', item.default, 'limit'],
      ] as const) {
        const set = fillIn((resources[field] ??= {}), given ?? {}, item);
        if (Object.keys(resources[field]).length === 0) delete resources[field];
        if (set.length > 0) said.push(`${set.join(', ')} ${name} for ${word} ${container.name}`);
      }
    }
  }
  return said;
}

function fillIn(
  into: ResourceList,
  given: Readonly<Record<string, string>>,
  item: LimitRangeItem,
): string[] {
  const amounts = into as Record<string, string>;
  const missing = Object.keys(given)
    .filter((name) => !Object.hasOwn(amounts, name) && isLimitedBy(item, name))
    .sort();
  for (const name of missing) amounts[name] = given[name] ?? '';
  return missing;
}

function podProblems(spec: PodSpec, item: LimitRangeItem): string[] {
  if (item.type === 'Container') {
    const all: Container[] = [...spec.containers, ...(spec.initContainers ?? [])];
    return all.flatMap((container) =>
      problems(item, amountsOf(container, 'requests'), amountsOf(container, 'limits')),
    );
  }
  if (item.type !== 'Pod') return [];
  return problems(item, podAmounts(spec, 'requests'), podAmounts(spec, 'limits'));
}

function claimProblems(object: unknown, item: LimitRangeItem): string[] {
  if (item.type !== 'PersistentVolumeClaim') return [];
  const claim = object as { spec?: { resources?: { requests?: Record<string, string> } } };
  const requests = quantitiesOf(claim.spec?.resources?.requests);
  const { min, max } = item;
  // A claim has a size and no limit of it.
  return problems(
    { type: item.type, ...(min && { min }), ...(max && { max }) },
    requests,
    requests,
  );
}

function problems(item: LimitRangeItem, requests: Amounts, limits: Amounts): string[] {
  const { type } = item;
  const found: string[] = [];
  for (const [name, least] of boundsOf(item, 'min')) {
    const what = `minimum ${name} usage per ${type} is ${formatQuantity(least)}`;
    const [request, limit] = [ownOf(requests, name), ownOf(limits, name)];
    if (request === undefined) found.push(`${what}. No request is specified`);
    else if (isLess(request, least))
      found.push(`${what}, but request is ${formatQuantity(request)}`);
    if (limit !== undefined && isLess(limit, least)) {
      found.push(`${what}, but limit is ${formatQuantity(limit)}`);
    }
  }
  for (const [name, most] of boundsOf(item, 'max')) {
    const what = `maximum ${name} usage per ${type} is ${formatQuantity(most)}`;
    const [request, limit] = [ownOf(requests, name), ownOf(limits, name)];
    if (limit === undefined) found.push(`${what}. No limit is specified`);
    else if (isLess(most, limit)) found.push(`${what}, but limit is ${formatQuantity(limit)}`);
    if (request !== undefined && isLess(most, request) && type !== 'PersistentVolumeClaim') {
      found.push(`${what}, but request is ${formatQuantity(request)}`);
    }
  }
  for (const [name, ratio] of boundsOf(item, 'maxLimitRequestRatio')) {
    const problem = ratioProblem(ownOf(requests, name), ownOf(limits, name), ratio);
    const what = `${name} max limit to request ratio per ${type} is ${formatQuantity(ratio)}`;
    if (problem !== undefined) found.push(`${what}, but ${problem}`);
  }
  return found;
}

function boundsOf(
  item: LimitRangeItem,
  bound: 'min' | 'max' | 'maxLimitRequestRatio',
): [string, Quantity][] {
  return Object.entries(quantitiesOf(item[bound])).filter(([name]) => isLimitedBy(item, name));
}

const ratioDigits = 6;

function ratioProblem(
  request: Quantity | undefined,
  limit: Quantity | undefined,
  most: Quantity,
): string | undefined {
  if (request === undefined || request.nano === 0n) {
    return 'no request is specified or request is 0';
  }
  if (limit === undefined || limit.nano === 0n) return 'no limit is specified or limit is 0';
  // limit / request > most, without fractions.
  if (limit.nano * 1_000_000_000n <= most.nano * request.nano) return undefined;
  const ratio = Number(limit.nano) / Number(request.nano);
  return `provided ratio is ${ratio.toFixed(ratioDigits)}`;
}

function isLess(left: Quantity, right: Quantity): boolean {
  return compareQuantities(left, right) < 0;
}
