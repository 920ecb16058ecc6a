import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Uid } from '#base/mod.ts';
import { encodeFacet, type PodMetrics } from '#platform/api/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import { withServer } from './harness.contract.ts';

const root = '/apis/metrics.k8s.io/v1beta1';

async function assign(store: Store, name: string, uid: string, nodeName: string): Promise<void> {
  const key = { resource: 'pods', namespace: 'default', name };
  const bytes = encodeFacet({ nodeName, images: {} });
  await store.transact(() => ({
    changes: [{ type: 'put', key, uid: uid as Uid, facet: 'assignment', bytes }],
    result: undefined,
  }));
}

test('what pods and nodes use is asked from the nodes that have it, and told with their labels', async () => {
  await withServer(async (server) => {
    const { store, usage } = server;
    const call: typeof server.call = (...words) => server.call(...words);
    for (const name of ['node-1', 'node-2', 'node-3']) {
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name } };
      await call('POST', '/api/v1/nodes', { body: node });
    }
    const uids: string[] = [];
    for (const name of ['web', 'db', 'waiting']) {
      const answer = await call('POST', '/api/v1/namespaces/default/pods', {
        body: {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name, labels: { app: name } },
          spec: { containers: [{ name: 'main', image: 'app:1' }] },
        },
      });
      uids.push((answer.json as unknown as { metadata: { uid: string } }).metadata.uid);
    }
    const [web = '', db = ''] = uids;
    await assign(store, 'web', web, 'node-1');
    await assign(store, 'db', db, 'node-2');
    const amounts = { cpuNanoCores: 2_500_000, memoryBytes: 1_048_577 };
    usage.answers.set('node-1', {
      ...{ atWallMs: 1_700_000_000_000, windowMs: 15_000, ...amounts },
      containers: [
        { podUid: web, container: 'main', ...amounts },
        { podUid: 'somebody-else', container: 'main', ...amounts },
      ],
    });

    const pods = await call('GET', `${root}/namespaces/default/pods`);
    const { kind, items } = pods.json as unknown as { kind: string; items: PodMetrics[] };
    assert.deepEqual(usage.asked.toSorted(), ['node-1', 'node-2'], 'not one without such pods');
    assert.equal(kind, 'PodMetricsList');
    assert.deepEqual(items, [
      {
        apiVersion: 'metrics.k8s.io/v1beta1',
        kind: 'PodMetrics',
        metadata: {
          name: 'web',
          namespace: 'default',
          labels: { app: 'web' },
          creationTimestamp: '2023-11-14T22:13:20Z',
        },
        timestamp: '2023-11-14T22:13:20Z',
        window: '15s',
        containers: [{ name: 'main', usage: { cpu: '2500000n', memory: '1025Ki' } }],
      },
    ]);
    const selected = await call('GET', `${root}/pods?labelSelector=app%3Ddb`);
    assert.deepEqual((selected.json as unknown as { items: unknown[] }).items, []);
    assert.equal((await call('GET', `${root}/namespaces/default/pods/web`)).status, 200);
    assert.equal((await call('GET', `${root}/namespaces/default/pods/db`)).status, 404);

    usage.asked.length = 0;
    const nodes = await call('GET', `${root}/nodes`);
    assert.deepEqual(usage.asked, ['node-1', 'node-2', 'node-3']);
    const names = (nodes.json as unknown as { items: { metadata: { name: string } }[] }).items;
    assert.deepEqual(
      names.map(({ metadata }) => metadata.name),
      ['node-1'],
    );
    usage.asked.length = 0;
    assert.equal((await call('GET', `${root}/nodes/node-2`)).status, 404);
    assert.deepEqual(usage.asked, ['node-2']);
  });
});
