// oxlint-disable typescript/no-explicit-any -- tests read deep into JSON that was just made
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Json, JsonObject } from '#base/mod.ts';
import {
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  builtInDefinitions,
  createDefinitionRegistry,
  createMergePatch,
  StatusError,
} from './mod.ts';

const registry = createDefinitionRegistry(builtInDefinitions);
const deploymentSchema = registry.byApiVersionKind('apps/v1', 'Deployment')!.schema;
const schemaOf = (kind: string) =>
  builtInDefinitions.find((definition) => definition.kind === kind)!.schema;
const nodeSchema = registry.byApiVersionKind('v1', 'Node')!.schema;

function frozen<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) frozen(child);
    Object.freeze(value);
  }
  return value;
}

function status(apply: () => unknown): string {
  try {
    apply();
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return `${error.httpStatus} ${error.message}`;
  }
  throw new assert.AssertionError({ message: 'it was accepted' });
}

/** Objects whose fields are never null, which a merge patch cannot express. */
const { object: anyObject } = fc.letrec<{ object: JsonObject; value: Json }>((tie) => ({
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('value'), {
    noNullPrototype: true,
  }),
  value: fc.oneof(
    { depthSize: 'small' },
    fc.integer({ min: -3, max: 3 }),
    fc.constantFrom('x', true),
    tie('object'),
    fc.array(tie('object'), { maxLength: 2 }),
  ),
}));

test('the merge patch between two objects turns the one into the other and changes neither', () => {
  fc.assert(
    fc.property(anyObject, anyObject, (before, after) => {
      const patch = createMergePatch(frozen(before), frozen(after));
      assert.deepEqual(applyMergePatch(before, frozen(patch)), after);
      assert.deepEqual(createMergePatch(after, after), {});
    }),
    { seed: 20_261_122, numRuns: 500 },
  );
});

test('a strategic merge patch of plain objects without lists does what a merge patch does', () => {
  const flat = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y'), {
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(flat, flat, (before, after) => {
      const original = { metadata: { labels: before } };
      const patch = createMergePatch(original, { metadata: { labels: after } });
      assert.deepEqual(
        applyStrategicMergePatch(deploymentSchema, frozen(original), frozen(patch)),
        { metadata: { labels: after } },
      );
    }),
    { seed: 20_261_122 },
  );
});

