/** LimitRange: what containers of a namespace ask for by default, at least and at most. */
import { ownOf } from '#base/mod.ts';
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '../field-errors.ts';
import type { ApiObject } from '../object.ts';
import { atomicList, mapOf, oneOf, quantity, record } from '../meta/build.ts';
import { column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { duplicates } from '../meta/rules.ts';
import type { Schema } from '../schema.ts';
import { compareQuantities, parseQuantity } from '../quantity.ts';
import { containerResources } from './pod-defaults.ts';
import { quantitiesAsText } from './resource-amounts.ts';

export type LimitRangeItem = {
  type: 'Container' | 'Pod' | 'PersistentVolumeClaim';
  max?: Record<string, string>;
  min?: Record<string, string>;
  default?: Record<string, string>;
  defaultRequest?: Record<string, string>;
  maxLimitRequestRatio?: Record<string, string>;
};

export interface LimitRange extends ApiObject {
  spec: { limits: LimitRangeItem[] };
}

const limitsMax = 32;
const amounts = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;

const amountsByResource = (description: string): Schema =>
  mapOf(description, quantity('Amount of the resource.'));

export const limitRangeDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'LimitRange',
  plural: 'limitranges',
  singular: 'limitrange',
  shortNames: ['limits'],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: objectSchema(
    'What containers and pods of a namespace ask for by default, at least and at most. Looked at when a pod is created.',
    {
      spec: record(
        'The limits.',
        {
          limits: atomicList(
            'One entry for each kind of thing that is limited.',
            record(
              'Limits of one kind of thing.',
              {
                type: oneOf('What is limited.', ['Container', 'Pod', 'PersistentVolumeClaim']),
                max: amountsByResource('The most that a limit, or a request without one, may be.'),
                min: amountsByResource('The least that a request may be.'),
                default: amountsByResource('The limit of a container that states none.'),
                defaultRequest: amountsByResource('The request of a container that states none.'),
                maxLimitRequestRatio: amountsByResource(
                  'The most that a limit may be, as a multiple of the request.',
                ),
              },
              ['type'],
            ),
            { maxItems: limitsMax },
          ),
        },
        ['limits'],
      ),
    },
    ['spec'],
  ),
  columns: [
    column('Created At', 'date', 'When the limits were made.', (object) => {
      return object.metadata.creationTimestamp ?? '';
    }),
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    for (const item of (object as LimitRange).spec.limits) {
      for (const name of amounts) quantitiesAsText(item[name]);
      if (item.type === 'Container') completeItem(item);
    }
  },
  warnings: (object) =>
    (object as LimitRange).spec.limits.flatMap((item, position) => {
      const ignored = resourcesIn(item).filter((name) => !isLimitedBy(item, name));
      if (ignored.length === 0) return [];
      const field = `spec.limits[${position}]`;
      return [`${field}: ${ignored.join(', ')} limits nothing: no container can ask for it here`];
    }),
  validate(object): readonly FieldError[] {
    const { limits } = (object as LimitRange).spec;
    return [
      ...duplicates(
        limits.map(({ type }) => type),
        (position) => `spec.limits[${position}].type`,
      ),
      ...limits.flatMap((item, position) => itemErrors(item, `spec.limits[${position}]`)),
    ];
  },
};

/** Whether this item can give or refuse anything of the resource: of pods, only what containers can ask for. */
export function isLimitedBy({ type }: LimitRangeItem, resource: string): boolean {
  return (
    type === 'PersistentVolumeClaim' || (containerResources as readonly string[]).includes(resource)
  );
}

function resourcesIn(item: LimitRangeItem): string[] {
  return [...new Set(amounts.flatMap((name) => Object.keys(item[name] ?? {})))];
}

/** A default limit is the maximum, and a default request the limit, else the minimum, where none is given. */
function completeItem(item: LimitRangeItem): void {
  const limits = { ...item.max, ...item.default };
  const requests = { ...item.min, ...limits, ...item.defaultRequest };
  if (Object.keys(limits).length > 0) item.default = limits;
  if (Object.keys(requests).length > 0) item.defaultRequest = requests;
}

function itemErrors(item: LimitRangeItem, field: string): FieldError[] {
  if (item.type === 'PersistentVolumeClaim') {
    const stated = item.min?.['storage'] ?? item.max?.['storage'];
    const why = 'either minimum or maximum storage value is required, but neither was provided';
    if (stated === undefined) return [fieldRequired(`${field}.limits`, why)];
  }
  const errors = (['default', 'defaultRequest'] as const).flatMap((name) =>
    item.type === 'Pod' && item[name] !== undefined
      ? [fieldForbidden(`${field}.${name}`, 'may not be specified when `type` is Pod')]
      : [],
  );
  for (const resource of resourcesIn(item)) errors.push(...orderErrors(item, resource, field));
  return errors;
}

/** min ≤ defaultRequest ≤ default ≤ max, and a ratio that these leave room for. */
function orderErrors(item: LimitRangeItem, resource: string, field: string): FieldError[] {
  const order = ['min', 'defaultRequest', 'default', 'max'] as const;
  const words = { min: 'min', defaultRequest: 'default request', default: 'default', max: 'max' };
  const errors: FieldError[] = [];
  for (const [position, lesser] of order.entries()) {
    for (const greater of order.slice(position + 1)) {
      const [low, high] = [ownOf(item[lesser], resource), ownOf(item[greater], resource)];
      if (low === undefined || high === undefined) continue;
      if (compareQuantities(parseQuantity(low), parseQuantity(high)) <= 0) continue;
      const why = `${words[lesser]} value ${low} is greater than ${words[greater]} value ${high}`;
      errors.push(fieldInvalid(`${field}.${lesser}[${resource}]`, low, why));
    }
  }
  const ratio = ownOf(item.maxLimitRequestRatio, resource);
  if (ratio === undefined) return errors;
  const path = `${field}.maxLimitRequestRatio[${resource}]`;
  const one = parseQuantity('1');
  if (compareQuantities(parseQuantity(ratio), one) < 0) {
    errors.push(fieldInvalid(path, ratio, `ratio ${ratio} is less than 1`));
  }
  const [min, max] = [ownOf(item.min, resource), ownOf(item.max, resource)];
  if (min === undefined || max === undefined || parseQuantity(min).nano <= 0n) return errors;
  const widest = Number(parseQuantity(max).nano) / Number(parseQuantity(min).nano);
  if (Number(parseQuantity(ratio).nano) / 1e9 > widest) {
    errors.push(fieldInvalid(path, ratio, `ratio ${ratio} is greater than max/min = ${widest}`));
  }
  return errors;
}
