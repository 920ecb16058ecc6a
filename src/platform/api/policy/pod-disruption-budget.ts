/** PodDisruptionBudget: how many pods of a kind may be taken away on purpose at one time. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { validateBound } from '../apps/rollout-bounds.ts';
import { countOrPercent, instant, integer, mapOf, oneOf, record } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { type Condition, conditionsSchema } from '../meta/condition.ts';
import { type LabelSelector, labelSelectorSchema } from '../meta/label-selector.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { labelSelectorErrors } from '../selectors.ts';

export type PodDisruptionBudgetSpec = {
  /** Selects no pod where absent, every pod of the namespace where empty. */
  selector?: LabelSelector;
  minAvailable?: number | string;
  maxUnavailable?: number | string;
  unhealthyPodEvictionPolicy?: 'IfHealthyBudget' | 'AlwaysAllow';
};

export type PodDisruptionBudgetStatus = {
  observedGeneration?: number;
  /** By name: pods whose eviction was let through and that have not gone yet. */
  disruptedPods?: Record<string, string>;
  disruptionsAllowed: number;
  currentHealthy: number;
  desiredHealthy: number;
  expectedPods: number;
  conditions?: Condition[];
};

export interface PodDisruptionBudget extends ApiObject {
  spec: PodDisruptionBudgetSpec;
  status?: PodDisruptionBudgetStatus;
}

/** Evictions that are let through and have not become deletions yet, in one budget. */
export const disruptedPodsMax = 2_000;

export const podDisruptionBudgetDefinition: ResourceDefinition = {
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  singular: 'poddisruptionbudget',
  shortNames: ['pdb'],
  categories: [],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status'],
  storage: 'main',
  schema: objectSchema('How many of some pods may be taken away on purpose at one time.', {
    spec: record('Which pods, and how many of them must stay or may go.', {
      selector: labelSelectorSchema(
        'The pods that are counted. An empty one selects all pods of the namespace.',
      ),
      minAvailable: countOrPercent(
        'So many pods, or this part of them, must be healthy after an eviction.',
      ),
      maxUnavailable: countOrPercent(
        'At most so many pods, or this part of them, may be away after an eviction.',
      ),
      unhealthyPodEvictionPolicy: oneOf(
        'Whether a pod that is not ready may be evicted: IfHealthyBudget (where not given) only while enough others are healthy; AlwaysAllow always.',
        ['IfHealthyBudget', 'AlwaysAllow'],
      ),
    }),
    status: record('What the budget allows now.', {
      observedGeneration: {
        type: 'integer',
        format: 'int64',
        description: 'The generation of the specification that this status is about.',
      },
      disruptedPods: mapOf(
        'Pods whose eviction was let through and that have not gone yet, by name.',
        instant('When the eviction was let through.'),
        { maxProperties: disruptedPodsMax },
      ),
      disruptionsAllowed: integer('How many pods may be evicted now.'),
      currentHealthy: integer('Pods that are healthy.'),
      desiredHealthy: integer('Pods that must stay healthy.'),
      expectedPods: integer('Pods that are counted.'),
      conditions: conditionsSchema('What holds for the budget, since when, and why.', {
        observedGeneration: {
          type: 'integer',
          format: 'int64',
          description: 'The generation of the specification that this is about.',
        },
      }),
    }),
  }),
  columns: [
    column('Min Available', 'string', 'Pods that must stay.', (object) => {
      return String((object as PodDisruptionBudget).spec.minAvailable ?? 'N/A');
    }),
    column('Max Unavailable', 'string', 'Pods that may be away.', (object) => {
      return String((object as PodDisruptionBudget).spec.maxUnavailable ?? 'N/A');
    }),
    column('Allowed Disruptions', 'integer', 'Pods that may be evicted now.', (object) => {
      return (object as PodDisruptionBudget).status?.disruptionsAllowed ?? 0;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    (object as Partial<PodDisruptionBudget>).spec ??= {};
  },
  validate(object): readonly FieldError[] {
    const { minAvailable, maxUnavailable, selector } = (object as PodDisruptionBudget).spec;
    const both =
      minAvailable === undefined || maxUnavailable === undefined
        ? []
        : [
            {
              field: 'spec',
              reason: 'FieldValueInvalid' as const,
              message: 'minAvailable and maxUnavailable cannot be both set: give one of them',
            },
          ];
    return [
      ...both,
      ...(minAvailable === undefined ? [] : validateBound('spec.minAvailable', minAvailable, 100)),
      ...(maxUnavailable === undefined
        ? []
        : validateBound('spec.maxUnavailable', maxUnavailable, 100)),
      ...(selector === undefined ? [] : labelSelectorErrors(selector, 'spec.selector')),
    ];
  },
};