test('merge patches do what RFC 7386 shows', () => {
  const cases: [Json, Json, Json][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [['a'], { a: 'c' }, { a: 'c' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, expected] of cases) {
    assert.deepEqual(applyMergePatch(frozen(target), frozen(patch)), expected);
  }
});

test('JSON patches do what RFC 6902 shows and leave the document alone', () => {
  const cases: [Json, Json, Json][] = [
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [{ foo: [1, 3] }, [{ op: 'add', path: '/foo/1', value: 2 }], { foo: [1, 2, 3] }],
    [{ foo: [1] }, [{ op: 'add', path: '/foo/-', value: [2] }], { foo: [1, [2]] }],
    [{ foo: [1, 2] }, [{ op: 'remove', path: '/foo/0' }], { foo: [2] }],
    [{ a: { b: 1 } }, [{ op: 'move', from: '/a/b', path: '/c' }], { a: {}, c: 1 }],
    [
      { a: { b: [1] } },
      [
        { op: 'copy', from: '/a', path: '/c' },
        { op: 'add', path: '/c/b/0', value: 0 },
      ],
      { a: { b: [1] }, c: { b: [0, 1] } },
    ],
    [
      { 'a/b': { '~1': 1 } },
      [
        { op: 'test', path: '/a~1b/~01', value: 1 },
        { op: 'replace', path: '/a~1b/~01', value: null },
      ],
      { 'a/b': { '~1': null } },
    ],
    [{ a: 1 }, [{ op: 'replace', path: '', value: [2] }], [2]],
    [{ a: [1, 2, 3] }, [{ op: 'move', from: '/a/0', path: '/a/2' }], { a: [2, 3, 1] }],
    [
      { a: { x: 1, y: 2 } },
      [{ op: 'test', path: '/a', value: { y: 2, x: 1 } }],
      { a: { x: 1, y: 2 } },
    ],
  ];
  for (const [document, patch, expected] of cases) {
    assert.deepEqual(applyJsonPatch(frozen(document), frozen(patch)), expected);
  }
});

test('a JSON patch that is malformed or does not fit is refused and names the operation', () => {
  const document = { a: [1], b: {} };
  const cases: [Json, RegExp][] = [
    [{}, /^400 .*a list of operations/],
    [[{ op: 'frob', path: '/a' }], /^400 .*\/0: op must be one of add/],
    [[{ op: 'add', path: '/a' }], /^400 .*add needs a value/],
    [[{ op: 'add', path: 'a', value: 1 }], /^400 .*\/0\/path: must start with '\/'/],
    [[{ op: 'add', path: '/__proto__/x', value: 1 }], /^400 .*must not name __proto__/],
    [
      [
        { op: 'test', path: '/a/0', value: 1 },
        { op: 'test', path: '/a/0', value: 2 },
      ],
      /^422 operation \/1 \(test\).*is 1, not 2/,
    ],
    [[{ op: 'remove', path: '/b/c' }], /^422 .*there is no \/b\/c/],
    [[{ op: 'add', path: '/a/5', value: 1 }], /^422 .*\/a\/5 is not a place in a list of 1/],
    [[{ op: 'add', path: '/a/01', value: 1 }], /^422 .*is not a place/],
    [[{ op: 'replace', path: '/a/-', value: 1 }], /^422/],
    [[{ op: 'move', from: '/b', path: '/b/c' }], /^422 .*into itself/],
    [[{ op: 'remove', path: '' }], /^422 .*whole document/],
    [Array.from({ length: 40 }, () => ({ op: 'copy', from: '/a', path: '/a/-' })), /^413/],
    [
      Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/b', value: {} })),
      /^413 .*10001 operations/,
    ],
  ];
  for (const [patch, expected] of cases) {
    assert.match(
      status(() => applyJsonPatch(frozen(document), patch)),
      expected,
    );
  }
});

const container = (name: string, image: string): JsonObject => ({ name, image });
const deployment = (containers: Json[], extra: JsonObject = {}): JsonObject => ({
  spec: { replicas: 2, ...extra, template: { spec: { containers } } },
});

test('kubectl set image changes one container and keeps the order and the rest', () => {
  const original = deployment([
    container('a', '1'),
    { ...container('b', '1'), env: [{ name: 'X', value: 'y' }] },
  ]);
  const patch = {
    spec: {
      template: {
        spec: {
          '$setElementOrder/containers': [{ name: 'a' }, { name: 'b' }],
          containers: [{ name: 'b', image: '9' }],
        },
      },
    },
  };
  assert.deepEqual(
    applyStrategicMergePatch(deploymentSchema, frozen(original), frozen(patch)),
    deployment([container('a', '1'), { ...container('b', '9'), env: [{ name: 'X', value: 'y' }] }]),
  );
});

test('kubectl apply adds, removes and reorders containers by name', () => {
  const original = deployment([
    container('a', '1'),
    container('injected', '1'),
    container('b', '1'),
  ]);
  const patch = {
    spec: {
      replicas: null,
      template: {
        spec: {
          '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }],
          containers: [
            { name: 'c', image: '2', command: null },
            { $patch: 'delete', name: 'b' },
          ],
        },
      },
    },
  };
  const merged = applyStrategicMergePatch(deploymentSchema, frozen(original), frozen(patch));
  assert.deepEqual(merged, {
    spec: {
      template: {
        spec: {
          containers: [container('c', '2'), container('a', '1'), container('injected', '1')],
        },
      },
    },
  });
});

test('elements that only the server has keep their place among ordered ones', () => {
  const original = deployment(['s1', 'a', 's2', 'b'].map((name) => container(name, '1')));
  const order = (names: string[]): JsonObject => ({
    spec: {
      template: { spec: { '$setElementOrder/containers': names.map((name) => ({ name })) } },
    },
  });
  const namesAfter = (names: string[]): unknown => {
    const merged = applyStrategicMergePatch(deploymentSchema, original, order(names)) as any;
    return merged.spec.template.spec.containers.map((entry: { name: string }) => entry.name);
  };
  assert.deepEqual(namesAfter(['a', 'b']), ['s1', 'a', 's2', 'b']);
  assert.deepEqual(namesAfter(['b', 'a']), ['s1', 's2', 'b', 'a']);
});

test('maps that are one field to server-side apply are merged key by key', () => {
  const merged = (kind: string, original: JsonObject, patch: JsonObject): unknown =>
    applyStrategicMergePatch(schemaOf(kind), frozen(original), frozen(patch));
  assert.deepEqual(
    merged(
      'Pod',
      {
        spec: {
          nodeSelector: { os: 'linux', zone: 'mill', gone: 'x' },
          containers: [
            {
              name: 'a',
              env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 'n', key: 'k' } } }],
            },
          ],
        },
      },
      {
        spec: {
          nodeSelector: { zone: 'depot', gone: null },
          containers: [
            { name: 'a', env: [{ name: 'E', valueFrom: { secretKeyRef: { key: 'l' } } }] },
          ],
        },
      },
    ),
    {
      spec: {
        nodeSelector: { os: 'linux', zone: 'depot' },
        containers: [
          { name: 'a', env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 'n', key: 'l' } } }] },
        ],
      },
    },
  );
  assert.deepEqual(
    merged(
      'Service',
      { spec: { selector: { app: 'at', track: 'stable' } } },
      { spec: { selector: { track: 'canary' } } },
    ),
    { spec: { selector: { app: 'at', track: 'canary' } } },
  );
  const labels = (podSelector: JsonObject): JsonObject => ({ spec: { podSelector } });
  assert.deepEqual(
    merged(
      'NetworkPolicy',
      labels({ matchLabels: { a: '1', b: '2' } }),
      labels({ matchLabels: { b: '3' } }),
    ),
    labels({ matchLabels: { a: '1', b: '3' } }),
  );
});

