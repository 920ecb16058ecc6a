/** ResourceQuota: how much all objects of a namespace may ask for together, and how many there may be. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired } from '../field-errors.ts';
import { qualifiedNameProblem } from '../formats.ts';
import type { ApiObject } from '../object.ts';
import { atomicList, mapOf, oneOf, quantity, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import type { Schema } from '../schema.ts';
import { parseQuantity } from '../quantity.ts';
import { quantitiesAsText } from './resource-amounts.ts';

export const quotaScopes = [
  'Terminating',
  'NotTerminating',
  'BestEffort',
  'NotBestEffort',
  'PriorityClass',
  'CrossNamespacePodAffinity',
] as const;
export type QuotaScope = (typeof quotaScopes)[number];

export type ScopeRequirement = {
  scopeName: QuotaScope;
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  values?: string[];
};

export type ResourceQuotaSpec = {
  hard?: Record<string, string>;
  scopes?: QuotaScope[];
  scopeSelector?: { matchExpressions?: ScopeRequirement[] };
};

export interface ResourceQuota extends ApiObject {
  spec: ResourceQuotaSpec;
  status?: { hard?: Record<string, string>; used?: Record<string, string> };
}

const resourcesMax = 256;

const amounts = (description: string): Schema =>
  mapOf(description, quantity('Amount, or number of objects.'), { maxProperties: resourcesMax });

const scope = (description: string): Schema => oneOf(description, quotaScopes);

export const resourceQuotaDefinition: ResourceDefinition = {
  group: '',
  version: 'v1',
  kind: 'ResourceQuota',
  plural: 'resourcequotas',
  singular: 'resourcequota',
  shortNames: ['quota'],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status'],
  storage: 'main',
  schema: objectSchema(
    'How much all objects of a namespace may ask for together, and how many of each kind there may be.',
    {
      spec: record('The limits.', {
        hard: amounts(
          'The most of each: cpu, memory, requests.cpu, limits.memory, pods, count/deployments.apps and so on.',
        ),
        scopes: atomicList(
          'Only pods to which all of these apply are counted. Cannot be changed.',
          scope('One scope.'),
          { maxItems: quotaScopes.length },
        ),
        scopeSelector: {
          ...record('Only pods to which all of these apply are counted. Cannot be changed.', {
            matchExpressions: atomicList(
              'Conditions; all of them must hold.',
              record(
                'One condition.',
                {
                  scopeName: scope('The scope that the condition is about.'),
                  operator: oneOf('How it is compared with the values.', [
                    'In',
                    'NotIn',
                    'Exists',
                    'DoesNotExist',
                  ]),
                  values: atomicList(
                    'Names of priority classes, for In and NotIn.',
                    text('One name.'),
                    { maxItems: resourcesMax },
                  ),
                },
                ['scopeName', 'operator'],
              ),
              { maxItems: quotaScopes.length },
            ),
          }),
          'x-kubernetes-map-type': 'atomic',
        },
      }),
      status: record('How much is used.', {
        hard: amounts('The limits that the numbers are about.'),
        used: amounts('How much of each is used.'),
      }),
    },
  ),
  columns: [
    column('Request', 'string', 'Used of what may be asked for, and of objects.', (object) =>
      usedOfHard(object as ResourceQuota, (name) => !name.startsWith('limits.')),
    ),
    column('Limit', 'string', 'Used of what limits may add up to.', (object) =>
      usedOfHard(object as ResourceQuota, (name) => name.startsWith('limits.')),
    ),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const quota = object as Partial<ResourceQuota>;
    quota.spec ??= {};
    quantitiesAsText(quota.spec.hard);
    quantitiesAsText(quota.status?.hard);
    quantitiesAsText(quota.status?.used);
  },
  validate(object, { previous }): readonly FieldError[] {
    const { spec } = object as ResourceQuota;
    const before = (previous as ResourceQuota | undefined)?.spec;
    return [
      ...Object.entries(spec.hard ?? {}).flatMap(([name, amount]) => hardErrors(name, amount)),
      ...scopeErrors(spec),
      ...(before === undefined
        ? []
        : [
            ...immutable('spec.scopes', before.scopes, spec.scopes),
            ...immutable('spec.scopeSelector', before.scopeSelector, spec.scopeSelector),
          ]),
    ];
  },
};

function usedOfHard({ status }: ResourceQuota, isShown: (name: string) => boolean): string {
  const { hard = {}, used = {} } = status ?? {};
  return Object.keys(hard)
    .filter(isShown)
    .sort()
    .map((name) => `${name}: ${used[name] ?? '0'}/${hard[name]}`)
    .join(', ');
}

function hardErrors(name: string, amount: string): FieldError[] {
  const field = `spec.hard[${name}]`;
  const problem = qualifiedNameProblem(name);
  if (problem !== undefined) return [fieldInvalid('spec.hard', name, problem)];
  const { nano } = parseQuantity(amount);
  if (nano < 0n) return [fieldInvalid(field, amount, 'must be greater than or equal to 0')];
  const isCount = !/^(requests\.|limits\.)?(cpu|memory|ephemeral-storage|storage)$/u.test(name);
  if (isCount && nano % 1_000_000_000n !== 0n && !name.startsWith('requests.')) {
    return [fieldInvalid(field, amount, 'must be an integer')];
  }
  return [];
}

/** Resources that a quota with a scope may limit: those of pods. */
const podResources = [
  'pods',
  'cpu',
  'memory',
  'requests.cpu',
  'requests.memory',
  'limits.cpu',
  'limits.memory',
  'ephemeral-storage',
  'requests.ephemeral-storage',
  'limits.ephemeral-storage',
  'count/pods',
];

function scopeErrors({ scopes = [], scopeSelector, hard = {} }: ResourceQuotaSpec): FieldError[] {
  const expressions = scopeSelector?.matchExpressions ?? [];
  const names = [...scopes, ...expressions.map(({ scopeName }) => scopeName)];
  const errors: FieldError[] = [];
  for (const [one, other] of [
    ['Terminating', 'NotTerminating'],
    ['BestEffort', 'NotBestEffort'],
  ] as const) {
    if (scopes.includes(one) && scopes.includes(other)) {
      errors.push(fieldInvalid('spec.scopes', `${one}, ${other}`, 'conflicting scopes'));
    }
  }
  for (const [position, { scopeName, operator, values = [] }] of expressions.entries()) {
    const field = `spec.scopeSelector.matchExpressions[${position}]`;
    const takesValues = operator === 'In' || operator === 'NotIn';
    if (scopeName !== 'PriorityClass' && operator !== 'Exists') {
      const why =
        "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
      errors.push(fieldInvalid(`${field}.operator`, operator, why));
    } else if (takesValues && values.length === 0) {
      const why =
        "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
      errors.push(fieldRequired(`${field}.values`, why));
    } else if (!takesValues && values.length > 0) {
      const why =
        "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector";
      errors.push(fieldInvalid(`${field}.values`, values.join(', '), why));
    }
  }
  if (names.length === 0) return errors;
  const allowed = names.includes('BestEffort') ? ['pods', 'count/pods'] : podResources;
  for (const name of Object.keys(hard)) {
    if (!allowed.includes(name)) {
      errors.push(fieldNotSupported(`spec.hard[${name}]`, name, allowed));
    }
  }
  return errors;
}
