import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ApiObject,
  builtInDefinitions,
  type Node,
  type Pod,
  podStatusWord,
  type ResourceDefinition,
  type Schema,
} from '../mod.ts';

function definition(kind: string): ResourceDefinition {
  const found = builtInDefinitions.find((candidate) => candidate.kind === kind);
  assert.ok(found);
  return found;
}

function prepared(object: ApiObject): ApiObject {
  const copy = structuredClone(object);
  definition(object.kind).applyDefaults?.(copy);
  return copy;
}

function refusals(object: ApiObject, previous?: ApiObject): string[] {
  const operation = previous === undefined ? 'create' : 'update';
  const errors = definition(object.kind).validate?.(prepared(object), {
    operation,
    previous: previous === undefined ? undefined : prepared(previous),
  });
  return (errors ?? []).map((error) => `${error.field} ${error.reason}`);
}

const pod = (spec: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default' },
  spec: { containers: [{ name: 'main', image: 'app:1' }], ...spec },
});

const deployment = (spec: object = {}): ApiObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web', tier: 'front' } },
      spec: { containers: [{ name: 'main', image: 'app' }] },
    },
    ...spec,
  },
});

function undescribed(schema: Schema, path: string): string[] {
  const children = Object.entries(schema.properties ?? {});
  if (schema.items !== undefined) children.push(['[]', schema.items]);
  if (schema.additionalProperties !== undefined) children.push(['*', schema.additionalProperties]);
  const own = schema.description === undefined ? [path] : [];
  return [...own, ...children.flatMap(([name, child]) => undescribed(child, `${path}.${name}`))];
}

test('every field of every kind is described', () => {
  assert.deepEqual(
    builtInDefinitions.flatMap(({ kind, schema }) => undescribed(schema, kind)),
    [],
  );
});

test('defaults can be applied twice, and what was split is served again', () => {
  const objects = [
    pod({ nodeName: 'n1' }),
    deployment({ replicas: 3 }),
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n', labels: { mine: 'x' } },
      spec: { unschedulable: true },
    },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's', namespace: 'd' },
      stringData: { a: 'hello' },
    },
  ];
  for (const object of objects) {
    const once = prepared(object);
    assert.deepEqual(prepared(once), once);
    const { facets } = definition(object.kind);
    const served = facets.fold(facets.split(once));
    // What the server knows about it is added; nothing of it is lost.
    assert.deepEqual({ ...served, status: undefined }, { ...once, status: undefined });
  }
});

test('the plain text of a secret is moved into its data', () => {
  const secret = prepared({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', namespace: 'd' },
    stringData: { a: 'hello', b: '' },
  });
  assert.deepEqual([secret['data'], secret['stringData']], [{ a: 'aGVsbG8=', b: '' }, undefined]);
});

test('the pull policy follows from the tag', () => {
  const images = ['app', 'app:latest', 'host:5000/app', 'app:1', `app@sha256:${'0'.repeat(64)}`];
  const policies = images.map((image) => {
    const { spec } = prepared(pod({ containers: [{ name: 'main', image }] })) as Pod;
    return spec.containers[0]?.imagePullPolicy;
  });
  assert.deepEqual(policies, ['Always', 'Always', 'Always', 'IfNotPresent', 'IfNotPresent']);
});

test('rules beyond the schema refuse what contradicts itself', () => {
  const container = { name: 'main', image: 'app:1' };
  const cases: [ApiObject, ApiObject | undefined, string[]][] = [
    [pod(), undefined, []],
    [
      pod({ containers: [container, container] }),
      undefined,
      ['spec.containers[1].name FieldValueDuplicate'],
    ],
    [
      pod({
        containers: [
          { ...container, resources: { requests: { cpu: '2' }, limits: { cpu: '1500m' } } },
        ],
      }),
      undefined,
      ['spec.containers[0].resources.requests FieldValueInvalid'],
    ],
    [pod({ containers: [{ ...container, image: 'app:2' }] }), pod(), []],
    [pod({ tolerations: [{ operator: 'Exists' }] }), pod(), []],
    [pod(), pod({ tolerations: [{ operator: 'Exists' }] }), ['spec FieldValueForbidden']],
    [pod({ restartPolicy: 'Never' }), pod(), ['spec FieldValueForbidden']],
    [pod({ nodeName: 'other' }), pod({ nodeName: 'n1' }), ['spec FieldValueForbidden']],
    [deployment(), undefined, []],
    [
      deployment({ selector: { matchLabels: { app: 'other' } } }),
      undefined,
      ['spec.template.metadata.labels FieldValueInvalid'],
    ],
    [deployment({ selector: {} }), undefined, ['spec.selector FieldValueInvalid']],
    [
      deployment({ selector: { matchLabels: { tier: 'front' } } }),
      deployment(),
      ['spec.selector FieldValueInvalid'],
    ],
    [
      deployment({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } } }),
      undefined,
      ['spec.strategy.rollingUpdate.maxUnavailable FieldValueInvalid'],
    ],
    [
      deployment({ strategy: { type: 'Recreate', rollingUpdate: { maxSurge: 1 } } }),
      undefined,
      ['spec.strategy.rollingUpdate FieldValueForbidden'],
    ],
  ];
  assert.deepEqual(
    cases.map(([object, previous]) => refusals(object, previous)),
    cases.map(([, , expected]) => expected),
  );
});

