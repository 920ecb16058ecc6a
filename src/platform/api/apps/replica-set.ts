/** ReplicaSet: keeps a number of equal pods, all of one template. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import type { ApiObject } from '../object.ts';
import { integer, record } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { type Condition, conditionsSchema } from '../meta/condition.ts';
import {
  type LabelSelector,
  labelSelectorSchema,
  labelSelectorText,
} from '../meta/label-selector.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import {
  applyPodTemplateDefaults,
  type PodTemplate,
  podTemplateSchema,
  templateWarnings,
  validateTemplateAndSelector,
} from './pod-template.ts';
import { templateColumns } from './template-columns.ts';
import { minReadySecondsSchema, observedGenerationSchema } from './workload-fields.ts';

export type ReplicaSetSpec = {
  replicas?: number;
  selector: LabelSelector;
  template: PodTemplate;
  minReadySeconds?: number;
};

export type ReplicaSetStatus = {
  replicas: number;
  fullyLabeledReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  observedGeneration?: number;
  conditions?: Condition[];
};

export interface ReplicaSet extends ApiObject {
  spec: ReplicaSetSpec;
  status?: ReplicaSetStatus;
}

export const replicaSetDefinition: ResourceDefinition = {
  group: 'apps',
  version: 'v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  singular: 'replicaset',
  shortNames: ['rs'],
  categories: ['all'],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status', 'scale'],
  storage: 'main',
  schema: objectSchema(
    'Keeps a number of equal pods, all of one template. Deployments make these.',
    {
      spec: record(
        'How many pods of which template to keep.',
        {
          replicas: integer('How many pods to keep.', { minimum: 0, default: 1 }),
          selector: labelSelectorSchema('The pods that belong to this set. Cannot be changed.'),
          template: podTemplateSchema,
          minReadySeconds: minReadySecondsSchema,
        },
        ['selector', 'template'],
      ),
      status: record('How far the set is.', {
        replicas: integer('Pods that exist.'),
        fullyLabeledReplicas: integer('Pods that have all labels of the template.'),
        readyReplicas: integer('Pods that are ready.'),
        availableReplicas: integer('Pods that have been ready for long enough.'),
        observedGeneration: observedGenerationSchema,
        conditions: conditionsSchema('What holds for the set, since when, and why.'),
      }),
    },
    ['spec'],
  ),
  columns: [
    column('Desired', 'integer', 'Pods that are wanted.', (object) => {
      return (object as ReplicaSet).spec.replicas ?? 1;
    }),
    column('Current', 'integer', 'Pods that exist.', (object) => {
      return (object as ReplicaSet).status?.replicas ?? 0;
    }),
    column('Ready', 'integer', 'Pods that are ready.', (object) => {
      return (object as ReplicaSet).status?.readyReplicas ?? 0;
    }),
    ageColumn,
    ...templateColumns,
  ],
  selectableFields: {
    'status.replicas': (object: ApiObject) => String((object as ReplicaSet).status?.replicas ?? 0),
  },
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const { spec } = object as ReplicaSet;
    spec.replicas ??= 1;
    applyPodTemplateDefaults(spec.template);
  },
  warnings: (object) => templateWarnings((object as ReplicaSet).spec.template),
  validate(object, { previous }): readonly FieldError[] {
    const { spec } = object as ReplicaSet;
    const before = previous as ReplicaSet | undefined;
    return [
      ...(before === undefined
        ? []
        : immutable('spec.selector', before.spec.selector, spec.selector)),
      ...validateTemplateAndSelector(spec.selector, spec.template),
    ];
  },
  scale: {
    specReplicasPath: 'spec.replicas',
    statusReplicasPath: 'status.replicas',
    selector: (object) => labelSelectorText((object as ReplicaSet).spec.selector),
  },
};
