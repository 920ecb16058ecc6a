// What is said to who deletes: what is kept, and what will not go now.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putNode, withServer } from '../harness.contract.ts';

const pods = '/api/v1/namespaces/default/pods';

test('the namespaces that everything counts on stay', () =>
  withServer(async (server) => {
    for (const name of ['default', 'kube-system']) {
      const refused = await server.call('DELETE', `/api/v1/namespaces/${name}`);
      assert.equal(refused.status, 403);
      const text = `namespaces "${name}" is forbidden: this namespace may not be deleted`;
      assert.equal(refused.json['message'], text);
    }
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'own' } };
    assert.equal((await server.call('POST', '/api/v1/namespaces', { body })).status, 201);
    assert.equal((await server.call('DELETE', '/api/v1/namespaces/own')).status, 200);
  }));

test('who deletes a pod of a node that is out of reach is told when it will go', () =>
  withServer(async (server) => {
    await putNode(server, 'far', 'Unknown');
    await putNode(server, 'near', 'True');
    for (const nodeName of ['far', 'near']) {
      const spec = { nodeName, containers: [{ name: 'main', image: 'i:1' }] };
      const body = { apiVersion: 'v1', kind: 'Pod', metadata: { name: nodeName }, spec };
      const made = await server.call('POST', pods, { body });
      assert.equal(made.status, 201, made.text);
    }
    const far = await server.call('DELETE', `${pods}/far?gracePeriodSeconds=0`);
    assert.equal(
      far.headers['warning'],
      `299 - "node far is out of reach: the pod goes when it is back, or with 'kubectl delete node far' where it never will be"`,
    );
    const near = await server.call('DELETE', `${pods}/near?gracePeriodSeconds=0`);
    assert.equal(near.headers['warning'], undefined);
  }));
