/** HorizontalPodAutoscaler (v2): how many pods a workload has follows what they use. */
import { isJsonObject } from '#base/mod.ts';
import { conformingPart } from '../conformance.ts';
import type { FacetLayout, FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired } from '../field-errors.ts';
import type { ApiObject } from '../object.ts';
import { atomicList, instant, integer, oneOf, quantity, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { conditionsSchema } from '../meta/condition.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { milliUnitsOf, tryParseQuantity } from '../quantity.ts';
import type { Schema } from '../schema.ts';
import { observedGenerationSchema } from '../apps/workload-fields.ts';
import type {
  AutoscalingMetric,
  CurrentAmount,
  CurrentMetric,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerStatus,
  MetricTarget,
  ScalingRules,
} from './horizontal-pod-autoscaler-types.ts';

const metricsMax = 16;
const policiesMax = 8;
const windowSecondsMax = 3_600;
const periodSecondsMax = 1_800;
const utilizationDefault = 80;
const resourceNames = ['cpu', 'memory'];

export const scaleTargetSchema = record(
  'The workload whose pods are counted: anything that has a scale.',
  {
    apiVersion: text('Group and version of the workload.'),
    kind: text('Kind of the workload.', { minLength: 1 }),
    name: text('Name of the workload.', { minLength: 1 }),
  },
  ['kind', 'name'],
);

export const minReplicasSchema = integer('The fewest pods that are kept. When left out: 1.', {
  minimum: 1,
});
export const maxReplicasSchema = integer('The most pods that are kept.', { minimum: 1 });

export const countStatusFields = {
  observedGeneration: observedGenerationSchema,
  lastScaleTime: instant('When the number of pods was last changed.'),
  currentReplicas: integer('How many pods the workload has.'),
  desiredReplicas: integer('How many pods it should have.'),
};

const target = record(
  'What it should be.',
  {
    type: oneOf('Of what averageUtilization or averageValue is.', ['Utilization', 'AverageValue']),
    averageUtilization: integer('Percent of what the pods request, on average.', { minimum: 1 }),
    averageValue: quantity('How much a pod uses, on average.'),
  },
  ['type'],
);

const current = record('What it is.', {
  averageUtilization: integer('Percent of what the pods request, on average.'),
  averageValue: quantity('How much a pod uses, on average.'),
});

const resourceName = text('`cpu` or `memory`.', { minLength: 1 });
const metricType = oneOf('Which of the fields beside it is meant.', [
  'Resource',
  'ContainerResource',
]);

const metric: Schema = {
  ...record(
    'One thing to go by.',
    {
      type: metricType,
      resource: record(
        'What all containers of a pod use together.',
        { name: resourceName, target },
        ['name', 'target'],
      ),
      containerResource: record(
        'What one container of each pod uses.',
        { name: resourceName, container: text('Its name in the pods.', { minLength: 1 }), target },
        ['name', 'container', 'target'],
      ),
    },
    ['type'],
  ),
  notYet: ['pods', 'object', 'external'],
};

function rules(description: string): Schema {
  return record(description, {
    stabilizationWindowSeconds: integer(
      'Of what was recommended in so long, the most careful counts. When left out: 0 up, 300 down.',
      { minimum: 0, maximum: windowSecondsMax },
    ),
    selectPolicy: oneOf('Which policy counts: Max lets it change most. Disabled: none at all.', [
      'Max',
      'Min',
      'Disabled',
    ]),
    policies: atomicList(
      'How fast it may change.',
      record(
        'One bound.',
        {
          type: oneOf('Of what the value is.', ['Pods', 'Percent']),
          value: integer('Pods, or percent of those there were.', { minimum: 1 }),
          periodSeconds: integer('In how long.', { minimum: 1, maximum: periodSecondsMax }),
        },
        ['type', 'value', 'periodSeconds'],
      ),
      { maxItems: policiesMax },
    ),
    tolerance: quantity('How far from its target a metric may be. When left out: 0.1.'),
  });
}

export const metricsSchema = atomicList(
  'What to go by; the one that asks for most counts. When left out: 80 % of the requested cpu.',
  metric,
  { maxItems: metricsMax },
);

export const behaviorSchema = record('How fast the number may change.', {
  scaleUp: rules('When there are too few pods.'),
  scaleDown: rules('When there are too many.'),
});

export const currentMetricsSchema = atomicList(
  'What was last seen.',
  record(
    'One of the metrics.',
    {
      type: metricType,
      resource: record(
        'What all containers of a pod use together.',
        { name: resourceName, current },
        ['name', 'current'],
      ),
      containerResource: record(
        'What one container of each pod uses.',
        { name: resourceName, container: text('Its name in the pods.'), current },
        ['name', 'container', 'current'],
      ),
    },
    ['type'],
  ),
);

export const scalerConditionsSchema = conditionsSchema('What holds for it, since when, and why.');

const statusSchema = record('What came of it.', {
  ...countStatusFields,
  currentMetrics: currentMetricsSchema,
  conditions: scalerConditionsSchema,
});

const autoscalerOf = (object: ApiObject): HorizontalPodAutoscaler =>
  object as HorizontalPodAutoscaler;

const layout = defaultFacetLayout();

const facets: FacetLayout = {
  split: (object) => layout.split(object),
  /** What is malformed in a stored status counts as absent. */
  fold(stored) {
    const object = layout.fold(stored);
    if (!isJsonObject(object.status)) return object;
    const status: HorizontalPodAutoscalerStatus = conformingPart(statusSchema, object.status);
    if (currentMetricErrors(status).length === 0) return { ...object, status };
    const { currentMetrics: _malformed, ...rest } = status;
    return { ...object, status: rest };
  },
};

export const horizontalPodAutoscalerDefinition: ResourceDefinition = {
  group: 'autoscaling',
  version: 'v2',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  singular: 'horizontalpodautoscaler',
  shortNames: ['hpa'],
  categories: ['all'],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status'],
  storage: 'main',
  schema: objectSchema(
    'Changes how many pods a workload has, so that each uses about as much as it should.',
    {
      spec: record(
        'What to scale, by what, and within which bounds.',
        {
          scaleTargetRef: scaleTargetSchema,
          minReplicas: minReplicasSchema,
          maxReplicas: maxReplicasSchema,
          metrics: metricsSchema,
          behavior: behaviorSchema,
        },
        ['scaleTargetRef', 'maxReplicas'],
      ),
      status: statusSchema,
    },
    ['spec'],
  ),
  columns: [
    column('Reference', 'string', 'The workload.', (object) => {
      const { kind, name } = autoscalerOf(object).spec.scaleTargetRef;
      return `${kind}/${name}`;
    }),
    column('Targets', 'string', 'What each metric is, and what it should be.', targetsText),
    column('MinPods', 'string', 'The fewest pods.', (object) => {
      return String(autoscalerOf(object).spec.minReplicas ?? 1);
    }),
    column('MaxPods', 'integer', 'The most pods.', (object) => {
      return autoscalerOf(object).spec.maxReplicas;
    }),
    column('Replicas', 'integer', 'How many pods there are.', (object) => {
      return autoscalerOf(object).status?.currentReplicas ?? 0;
    }),
    ageColumn,
  ],
  selectableFields: {},
  facets,
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const { spec } = autoscalerOf(object);
    spec.minReplicas ??= 1;
    if ((spec.metrics ?? []).length === 0) {
      const cpu = { type: 'Utilization' as const, averageUtilization: utilizationDefault };
      spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target: cpu } }];
    }
    for (const one of spec.metrics ?? []) {
      const { target: wanted } = partsOf(one) ?? {};
      if (wanted?.averageValue !== undefined) wanted.averageValue = String(wanted.averageValue);
    }
  },
  validate(object): readonly FieldError[] {
    const { spec, status } = autoscalerOf(object);
    const errors: FieldError[] = [];
    const { minReplicas = 1, maxReplicas, metrics = [], behavior = {} } = spec;
    if (maxReplicas < minReplicas) {
      const why = 'must be greater than or equal to `minReplicas`';
      errors.push(fieldInvalid('spec.maxReplicas', maxReplicas, why));
    }
    for (const [position, one] of metrics.entries()) {
      errors.push(...metricErrors(one, `spec.metrics[${position}]`));
    }
    for (const way of ['scaleUp', 'scaleDown'] as const) {
      errors.push(...rulesErrors(behavior[way], `spec.behavior.${way}`));
    }
    return [...errors, ...currentMetricErrors(status)];
  },
};

