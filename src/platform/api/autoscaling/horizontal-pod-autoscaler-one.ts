/**
 * HorizontalPodAutoscaler as autoscaling/v1 has it: another form of what is stored as v2.
 * What that form has no fields for is in annotations, so that who reads it, changes
 * something and writes it back takes nothing away.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import type { FacetLayout, FieldError, ResourceDefinition } from '../definition.ts';
import { fieldInvalid } from '../field-errors.ts';
import type { ApiObject } from '../object.ts';
import type { Schema } from '../schema.ts';
import { validateAgainstSchema } from '../validate.ts';
import { integer, record } from '../meta/build.ts';
import { column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import type {
  AutoscalingMetric,
  HorizontalPodAutoscaler,
} from './horizontal-pod-autoscaler-types.ts';
import {
  behaviorSchema,
  countStatusFields,
  currentMetricsSchema,
  currentOf,
  horizontalPodAutoscalerDefinition as stored,
  maxReplicasSchema,
  metricsSchema,
  minReplicasSchema,
  scalerConditionsSchema,
  scaleTargetSchema,
} from './horizontal-pod-autoscaler.ts';

const metricsAnnotation = 'autoscaling.alpha.kubernetes.io/metrics';
const behaviorAnnotation = 'autoscaling.alpha.kubernetes.io/behavior';
const currentMetricsAnnotation = 'autoscaling.alpha.kubernetes.io/current-metrics';
const conditionsAnnotation = 'autoscaling.alpha.kubernetes.io/conditions';
/** Each holds JSON of what autoscaling/v2 has a field for. */
const ownAnnotations: ReadonlyMap<string, Schema> = new Map([
  [metricsAnnotation, metricsSchema],
  [behaviorAnnotation, behaviorSchema],
  [currentMetricsAnnotation, currentMetricsSchema],
  [conditionsAnnotation, scalerConditionsSchema],
]);

type SpecOne = {
  scaleTargetRef: HorizontalPodAutoscaler['spec']['scaleTargetRef'];
  minReplicas?: number;
  maxReplicas: number;
  targetCPUUtilizationPercentage?: number;
};

const layout: FacetLayout = {
  split: (object) => stored.facets.split(toStored(object)),
  fold: (facets) => fromStored(stored.facets.fold(facets) as HorizontalPodAutoscaler),
};

export const horizontalPodAutoscalerOneDefinition: ResourceDefinition = {
  ...stored,
  version: 'v1',
  viewOf: stored,
  schema: objectSchema(
    'Changes how many pods a workload has by the processor time they use.',
    {
      spec: record(
        'What to scale and within which bounds.',
        {
          scaleTargetRef: scaleTargetSchema,
          minReplicas: minReplicasSchema,
          maxReplicas: maxReplicasSchema,
          targetCPUUtilizationPercentage: integer(
            'Percent of the requested cpu that the pods should use, on average. When left out: 80.',
            { minimum: 1 },
          ),
        },
        ['scaleTargetRef', 'maxReplicas'],
      ),
      status: record('What came of it.', {
        ...countStatusFields,
        currentCPUUtilizationPercentage: integer('Percent of the requested cpu that is used.'),
      }),
    },
    ['spec'],
  ),
  columns: stored.columns.map((one) =>
    one.name === 'Targets'
      ? column('Targets', 'string', one.description, (object, nowMs) =>
          one.value(toStored(object), nowMs),
        )
      : one,
  ),
  facets: layout,
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    (object.spec as SpecOne).minReplicas ??= 1;
  },
  validate(object, context): readonly FieldError[] {
    const errors = malformedAnnotations(object);
    return errors.length > 0 ? errors : (stored.validate?.(toStored(object), context) ?? []);
  },
};

