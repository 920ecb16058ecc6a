// Bodies as protobuf, written field by field.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concatBytes, utf8 } from '#base/mod.ts';
import { StatusError } from '../status-error.ts';
import { body, message, metadata } from './encoder.contract.ts';
import { parseKubernetesProtobuf } from './kubernetes-protobuf.ts';

test('what was set arrives as JSON would have brought it, and zeros of Go do not', () => {
  const container = message(
    [1, 'main'],
    [2, 'web:1'],
    [5, ''],
    [6, message([1, ''], [2, 0n], [3, 80n], [4, ''])],
    [8, message([2, message([1, 'memory'], [2, message([1, '64Mi'])])])],
    [13, ''],
    [14, ''],
    [16, 0n],
    [17, 0n],
    [18, 0n],
  );
  const pod = message(
    [2, container],
    [3, ''],
    [6, ''],
    [8, ''],
    [9, ''],
    [10, ''],
    [11, 0n],
    [12, 0n],
    [14, message()],
    [19, ''],
  );
  const rolling = message(
    [1, message([1, 1n], [2, 0n], [3, '25%'])],
    [2, message([1, 0n], [2, 2n], [3, ''])],
  );
  const spec = message(
    [1, 0n],
    [2, message([1, message([1, 'app'], [2, 'web'])])],
    [3, message([1, metadata('')], [2, pod])],
    [4, message([1, ''], [2, rolling])],
    [5, 0n],
    [7, 0n],
  );
  const bytes = body(
    'apps/v1',
    'Deployment',
    message([1, metadata('web')], [2, spec], [3, message([1, 0n])]),
  );
  assert.deepEqual(parseKubernetesProtobuf(bytes).value, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels: { app: 'web' } },
    spec: {
      // A pointer: no replicas at all is a wish.
      replicas: 0,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: '' } },
        spec: {
          containers: [
            {
              name: 'main',
              image: 'web:1',
              ports: [{ containerPort: 80 }],
              resources: { requests: { memory: '64Mi' } },
            },
          ],
          securityContext: {},
        },
      },
      strategy: { rollingUpdate: { maxUnavailable: '25%', maxSurge: 2 } },
    },
  });
});

test('bytes and negative numbers are what they were', () => {
  const secret = message(
    [1, metadata('s')],
    [2, message([1, 'key'], [2, Uint8Array.from([0, 255, 7])])],
    [3, 'Opaque'],
  );
  assert.deepEqual(parseKubernetesProtobuf(body('v1', 'Secret', secret)).value, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', labels: { app: 's' } },
    data: { key: 'AP8H' },
    type: 'Opaque',
  });
  const options = parseKubernetesProtobuf(
    body('policy/v1', 'DeleteOptions', message([1, -1n])),
  ).value;
  assert.deepEqual(options, {
    apiVersion: 'policy/v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: -1,
  });
});

test('a time that has no date is refused', () => {
  const secret = (seconds: bigint): Uint8Array =>
    body('v1', 'Secret', message([1, message([1, 's'], [8, message([1, seconds])])]));
  for (const seconds of [253_402_300_800n, -62_135_596_801n]) {
    assert.throws(() => parseKubernetesProtobuf(secret(seconds)), StatusError);
  }
  parseKubernetesProtobuf(secret(253_402_300_799n));
});

test('a message that JSON writes into the one around it is read so', () => {
  const service = message([1, 'web'], [2, message([1, ''], [2, 80n])]);
  const path = message([1, '/'], [2, message([4, service])], [3, 'Prefix']);
  const rule = message([1, 'example.com'], [2, message([1, message([1, path])])]);
  const spec = message([3, rule], [3, message([1, ''], [2, message()])], [4, 'proxy']);
  const ingress = message([1, metadata('web')], [2, spec], [3, message([1, message()])]);
  assert.deepEqual(
    parseKubernetesProtobuf(body('networking.k8s.io/v1', 'Ingress', ingress)).value,
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: {
        rules: [
          {
            host: 'example.com',
            http: {
              paths: [
                {
                  path: '/',
                  pathType: 'Prefix',
                  backend: { service: { name: 'web', port: { number: 80 } } },
                },
              ],
            },
          },
          {},
        ],
        ingressClassName: 'proxy',
      },
    },
  );
});

