/** What clients who mean harm try with the rights that they have, over a real server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#base/mod.ts';
import {
  type Answer,
  type Person,
  type TestServer,
  type TestWatch,
  withServer,
} from './harness.contract.ts';
import {
  concurrentWatchesMax,
  concurrentWatchesOfUserMax,
  listSessionsMax,
  listSessionsOfUserMax,
} from './limits.ts';

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const apiVersion = 'rbac.authorization.k8s.io/v1';
const configMaps = '/api/v1/namespaces/default/configmaps';
const ann = { name: 'ann', groups: ['team'] };
const mergePatch = { 'content-type': 'application/merge-patch+json' };

async function give(server: TestServer, rules: JsonObject[]): Promise<void> {
  const role = { apiVersion, kind: 'ClusterRole', metadata: { name: 'of-ann' }, rules };
  const binding = {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'of-ann' },
    roleRef: { kind: 'ClusterRole', name: 'of-ann' },
    subjects: [{ kind: 'User', name: 'ann' }],
  };
  const made = [
    await server.call('POST', `${rbac}/clusterroles`, { body: role }),
    await server.call('POST', `${rbac}/clusterrolebindings`, { body: binding }),
  ];
  assert.deepEqual(
    made.map(({ status }) => status),
    [201, 201],
  );
}

async function putConfigMap(server: TestServer, data: JsonObject): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data };
  assert.equal((await server.call('POST', configMaps, { body })).status, 201);
}

const outcome = ({ status, json }: Answer): string =>
  `${status} ${typeof json['message'] === 'string' ? json['message'] : ''}`;

test('who may change roles cannot make one that has more than they have part of another by its labels', () =>
  withServer(async (server) => {
    await give(server, [
      {
        verbs: ['get', 'patch', 'update'],
        apiGroups: [rbac.split('/')[2] ?? ''],
        resources: ['*'],
      },
    ]);
    const asAnn = (name: string, metadata: JsonObject): Promise<Answer> =>
      server.call('PATCH', `${rbac}/clusterroles/${name}`, {
        as: ann,
        headers: mergePatch,
        body: { metadata },
      });
    const label = { labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } };
    assert.match(
      outcome(await asAnn('cluster-admin', label)),
      /^403 .*grant RBAC permissions not currently held/,
    );
    const applied = await server.call(
      'PATCH',
      `${rbac}/clusterroles/cluster-admin?fieldManager=ann&force=true`,
      {
        as: ann,
        headers: { 'content-type': 'application/apply-patch+yaml' },
        body: { apiVersion, kind: 'ClusterRole', metadata: { name: 'cluster-admin', ...label } },
      },
    );
    assert.match(outcome(applied), /^403 .*grant RBAC permissions not currently held/);
    assert.equal((await asAnn('cluster-admin', { annotations: { note: 'seen' } })).status, 200);
    // What they hold themselves they may give.
    assert.equal((await asAnn('of-ann', label)).status, 200);
  }));

test('a page of another site changes nothing with the certificate of whoever sits before it', () =>
  withServer(async (server) => {
    const post = (name: string, headers: Record<string, string>): Promise<Answer> =>
      server.call('POST', '/api/v1/namespaces', {
        body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
        headers,
      });
    // As of a body without a type, for which a browser asks nobody first.
    for (const origin of ['https://evil.example', 'null', 'https://test.evil.example']) {
      assert.match(
        outcome(await post('evil', { origin, 'content-type': 'application/json' })),
        /^403 a page of/,
      );
      assert.equal(server.audited.at(-1)?.responseStatus?.code, 403);
    }
    assert.equal((await post('own', { origin: 'https://test' })).status, 201);
    // Programs that name an origin name the server's.
    assert.equal((await post('program', { origin: 'http://test' })).status, 201);
    assert.equal((await post('plain', {})).status, 201);
  }));

test('a patch that multiplies what it copies, or moves long lists again and again, is refused early', () =>
  withServer(async (server) => {
    await putConfigMap(server, { a: 'b' });
    const patched = async (operations: JsonObject[]): Promise<string> =>
      outcome(
        await server.call('PATCH', `${configMaps}/a`, {
          headers: { 'content-type': 'application/json-patch+json' },
          body: operations,
        }),
      );
    const large = { op: 'add', path: '/data/large', value: 'x'.repeat(1_000_000) };
    const copies = Array.from({ length: 9_000 }, (_, index) => {
      return { op: 'copy', from: '/data/large', path: `/data/copy-${index}` };
    });
    assert.match(await patched([large, ...copies]), /^413 .*more than 8388608 characters/);
    const list = { op: 'add', path: '/data/list', value: Array.from({ length: 100_000 }, () => 0) };
    const first = Array.from({ length: 9_000 }, () => ({
      op: 'add',
      path: '/data/list/0',
      value: 0,
    }));
    assert.match(await patched([list, ...first]), /^413 .*moves more than 50000000 entries/);
  }));

test('YAML whose aliases stand for far more than was sent is refused before it is made', () =>
  withServer(async (server) => {
    const body = [
      'apiVersion: v1',
      'kind: ConfigMap',
      'metadata: {name: a}',
      'data:',
      `  a: &a ${'x'.repeat(100_000)}`,
      ...Array.from({ length: 1_000 }, (_, index) => `  b${index}: *a`),
    ].join('\n');
    const headers = { 'content-type': 'application/yaml' };
    const answer = await server.call('POST', configMaps, { body, headers });
    assert.match(outcome(answer), /^400 .*aliases that stand for more than 3145728 characters/);
  }));

test('nobody sends more owners of fields than an object can have', () =>
  withServer(async (server) => {
    await putConfigMap(server, { a: 'b' });
    const managedFields = Array.from({ length: 257 }, (_, index) => {
      const what = { operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1' };
      return { ...what, manager: `m${index}`, fieldsV1: { 'f:data': {} } };
    });
    const put = (metadata: JsonObject): Promise<Answer> =>
      server.call('PUT', `${configMaps}/a`, {
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', ...metadata } },
      });
    assert.match(outcome(await put({ managedFields })), /^413 .*257 entries; the limit is 256/);
    assert.equal((await put({ managedFields: managedFields.slice(1) })).status, 200);
  }));

const reader = (name: string): Person => ({ name, groups: ['selvage:viewers'] });

test('who opens every watch that one user may have keeps nobody else from watching', () =>
  withServer(async (server) => {
    const target = `${configMaps}?watch=true`;
    const openAll = (as: Person): Promise<TestWatch[]> =>
      Promise.all(
        Array.from({ length: concurrentWatchesOfUserMax }, () => server.watch(target, { as })),
      );
    const refusal = async (as: Person): Promise<string> =>
      outcome(await server.call('GET', target, { as }));
    const open = await openAll(reader('eve'));
    assert.match(
      await refusal(reader('eve')),
      /^429 the user "eve" has 1024 watches open, which is the most for one user/,
    );
    // All together they may have no more than the server has.
    for (const name of ['ann', 'bert', 'carol']) open.push(...(await openAll(reader(name))));
    assert.equal(open.length, concurrentWatchesMax);
    assert.match(await refusal(reader('dora')), /^429 the server has 4096 watches open/);
    // Parts of the server are asked neither.
    open.push(await server.watch(target, { as: 'controller' }));
    assert.ok(open.every(({ status }) => status === 200));
    for (const watch of open) watch.close();
    const later = await server.watch(target, { as: reader('eve') });
    assert.equal(later.status, 200);
    later.close();
  }));

test('who begins lists in pieces without end makes nobody else lose theirs', () =>
  withServer(async (server) => {
    await putConfigMap(server, { a: 'b' });
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'b' } };
    assert.equal((await server.call('POST', configMaps, { body })).status, 201);
    const begin = async (name: string): Promise<string> => {
      const { json } = await server.call('GET', `${configMaps}?limit=1`, { as: reader(name) });
      return (json['metadata'] as { continue: string }).continue;
    };
    const goOn = async (name: string, text: string): Promise<number> =>
      (await server.call('GET', `${configMaps}?limit=1&continue=${text}`, { as: reader(name) }))
        .status;
    const ofAnn = await begin('ann');
    const ofEve: string[] = [];
    for (let count = 0; count < 2 * listSessionsMax; count += 1) ofEve.push(await begin('eve'));
    assert.deepEqual(
      [
        await goOn('ann', ofAnn),
        await goOn('eve', ofEve.at(-1) ?? ''),
        await goOn('eve', ofEve.at(-listSessionsOfUserMax) ?? ''),
        await goOn('eve', ofEve.at(-listSessionsOfUserMax - 1) ?? ''),
      ],
      [200, 200, 200, 410],
    );
  }));

test('what there was for watches that nobody reads is bounded over all of them, and free again with them', () =>
  withServer(
    async (server) => {
      // Larger than what is written on ahead of who reads: one goes out, the others wait.
      const large = 'x'.repeat(300_000);
      for (const name of ['a', 'b', 'c', 'd']) {
        const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { large } };
        assert.equal((await server.call('POST', configMaps, { body })).status, 201);
      }
      const target = `${configMaps}?watch=true`;
      const stalled = { as: reader('eve'), stalled: true };
      const refusal = async (as: Person): Promise<string> =>
        outcome(await server.call('GET', target, { as }));
      const reading = await server.watch(target, { as: reader('eve') });
      await reading.lines(4);
      const [first, second] = [
        await server.watch(target, stalled),
        await server.watch(target, stalled),
      ];
      assert.match(
        await refusal(reader('eve')),
        /^429 more than 10 objects would wait for watches of the user "eve"/,
      );
      // One name still fits, to go on from where one is takes none, and others have their own.
      const some = `${target}&fieldSelector=metadata.name%3Da`;
      const later = [
        await server.watch(some, stalled),
        await server.watch(`${target}&resourceVersion=${server.store.revision}`, stalled),
        await server.watch(target, { ...stalled, as: reader('ann') }),
      ];
      assert.match(
        await refusal(reader('ann')),
        /^429 more than 14 objects would wait for watches that read too slowly/,
      );
      // Our own parts are counted, and not refused.
      later.push(await server.watch(target, { as: 'controller', stalled: true }));
      assert.deepEqual(
        later.map(({ status }) => status),
        [200, 200, 200, 200],
      );
      first.close();
      assert.match(await refusal(reader('eve')), /^429 more than 14 objects/);
      second.close();
      const last = await server.watch(target, stalled);
      assert.equal(last.status, 200);
      for (const watch of [reading, last, ...later]) watch.close();
    },
    [],
    {},
    { openMax: 100, openOfUserMax: 100, initialEventsMax: 14, initialEventsOfUserMax: 10 },
  ));
