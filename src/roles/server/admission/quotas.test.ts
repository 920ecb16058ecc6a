import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import { wheelDefinition } from '#platform/api/apiextensions/wheels.contract.ts';
import { builtInDefinitions } from '#platform/api/mod.ts';
import { type Answer, type TestServer, withServer } from '../harness.contract.ts';

const core = '/api/v1/namespaces/default';
const merge = { 'content-type': 'application/merge-patch+json' };

async function makeQuota(server: TestServer, name: string, spec: JsonObject): Promise<Answer> {
  const body = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec };
  const answer = await server.call('POST', `${core}/resourcequotas`, { body });
  assert.equal(answer.status, 201, answer.text);
  return answer;
}

/** What the controller does. */
function countAnew(server: TestServer, name: string): Promise<Answer> {
  return server.call('PATCH', `${core}/resourcequotas/${name}/status`, {
    body: { status: { used: { pods: '77' } } },
    headers: merge,
  });
}

async function usedOf(server: TestServer, name: string): Promise<unknown> {
  const { json } = await server.call('GET', `${core}/resourcequotas/${name}`);
  return isJsonObject(json['status']) ? json['status']['used'] : undefined;
}

function makePod(
  server: TestServer,
  name: string,
  resources: JsonObject = {},
  spec: JsonObject = {},
): Promise<Answer> {
  const containers = [{ name: 'main', image: 'i', resources }];
  const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers, ...spec } };
  return server.call('POST', `${core}/pods`, { body });
}

const asking = (cpu: string): JsonObject => ({ requests: { cpu } });

test('a quota cannot be exceeded by any number of writes at once', () =>
  withServer(async (server) => {
    await makeQuota(server, 'some', { hard: { pods: '3', 'requests.cpu': 1 } });
    const names = Array.from({ length: 12 }, (_, index) => `p${index}`);
    const answers = await Promise.all(names.map((name) => makePod(server, name, asking('300m'))));
    assert.deepEqual(
      answers.map(({ status }) => status).filter((status) => status === 201).length,
      3,
    );
    assert.equal(
      answers[3]?.json['message'],
      'pods "p3" is forbidden: exceeded quota: some, requested: pods=1,requests.cpu=300m, used: pods=3,requests.cpu=900m, limited: pods=3,requests.cpu=1',
    );
    assert.deepEqual(await usedOf(server, 'some'), { pods: '3', 'requests.cpu': '900m' });
    await server.call('DELETE', `${core}/pods/p0`);
    assert.equal((await makePod(server, 'q', asking('1m'))).status, 403, 'nobody has counted yet');
    const counted = await countAnew(server, 'some');
    assert.equal(counted.status, 200, counted.text);
    assert.deepEqual(
      await usedOf(server, 'some'),
      { pods: '2', 'requests.cpu': '600m' },
      'whatever the body says',
    );
    assert.equal((await makePod(server, 'q', asking('100m'))).status, 201);
    const dry = await server.call('POST', `${core}/pods?dryRun=All`, {
      body: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'd' },
        spec: { containers: [{ name: 'm', image: 'i', resources: asking('1m') }] },
      },
    });
    assert.equal(dry.status, 403, 'a dry run is told the same');
  }));

test('what a quota limits of containers must be stated', () =>
  withServer(async (server) => {
    await makeQuota(server, 'compute', { hard: { 'limits.cpu': '2', memory: '1Gi', pods: '9' } });
    const refused = await makePod(server, 'p');
    assert.equal(
      refused.json['message'],
      'pods "p" is forbidden: failed quota: compute: must specify limits.cpu for: main; memory for: main',
    );
  }));

test('objects of any kind are counted, in a quota that exists before or after them', () =>
  withServer(async (server) => {
    const configMap = (name: string): Promise<Answer> =>
      server.call('POST', `${core}/configmaps`, {
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } },
      });
    await configMap('before');
    await makeQuota(server, 'objects', {
      hard: { configmaps: '2', 'count/configmaps': '5', 'count/deployments.apps': '1' },
    });
    assert.deepEqual([(await configMap('a')).status, (await configMap('b')).status], [201, 403]);
    assert.deepEqual(await usedOf(server, 'objects'), {
      configmaps: '2',
      'count/configmaps': '2',
      'count/deployments.apps': '0',
    });
    const deployment = (name: string): Promise<Answer> =>
      server.call('POST', '/apis/apps/v1/namespaces/default/deployments', {
        body: {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name },
          spec: {
            selector: { matchLabels: { app: 'a' } },
            template: {
              metadata: { labels: { app: 'a' } },
              spec: { containers: [{ name: 'c', image: 'i' }] },
            },
          },
        },
      });
    assert.equal((await deployment('one')).status, 201);
    const second = await deployment('two');
    assert.match(
      second.text,
      /deployments.apps \\"two\\" is forbidden: exceeded quota: objects, requested: count\/deployments.apps=1, used: count\/deployments.apps=1/,
    );
  }));

