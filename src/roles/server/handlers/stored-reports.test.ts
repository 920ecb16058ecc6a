// What a store may hold of reports that were taken before every field of them was looked at.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, type Uid, utf8 } from '#base/mod.ts';
import { type TestServer, withServer } from '../harness.contract.ts';

async function putNode({ store }: TestServer, name: string, report: JsonObject): Promise<void> {
  const key = { resource: 'nodes', namespace: '', name };
  const intent = { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {} };
  const changes = Object.entries({ intent, report }).map(([facet, value]) => ({
    type: 'put' as const,
    key,
    uid: `uid-of-${name}` as Uid,
    facet: facet as 'intent' | 'report',
    bytes: utf8(JSON.stringify(value)),
  }));
  await store.transact(() => ({ changes, result: undefined }));
}

test('a malformed report in the store neither stops writes nor hides the nodes', () =>
  withServer(async (server) => {
    const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    const watches = [
      await server.watch('/api/v1/nodes?watch=1'),
      await server.watch('/api/v1/nodes?watch=1', { headers: table }),
    ];
    const malformed: readonly JsonObject[] = [
      { status: {}, labels: {}, runtimes: 5, platforms: [] },
      { status: 'x', labels: 'x', runtimes: [{}], platforms: 'x' },
      { status: { conditions: [null], machineFeatures: 5, capacity: { cpu: [] } }, platforms: 5 },
      { status: { power: 'battery', addresses: 7, nodeInfo: { osImage: 1, machineID: 'm' } } },
    ];
    for (const [index, report] of malformed.entries()) {
      await putNode(server, `n-${index}`, report);
    }
    for (const watch of watches) assert.equal((await watch.lines(4)).length, 4);
    assert.equal(server.store.isLatched, false);
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'after' } };
    const made = await server.call('POST', '/api/v1/namespaces/default/configmaps', { body });
    assert.equal(made.status, 201, made.text);
    const list = await server.call('GET', '/api/v1/nodes');
    assert.equal(list.status, 200, list.text);
    const statuses = (list.json['items'] as JsonObject[]).map(({ status }) => status);
    assert.deepEqual(statuses, [
      { platforms: [] },
      {},
      {},
      { power: 'battery', nodeInfo: { machineID: 'm' } },
    ]);
    assert.equal((await server.call('GET', '/api/v1/nodes', { headers: table })).status, 200);
    for (const watch of watches) watch.close();
  }));
