import assert from 'node:assert/strict';
import test from 'node:test';
import type { JsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  builtInDefinitions,
  type HorizontalPodAutoscaler,
  type ResourceDefinition,
  validateAgainstSchema,
} from '../mod.ts';

function definition(version: string): ResourceDefinition {
  const found = builtInDefinitions.find(
    (one) => one.kind === 'HorizontalPodAutoscaler' && one.version === version,
  );
  assert.ok(found);
  return found;
}

const [one, two] = [definition('v1'), definition('v2')];

function prepared(
  of: ResourceDefinition,
  spec: object,
  annotations?: Record<string, string>,
): ApiObject {
  const object: ApiObject = {
    apiVersion: `autoscaling/${of.version}`,
    kind: 'HorizontalPodAutoscaler',
    metadata: {
      name: 'web',
      namespace: 'default',
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, ...spec },
  };
  of.applyDefaults?.(object);
  return object;
}

function refusals(of: ResourceDefinition, object: ApiObject): string[] {
  const bySchema = validateAgainstSchema(of.schema, object);
  const context = { operation: 'create', previous: undefined } as const;
  const errors = bySchema.length > 0 ? bySchema : (of.validate?.(object, context) ?? []);
  return errors.map(({ field, reason }) => `${field} ${reason}`);
}

test('what is written in one version is there in the other, and nothing is lost on the way', () => {
  const written = prepared(one, { maxReplicas: 5, targetCPUUtilizationPercentage: 60 });
  assert.deepEqual(refusals(one, written), []);
  const stored = one.facets.split(written);
  const asTwo = two.facets.fold(stored) as HorizontalPodAutoscaler;
  assert.equal(asTwo.apiVersion, 'autoscaling/v2');
  assert.deepEqual(asTwo.spec.metrics, [
    {
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } },
    },
  ]);
  assert.deepEqual(one.facets.fold(stored)['spec'], written.spec);

  const memory = {
    type: 'Resource',
    resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '20Mi' } },
  };
  const behavior = { scaleDown: { stabilizationWindowSeconds: 5 } };
  const whole = prepared(two, {
    maxReplicas: 5,
    behavior,
    metrics: [...(asTwo.spec.metrics ?? []), memory],
  });
  assert.deepEqual(refusals(two, whole), []);
  const status = {
    currentReplicas: 2,
    currentMetrics: [
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 31 } } },
    ],
  };
  const facets = two.facets.split({ ...whole, status });
  const shown = one.facets.fold(facets);
  assert.deepEqual(shown.status, { currentReplicas: 2, currentCPUUtilizationPercentage: 31 });
  assert.deepEqual(refusals(one, shown), []);
  assert.deepEqual(one.facets.split(shown), facets);
});

test('without a metric it is the requested cpu that counts, also in the older version', () => {
  const { spec } = two.facets.fold(one.facets.split(prepared(one, { maxReplicas: 3 })));
  const metric = {
    type: 'Resource',
    resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
  };
  assert.deepEqual(spec?.['metrics'], [metric]);
  assert.deepEqual(prepared(two, { maxReplicas: 3 }).spec?.['metrics'], [metric]);
});

