import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/mod.ts';
import type { Container } from '#platform/api/mod.ts';
import { AgentError } from '../errors.ts';
import type { ConfigObjects } from './config-objects.ts';
import { environmentOf } from './environment.ts';
import { fieldText, resourceText, type PodFacts } from './pod-fields.ts';

const container: Container = {
  name: 'main',
  image: 'app:1',
  resources: { limits: { cpu: '1500m' }, requests: { memory: '100Mi' } },
};
const pod: PodFacts = {
  uid: 'uid-1',
  namespace: 'shop',
  name: 'web-1',
  metadata: {
    labels: { app: 'web', constructor: 'x' },
    annotations: { 'example.com/note': 'two\n"lines"' },
  },
  spec: { containers: [container] },
  ip: '127.1.2.3',
  nodeName: 'mill-1',
  hostAddress: '192.0.2.7',
  allocatable: { cpu: '4', memory: '8Gi' },
};

function objectsWith(
  objects: Readonly<Record<string, Record<string, string | Uint8Array>>>,
): ConfigObjects {
  return {
    dataOf(kind, namespace, name) {
      const values = objects[`${kind}/${namespace}/${name}`];
      if (values === undefined) return undefined;
      return new Map(
        Object.entries(values).map(([key, value]) => [
          key,
          typeof value === 'string' ? utf8(value) : value,
        ]),
      );
    },
  };
}

const objects = objectsWith({
  'configmap/shop/colours': { FIRST: 'red', SECOND: 'green', 'no-name': 'x' },
  'secret/shop/access': { SECOND: 'secret', bytes: new Uint8Array([255]), nul: 'a\0b' },
  'configmap/other/elsewhere': { A: '1' },
  'configmap/shop/long': { key: 'x'.repeat(200_000) },
});

function of(fields: Partial<Container>): Readonly<Record<string, string>> {
  const image = { environment: { FIRST: 'of the image', PATH: '/bin' } };
  return environmentOf({ ...container, ...fields }, image, pod, objects).variables;
}

test('later sources win over earlier ones, and variables may be made of those before them', () => {
  const found = of({
    envFrom: [
      { configMapRef: { name: 'colours' } },
      { secretRef: { name: 'colours', optional: true } },
      { prefix: 'P_', configMapRef: { name: 'colours' } },
    ],
    env: [
      { name: 'THIRD', value: '$(FIRST) $(LATER) $$(FIRST) $(P_SECOND)' },
      { name: 'LATER', value: '1' },
      { name: 'FIRST', valueFrom: { secretKeyRef: { name: 'access', key: 'SECOND' } } },
      { name: 'NONE', valueFrom: { secretKeyRef: { name: 'no', key: 'a', optional: true } } },
      { name: 'EMPTY' },
    ],
  });
  const { FIRST, SECOND, THIRD, EMPTY, PATH, HOST } = found;
  assert.deepEqual(
    [FIRST, SECOND, THIRD, EMPTY, PATH, HOST],
    ['secret', 'green', 'red $(LATER) $(FIRST) green', '', '/bin', '127.1.2.3'],
  );
  assert.equal('NONE' in found || 'no-name' in found, false);
  const { skipped } = environmentOf(
    { ...container, envFrom: [{ configMapRef: { name: 'colours' } }] },
    { environment: {} },
    pod,
    objects,
  );
  assert.deepEqual(skipped, ['Keys [no-name] from the EnvFrom configmap shop/colours']);
});

test('a program knows the name of its host, which is the pod or what the pod says', () => {
  assert.equal(of({})['HOSTNAME'], 'web-1');
  const named = { ...pod, spec: { ...pod.spec, hostname: 'db' } };
  const { variables } = environmentOf(container, { environment: {} }, named, objects);
  assert.equal(variables['HOSTNAME'], 'db');
});

test('what is missing, no text or too long keeps the container from starting, and says so', () => {
  const from = (name: string, key: string) => ({
    env: [{ name: 'A', valueFrom: { secretKeyRef: { name, key } } }],
  });
  const cases: readonly [Partial<Container>, RegExp][] = [
    [{ envFrom: [{ configMapRef: { name: 'absent' } }] }, /^configmap "absent" not found$/],
    [{ envFrom: [{ configMapRef: { name: 'elsewhere' } }] }, /"elsewhere" not found/],
    [from('absent', 'a'), /^secret "absent" not found$/],
    [from('access', 'a'), /^couldn't find key a in Secret shop\/access$/],
    [from('access', 'bytes'), /key bytes of secret "access" is not text/],
    [from('access', 'nul'), /variable A holds a NUL/],
    [{ envFrom: [{ configMapRef: { name: 'long' } }] }, /variable key has 200004 bytes/],
  ];
  for (const [fields, expected] of cases) {
    assert.throws(
      () => of(fields),
      (error) =>
        error instanceof AgentError &&
        error.code === 'CONTAINER_CONFIG' &&
        expected.test(error.message),
      expected.source,
    );
  }
});

test('a pod is told of itself field by field, and of amounts in the units asked for', () => {
  const fields = [
    ['metadata.uid', 'uid-1'],
    ['metadata.namespace', 'shop'],
    ["metadata.labels['app']", 'web'],
    ["metadata.labels['constructor']", 'x'],
    ["metadata.labels['toString']", ''],
    ["metadata.annotations['example.com/note']", 'two\n"lines"'],
    ['metadata.annotations', 'example.com/note="two\\n\\"lines\\""'],
    ['metadata.labels', 'app="web"\nconstructor="x"'],
    ['spec.nodeName', 'mill-1'],
    ['spec.serviceAccountName', ''],
    ['status.hostIP', '192.0.2.7'],
  ] as const;
  for (const [path, expected] of fields) assert.equal(fieldText(pod, path), expected, path);
  assert.throws(() => fieldText(pod, 'spec.containers'), AgentError);
  const amounts = [
    ['limits.cpu', undefined, '2'],
    ['limits.cpu', '1m', '1500'],
    ['limits.memory', '1Gi', '8'],
    ['requests.memory', '1Mi', '100'],
    ['requests.memory', '0', '104857600'],
    ['requests.memory', '30Mi', '4'],
    ['requests.cpu', '1m', '0'],
  ] as const;
  for (const [resource, divisor, expected] of amounts) {
    const reference = { resource, ...(divisor === undefined ? {} : { divisor }) };
    assert.equal(resourceText(pod, reference, container), expected, `${resource} in ${divisor}`);
  }
  const early = { ...pod, allocatable: undefined };
  assert.throws(
    () => resourceText(early, { resource: 'limits.memory' }, container),
    /not known yet/,
  );
});
