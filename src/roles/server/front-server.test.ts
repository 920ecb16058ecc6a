import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { builtInDefinitions } from '#platform/api/mod.ts';
import type { AuditEvent } from '#platform/audit/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createNodeClock, createNodeRandom, createNodeTimers } from '#platform/io/node/mod.ts';
import { createStoreCopy, openFeed, type OwnedStore, type StoreCopy } from '#platform/store/mod.ts';
import { createFrontServer, type FrontServer } from './front-server.ts';
import { call, type TestServer, watch, withServer } from './harness.contract.ts';

const path = '/api/v1/namespaces/default/configmaps';
const named = (name: string) => ({
  body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } },
});

/** A copy that takes what its owner has only when it is told to. */
function heldCopy(store: OwnedStore): {
  readonly copy: StoreCopy;
  deliver(): Promise<void>;
  close(): void;
} {
  const copy = createStoreCopy();
  const feed = openFeed(store);
  const messages = feed.messages();
  return {
    copy,
    async deliver() {
      while (copy.revision < store.revision || store.revision === 0) {
        const { value, done } = await messages.next();
        if (done === true) return;
        copy.take(value);
        if (store.revision === 0) return;
      }
    },
    close: () => feed.close(),
  };
}

interface TestFront {
  readonly owner: TestServer;
  readonly front: FrontServer;
  readonly forwarded: string[];
  readonly audited: AuditEvent[];
  readonly observed: string[];
  readonly revoked: Set<string>;
  readonly deliver: () => Promise<void>;
}

function withFront(run: (test: TestFront) => Promise<void>): Promise<void> {
  return withServer(async (owner) => {
    const main = heldCopy(owner.store);
    const events = heldCopy(owner.eventStore);
    const forwarded: string[] = [];
    const audited: AuditEvent[] = [];
    const observed: string[] = [];
    const revoked = new Set<string>();
    await main.deliver();
    await events.deliver();
    const front = createFrontServer({
      ...{ store: main.copy, eventStore: events.copy, definitions: builtInDefinitions },
      ...{ clock: createNodeClock(), timers: createNodeTimers(), random: createNodeRandom() },
      logger: silentLogger,
      caughtUp: () => main.copy.reached(owner.store.revision),
      owner(request) {
        forwarded.push(`${request.method} ${request.path}`);
        return owner.server.handler(request);
      },
      isRevoked: (serialNumber) => revoked.has(serialNumber),
      observe: (row, status) => void observed.push(`${row?.subject.verb ?? ''} ${status}`),
      audit: { record: (event) => void audited.push(event), omit() {} },
    });
    try {
      const deliver = (): Promise<void> => main.deliver();
      await run({ owner, front, forwarded, audited, observed, revoked, deliver });
    } finally {
      front.close();
      main.close();
      events.close();
    }
  });
}

describe('a front', () => {
  it('answers a read only once its copy has what was acknowledged before', () =>
    withFront(async ({ owner, front, forwarded, audited, observed, deliver }) => {
      await owner.call('POST', path, named('late'));
      let isAnswered = false;
      const reading = call(front, 'GET', `${path}/late`, {}).finally(() => (isAnswered = true));
      const listing = call(front, 'GET', path, {});
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(isAnswered, false, 'the copy does not have it yet');
      await deliver();
      const [read, list] = await Promise.all([reading, listing]);
      assert.equal(read.status, 200);
      const fromOwner = await owner.call('GET', `${path}/late`);
      assert.deepEqual(read.json, fromOwner.json);
      assert.deepEqual(list.json, (await owner.call('GET', path)).json);
      assert.deepEqual([forwarded, observed], [[], ['get 200', 'list 200']]);
      assert.deepEqual(
        audited.map(({ verb, objectRef }) => [verb, objectRef?.name]),
        [
          ['get', 'late'],
          ['list', undefined],
        ],
      );
    }));

  it('shows watchers what the owner shows, and hands on watches from before its copy', () =>
    withFront(async ({ owner, front, forwarded, deliver }) => {
      const from = owner.store.revision;
      const here = await watch(front, `${path}?watch=true&resourceVersion=${from}`, {});
      await owner.call('POST', path, named('one'));
      await owner.call('DELETE', `${path}/one`);
      await deliver();
      const there = await owner.watch(`${path}?watch=true&resourceVersion=${from}`);
      assert.deepEqual(await here.lines(2), await there.lines(2));
      assert.deepEqual(forwarded, []);
      const old = await watch(front, `${path}?watch=true&resourceVersion=${from - 1}`, {});
      assert.equal(old.status, 200);
      assert.deepEqual(forwarded, [`GET ${path}`]);
      for (const opened of [here, there, old]) opened.close();
    }));

  it('hands on writes, and reads that a copy alone cannot answer', () =>
    withFront(async ({ owner, front, forwarded, deliver }) => {
      const created = await call(front, 'POST', path, named('a'));
      assert.equal(created.status, 201);
      await owner.call('POST', path, named('b'));
      await deliver();
      const first = await call(front, 'GET', `${path}?limit=1`, {});
      const { metadata } = first.json as { metadata: { continue: string } };
      const rest = await call(front, 'GET', `${path}?limit=1&continue=${metadata.continue}`, {});
      assert.equal(rest.status, 200);
      await call(front, 'GET', '/apis/coordination.k8s.io/v1/leases', {});
      await call(front, 'GET', '/readyz', { as: 'nobody' });
      await call(front, 'GET', path, { as: 'nobody' });
      await call(front, 'GET', path, { headers: { 'impersonate-user': 'eve' } });
      await call(front, 'GET', '/no/such/path', {});
      assert.deepEqual(forwarded, [
        `POST ${path}`,
        `GET ${path}`,
        `GET ${path}`,
        'GET /apis/coordination.k8s.io/v1/leases',
        'GET /readyz',
        `GET ${path}`,
        `GET ${path}`,
        'GET /no/such/path',
      ]);
      forwarded.length = 0;
      assert.equal((await call(front, 'GET', `${path}?limit=500`, {})).status, 200);
      assert.deepEqual(forwarded, []);
    }));

  it('refuses by the policy of its copy, and nobody whose key was revoked is answered here', () =>
    withFront(async ({ front, forwarded, audited, revoked }) => {
      const secrets = await call(front, 'GET', '/api/v1/secrets', { as: 'viewer' });
      assert.equal(secrets.status, 403);
      assert.equal(audited.at(-1)?.annotations['authorization.k8s.io/decision'], 'forbid');
      assert.equal((await call(front, 'GET', path, { as: 'viewer' })).status, 200);
      assert.deepEqual(forwarded, []);
      revoked.add('01');
      await call(front, 'GET', path, { as: 'viewer' });
      assert.deepEqual(forwarded, [`GET ${path}`]);
    }));
});