const nodeIntent = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n', labels: { mine: 'x', 'topology.kubernetes.io/region': 'claimed' } },
  spec: {},
};

function servedNode(): Node {
  return definition('Node').facets.fold({
    intent: nodeIntent,
    assignment: { region: 'north', site: 'harbour', podCIDR: '127.1.1.0/24' },
    report: {
      status: { nodeInfo: { kubeletVersion: 'v1' } },
      labels: { 'kubernetes.io/arch': 'amd64', 'selvage.dev/site': 'lie', mine: 'overwritten' },
      runtimes: ['script'],
      platforms: ['script/javascript'],
    },
    verdict: { ready: 'Unknown', reason: 'Silent', message: '', sinceTime: '2026-01-01T00:00:00Z' },
  }) as Node;
}

test('neither a user nor an agent can say where a node is', () => {
  const node = servedNode();
  assert.deepEqual(node.metadata.labels, {
    mine: 'x',
    'kubernetes.io/arch': 'amd64',
    'selvage.dev/runtime.script': 'true',
    'topology.kubernetes.io/region': 'north',
    'topology.kubernetes.io/zone': 'harbour',
    'selvage.dev/site': 'harbour',
  });
  assert.deepEqual(refusals(node, node), []);
  const moved = structuredClone(node);
  moved.metadata.labels = { ...moved.metadata.labels, 'selvage.dev/site': 'elsewhere' };
  assert.deepEqual(refusals(moved, node), [
    'metadata.labels[selvage.dev/site] FieldValueForbidden',
  ]);
  const { intent } = definition('Node').facets.split(node);
  const stored = intent as unknown as ApiObject;
  assert.deepEqual(stored.metadata.labels, { mine: 'x' });
});

test('columns tell the state of nodes and pods in a word', () => {
  const { columns } = definition('Node');
  const cells = columns.map((column) => column.value(servedNode(), 0));
  assert.deepEqual(cells, [
    'NotReady',
    'north',
    'harbour',
    '<unknown>',
    'v1',
    'amd64',
    'script',
    '<none>',
  ]);
  const word = (status: object, metadata: object = {}): string =>
    podStatusWord({ ...pod(), metadata: { name: 'p', ...metadata }, status } as Pod);
  const waiting = { state: { waiting: { reason: 'CrashLoopBackOff' } } };
  const ended = { state: { terminated: { exitCode: 3 } } };
  assert.deepEqual(
    [
      word({}),
      word({ phase: 'Running' }),
      word({ phase: 'Running', containerStatuses: [waiting] }),
      word({ phase: 'Failed', containerStatuses: [ended] }),
      word({ phase: 'Running' }, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
      word({ phase: 'Failed', reason: 'Evicted' }, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    ],
    ['Pending', 'Running', 'CrashLoopBackOff', 'ExitCode:3', 'Terminating', 'Evicted'],
  );
});

test('the verdict lies over what the agent reports', () => {
  const served = definition('Pod').facets.fold({
    intent: { ...pod(), spec: {} } as never,
    report: {
      status: {
        phase: 'Running',
        podIP: '127.1.1.1',
        conditions: [
          { type: 'Ready', status: 'True' },
          { type: 'Initialized', status: 'True' },
        ],
      },
    },
    verdict: {
      status: { phase: 'Failed', reason: 'NodeLost' },
      conditions: [{ type: 'Ready', status: 'False' }],
    },
  }) as Pod;
  assert.deepEqual(served.status, {
    phase: 'Failed',
    reason: 'NodeLost',
    podIP: '127.1.1.1',
    qosClass: 'BestEffort',
    conditions: [
      { type: 'Ready', status: 'False' },
      { type: 'Initialized', status: 'True' },
    ],
  });
});
