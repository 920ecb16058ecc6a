// What admission makes of pods, in the words of Kubernetes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isJsonObject, type JsonObject, type Uid } from '#base/mod.ts';
import { encodeFacet } from '#platform/api/mod.ts';
import { type Answer, type TestServer, withServer } from '../harness.contract.ts';

const core = '/api/v1/namespaces/default';
const priorityClasses = '/apis/scheduling.k8s.io/v1/priorityclasses';
const runtimeClasses = '/apis/node.k8s.io/v1/runtimeclasses';

async function make(server: TestServer, path: string, object: JsonObject): Promise<Answer> {
  const answer = await server.call('POST', path, { body: object });
  assert.equal(answer.status, 201, answer.text);
  return answer;
}

function makePod(
  server: TestServer,
  name: string,
  spec: JsonObject = {},
  query = '',
): Promise<Answer> {
  const containers = [{ name: 'main', image: 'i' }];
  const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers, ...spec } };
  return server.call('POST', `${core}/pods${query}`, { body });
}

const asking = (requests: JsonObject, limits?: JsonObject): JsonObject => ({
  containers: [{ name: 'main', image: 'i', resources: { requests, ...(limits && { limits }) } }],
});

function specOf({ json }: Answer): JsonObject {
  return isJsonObject(json['spec']) ? json['spec'] : {};
}

function messageOf({ json }: Answer): string {
  assert.ok(typeof json['message'] === 'string');
  return json['message'];
}

const priorityClass = (name: string, value: number, more: JsonObject = {}): JsonObject => ({
  apiVersion: 'scheduling.k8s.io/v1',
  kind: 'PriorityClass',
  metadata: { name },
  value,
  ...more,
});

test('a pod has the priority of its class, else of the default; a priority of its own is refused', () =>
  withServer(async (server) => {
    const system = await server.call('GET', `${priorityClasses}/system-node-critical`);
    assert.equal(system.json['value'], 2_000_001_000);
    await make(server, priorityClasses, priorityClass('high', 1000, { preemptionPolicy: 'Never' }));
    const plain = specOf(await makePod(server, 'plain'));
    assert.equal(plain['priority'], undefined);
    const high = await makePod(server, 'high', { priorityClassName: 'high' });
    assert.deepEqual([specOf(high)['priority'], specOf(high)['preemptionPolicy']], [1000, 'Never']);
    await make(server, priorityClasses, priorityClass('usual', 10, { globalDefault: true }));
    const usual = specOf(await makePod(server, 'usual'));
    assert.deepEqual(
      [usual['priorityClassName'], usual['priority'], usual['preemptionPolicy']],
      ['usual', 10, 'PreemptLowerPriority'],
    );
    const cases: [JsonObject, string][] = [
      [{ priorityClassName: 'nope' }, 'no PriorityClass with name nope was found'],
      [
        { priorityClassName: 'high', priority: 7 },
        'the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name',
      ],
    ];
    for (const [spec, why] of cases) {
      const refused = await makePod(server, 'p', spec);
      assert.deepEqual(
        [refused.status, messageOf(refused)],
        [403, `pods "p" is forbidden: ${why}`],
      );
    }
    const stored = await server.call('GET', `${core}/pods/high`);
    const { priority: _one, preemptionPolicy: _other, ...rest } = specOf(stored);
    const put = await server.call('PUT', `${core}/pods/high`, {
      body: { ...stored.json, spec: rest },
    });
    assert.deepEqual([put.status, specOf(put)['priority']], [200, 1000], 'an update keeps it');
  }));