test('$patch replace empties first, $patch delete removes, $retainKeys drops the others', () => {
  const original = deployment([container('a', '1')], {
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
  });
  const replaced = applyStrategicMergePatch(deploymentSchema, original, {
    spec: { template: { spec: { containers: [{ $patch: 'replace' }, container('z', '3')] } } },
  }) as any;
  assert.deepEqual(replaced.spec.template.spec.containers, [container('z', '3')]);
  const recreated = applyStrategicMergePatch(deploymentSchema, frozen(original), {
    spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } },
  }) as any;
  assert.deepEqual(recreated.spec.strategy, { type: 'Recreate' });
  const wholeReplaced = applyStrategicMergePatch(deploymentSchema, original, {
    spec: { $patch: 'replace', replicas: 5 },
  });
  assert.deepEqual(wholeReplaced, { spec: { replicas: 5 } });
  assert.match(
    status(() =>
      applyStrategicMergePatch(deploymentSchema, original, {
        spec: { strategy: { $retainKeys: ['type'], other: 1 } },
      }),
    ),
    /^400 .*spec\.strategy\.\$retainKeys must name other/,
  );
  assert.match(
    status(() =>
      applyStrategicMergePatch(deploymentSchema, original, {
        spec: { template: { spec: { containers: [{ image: 'x' }] } } },
      }),
    ),
    /^400 .*spec\.template\.spec\.containers\[0\] must have name/,
  );
  assert.match(
    status(() =>
      applyStrategicMergePatch(deploymentSchema, original, { spec: { $patch: 'frob' } }),
    ),
    /^400 .*spec\.\$patch must be replace, delete or merge/,
  );
});

test('finalizers merge as a set, in the given order, and lose what is named', () => {
  const original = { metadata: { finalizers: ['x/a', 'x/b', 'x/c'] } };
  const patch = {
    metadata: {
      '$deleteFromPrimitiveList/finalizers': ['x/b'],
      '$setElementOrder/finalizers': ['x/d', 'x/a', 'x/c'],
      finalizers: ['x/d'],
    },
  };
  assert.deepEqual(applyStrategicMergePatch(deploymentSchema, frozen(original), frozen(patch)), {
    metadata: { finalizers: ['x/d', 'x/a', 'x/c'] },
  });
});

test('kubectl label, annotate, taint, cordon, uncordon and rollout restart do what they say', () => {
  const node = { metadata: { labels: { a: '1' } }, spec: { unschedulable: true } };
  assert.deepEqual(applyMergePatch(node, { metadata: { labels: { site: 'a', a: null } } }), {
    metadata: { labels: { site: 'a' } },
    spec: { unschedulable: true },
  });
  assert.deepEqual(applyStrategicMergePatch(nodeSchema, node, { spec: { unschedulable: null } }), {
    metadata: { labels: { a: '1' } },
    spec: {},
  });
  const taints = [{ key: 'x', value: 'y', effect: 'NoSchedule' }];
  const tainted = applyStrategicMergePatch(nodeSchema, node, { spec: { taints } });
  assert.deepEqual(tainted['spec'], { unschedulable: true, taints });
  const restarted = applyStrategicMergePatch(deploymentSchema, deployment([container('a', '1')]), {
    spec: {
      template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } },
    },
  }) as any;
  assert.deepEqual(restarted.spec.template, {
    spec: { containers: [container('a', '1')] },
    metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } },
  });
});

test('a strategic patch keeps the values of a merged list apart from those that were there', () => {
  const original = deployment([
    { ...container('a', '1'), ports: [{ containerPort: 80, protocol: 'TCP' }] },
  ]);
  const merged = applyStrategicMergePatch(deploymentSchema, frozen(original), {
    spec: { template: { spec: { containers: [{ name: 'a', ports: [{ containerPort: 81 }] }] } } },
  }) as any;
  assert.deepEqual(merged.spec.template.spec.containers[0].ports, [
    { containerPort: 80, protocol: 'TCP' },
    { containerPort: 81 },
  ]);
});

const serviceSchema = registry.byApiVersionKind('v1', 'Service')!.schema;

