import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusalAtDoor, targetOf } from './access/matrix.contract.ts';
import { type Identity, withServer } from './harness.contract.ts';
import type { RouteRow } from './route-table.ts';

const identities: readonly Identity[] = [
  'admin',
  'viewer',
  'controller',
  'node-1',
  'stranger',
  'nobody',
];

/** What describes the API, and what somebody asks about themselves. */
function isForAuthenticated({ pattern, subject }: RouteRow): boolean {
  return (
    (subject.type === 'path' && subject.area === 'discovery') ||
    /\/self[a-z]+reviews$/.test(pattern)
  );
}

/** Who passes the door, written down apart from the code that decides it. */
function isAllowed(row: RouteRow, identity: Identity): boolean {
  const isOpen =
    row.pattern === '/version' ||
    /^\/(?:healthz|livez|readyz)(?:\/\{check\})?$/.test(row.pattern) ||
    row.pattern.endsWith('/nodejoins') ||
    row.pattern.endsWith('/noderenewals');
  if (isOpen || identity === 'admin' || identity === 'controller') return true;
  if (identity !== 'nobody' && isForAuthenticated(row)) return true;
  const isRegistry = row.pattern.startsWith('/v2/');
  if (identity === 'viewer') {
    // To be in a container is to change it, also where a client asks for that with GET.
    const isInside = /\/(exec|attach|portforward)$/.test(row.pattern);
    return row.method === 'GET' && !isRegistry && !isInside && !row.pattern.includes('/secrets');
  }
  // A node has its own objects, which `absent` is not, and pulls images.
  if (identity === 'node-1') return isRegistry && ['GET', 'HEAD'].includes(row.method);
  return false;
}

test('every row of the route table lets exactly those pass who may', () =>
  withServer(async (server) => {
    const wrong: string[] = [];
    for (const row of server.server.rows) {
      for (const identity of identities) {
        const refusal = await refusalAtDoor(server, row, identity);
        const expected = isAllowed(row, identity) ? undefined : identity === 'nobody' ? 401 : 403;
        if (refusal !== expected) {
          wrong.push(`${identity} ${row.method} ${targetOf(row)}: ${refusal}, not ${expected}`);
        }
      }
    }
    assert.ok(server.server.rows.length > 100);
    assert.deepEqual(wrong, []);
  }));

test('a node reads its own Node and the pods that are assigned to it, and no others', () =>
  withServer(async (server) => {
    const pod = (name: string, nodeName: string) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { nodeName, containers: [{ name: 'c', image: 'i' }] },
    });
    const pods = '/api/v1/namespaces/default/pods';
    for (const name of ['node-1', 'node-2']) {
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {} };
      assert.equal((await server.call('POST', '/api/v1/nodes', { body: node })).status, 201);
      assert.equal(
        (await server.call('POST', pods, { body: pod(`on-${name}`, name) })).status,
        201,
      );
    }
    const as = 'node-1';
    const statusOf = async (target: string): Promise<number> =>
      (await server.call('GET', target, { as })).status;
    assert.deepEqual(
      {
        ownNode: await statusOf('/api/v1/nodes/node-1'),
        otherNode: await statusOf('/api/v1/nodes/node-2'),
        ownNodeByField: await statusOf('/api/v1/nodes?fieldSelector=metadata.name%3Dnode-1'),
        notItself: await statusOf('/api/v1/nodes?fieldSelector=metadata.name%21%3Dnode-1'),
        ownPod: await statusOf(`${pods}/on-node-1`),
        otherPod: await statusOf(`${pods}/on-node-2`),
        ownPods: await statusOf('/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1'),
        otherPods: await statusOf('/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-2'),
        ownLog: await statusOf(`${pods}/on-node-1/log`),
      },
      {
        ownNode: 200,
        otherNode: 403,
        ownNodeByField: 200,
        notItself: 403,
        ownPod: 200,
        otherPod: 403,
        ownPods: 200,
        otherPods: 403,
        ownLog: 403,
      },
    );
  }));

test('a refusal is worded as Kubernetes words it, and nobody learns what is served', () =>
  withServer(async (server) => {
    const answer = await server.call('GET', '/api/v1/namespaces/default/pods', { as: 'stranger' });
    assert.equal(
      answer.json['message'],
      'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"',
    );
    for (const path of ['/no/such/path', '/api/v1/pods']) {
      assert.equal((await server.call('GET', path, { as: 'nobody' })).status, 401);
    }
  }));