interface MetricParts {
  readonly name: string;
  readonly container: string | undefined;
  readonly target: MetricTarget;
}

/** What the two kinds of metrics have in common; undefined where the field of the type is missing. */
export function partsOf(metricOf: AutoscalingMetric): MetricParts | undefined {
  switch (metricOf.type) {
    case 'Resource': {
      const { resource } = metricOf as { resource?: { name: string; target: MetricTarget } };
      return resource === undefined ? undefined : { ...resource, container: undefined };
    }
    case 'ContainerResource':
      return (metricOf as Partial<typeof metricOf>).containerResource;
  }
}

/** What was seen of a metric, where its type says that it is. */
export function currentOf(seen: CurrentMetric | undefined): CurrentAmount | undefined {
  const { resource, containerResource }: Seen = seen ?? {};
  return (seen?.type === 'Resource' ? resource : containerResource)?.current;
}

type Seen = Readonly<
  Partial<Record<'resource' | 'containerResource', { readonly current: CurrentAmount }>>
>;

function currentMetricErrors(status: HorizontalPodAutoscalerStatus | undefined): FieldError[] {
  return (status?.currentMetrics ?? []).flatMap((one, position) => {
    if (currentOf(one) !== undefined) return [];
    const path = `status.currentMetrics[${position}].${fieldOfType[one.type]}`;
    return [fieldRequired(path, `must be there for a metric of type ${one.type}`)];
  });
}