/** `53/UDP` as a port of a service. */
function port(text: string, more: JsonObject = {}): JsonObject {
  const [number, protocol = 'TCP'] = text.split('/');
  return { port: Number(number), protocol, ...more };
}

function portsAfter(original: readonly string[], spec: JsonObject): string[] {
  const before = { spec: { ports: original.map((text) => port(text)) } };
  const merged = applyStrategicMergePatch(serviceSchema, frozen(before), frozen({ spec })) as any;
  return merged.spec.ports.map(
    ({ port: number, protocol, name }: Record<string, string | undefined>) =>
      `${number}/${protocol ?? 'none'}${name === undefined ? '' : ` ${name}`}`,
  );
}

test('ports that share a number are kept apart: what a patch does not name stays', () => {
  const dns = ['53/UDP', '80/TCP', '53/TCP'];
  const cases: [readonly string[], JsonObject, readonly string[]][] = [
    [dns, { ports: [port('9153/TCP')] }, [...dns, '9153/TCP']],
    [dns, { ports: [port('53/TCP', { name: 'x' })] }, ['53/UDP', '80/TCP', '53/TCP x']],
    // What says no protocol is about the first, as it is in Kubernetes.
    [dns, { ports: [{ port: 53, name: 'x' }] }, ['53/UDP x', '80/TCP', '53/TCP']],
    // A protocol that none has yet is what the first has from now on,
    [dns, { ports: [port('53/SCTP')] }, ['53/SCTP', '80/TCP', '53/TCP']],
    // but two of one patch are two.
    [['53/UDP'], { ports: [port('53/TCP'), port('53/UDP')] }, ['53/TCP', '53/UDP']],
    [['80/TCP'], { ports: [port('53/UDP'), port('53/TCP')] }, ['80/TCP', '53/UDP', '53/TCP']],
    [dns, { ports: [{ $patch: 'replace' }, port('53/UDP'), port('53/TCP')] }, ['53/UDP', '53/TCP']],
    [dns, { ports: [{ $patch: 'delete', port: 53 }] }, ['80/TCP']],
    [dns, { ports: [{ $patch: 'delete', ...port('53/UDP') }] }, ['80/TCP', '53/TCP']],
    [dns, { ports: [{ $patch: 'delete', ...port('53/SCTP') }] }, dns],
  ];
  for (const [original, spec, expected] of cases) {
    assert.deepEqual(portsAfter(original, spec), expected, JSON.stringify(spec));
  }
});

test('kubectl apply with ports that share a number keeps them, in the order of the manifest', () => {
  const order = (numbers: number[]): JsonObject => ({
    '$setElementOrder/ports': numbers.map((number) => ({ port: number })),
  });
  const dns = ['53/UDP', '53/TCP'];
  assert.deepEqual(portsAfter(dns, { ...order([53, 53, 9153]), ports: [port('9153/TCP')] }), [
    ...dns,
    '9153/TCP',
  ]);
  assert.deepEqual(portsAfter(dns, { ...order([53, 9153, 53]), ports: [port('9153/TCP')] }), [
    '53/UDP',
    '9153/TCP',
    '53/TCP',
  ]);
  assert.deepEqual(portsAfter(['53/UDP', '80/TCP', '53/TCP'], order([80, 53])), ['80/TCP', ...dns]);
  const patch = {
    spec: {
      template: {
        spec: {
          '$setElementOrder/containers': [{ name: 'a' }],
          containers: [
            {
              name: 'a',
              '$setElementOrder/ports': [53, 53, 9153].map((containerPort) => ({ containerPort })),
              ports: [{ containerPort: 9153, protocol: 'TCP' }],
            },
          ],
        },
      },
    },
  };
  const own = ['UDP', 'TCP'].map((protocol) => ({ containerPort: 53, protocol }));
  const before = deployment([{ ...container('a', '1'), ports: own }]);
  const merged = applyStrategicMergePatch(deploymentSchema, frozen(before), frozen(patch));
  assert.deepEqual(
    merged,
    deployment([
      { ...container('a', '1'), ports: [...own, { containerPort: 9153, protocol: 'TCP' }] },
    ]),
  );
});

test('of a list that merges by key, only what a patch names by all keys changes', () => {
  const anyPorts = fc.uniqueArray(
    fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('TCP', 'UDP', 'SCTP')),
    { selector: (keys) => keys.join('/') },
  );
  fc.assert(
    fc.property(anyPorts, anyPorts, (before, after) => {
      const texts = before.map((keys) => keys.join('/'));
      const known = after.map((keys) => keys.join('/')).filter((text) => texts.includes(text));
      const ports = known.map((text) => port(text, { name: 'x' }));
      assert.deepEqual(
        portsAfter(texts, { ports }),
        texts.map((text) => (known.includes(text) ? `${text} x` : text)),
      );
    }),
    { seed: 20_261_129, numRuns: 300 },
  );
});
