/** StatefulSet: pods with names, and where asked for data, of their own. */
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldForbidden, fieldInvalid } from '../field-errors.ts';
import type { ApiObject } from '../object.ts';
import {
  atomicList,
  countOrPercent,
  instant,
  integer,
  mapOf,
  oneOf,
  record,
  text,
} from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { type Condition, conditionsSchema } from '../meta/condition.ts';
import {
  type LabelSelector,
  labelSelectorSchema,
  labelSelectorText,
} from '../meta/label-selector.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { dnsLabelName, duplicates, immutable } from '../meta/rules.ts';
import {
  applyClaimSpecDefaults,
  claimSpecSchema,
  type PersistentVolumeClaimSpec,
  validateClaimSpec,
} from '../core/persistent-volume-claim-spec.ts';
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

export type ClaimTemplate = {
  metadata: {
    name: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec: PersistentVolumeClaimSpec;
};

export type StatefulSetSpec = {
  replicas?: number;
  selector: LabelSelector;
  template: PodTemplate;
  serviceName?: string;
  podManagementPolicy?: 'OrderedReady' | 'Parallel';
  updateStrategy?: {
    type?: 'RollingUpdate' | 'OnDelete';
    rollingUpdate?: { partition?: number; maxUnavailable?: CountOrPercent };
  };
  minReadySeconds?: number;
  revisionHistoryLimit?: number;
  ordinals?: { start?: number };
  persistentVolumeClaimRetentionPolicy?: {
    whenDeleted?: 'Retain' | 'Delete';
    whenScaled?: 'Retain' | 'Delete';
  };
  volumeClaimTemplates?: ClaimTemplate[];
};

export type StatefulSetStatus = {
  replicas: number;
  readyReplicas?: number;
  availableReplicas?: number;
  currentReplicas?: number;
  updatedReplicas?: number;
  currentRevision?: string;
  updateRevision?: string;
  observedGeneration?: number;
  collisionCount?: number;
  conditions?: Condition[];
};

export interface StatefulSet extends ApiObject {
  spec: StatefulSetSpec;
  status?: StatefulSetStatus;
}

const claimTemplatesMax = 32;
/** So that a hyphen and the hash of a revision still make a label's value of it. */
const nameLengthMax = 52;

const retention = (description: string): ReturnType<typeof oneOf> =>
  oneOf(description, ['Retain', 'Delete']);

const claimTemplateSchema = record(
  'One claim for each pod, named after this, the set and the number of the pod.',
  {
    apiVersion: text('v1, where it is given.'),
    kind: text('PersistentVolumeClaim, where it is given.'),
    metadata: record(
      'What the claims are called and carry.',
      {
        name: text('The first part of their names, and the name of the volume in the pods.', {
          format: 'dns-label',
          minLength: 1,
        }),
        labels: mapOf(
          'Labels of the claims, beside those that the set selects by.',
          text('The value of one label.', { format: 'label-value' }),
        ),
        annotations: mapOf('Annotations of the claims.', text('The value of one annotation.')),
        namespace: text('Ignored: claims live where the set does.'),
        creationTimestamp: instant('Ignored. Typed clients send null here.'),
      },
      ['name'],
    ),
    spec: claimSpecSchema,
    status: {
      type: 'object',
      description: 'Ignored. Accepted because clients send back what they once read.',
      'x-kubernetes-preserve-unknown-fields': true,
    },
  },
  ['metadata', 'spec'],
);

const specSchema = record(
  'How many pods with names of their own to keep, and how to replace them.',
  {
    replicas: integer('How many pods to keep.', { minimum: 0, default: 1 }),
    selector: labelSelectorSchema('The pods that belong to this set. Cannot be changed.'),
    template: podTemplateSchema,
    serviceName: text(
      'The headless Service below whose name each pod has its own: `x-0.SERVICE.NAMESPACE.svc`. Cannot be changed.',
    ),
    podManagementPolicy: oneOf(
      'OrderedReady: one after the other, each when those before it are available. Parallel: all at once. Cannot be changed.',
      ['OrderedReady', 'Parallel'],
    ),
    updateStrategy: record('How pods of an older template are replaced.', {
      type: oneOf(
        'RollingUpdate replaces them from the highest number down; OnDelete waits until somebody deletes them.',
        ['RollingUpdate', 'OnDelete'],
      ),
      rollingUpdate: record('The bounds of a rolling update.', {
        partition: integer('Pods with a lower number keep the older template.', { minimum: 0 }),
        maxUnavailable: countOrPercent(
          'How many pods may be unavailable meanwhile: a count, or a percentage rounded up. When left out: 1.',
        ),
      }),
    }),
    minReadySeconds: minReadySecondsSchema,
    revisionHistoryLimit: integer('How many older templates are kept for undoing a rollout.', {
      minimum: 0,
      default: 10,
    }),
    ordinals: record('How the pods are numbered.', {
      start: integer('The lowest number.', { minimum: 0 }),
    }),
    persistentVolumeClaimRetentionPolicy: record(
      'What becomes of the claims that were made for pods.',
      {
        whenDeleted: retention('Of all of them when the set is deleted. When left out: Retain.'),
        whenScaled: retention('Of those of pods that are scaled away. When left out: Retain.'),
      },
    ),
    volumeClaimTemplates: atomicList(
      'Claims that each pod has for itself and finds again under its name. Cannot be changed.',
      claimTemplateSchema,
      { maxItems: claimTemplatesMax },
    ),
  },
  ['selector', 'template'],
);

const statusSchema = record('How far the set is.', {
  replicas: integer('Pods that exist.'),
  readyReplicas: integer('Pods that are ready.'),
  availableReplicas: integer('Pods that have been ready for long enough.'),
  currentReplicas: integer('Pods of the template before the present rollout.'),
  updatedReplicas: integer('Pods of the present template.'),
  currentRevision: text('The revision before the present rollout.'),
  updateRevision: text('The revision of the present template.'),
  observedGeneration: observedGenerationSchema,
  collisionCount: integer('How often the name for a revision was taken; goes into the next one.'),
  conditions: conditionsSchema('What holds for the set, since when, and why.'),
});

const setOf = (object: ApiObject): StatefulSet => object as StatefulSet;

export const statefulSetDefinition: ResourceDefinition = {
  group: 'apps',
  version: 'v1',
  kind: 'StatefulSet',
  plural: 'statefulsets',
  singular: 'statefulset',
  shortNames: ['sts'],
  categories: ['all'],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status', 'scale'],
  storage: 'main',
  schema: objectSchema(
    'Keeps pods that each have a number, a name and where asked for data of their own. Never two of one name.',
    { spec: specSchema, status: statusSchema },
    ['spec'],
  ),
  columns: [
    column('Ready', 'string', 'Pods that are ready, of those that are wanted.', (object) => {
      const { spec, status } = setOf(object);
      return `${status?.readyReplicas ?? 0}/${spec.replicas ?? 1}`;
    }),
    ageColumn,
    ...templateColumns.filter(({ name }) => name !== 'Selector'),
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const { spec } = setOf(object);
    spec.replicas ??= 1;
    spec.podManagementPolicy ??= 'OrderedReady';
    spec.revisionHistoryLimit ??= 10;
    const strategy = (spec.updateStrategy ??= {});
    strategy.type ??= 'RollingUpdate';
    if (strategy.type === 'RollingUpdate') {
      strategy.rollingUpdate ??= {};
      strategy.rollingUpdate.partition ??= 0;
    }
    const policy = (spec.persistentVolumeClaimRetentionPolicy ??= {});
    policy.whenDeleted ??= 'Retain';
    policy.whenScaled ??= 'Retain';
    for (const claim of spec.volumeClaimTemplates ?? []) {
      delete (claim as { status?: unknown }).status;
      applyClaimSpecDefaults(claim.spec);
    }
    applyPodTemplateDefaults(spec.template);
  },
  warnings: (object) => templateWarnings(setOf(object).spec.template),
  validate(object, { previous }): readonly FieldError[] {
    const { metadata, spec } = setOf(object);
    const errors = [
      ...nameErrors(metadata.name),
      ...validateTemplateAndSelector(spec.selector, withClaimVolumes(spec).template),
      ...validateStrategy(spec),
      ...claimErrors(spec.volumeClaimTemplates ?? []),
    ];
    const before = previous === undefined ? undefined : setOf(previous).spec;
    if (before === undefined) return errors;
    for (const name of ['selector', 'serviceName', 'podManagementPolicy'] as const) {
      errors.push(...immutable(`spec.${name}`, before[name], spec[name]));
    }
    const claims = [before.volumeClaimTemplates ?? [], spec.volumeClaimTemplates ?? []] as const;
    errors.push(...immutable('spec.volumeClaimTemplates', ...claims));
    return errors;
  },
  scale: {
    specReplicasPath: 'spec.replicas',
    statusReplicasPath: 'status.replicas',
    selector: (object) => labelSelectorText(setOf(object).spec.selector),
  },
};

/** As pods see it: volumes of its own claims are there, in place of others of that name. */
function withClaimVolumes({ template, volumeClaimTemplates = [] }: StatefulSetSpec): {
  readonly template: PodTemplate;
} {
  if (volumeClaimTemplates.length === 0) return { template };
  const names = volumeClaimTemplates.map(({ metadata }) => metadata.name);
  const others = (template.spec.volumes ?? []).filter(({ name }) => !names.includes(name));
  const own = names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { template: { ...template, spec: { ...template.spec, volumes: [...others, ...own] } } };
}

function nameErrors(name: string): FieldError[] {
  const errors = dnsLabelName(name);
  if (errors.length === 0 && name.length > nameLengthMax) {
    const why = `must be no more than ${nameLengthMax} characters, so that pods can be labelled with its revisions`;
    errors.push(fieldInvalid('metadata.name', name, why));
  }
  return errors;
}

function claimErrors(claims: readonly ClaimTemplate[]): FieldError[] {
  const field = 'spec.volumeClaimTemplates';
  return [
    ...claims.flatMap(({ spec }, position) => {
      const errors = validateClaimSpec(spec, `${field}[${position}].spec`);
      if (spec.volumeName !== undefined) {
        const why = 'volumes are made for claims, none is there before: leave it out';
        errors.push(fieldForbidden(`${field}[${position}].spec.volumeName`, why));
      }
      return errors;
    }),
    ...duplicates(
      claims.map(({ metadata }) => metadata.name),
      (position) => `${field}[${position}].metadata.name`,
    ),
  ];
}

function validateStrategy({ updateStrategy = {} }: StatefulSetSpec): FieldError[] {
  const { type, rollingUpdate } = updateStrategy;
  const field = 'spec.updateStrategy.rollingUpdate';
  if (rollingUpdate === undefined) return [];
  if (type === 'OnDelete') {
    return [fieldForbidden(field, 'only allowed for updateStrategy `RollingUpdate`')];
  }
  const { maxUnavailable } = rollingUpdate;
  if (maxUnavailable === undefined) return [];
  const errors = validateBound(`${field}.maxUnavailable`, maxUnavailable, 100);
  if (errors.length === 0 && isZeroBound(maxUnavailable)) {
    errors.push(fieldInvalid(`${field}.maxUnavailable`, maxUnavailable, 'must not be 0'));
  }
  return errors;
}
