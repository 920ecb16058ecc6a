import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, type Uid, utf8 } from '#base/mod.ts';
import { type Answer, type TestServer, withServer } from '../harness.contract.ts';

const core = '/api/v1/namespaces/default';
const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
const merge = { 'content-type': 'application/merge-patch+json' };

/** A pod that runs on a node, ready or not. */
async function makePod(server: TestServer, name: string, isReady = true): Promise<void> {
  const metadata = { name, labels: { app: 'web' } };
  const spec = { containers: [{ name: 'main', image: 'i' }] };
  const answer = await server.call('POST', `${core}/pods`, {
    body: { apiVersion: 'v1', kind: 'Pod', metadata, spec },
  });
  assert.equal(answer.status, 201, answer.text);
  const key = { resource: 'pods', namespace: 'default', name };
  const uid = (answer.json['metadata'] as JsonObject)['uid'] as Uid;
  const put = (facet: 'assignment' | 'report', value: JsonObject) =>
    ({ type: 'put', key, uid, facet, bytes: utf8(JSON.stringify(value)) }) as const;
  const condition = { type: 'Ready', status: isReady ? 'True' : 'False' };
  await server.store.transact(() => ({
    changes: [
      put('assignment', { nodeName: 'node-1', images: {} }),
      put('report', { status: { phase: 'Running', conditions: [condition] } }),
    ],
    result: undefined,
  }));
}

async function makeBudget(server: TestServer, name: string, more: JsonObject = {}): Promise<void> {
  const spec = { minAvailable: 1, selector: { matchLabels: { app: 'web' } }, ...more };
  const body = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name }, spec };
  const answer = await server.call('POST', budgets, { body });
  assert.equal(answer.status, 201, answer.text);
}

/** What the controller says. */
async function say(server: TestServer, name: string, status: JsonObject): Promise<void> {
  const body = { status: { observedGeneration: 1, expectedPods: 3, ...status } };
  const answer = await server.call('PATCH', `${budgets}/${name}/status`, { body, headers: merge });
  assert.equal(answer.status, 200, answer.text);
}

function evict(server: TestServer, name: string, query = ''): Promise<Answer> {
  const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } };
  return server.call('POST', `${core}/pods/${name}/eviction${query}`, { body });
}

test('of evictions at once as many go through as the budget allows, and the rest are told to wait', () =>
  withServer(async (server) => {
    for (const name of ['a', 'b', 'c']) await makePod(server, name);
    await makeBudget(server, 'web');
    const early = await evict(server, 'a');
    assert.deepEqual([early.status, early.headers['retry-after']], [429, '1']);
    assert.match(early.text, /The disruption budget web is still being processed by the server/);
    await say(server, 'web', { disruptionsAllowed: 2, currentHealthy: 3, desiredHealthy: 1 });
    assert.equal((await evict(server, 'a', '?dryRun=All')).status, 201);
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => evict(server, name)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [201, 201, 429],
    );
    const refused = answers[2];
    assert.deepEqual(refused?.headers['retry-after'], undefined, 'drain has a pace of its own');
    assert.deepEqual(refused?.json, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      reason: 'TooManyRequests',
      details: {
        causes: [
          {
            reason: 'DisruptionBudget',
            message: 'The disruption budget web needs 1 healthy pods and has 3 currently',
          },
        ],
      },
      code: 429,
    });
    const { json } = await server.call('GET', `${budgets}/web`);
    const status = json['status'] as JsonObject;
    assert.deepEqual(
      [status['disruptionsAllowed'], Object.keys(status['disruptedPods'] as JsonObject)],
      [0, ['a', 'b']],
    );
    const again = await evict(server, 'a');
    assert.equal(again.status, 201, 'one that is on its way out takes nothing more');
    assert.equal((await server.call('DELETE', `${core}/pods/c`)).status, 200, 'a deletion is none');
  }));

test('pods that serve nobody go, two budgets for one pod are a mistake, and an empty selector is every pod', () =>
  withServer(async (server) => {
    await makePod(server, 'broken', false);
    await makePod(server, 'other', false);
    await makePod(server, 'whole');
    const pending = await server.call('POST', `${core}/pods`, {
      body: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'pending', labels: { app: 'web' } },
        spec: { containers: [{ name: 'main', image: 'i' }] },
      },
    });
    assert.equal(pending.status, 201);
    await makeBudget(server, 'all', { selector: {} });
    await say(server, 'all', { disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1 });
    assert.equal((await evict(server, 'pending')).status, 201);
    assert.equal((await evict(server, 'broken')).status, 201, 'enough others are healthy');
    await say(server, 'all', { disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 2 });
    assert.equal((await evict(server, 'other')).status, 429);
    await server.call('PATCH', `${budgets}/all`, {
      body: { spec: { unhealthyPodEvictionPolicy: 'AlwaysAllow' } },
      headers: merge,
    });
    assert.equal((await evict(server, 'other')).status, 201);
    await makeBudget(server, 'web');
    const twice = await evict(server, 'whole');
    assert.deepEqual(
      [twice.status, twice.json['message']],
      [
        500,
        'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
      ],
    );
    const both = await server.call('POST', budgets, {
      body: {
        apiVersion: 'policy/v1',
        kind: 'PodDisruptionBudget',
        metadata: { name: 'both' },
        spec: { minAvailable: 1, maxUnavailable: '150%' },
      },
    });
    assert.equal(both.status, 422);
    assert.match(both.text, /cannot be both set/);
    assert.match(both.text, /must not be greater than 100%/);
  }));