test('at most one class is the default, values are bounded, and a class does not change', () =>
  withServer(async (server) => {
    const post = (body: JsonObject): Promise<Answer> =>
      server.call('POST', priorityClasses, { body });
    const two = await Promise.all([
      post(priorityClass('one', 1, { globalDefault: true })),
      post(priorityClass('two', 2, { globalDefault: true })),
    ]);
    assert.deepEqual(
      two.map(({ status }) => status),
      [201, 403],
    );
    assert.match(messageOf(two[1]), /PriorityClass one is already marked as default/);
    const large = await post(priorityClass('large', 1_000_000_001));
    assert.match(
      messageOf(large),
      /maximum allowed value of a user defined priority is 1000000000/,
    );
    const reserved = await post(priorityClass('system-mine', 1));
    assert.match(messageOf(reserved), /reserved for system use only/);
    const changed = await server.call('PATCH', `${priorityClasses}/one`, {
      body: { value: 5 },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.match(messageOf(changed), /value: Forbidden: may not be changed in an update/);
  }));

test('a runtime class adds what its pods take and where they go, and is there or refuses them', () =>
  withServer(async (server) => {
    await make(server, runtimeClasses, {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: 'modules' },
      handler: 'wasm',
      overhead: { podFixed: { memory: '8Mi' } },
      scheduling: {
        nodeSelector: { modules: 'yes' },
        tolerations: [{ key: 'modules', operator: 'Exists' }],
      },
    });
    const made = specOf(
      await makePod(server, 'a', { runtimeClassName: 'modules', nodeSelector: { site: 'one' } }),
    );
    assert.deepEqual(made['overhead'], { memory: '8Mi' });
    assert.deepEqual(made['nodeSelector'], { site: 'one', modules: 'yes' });
    assert.deepEqual(made['tolerations'], [{ key: 'modules', operator: 'Exists' }]);
    const cases: [JsonObject, RegExp][] = [
      [{ runtimeClassName: 'none' }, /pod rejected: RuntimeClass "none" not found/],
      [
        { runtimeClassName: 'modules', nodeSelector: { modules: 'no' } },
        /pod rejected: conflict: .*modules=no.*modules=yes/,
      ],
      [{ overhead: { cpu: '1' } }, /without corresponding RuntimeClass/],
      [
        { runtimeClassName: 'modules', overhead: { cpu: '1' } },
        /doesn't match RuntimeClass's defined Overhead/,
      ],
    ];
    for (const [spec, why] of cases) {
      const refused = await makePod(server, 'p', spec);
      assert.equal(refused.status, 403, refused.text);
      assert.match(messageOf(refused), why);
    }
  }));

test('a limit range gives what containers do not say, and refuses what is too little or too much', () =>
  withServer(async (server) => {
    const range = await make(server, `${core}/limitranges`, {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'limits' },
      spec: {
        limits: [
          {
            type: 'Container',
            default: { cpu: '500m' },
            defaultRequest: { cpu: '100m', memory: '64Mi' },
            min: { cpu: '50m' },
            max: { cpu: 1, memory: '128Mi' },
            maxLimitRequestRatio: { memory: '2' },
          },
          { type: 'Pod', max: { cpu: '1500m' } },
        ],
      },
    });
    const [first] = specOf(range)['limits'] as JsonObject[];
    assert.deepEqual(
      first?.['default'],
      { cpu: '500m', memory: '128Mi' },
      'the maximum, where none',
    );
    const made = await makePod(server, 'a');
    const [main] = specOf(made)['containers'] as JsonObject[];
    assert.deepEqual(main?.['resources'], {
      requests: { cpu: '100m', memory: '64Mi' },
      limits: { cpu: '500m', memory: '128Mi' },
    });
    const { annotations } = made.json['metadata'] as JsonObject;
    assert.deepEqual(annotations, {
      'kubernetes.io/limit-ranger':
        'LimitRanger plugin set: cpu, memory request for container main; cpu, memory limit for container main',
    });
    const cases: [JsonObject, string][] = [
      [
        asking({ cpu: '10m', memory: '64Mi' }),
        'minimum cpu usage per Container is 50m, but request is 10m',
      ],
      [
        asking({ cpu: '1', memory: '64Mi' }, { cpu: '2', memory: '64Mi' }),
        '[maximum cpu usage per Container is 1, but limit is 2, maximum cpu usage per Pod is 1500m, but limit is 2]',
      ],
      [
        asking({ memory: '32Mi' }, { memory: '128Mi' }),
        'memory max limit to request ratio per Container is 2, but provided ratio is 4.000000',
      ],
    ];
    for (const [spec, why] of cases) {
      const refused = await makePod(server, 'p', spec);
      assert.deepEqual(
        [refused.status, messageOf(refused)],
        [403, `pods "p" is forbidden: ${why}`],
      );
    }
    const wrong = await server.call('POST', `${core}/limitranges`, {
      body: {
        apiVersion: 'v1',
        kind: 'LimitRange',
        metadata: { name: 'wrong' },
        spec: { limits: [{ type: 'Container', min: { cpu: '2' }, max: { cpu: '1' } }] },
      },
    });
    assert.equal(wrong.status, 422);
    assert.match(messageOf(wrong), /min value 2 is greater than max value 1/);
  }));