test('what an autoscaler cannot go by is refused by its field', () => {
  const resource = (name: string, target: object): object => ({
    metrics: [{ type: 'Resource', resource: { name, target } }],
  });
  const cases: readonly (readonly [object, string])[] = [
    [{ minReplicas: 4 }, 'spec.maxReplicas FieldValueInvalid'],
    [{ minReplicas: 0 }, 'spec.minReplicas FieldValueInvalid'],
    [
      resource('disk', { type: 'Utilization', averageUtilization: 1 }),
      'spec.metrics[0].resource.name FieldValueNotSupported',
    ],
    [
      resource('cpu', { type: 'Utilization' }),
      'spec.metrics[0].resource.target.averageUtilization FieldValueRequired',
    ],
    [
      resource('cpu', { type: 'AverageValue', averageValue: '0' }),
      'spec.metrics[0].resource.target.averageValue FieldValueInvalid',
    ],
    [{ metrics: [{ type: 'Resource' }] }, 'spec.metrics[0].resource FieldValueRequired'],
    [{ metrics: [{ type: 'Pods' }] }, 'spec.metrics[0].type FieldValueNotSupported'],
    [
      { behavior: { scaleUp: { policies: [] } } },
      'spec.behavior.scaleUp.policies FieldValueRequired',
    ],
  ];
  for (const [spec, expected] of cases) {
    assert.deepEqual(refusals(two, prepared(two, { maxReplicas: 3, ...spec })), [expected]);
  }
  const odd = { 'autoscaling.alpha.kubernetes.io/metrics': 'cpu' };
  assert.deepEqual(refusals(one, prepared(one, { maxReplicas: 3 }, odd)), [
    'metadata.annotations[autoscaling.alpha.kubernetes.io/metrics] FieldValueInvalid',
  ]);
});

test('a status that leaves out what its type promises is refused, and counts as absent where it is stored', () => {
  const annotation = 'autoscaling.alpha.kubernetes.io/current-metrics';
  const current = { averageUtilization: 1 };
  const cases: readonly (readonly [JsonObject, field: string])[] = [
    [{ type: 'Resource' }, '.resource FieldValueRequired'],
    [{ resource: { name: 'cpu', current } }, '.type FieldValueRequired'],
    [{ type: 'Resource', resource: { name: 'cpu' } }, '.resource.current FieldValueRequired'],
    [
      { type: 'ContainerResource', resource: { name: 'cpu', current } },
      '.containerResource FieldValueRequired',
    ],
  ];
  for (const [metric, expected] of cases) {
    const status = { currentReplicas: 2, currentMetrics: [metric] };
    const object = { ...prepared(two, { maxReplicas: 3 }), status };
    assert.deepEqual(refusals(two, object), [`status.currentMetrics[0]${expected}`]);
    const facets = two.facets.split(object);
    assert.deepEqual(facets.report, { status }, 'as an older server has stored it');
    for (const version of [one, two]) {
      const shown = version.facets.fold(facets);
      assert.deepEqual(shown.status, { currentReplicas: 2 });
      for (const column of version.columns) column.value(shown, 0);
    }
    const inOne = {
      ...prepared(one, { maxReplicas: 3 }, { [annotation]: JSON.stringify([metric]) }),
      status: { currentReplicas: 2 },
    };
    const [refusal, ...rest] = refusals(one, inOne);
    assert.match(refusal ?? '', /FieldValue/);
    assert.deepEqual(rest, []);
  }
});

test('what annotations of the older version hold is judged as the newer version has it', () => {
  const wrong: readonly (readonly [name: string, value: unknown])[] = [
    ['metrics', [{ type: 'Resource', resource: { name: 'cpu' } }]],
    ['metrics', [null]],
    ['behavior', null],
    ['behavior', { scaleUp: { policies: 5 } }],
    ['current-metrics', 5],
    ['conditions', [5]],
  ];
  for (const [name, value] of wrong) {
    const key = `autoscaling.alpha.kubernetes.io/${name}`;
    const object = prepared(one, { maxReplicas: 3 }, { [key]: JSON.stringify(value) });
    assert.deepEqual(refusals(one, object), [`metadata.annotations[${key}] FieldValueInvalid`]);
  }
});

test('targets are shown as kubectl shows them', () => {
  const object = prepared(two, { maxReplicas: 3 });
  const column = two.columns.find(({ name }) => name === 'Targets');
  assert.equal(column?.value(object, 0), 'cpu: <unknown>/80%');
  object.status = {
    currentMetrics: [
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 7 } } },
    ],
  };
  assert.equal(column?.value(object, 0), 'cpu: 7%/80%');
});