test('claims are counted with their storage, and kinds that people declare by their names', () =>
  withServer(async (server) => {
    const [configMaps] = builtInDefinitions.filter(({ plural }) => plural === 'configmaps');
    assert.ok(configMaps !== undefined);
    const definition = { body: wheelDefinition() };
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    assert.equal((await server.call('POST', path, definition)).status, 201);
    const declared = { by: 'wheels.cars.example', isStored: true, isLeaving: false };
    const names = { group: 'cars.example', version: 'v1', kind: 'Wheel', plural: 'wheels' };
    const wheels = { ...configMaps, ...names, singular: 'wheel', shortNames: [], declared };
    const second = { ...wheels, version: 'v2', declared: { ...declared, isStored: false } };
    server.server.registry.replaceDeclared(declared.by, [wheels, second]);
    const wheel = (version: string, name: string): Promise<Answer> =>
      server.call('POST', `/apis/cars.example/${version}/namespaces/default/wheels`, {
        body: { apiVersion: `cars.example/${version}`, kind: 'Wheel', metadata: { name } },
      });
    const claim = (name: string, storage: string): Promise<Answer> =>
      server.call('POST', `${core}/persistentvolumeclaims`, {
        body: {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
        },
      });
    assert.equal((await wheel('v1', 'before')).status, 201);
    await makeQuota(server, 'all', {
      hard: {
        'count/wheels.cars.example': '2',
        persistentvolumeclaims: '2',
        'requests.storage': '3Gi',
      },
    });
    const made = await claim('a', '2Gi');
    assert.equal(made.status, 201, made.text);
    assert.match(
      (await claim('b', '2Gi')).text,
      /requested: requests.storage=2Gi, used: requests.storage=2Gi/,
    );
    assert.deepEqual(
      [(await wheel('v2', 'a')).status, (await wheel('v1', 'b')).status],
      [201, 403],
    );
    assert.deepEqual(await usedOf(server, 'all'), {
      'count/wheels.cars.example': '2',
      persistentvolumeclaims: '1',
      'requests.storage': '2Gi',
    });
    await server.call('POST', `${core}/limitranges`, {
      body: {
        apiVersion: 'v1',
        kind: 'LimitRange',
        metadata: { name: 'claims' },
        spec: { limits: [{ type: 'PersistentVolumeClaim', min: { storage: '1Gi' } }] },
      },
    });
    assert.match(
      (await claim('small', '1Mi')).text,
      /minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi/,
    );
  }));

test('a quota with a scope is about the pods of that scope', () =>
  withServer(async (server) => {
    await makeQuota(server, 'best', { hard: { pods: '1' }, scopes: ['BestEffort'] });
    await makeQuota(server, 'jobs', { hard: { pods: '1' }, scopes: ['Terminating'] });
    await server.call('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', {
      body: {
        apiVersion: 'scheduling.k8s.io/v1',
        kind: 'PriorityClass',
        metadata: { name: 'high' },
        value: 9,
      },
    });
    const expression = { scopeName: 'PriorityClass', operator: 'In', values: ['high'] };
    await makeQuota(server, 'important', {
      hard: { pods: '0' },
      scopeSelector: { matchExpressions: [expression] },
    });
    const cpu = asking('1m');
    const outcomes = [
      await makePod(server, 'a'),
      await makePod(server, 'b'),
      await makePod(server, 'c', cpu, { activeDeadlineSeconds: 5 }),
      await makePod(server, 'd', cpu, { activeDeadlineSeconds: 5 }),
      await makePod(server, 'e', cpu),
      await makePod(server, 'f', cpu, { priorityClassName: 'high' }),
    ];
    assert.deepEqual(
      outcomes.map(({ status, text }) =>
        status === 201 ? 'made' : /exceeded quota: (\w+)/.exec(text)?.[1],
      ),
      ['made', 'best', 'made', 'jobs', 'made', 'important'],
    );
    const wrong = await server.call('POST', `${core}/resourcequotas`, {
      body: {
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: { name: 'wrong' },
        spec: { hard: { configmaps: '1', pods: '1.5' }, scopes: ['BestEffort', 'NotBestEffort'] },
      },
    });
    assert.equal(wrong.status, 422);
    assert.match(wrong.text, /conflicting scopes/);
    assert.match(wrong.text, /must be an integer/);
    assert.match(wrong.text, /Unsupported value: \\"configmaps\\"/);
  }));

test('a load balancer counts as one, and its ports as node ports', async () => {
  await withServer(async (server) => {
    await makeQuota(server, 'q', { hard: { 'services.loadbalancers': '1' } });
    await countAnew(server, 'q');
    const make = (name: string, type: string): Promise<Answer> =>
      server.call('POST', `${core}/services`, {
        body: {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name },
          spec: { type, ports: [{ port: 80 }] },
        },
      });
    const first = await make('first', 'LoadBalancer');
    assert.equal(first.status, 201, first.text);
    const second = await make('second', 'LoadBalancer');
    assert.equal(second.status, 403, second.text);
    assert.match(second.text, /exceeded quota: q, requested: services\.loadbalancers=1/u);
    assert.equal((await make('third', 'NodePort')).status, 201);
  });
});
