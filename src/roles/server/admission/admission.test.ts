import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isJsonObject } from '#base/mod.ts';
import { type ConfigMap, encodeFacet } from '#platform/api/mod.ts';
import { type Answer, type TestServer, withServer } from '../harness.contract.ts';
import { forbiddenError } from './forbidden.ts';
import type { Admitter } from './types.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/namespaces/default/pods';

/** Counts ConfigMaps with a label in another one, which it lets grow to two. */
const counting: Admitter = {
  name: 'counting',
  concerns: ({ kind }) => kind === 'ConfigMap',
  operations: ['create', 'update', 'delete'],
  shape(object) {
    const { labels = {} } = object.metadata;
    if (labels['counted'] === undefined) return undefined;
    object.metadata.labels = { ...labels, shaped: 'yes' };
    return { isChanged: true, warnings: ['it is counted'] };
  },
  check({ definition, operation, object, previous, name }, { view, get }) {
    const { labels = {} } = (object ?? previous)?.metadata ?? {};
    if (labels['counted'] === undefined || operation === 'update') return undefined;
    const key = { resource: 'configmaps', namespace: 'default', name: 'count' };
    const stored = view.get(key);
    const served = get('configmaps', 'default', 'count');
    if (stored === undefined || served === undefined) return undefined;
    const { data = {} } = served as ConfigMap;
    const count = Number(data['count'] ?? 0) + (operation === 'create' ? 1 : -1);
    if (count > 2) throw forbiddenError(definition, name, 'there are two already');
    const value = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'count' } };
    const bytes = encodeFacet({ ...value, data: { count: String(count) } });
    return { changes: [{ type: 'put', key, uid: stored.uid, facet: 'intent', bytes }] };
  },
};

function make(server: TestServer, name: string, query = '', labels = {}): Promise<Answer> {
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels } };
  return server.call('POST', `${configMaps}${query}`, { body });
}

async function countIn(server: TestServer): Promise<unknown> {
  const { json } = await server.call('GET', `${configMaps}/count`);
  return isJsonObject(json['data']) ? json['data']['count'] : undefined;
}

test('what an admitter keeps account of cannot be raced, and goes with the write or not at all', () =>
  withServer(
    async (server) => {
      const counted = { counted: 'yes' };
      await make(server, 'count');
      const dry = await make(server, 'dry', '?dryRun=All', counted);
      assert.deepEqual([dry.status, dry.headers['warning']], [201, '299 - "it is counted"']);
      assert.match(dry.text, /"shaped":"yes"/);
      assert.equal(await countIn(server), undefined, 'a dry run changes nothing');
      const names = ['a', 'b', 'c', 'd'];
      const answers = await Promise.all(names.map((name) => make(server, name, '', counted)));
      assert.deepEqual(
        answers.map(({ status }) => status),
        [201, 201, 403, 403],
      );
      assert.equal(
        answers[2]?.json['message'],
        'configmaps "c" is forbidden: there are two already',
      );
      assert.equal(await countIn(server), '2');
      await server.call('DELETE', `${configMaps}/a`);
      assert.equal(await countIn(server), '1');
      const patched = await server.call('PATCH', `${configMaps}/b`, {
        body: { metadata: { labels: { shaped: null } } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
      assert.match(patched.text, /"shaped":"yes"/, 'an update is shaped like a create');
      assert.equal((await make(server, 'free')).headers['warning'], undefined);
    },
    [counting],
  ));

test('an admitter hears of the operations and endpoints that it is declared for, and of who asks', () => {
  const heard: string[] = [];
  const listening: Admitter = {
    name: 'listening',
    concerns: ({ plural }) => ['pods', 'deployments'].includes(plural),
    operations: ['update', 'delete'],
    endpoints: ['main', 'scale', 'eviction'],
    check({ definition, operation, subresource = 'main', name, user, previous }) {
      assert.equal(previous?.metadata.name, name);
      heard.push(`${user?.name} ${operation} ${definition.plural}/${name} ${subresource}`);
      return undefined;
    },
  };
  return withServer(
    async (server) => {
      const metadata = { name: 'web' };
      const template = {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'c', image: 'i' }] },
      };
      await server.call('POST', pods, {
        body: { apiVersion: 'v1', kind: 'Pod', metadata, spec: template.spec },
      });
      const deployments = '/apis/apps/v1/namespaces/default/deployments';
      const spec = { selector: { matchLabels: { app: 'web' } }, template };
      await server.call('POST', deployments, {
        body: { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec },
      });
      const merge = { 'content-type': 'application/merge-patch+json' };
      const scaled = await server.call('PATCH', `${deployments}/web/scale`, {
        body: { spec: { replicas: 3 } },
        headers: merge,
      });
      assert.equal(scaled.status, 200, scaled.text);
      await server.call('PATCH', `${deployments}/web/status`, { body: {}, headers: merge });
      const evicted = await server.call('POST', `${pods}/web/eviction`, {
        body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata },
      });
      assert.equal(evicted.status, 201, evicted.text);
      await server.call('DELETE', deployments);
      assert.deepEqual(heard, [
        'admin update deployments/web scale',
        'admin delete pods/web eviction',
        'admin delete deployments/web main',
      ]);
    },
    [listening],
  );
});