test('a field that is not known refuses the body where it says something', () => {
  const withLongHostname = (value: bigint): Uint8Array =>
    body('v1', 'Pod', message([1, metadata('p')], [2, message([35, value])]));
  assert.doesNotThrow(() => parseKubernetesProtobuf(withLongHostname(0n)));
  assert.throws(
    () => parseKubernetesProtobuf(withLongHostname(1n)),
    /field 35 of PodSpec is not known/,
  );
  assert.throws(
    () => parseKubernetesProtobuf(body('node.k8s.io/v1', 'RuntimeClass', message())),
    (error) =>
      error instanceof StatusError &&
      error.httpStatus === 415 &&
      /RuntimeClass/.test(error.message),
  );
});

test('a key that is a name of JavaScript is a key', () => {
  const data = message([1, metadata('c')], [2, message([1, '__proto__'], [2, 'x'])]);
  const { value } = parseKubernetesProtobuf(body('v1', 'ConfigMap', data));
  const read = (value as { data: Record<string, string> }).data;
  assert.deepEqual(Object.keys(read), ['__proto__']);
  assert.equal(({} as Record<string, unknown>)['x'], undefined);
});

test('whatever bytes come, they are read or refused, and nothing else', () => {
  const kinds = fc.constantFrom(
    ['v1', 'Pod'],
    ['apps/v1', 'Deployment'],
    ['v1', 'Secret'],
    ['batch/v1', 'CronJob'],
  );
  fc.assert(
    fc.property(
      kinds,
      fc.uint8Array({ maxLength: 200 }),
      fc.boolean(),
      ([apiVersion = '', kind = ''], bytes, isFramed) => {
        try {
          parseKubernetesProtobuf(
            isFramed ? body(apiVersion, kind, bytes) : concatBytes([utf8('k8s\0'), bytes]),
          );
        } catch (error) {
          assert.ok(error instanceof StatusError, String(error));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('an autoscaler of either version arrives whole', () => {
  const target = message([1, 'Deployment'], [2, 'web'], [3, 'apps/v1']);
  const first = message([1, target], [2, 2n], [3, 5n], [4, 60n]);
  const one = message([1, metadata('web')], [2, first], [3, message([3, 0n], [4, 0n])]);
  const { value } = parseKubernetesProtobuf(body('autoscaling/v1', 'HorizontalPodAutoscaler', one));
  assert.deepEqual((value as { spec: object }).spec, {
    scaleTargetRef: { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' },
    minReplicas: 2,
    maxReplicas: 5,
    targetCPUUtilizationPercentage: 60,
  });
  const cpu = message([1, 'cpu'], [2, message([1, 'Utilization'], [4, 60n])]);
  const down = message([1, 'Max'], [2, message([1, 'Pods'], [2, 1n], [3, 60n])], [3, 30n]);
  const second = message(
    [1, target],
    [2, 2n],
    [3, 5n],
    [4, message([1, 'Resource'], [4, cpu])],
    [5, message([2, down])],
  );
  const two = message([1, metadata('web')], [2, second]);
  const parsed = parseKubernetesProtobuf(body('autoscaling/v2', 'HorizontalPodAutoscaler', two));
  assert.deepEqual((parsed.value as { spec: object }).spec, {
    scaleTargetRef: { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' },
    minReplicas: 2,
    maxReplicas: 5,
    metrics: [
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } },
      },
    ],
    behavior: {
      scaleDown: {
        selectPolicy: 'Max',
        policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }],
        stabilizationWindowSeconds: 30,
      },
    },
  });
});
