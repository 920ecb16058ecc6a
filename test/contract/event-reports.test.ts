// What becomes of events that an agent tells while the namespace they are in ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Uid } from '#base/mod.ts';
import { createClient, handlerTransport } from '#platform/client/mod.ts';
import { createNodeClock } from '#platform/io/node/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { createEventReports } from '#roles/hub/event-reports.ts';
import { type TestServer, withServer } from '#roles/server/harness.contract.ts';

const hub = {
  commonName: 'system:hub',
  organizations: ['system:masters'],
  uris: [],
  serialNumber: '0',
  notAfterMs: Number.MAX_SAFE_INTEGER,
};

function podIn(namespace: string, name = 'p'): StoredObject {
  return {
    key: { resource: 'pods', namespace, name },
    uid: `${name}-uid` as Uid,
    createdRevision: 1,
    revision: 1,
    facets: {},
  } as unknown as StoredObject;
}

async function make(server: TestServer, name: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  assert.equal((await server.call('POST', '/api/v1/namespaces', { body })).status, 201);
}

test('an event of a namespace that ends is no loss, one that the server refuses otherwise is', async () => {
  await withServer(async (server) => {
    await make(server, 'stays');
    await make(server, 'ends');
    const client = createClient(handlerTransport(server.server.handler, hub), {
      userAgent: 'test',
    });
    const reports = createEventReports(client, createNodeClock());
    let sequence = 0;
    const deliver = (namespace: string, name?: string): Promise<boolean> =>
      reports.deliver(
        'node-1',
        { incarnation: 'i', sequence: (sequence += 1) },
        {
          regarding: podIn(namespace, name),
          severity: 'Normal',
          reason: 'Killing',
          message: 'Stopping container main',
          atWallMs: 0,
        },
      );
    assert.equal(await deliver('stays'), true);
    assert.equal((await server.call('DELETE', '/api/v1/namespaces/ends')).status, 200);
    assert.equal(await deliver('ends'), true);
    assert.equal(await deliver('was-never'), true);
    assert.equal(await deliver('stays', 'No Name'), false);
    const events = await server.call('GET', '/api/v1/events');
    assert.equal((events.json['items'] as unknown[]).length, 1, events.text);
  });
});