const fieldOfType = { Resource: 'resource', ContainerResource: 'containerResource' } as const;

function metricErrors(one: AutoscalingMetric, path: string): FieldError[] {
  const field = fieldOfType[one.type];
  const parts = partsOf(one);
  if (parts === undefined) {
    return [fieldRequired(`${path}.${field}`, `must be there for a metric of type ${one.type}`)];
  }
  const at = `${path}.${field}`;
  const errors: FieldError[] = [];
  if (!resourceNames.includes(parts.name)) {
    errors.push(fieldNotSupported(`${at}.name`, parts.name, resourceNames));
  }
  const { type, averageUtilization, averageValue } = parts.target;
  if (type === 'Utilization' && averageUtilization === undefined) {
    errors.push(fieldRequired(`${at}.target.averageUtilization`, 'must be there for Utilization'));
  }
  if (type !== 'AverageValue') return errors;
  if (averageValue === undefined) {
    errors.push(fieldRequired(`${at}.target.averageValue`, 'must be there for AverageValue'));
    return errors;
  }
  const amount = tryParseQuantity(averageValue);
  if (amount === undefined || milliUnitsOf(amount) <= 0) {
    errors.push(fieldInvalid(`${at}.target.averageValue`, averageValue, 'must be positive'));
  }
  return errors;
}

function rulesErrors(given: ScalingRules | undefined, path: string): FieldError[] {
  const { tolerance, policies } = given ?? {};
  const errors: FieldError[] = [];
  if (policies?.length === 0) {
    errors.push(fieldRequired(`${path}.policies`, 'must specify at least one Policy'));
  }
  const amount = tolerance === undefined ? undefined : tryParseQuantity(tolerance);
  if (tolerance !== undefined && (amount === undefined || milliUnitsOf(amount) < 0)) {
    errors.push(fieldInvalid(`${path}.tolerance`, tolerance, 'must be greater than or equal to 0'));
  }
  return errors;
}

/** As kubectl shows it: `cpu: 3%/80%`. */
function targetsText(object: ApiObject): string {
  const { spec, status } = autoscalerOf(object);
  const shown = (spec.metrics ?? []).map((one, position) => {
    const parts = partsOf(one);
    const { averageUtilization, averageValue } =
      currentOf(status?.currentMetrics?.[position]) ?? {};
    if (parts?.target.type === 'Utilization') {
      const is = averageUtilization === undefined ? '<unknown>' : `${averageUtilization}%`;
      return `${parts.name}: ${is}/${parts.target.averageUtilization}%`;
    }
    return `${parts?.name}: ${averageValue ?? '<unknown>'}/${parts?.target.averageValue}`;
  });
  return shown.length === 0 ? '<none>' : shown.join(', ');
}
