/** Deployment: keeps a number of equal pods running and replaces them step by step. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { countOrPercent, flag, instant, integer, oneOf, record } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { conditionsSchema } from '../meta/condition.ts';
import { labelSelectorSchema, labelSelectorText } from '../meta/label-selector.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import type { Deployment, DeploymentSpec } from './deployment-types.ts';
import {
  applyPodTemplateDefaults,
  podTemplateSchema,
  templateWarnings,
  validateTemplateAndSelector,
} from './pod-template.ts';
import { isZeroBound, validateBound } from './rollout-bounds.ts';
import { templateColumns } from './template-columns.ts';
import { minReadySecondsSchema, observedGenerationSchema } from './workload-fields.ts';

const specSchema = record(
  'How many pods of which template to keep, and how to replace them.',
  {
    replicas: integer('How many pods to keep running.', { minimum: 0, default: 1 }),
    selector: labelSelectorSchema('The pods that belong to this deployment. Cannot be changed.'),
    template: podTemplateSchema,
    strategy: {
      ...record('How pods of an older template are replaced.', {
        type: oneOf(
          'RollingUpdate replaces them a few at a time; Recreate stops all of them first.',
          ['RollingUpdate', 'Recreate'],
        ),
        rollingUpdate: record('The bounds of a rolling update.', {
          maxSurge: countOrPercent(
            'How many pods more than wanted may exist meanwhile: a count, or a percentage rounded up.',
          ),
          maxUnavailable: countOrPercent(
            'How many pods fewer than wanted may be available meanwhile: a count, or a percentage rounded down.',
          ),
        }),
      }),
      // With another type kubectl says which fields stay, and the bounds of the old one go.
      'x-kubernetes-patch-strategy': 'retainKeys',
    },
    minReadySeconds: minReadySecondsSchema,
    revisionHistoryLimit: integer('How many older templates to keep for undoing.', {
      minimum: 0,
      default: 10,
    }),
    progressDeadlineSeconds: integer(
      'How long a rollout may go without progress before it is reported as failed.',
      { minimum: 1, default: 600 },
    ),
    paused: flag('True holds the rollout where it is.'),
  },
  ['selector', 'template'],
);

const statusSchema = record('How far the deployment is.', {
  observedGeneration: observedGenerationSchema,
  replicas: integer('Pods that exist.'),
  updatedReplicas: integer('Pods of the present template.'),
  readyReplicas: integer('Pods that are ready.'),
  availableReplicas: integer('Pods that have been ready for long enough.'),
  unavailableReplicas: integer('Pods that are still missing or not available.'),
  collisionCount: integer('How often a name for a replica set was taken by another one.'),
  conditions: conditionsSchema('What holds for the rollout, since when, and why.', {
    lastUpdateTime: instant('When this was last confirmed.'),
  }),
});

export const deploymentDefinition: ResourceDefinition = {
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  singular: 'deployment',
  shortNames: ['deploy'],
  categories: ['all'],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status', 'scale'],
  storage: 'main',
  schema: objectSchema(
    'Keeps a number of equal pods running and replaces them step by step.',
    { spec: specSchema, status: statusSchema },
    ['spec'],
  ),
  columns: [
    column('Ready', 'string', 'Pods that are ready, of all that are wanted.', (object) => {
      const { spec, status } = object as Deployment;
      return `${status?.readyReplicas ?? 0}/${spec.replicas ?? 1}`;
    }),
    column('Up-to-date', 'integer', 'Pods of the present template.', (object) => {
      return (object as Deployment).status?.updatedReplicas ?? 0;
    }),
    column('Available', 'integer', 'Pods that have been ready for long enough.', (object) => {
      return (object as Deployment).status?.availableReplicas ?? 0;
    }),
    ageColumn,
    ...templateColumns,
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    applySpecDefaults((object as Deployment).spec);
  },
  warnings: (object) => templateWarnings((object as Deployment).spec.template),
  validate(object, { previous }): readonly FieldError[] {
    const { spec } = object as Deployment;
    const before = previous as Deployment | undefined;
    return [
      ...(before === undefined
        ? []
        : immutable('spec.selector', before.spec.selector, spec.selector)),
      ...validateTemplateAndSelector(spec.selector, spec.template),
      ...validateStrategy(spec),
    ];
  },
  scale: {
    specReplicasPath: 'spec.replicas',
    statusReplicasPath: 'status.replicas',
    selector: (object) => labelSelectorText((object as Deployment).spec.selector),
  },
};

function applySpecDefaults(spec: DeploymentSpec): void {
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  const strategy = (spec.strategy ??= {});
  strategy.type ??= 'RollingUpdate';
  if (strategy.type === 'RollingUpdate') {
    strategy.rollingUpdate ??= {};
    strategy.rollingUpdate.maxSurge ??= '25%';
    strategy.rollingUpdate.maxUnavailable ??= '25%';
  }
  applyPodTemplateDefaults(spec.template);
}

function validateStrategy(spec: DeploymentSpec): FieldError[] {
  const errors: FieldError[] = [];
  const field = 'spec.strategy.rollingUpdate';
  const { type, rollingUpdate } = spec.strategy ?? {};
  if (rollingUpdate !== undefined && type === 'Recreate') {
    return [
      {
        field,
        reason: 'FieldValueForbidden',
        message: 'may not be specified when strategy `type` is Recreate',
      },
    ];
  }
  if (rollingUpdate !== undefined) {
    const { maxSurge = 0, maxUnavailable = 0 } = rollingUpdate;
    errors.push(...validateBound(`${field}.maxSurge`, maxSurge));
    errors.push(...validateBound(`${field}.maxUnavailable`, maxUnavailable, 100));
    if (errors.length === 0 && isZeroBound(maxSurge) && isZeroBound(maxUnavailable)) {
      errors.push({
        field: `${field}.maxUnavailable`,
        reason: 'FieldValueInvalid',
        message: 'may not be 0 when `maxSurge` is 0',
      });
    }
  }
  if ((spec.progressDeadlineSeconds ?? 600) <= (spec.minReadySeconds ?? 0)) {
    errors.push({
      field: 'spec.progressDeadlineSeconds',
      reason: 'FieldValueInvalid',
      message: 'must be greater than minReadySeconds',
    });
  }
  return errors;
}