/** The same in v2. */
function toStored(object: ApiObject): ApiObject {
  const { spec, status, ...rest } = object;
  const { targetCPUUtilizationPercentage: percent, ...kept } = spec as SpecOne;
  const { annotations = {} } = object.metadata;
  const others = (jsonIn(annotations[metricsAnnotation]) ?? []) as unknown as AutoscalingMetric[];
  const behavior = jsonIn(annotations[behaviorAnnotation]);
  const cpu: AutoscalingMetric[] =
    percent === undefined
      ? []
      : [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } },
          },
        ];
  const whole: ApiObject = {
    ...rest,
    apiVersion: 'autoscaling/v2',
    metadata: { ...object.metadata },
    spec: {
      ...kept,
      metrics: [...cpu, ...others],
      ...(behavior === undefined ? {} : { behavior }),
    } as unknown as JsonObject,
  };
  const told = Object.entries(annotations).filter(([name]) => !ownAnnotations.has(name));
  if (told.length > 0) whole.metadata.annotations = Object.fromEntries(told);
  else delete whole.metadata.annotations;
  if (isJsonObject(status)) {
    const { currentCPUUtilizationPercentage: _cpu, ...counts } = status;
    const currentMetrics = jsonIn(annotations[currentMetricsAnnotation]);
    const conditions = jsonIn(annotations[conditionsAnnotation]);
    whole.status = {
      ...counts,
      ...(currentMetrics === undefined ? {} : { currentMetrics }),
      ...(conditions === undefined ? {} : { conditions }),
    } as JsonObject;
  }
  stored.applyDefaults?.(whole);
  return whole;
}

/** The same in v1. */
function fromStored(object: HorizontalPodAutoscaler): ApiObject {
  const { spec, status, metadata } = object;
  const { metrics = [], behavior, ...kept } = spec;
  const isCpu = (one: AutoscalingMetric): boolean =>
    one.type === 'Resource' &&
    one.resource.name === 'cpu' &&
    one.resource.target.type === 'Utilization';
  const cpu = metrics.find(isCpu);
  const others = metrics.filter((one) => one !== cpu);
  const percent = cpu?.type === 'Resource' ? cpu.resource.target.averageUtilization : undefined;
  const annotations = { ...metadata.annotations };
  if (others.length > 0) annotations[metricsAnnotation] = JSON.stringify(others);
  if (behavior !== undefined) annotations[behaviorAnnotation] = JSON.stringify(behavior);
  const whole: ApiObject = {
    ...object,
    apiVersion: 'autoscaling/v1',
    metadata: { ...metadata },
    spec: {
      ...kept,
      ...(percent === undefined ? {} : { targetCPUUtilizationPercentage: percent }),
    },
  };
  if (status !== undefined) {
    const { currentMetrics, conditions, ...counts } = status;
    if (currentMetrics !== undefined) {
      annotations[currentMetricsAnnotation] = JSON.stringify(currentMetrics);
    }
    if (conditions !== undefined) annotations[conditionsAnnotation] = JSON.stringify(conditions);
    const seen = cpu === undefined ? undefined : currentMetrics?.[metrics.indexOf(cpu)];
    const used = seen?.type === 'Resource' ? currentOf(seen)?.averageUtilization : undefined;
    whole.status = {
      ...counts,
      ...(used === undefined ? {} : { currentCPUUtilizationPercentage: used }),
    };
  }
  if (Object.keys(annotations).length > 0) whole.metadata.annotations = annotations;
  return whole;
}

function malformedAnnotations({ metadata }: ApiObject): FieldError[] {
  return [...ownAnnotations].flatMap(([name, schema]) => {
    const given = metadata.annotations?.[name];
    if (given === undefined) return [];
    const value = jsonIn(given);
    const [first] =
      value === undefined ? [undefined] : validateAgainstSchema(schema, value, { errorsMax: 1 });
    if (value !== undefined && first === undefined) return [];
    const where = first === undefined ? '' : ` (${first.field}: ${first.message})`;
    const why = `must be JSON as autoscaling/v2 has it${where}: use that version to change it`;
    return [fieldInvalid(`metadata.annotations[${name}]`, given, why)];
  });
}

/** Undefined for what is no JSON. */
function jsonIn(given: string | undefined): unknown {
  if (given === undefined) return undefined;
  try {
    return JSON.parse(given);
  } catch {
    return undefined;
  }
}