const merging = { 'content-type': 'application/merge-patch+json' };

/** Changes of metadata, which every later write of a controller is. */
async function label(server: TestServer, name: string): Promise<Answer> {
  const answer = await server.call('PATCH', `${core}/pods/${name}`, {
    body: { metadata: { labels: { seen: 'yes' } } },
    headers: merging,
  });
  assert.equal(answer.status, 200, answer.text);
  return answer;
}

test('what admission puts into a pod is as every later write finds it, so that the pod can be changed', () =>
  withServer(async (server) => {
    await make(server, `${core}/serviceaccounts`, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'worker' },
    });
    await make(server, runtimeClasses, {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: 'modules' },
      handler: 'wasm',
      overhead: { podFixed: { memory: '8Mi', 'example.com/gpu': '1' } },
      scheduling: { tolerations: [{ key: 'modules' }] },
    });
    const named = { serviceAccountName: 'worker' };
    const account = specOf(await makePod(server, 'account', named));
    const [volume] = account['volumes'] as JsonObject[];
    const projected = volume?.['projected'] as JsonObject;
    assert.equal(projected['defaultMode'], 0o644);
    assert.match(JSON.stringify(projected), /"apiVersion":"v1","fieldPath":"metadata.namespace"/);
    await makePod(server, 'classed', { runtimeClassName: 'modules' });
    const warned = await make(server, `${core}/limitranges`, {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'limits' },
      spec: {
        limits: [
          { type: 'Container', default: { cpu: 1 }, min: { 'example.com/gpu': '1' } },
          { type: 'Pod', max: { 'example.com/gpu': '1' } },
        ],
      },
    });
    assert.match(
      warned.headers['warning'] ?? '',
      /spec\.limits\[0\]: example\.com\/gpu limits nothing.*spec\.limits\[1\]: example\.com\/gpu/,
    );
    const limited = await makePod(server, 'limited');
    const [main] = specOf(limited)['containers'] as JsonObject[];
    assert.deepEqual(main?.['resources'], { requests: { cpu: '1' }, limits: { cpu: '1' } });
    for (const name of ['account', 'classed', 'limited']) {
      const before = await server.call('GET', `${core}/pods/${name}`);
      const after = await label(server, name);
      assert.deepEqual(specOf(after), specOf(before), name);
    }
  }));

test('a pod that is stored without what the schema fills in can be changed too, but not its volumes', () =>
  withServer(async (server) => {
    const fieldRef = { fieldPath: 'metadata.name' };
    const projected = { sources: [{ downwardAPI: { items: [{ path: 'n', fieldRef }] } }] };
    const volumes = [{ name: 'own', projected }];
    const resources = { limits: { 'example.com/gpu': '1' } };
    const containers = [{ name: 'main', image: 'i:1', resources }];
    const bytes = encodeFacet({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'old', namespace: 'default' } },
      spec: { containers, volumes },
    });
    const key = { resource: 'pods', namespace: 'default', name: 'old' };
    await server.store.transact(() => ({
      changes: [{ type: 'put', key, uid: 'u' as Uid, facet: 'intent', bytes }],
      result: undefined,
    }));
    const labelled = specOf(await label(server, 'old'));
    assert.match(JSON.stringify(labelled['volumes']), /"defaultMode":420/);
    const more = await server.call('PATCH', `${core}/pods/old`, {
      body: { spec: { volumes: [{ name: 'own', emptyDir: {} }] } },
      headers: merging,
    });
    assert.equal(more.status, 422);
    assert.match(messageOf(more), /pod updates may not change fields other than/);
  }));
