import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isJsonObject, type Json, type JsonObject, textOf, type Uid } from '#base/mod.ts';
import { type ApiObject, builtInDefinitions, emptySet, planApply } from '#platform/api/mod.ts';
import { type Answer, type TestServer, withServer } from './harness.contract.ts';
import { draftCreate, draftUpdate } from './writing.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const deployments = '/apis/apps/v1/namespaces/default/deployments';

const deployment: JsonObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', labels: { a: '1', b: '2' } },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'c', image: 'i:1' }] },
    },
  },
};

function apply(server: TestServer, manager: string, data: JsonObject): Promise<Answer> {
  const headers = { 'content-type': 'application/apply-patch+yaml' };
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data };
  return server.call('PATCH', `${configMaps}/a?fieldManager=${manager}`, { body, headers });
}

/** The same value with the keys of all objects the other way round. */
function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .reverse()
      .map((name) => [name, reversed(value[name] ?? null)]),
  );
}

function metadataOf({ json }: Answer): JsonObject {
  return json['metadata'] as JsonObject;
}

test('managers who apply the same again, in turn, change nothing and wake nobody', () =>
  withServer(async (server) => {
    await apply(server, 'one', { a: '1', both: 'x' });
    await apply(server, 'two', { b: '2', both: 'x' });
    const last = await apply(server, 'three', { c: '3' });
    assert.equal(last.status, 200, last.text);
    const { revision } = server.store;
    for (let round = 0; round < 3; round += 1) {
      for (const again of [
        await apply(server, 'one', { a: '1', both: 'x' }),
        await apply(server, 'two', { both: 'x', b: '2' }),
        await apply(server, 'three', { c: '3' }),
      ]) {
        assert.deepEqual(again.json, last.json);
      }
    }
    assert.equal(server.store.revision, revision);
    const changed = await apply(server, 'one', { a: '2', both: 'x' });
    assert.notEqual(metadataOf(changed)['resourceVersion'], metadataOf(last)['resourceVersion']);
  }));

test('an object that is sent back with its keys in another order stays as it is', () =>
  withServer(async (server) => {
    const made = await server.call('POST', deployments, { body: deployment });
    assert.equal(made.status, 201, made.text);
    const status = { replicas: 1, readyReplicas: 1, observedGeneration: 1 };
    const told = await server.call('PUT', `${deployments}/web/status`, {
      body: { ...made.json, status },
    });
    assert.equal(told.status, 200, told.text);
    const { revision } = server.store;
    const body = reversed(told.json);
    assert.notEqual(JSON.stringify(body), JSON.stringify(told.json));
    for (const target of [`${deployments}/web`, `${deployments}/web/status`]) {
      const put = await server.call('PUT', `${target}?fieldManager=other`, { body });
      assert.equal(put.status, 200, put.text);
      assert.equal(put.text, told.text);
    }
    assert.equal(server.store.revision, revision);
  }));

test('a write that changes owners alone keeps the bytes of the object', () =>
  withServer(async (server) => {
    const made = await server.call('POST', deployments, { body: deployment });
    const key = { resource: 'deployments.apps', namespace: 'default', name: 'web' };
    const intent = (): string =>
      textOf(server.store.get(key)?.facets.intent?.bytes ?? assert.fail());
    const before = intent();
    const metadata = { ...metadataOf(made), managedFields: [{}] };
    const put = await server.call('PUT', `${deployments}/web`, {
      body: reversed({ ...made.json, metadata }),
    });
    assert.equal(metadataOf(put)['managedFields'], undefined);
    assert.notEqual(metadataOf(put)['resourceVersion'], metadataOf(made)['resourceVersion']);
    assert.equal(intent(), before);
  }));

test('a change of the same length is a change', () =>
  withServer(async (server) => {
    const made = await server.call('POST', deployments, { body: deployment });
    const spec = made.json['spec'] as JsonObject;
    const put = await server.call('PUT', `${deployments}/web`, {
      body: { ...made.json, spec: { ...spec, replicas: 2 } },
    });
    assert.equal(metadataOf(put)['generation'], 2);
    const labels = { a: '2', b: '1' };
    const swapped = await server.call('PUT', `${deployments}/web`, {
      body: { ...put.json, metadata: { ...metadataOf(put), labels } },
    });
    assert.deepEqual(metadataOf(swapped)['labels'], labels);
    assert.notEqual(metadataOf(swapped)['resourceVersion'], metadataOf(put)['resourceVersion']);
  }));

test('that the same is written at another time is no change', () => {
  const definition = builtInDefinitions.find(({ plural }) => plural === 'configmaps');
  assert.ok(definition !== undefined);
  const key = { resource: 'configmaps', namespace: 'default', name: 'a' };
  const object: ApiObject = {
    ...{ apiVersion: 'v1', kind: 'ConfigMap' },
    ...{ metadata: { name: 'a', namespace: 'default' }, data: { a: '1', b: '2' } },
  };
  const at = (seconds: number, data: JsonObject) => {
    const author = { manager: 'git', subresource: '', seconds, isOwn: false };
    const { owners } = planApply({
      ...{ schema: definition.schema, apiVersion: 'v1', live: undefined, owners: [] },
      ...{ applied: { data }, author, force: false, free: emptySet },
    });
    return { author, owners };
  };
  const both = { a: '1', b: '2' };
  const { stored } = draftCreate(definition, key, 'u' as Uid, object, at(1, both)).result;
  const outcomeOf = (data: JsonObject): unknown =>
    draftUpdate(definition, stored, object, 'main', at(9, data)).result.outcome;
  assert.deepEqual([outcomeOf(both), outcomeOf({ a: '1' })], ['unchanged', 'updated']);
});
