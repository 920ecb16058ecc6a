import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '#base/mod.ts';
import { relatedKeysOfPod } from './node-slice.ts';

const named = (spec: JsonObject): string[] =>
  relatedKeysOfPod(spec, 'shop').map(({ resource, namespace, name }) => {
    assert.equal(namespace, 'shop');
    return `${resource}/${name}`;
  });

test('every place in which a pod can name a ConfigMap or a Secret is found, each once', () => {
  const container = {
    env: [
      { name: 'A', value: 'plain' },
      { name: 'B', valueFrom: { configMapKeyRef: { name: 'env-map', key: 'k' } } },
      { name: 'C', valueFrom: { secretKeyRef: { name: 'env-secret', key: 'k' } } },
      { name: 'D', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    ],
    envFrom: [{ configMapRef: { name: 'all-map' } }, { secretRef: { name: 'all-secret' } }],
  };
  const projected = {
    sources: [
      { configMap: { name: 'projected-map' } },
      { secret: { name: 'projected-secret' } },
      { downwardAPI: { items: [] } },
    ],
  };
  assert.deepEqual(
    named({
      volumes: [
        { name: 'a', configMap: { name: 'volume-map' } },
        { name: 'b', secret: { secretName: 'volume-secret' } },
        { name: 'c', projected },
        { name: 'd', emptyDir: {} },
      ],
      initContainers: [{ envFrom: [{ configMapRef: { name: 'init-map' } }] }],
      containers: [container, container],
      imagePullSecrets: [{ name: 'pull-secret' }],
    }).toSorted(),
    [
      ...['all-map', 'env-map', 'init-map', 'projected-map', 'volume-map'].map(
        (name) => `configmaps/${name}`,
      ),
      ...['all-secret', 'env-secret', 'projected-secret', 'pull-secret', 'volume-secret'].map(
        (name) => `secrets/${name}`,
      ),
    ],
  );
});

test('what is no pod spec names nothing and does no harm', () => {
  const odd: Json[] = [null, 7, 'x', [], [null, 3, []], { sources: 5 }];
  for (const value of odd) {
    assert.deepEqual(
      named({
        volumes: value,
        containers: [{ env: value, envFrom: value }],
        imagePullSecrets: value,
      }),
      [],
    );
  }
  assert.deepEqual(
    named({ volumes: [{ configMap: { name: 3 } }, { secret: { secretName: '' } }] }),
    [],
  );
});
