/** DaemonSet: keeps one pod on every node that fits. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { countOrPercent, integer, oneOf, record } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { type Condition, conditionsSchema } from '../meta/condition.ts';
import { type LabelSelector, labelSelectorSchema } from '../meta/label-selector.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import type { CountOrPercent } from './deployment-types.ts';
import {
  applyPodTemplateDefaults,
  type PodTemplate,
  podTemplateSchema,
  templateWarnings,
  validateTemplateAndSelector,
} from './pod-template.ts';
import { isZeroBound, validateBound } from './rollout-bounds.ts';
import { templateColumns } from './template-columns.ts';
import { minReadySecondsSchema, observedGenerationSchema } from './workload-fields.ts';

export type DaemonSetSpec = {
  selector: LabelSelector;
  template: PodTemplate;
  updateStrategy?: {
    type?: 'RollingUpdate' | 'OnDelete';
    rollingUpdate?: { maxUnavailable?: CountOrPercent; maxSurge?: CountOrPercent };
  };
  minReadySeconds?: number;
  revisionHistoryLimit?: number;
};

export type DaemonSetStatus = {
  currentNumberScheduled: number;
  numberMisscheduled: number;
  desiredNumberScheduled: number;
  numberReady: number;
  observedGeneration?: number;
  updatedNumberScheduled?: number;
  numberAvailable?: number;
  numberUnavailable?: number;
  conditions?: Condition[];
  collisionCount?: number;
};

export interface DaemonSet extends ApiObject {
  spec: DaemonSetSpec;
  status?: DaemonSetStatus;
}

const specSchema = record(
  'Which pod to keep on every node that fits, and how to replace it.',
  {
    selector: labelSelectorSchema('The pods that belong to this set. Cannot be changed.'),
    template: podTemplateSchema,
    updateStrategy: record('How pods of an older template are replaced.', {
      type: oneOf(
        'RollingUpdate replaces them node by node; OnDelete waits until somebody deletes them.',
        ['RollingUpdate', 'OnDelete'],
      ),
      rollingUpdate: record('The bounds of a rolling update.', {
        maxUnavailable: countOrPercent(
          'On how many nodes the pod may be missing meanwhile: a count, or a percentage rounded up.',
        ),
        maxSurge: countOrPercent(
          'On how many nodes the new pod may run beside the old one: a count, or a percentage rounded up.',
        ),
      }),
    }),
    minReadySeconds: minReadySecondsSchema,
    revisionHistoryLimit: integer('How many older templates are kept for undoing a rollout.', {
      minimum: 0,
      default: 10,
    }),
  },
  ['selector', 'template'],
);

const statusSchema = record('How far the set is.', {
  currentNumberScheduled: integer('Nodes that should have the pod and have one.'),
  numberMisscheduled: integer('Nodes that have the pod and should not.'),
  desiredNumberScheduled: integer('Nodes that should have the pod.'),
  numberReady: integer('Nodes that should have the pod and have one that is ready.'),
  observedGeneration: observedGenerationSchema,
  updatedNumberScheduled: integer('Nodes that have a pod of the present template.'),
  numberAvailable: integer('Nodes whose pod has been ready for long enough.'),
  numberUnavailable: integer('Nodes whose pod is missing or not available.'),
  conditions: conditionsSchema('What holds for the set, since when, and why.'),
  collisionCount: integer('How often the name for a revision was taken; goes into the next one.'),
});

function count(name: keyof DaemonSetStatus): (object: ApiObject) => number {
  return (object) => Number((object as DaemonSet).status?.[name] ?? 0);
}

export const daemonSetDefinition: ResourceDefinition = {
  group: 'apps',
  version: 'v1',
  kind: 'DaemonSet',
  plural: 'daemonsets',
  singular: 'daemonset',
  shortNames: ['ds'],
  categories: ['all'],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status'],
  storage: 'main',
  schema: objectSchema(
    'Keeps one pod on every node that fits; a node that joins gets its own at once.',
    { spec: specSchema, status: statusSchema },
    ['spec'],
  ),
  columns: [
    column(
      'Desired',
      'integer',
      'Nodes that should have the pod.',
      count('desiredNumberScheduled'),
    ),
    column(
      'Current',
      'integer',
      'Nodes that have the pod they should have.',
      count('currentNumberScheduled'),
    ),
    column('Ready', 'integer', 'Nodes whose pod is ready.', count('numberReady')),
    column(
      'Up-to-date',
      'integer',
      'Nodes that have a pod of the present template.',
      count('updatedNumberScheduled'),
    ),
    column(
      'Available',
      'integer',
      'Nodes whose pod has been ready for long enough.',
      count('numberAvailable'),
    ),
    column('Node Selector', 'string', 'Labels that a node must have.', (object) => {
      const { nodeSelector = {} } = (object as DaemonSet).spec.template.spec;
      const words = Object.entries(nodeSelector).map(([key, value]) => `${key}=${value}`);
      return words.length === 0 ? '<none>' : words.join(',');
    }),
    ageColumn,
    ...templateColumns,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const { spec } = object as DaemonSet;
    spec.revisionHistoryLimit ??= 10;
    const strategy = (spec.updateStrategy ??= {});
    strategy.type ??= 'RollingUpdate';
    if (strategy.type === 'RollingUpdate') {
      strategy.rollingUpdate ??= {};
      strategy.rollingUpdate.maxUnavailable ??= 1;
      strategy.rollingUpdate.maxSurge ??= 0;
    }
    applyPodTemplateDefaults(spec.template);
  },
  warnings: (object) => templateWarnings((object as DaemonSet).spec.template),
  validate(object, { previous }): readonly FieldError[] {
    const { spec } = object as DaemonSet;
    const before = previous as DaemonSet | undefined;
    return [
      ...(before === undefined
        ? []
        : immutable('spec.selector', before.spec.selector, spec.selector)),
      ...validateTemplateAndSelector(spec.selector, spec.template),
      ...validateStrategy(spec),
    ];
  },
};

function validateStrategy({ updateStrategy = {} }: DaemonSetSpec): FieldError[] {
  const field = 'spec.updateStrategy.rollingUpdate';
  const { type, rollingUpdate } = updateStrategy;
  if (rollingUpdate === undefined) return [];
  if (type === 'OnDelete') {
    const message = 'may not be specified when `type` is OnDelete';
    return [{ field, reason: 'FieldValueForbidden', message }];
  }
  const { maxSurge = 0, maxUnavailable = 0 } = rollingUpdate;
  const errors = [
    ...validateBound(`${field}.maxSurge`, maxSurge, 100),
    ...validateBound(`${field}.maxUnavailable`, maxUnavailable, 100),
  ];
  if (errors.length > 0) return errors;
  if (isZeroBound(maxSurge) === isZeroBound(maxUnavailable)) {
    errors.push({
      field: `${field}.maxUnavailable`,
      reason: 'FieldValueInvalid',
      message: isZeroBound(maxSurge)
        ? 'may not be 0 when `maxSurge` is 0'
        : 'must be 0 when `maxSurge` is not: a node has its new pod before the old one goes, or after',
    });
  }
  return errors;
}
