import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#base/mod.ts';
import { utf8 } from '#base/mod.ts';
import { putNode, type TestServer, withServer } from '../harness.contract.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/namespaces/default/pods';
const deployments = '/apis/apps/v1/namespaces/default/deployments';

function configMap(name: string, labels: Record<string, string> = {}, data = {}): JsonObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data };
}

function deployment(name: string): JsonObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'c', image: 'i' }] },
      },
    },
  };
}

function pod(name: string, more: JsonObject = {}): JsonObject {
  const containers = [{ name: 'c', image: 'i' }];
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers, ...more } };
}

async function make(server: TestServer, path: string, body: JsonObject): Promise<JsonObject> {
  const answer = await server.call('POST', path, { body });
  assert.equal(answer.status, 201, answer.text);
  return answer.json;
}

/** A field that is shown as text. */
function textAt(object: JsonObject, field: string): string {
  const value = object[field];
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}

function metadataOf(object: JsonObject | undefined): JsonObject {
  return object?.['metadata'] as JsonObject;
}

function namesOf(list: JsonObject): unknown[] {
  return (list['items'] as JsonObject[]).map((item) => metadataOf(item)['name']);
}

function eventsOf(lines: readonly JsonObject[]): string[] {
  return lines.map((line) => {
    const metadata = metadataOf(line['object'] as JsonObject);
    return `${textAt(line, 'type')} ${textAt(metadata, 'name')}`;
  });
}

test('a list in pieces is of one revision, whatever changes meanwhile, and 410 once it is gone', () =>
  withServer(async (server) => {
    for (const name of ['a', 'b', 'c']) await make(server, configMaps, configMap(name));
    const first = await server.call('GET', `${configMaps}?limit=2`);
    const next = textAt(metadataOf(first.json), 'continue');
    await server.call('DELETE', `${configMaps}/c`);
    await make(server, configMaps, configMap('d'));
    const second = await server.call('GET', `${configMaps}?limit=2&continue=${next}`);
    assert.deepEqual([namesOf(first.json), namesOf(second.json)], [['a', 'b'], ['c']]);
    assert.equal(
      metadataOf(second.json)['resourceVersion'],
      metadataOf(first.json)['resourceVersion'],
    );
    const again = await server.call('GET', `${configMaps}?limit=2&continue=${next}`);
    assert.deepEqual([again.status, again.json['reason']], [410, 'Expired']);
    const selected = await server.call('GET', `${configMaps}?fieldSelector=metadata.name%3Dd`);
    assert.deepEqual(namesOf(selected.json), ['d']);
  }));

test('a watch tells what there is, then what enters, changes and leaves its selection', () =>
  withServer(async (server) => {
    await make(server, configMaps, configMap('a', { app: 'x' }));
    await make(server, configMaps, configMap('other'));
    const watch = await server.watch(`${configMaps}?watch=true&labelSelector=app%3Dx`);
    const label = (name: string, app: string | null) =>
      server.call('PATCH', `${configMaps}/${name}`, {
        body: { metadata: { labels: { app } } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    await label('other', 'x');
    await server.call('PATCH', `${configMaps}/a`, {
      body: { data: { k: 'v' } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    const left = await label('a', null);
    await server.call('DELETE', `${configMaps}/other`);
    const lines = await watch.lines(5);
    assert.deepEqual(eventsOf(lines), [
      'ADDED a',
      'ADDED other',
      'MODIFIED a',
      'DELETED a',
      'DELETED other',
    ]);
    assert.equal(
      metadataOf(lines[3]?.['object'] as JsonObject)['resourceVersion'],
      metadataOf(left.json)['resourceVersion'],
    );
    watch.close();
  }));

test('a watch from a revision has every later change, and ends in time with a bookmark', () =>
  withServer(async (server) => {
    const made = await make(server, configMaps, configMap('a'));
    await make(server, configMaps, configMap('b'));
    const from = textAt(metadataOf(made), 'resourceVersion');
    const watch = await server.watch(
      `${configMaps}?watch=1&resourceVersion=${from}&allowWatchBookmarks=true&timeoutSeconds=1`,
    );
    await watch.ended;
    const lines = await watch.lines(2);
    assert.deepEqual(
      lines.map((line) => line['type']),
      ['ADDED', 'BOOKMARK'],
    );
    const future = await server.watch(`${configMaps}?watch=1&resourceVersion=999999`);
    assert.equal(future.status, 504);
  }));

test('a table has its columns once in a watch, and a client that stops reading is cut off', () =>
  withServer(async (server) => {
    await make(server, configMaps, configMap('a'));
    const watch = await server.watch(`${configMaps}?watch=true`, {
      headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' },
    });
    await make(server, configMaps, configMap('b'));
    const columns = (await watch.lines(2)).map(
      (line) => ((line['object'] as JsonObject)['columnDefinitions'] as unknown[]).length,
    );
    assert.ok((columns[0] ?? 0) > 1);
    assert.equal(columns[1], 0);
    watch.stall();
    for (let count = 0; count < 12; count += 1) {
      await make(server, configMaps, configMap(`large-${count}`, {}, { v: 'x'.repeat(900_000) }));
    }
    const objects = await server.watch(`${configMaps}?watch=true`);
    objects.stall();
    for (let count = 0; count < 12; count += 1) {
      await make(server, configMaps, configMap(`more-${count}`, {}, { v: 'x'.repeat(900_000) }));
    }
    await objects.ended;
    watch.close();
  }));

test('an update with an old resourceVersion is a conflict, and what changes nothing writes nothing', () =>
  withServer(async (server) => {
    const made = await make(server, configMaps, configMap('a'));
    const put = (object: JsonObject) => server.call('PUT', `${configMaps}/a`, { body: object });
    const changed = await put({ ...made, data: { k: 'v' } });
    assert.equal(changed.status, 200, changed.text);
    const stale = await put({ ...made, data: { k: 'w' } });
    assert.deepEqual([stale.status, stale.json['reason']], [409, 'Conflict']);
    const same = await put(changed.json);
    assert.deepEqual(metadataOf(same.json), metadataOf(changed.json));
    const dry = await server.call('PUT', `${configMaps}/a?dryRun=All`, { body: configMap('a') });
    assert.equal(dry.status, 200);
    assert.deepEqual((await server.call('GET', `${configMaps}/a`)).json['data'], { k: 'v' });
  }));

test('what a typed client read it may write back: instants with more places, no kind', () =>
  withServer(async (server) => {
    const { kind: _kind, apiVersion: _version, ...body } = configMap('typed');
    const made = await server.call('POST', configMaps, { body });
    assert.equal(made.status, 201);
    assert.equal(made.json['kind'], 'ConfigMap');
    const metadata = metadataOf(made.json);
    const creationTimestamp = textAt(metadata, 'creationTimestamp').replace('Z', '.000Z');
    const again = { ...made.json, metadata: { ...metadata, creationTimestamp }, data: { a: 'c' } };
    assert.equal((await server.call('PUT', `${configMaps}/typed`, { body: again })).status, 200);
    const other = { ...metadata, creationTimestamp: '2020-01-01T00:00:00Z', resourceVersion: '' };
    const moved = { ...made.json, metadata: other };
    assert.equal((await server.call('PUT', `${configMaps}/typed`, { body: moved })).status, 422);
  }));

test('status and scale write their own part and nothing else', () =>
  withServer(async (server) => {
    const made = await make(server, deployments, deployment('web'));
    const one = `${deployments}/web`;
    const status = { ...made, spec: {}, status: { replicas: 7, observedGeneration: 1 } };
    const full = { ...status, spec: { ...(made['spec'] as JsonObject), replicas: 9 } };
    assert.equal((await server.call('PUT', `${one}/status`, { body: full })).status, 200);
    const scaled = await server.call('PATCH', `${one}/scale`, {
      body: { spec: { replicas: 5 } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.deepEqual(scaled.json['status'], { replicas: 7, selector: 'app=web' });
    const now = (await server.call('GET', one)).json;
    assert.equal((now['spec'] as JsonObject)['replicas'], 5);
    assert.equal((now['status'] as JsonObject)['replicas'], 7);
    assert.equal(metadataOf(now)['generation'], 2);
    const wrong = await server.call('PATCH', `${one}/scale`, {
      body: { spec: { replicas: -1 } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.equal(wrong.status, 422);
  }));

test('finalizers keep an object until the last one goes; preconditions hold', () =>
  withServer(async (server) => {
    const object = configMap('a');
    (object['metadata'] as JsonObject)['finalizers'] = ['example.com/work'];
    const made = await make(server, configMaps, object);
    const one = `${configMaps}/a`;
    const other = await server.call('DELETE', one, { body: { preconditions: { uid: 'another' } } });
    assert.equal(other.status, 409);
    const marked = await server.call('DELETE', one);
    assert.equal(metadataOf(marked.json)['uid'], metadataOf(made)['uid']);
    assert.ok(metadataOf(marked.json)['deletionTimestamp']);
    const done = await server.call('PATCH', one, {
      body: { metadata: { finalizers: null } },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    assert.equal(done.status, 200, done.text);
    assert.equal((await server.call('GET', one)).status, 404);
  }));

test('the first mark for deletion raises the generation of what has one, and no later one does', () =>
  withServer(async (server) => {
    const held = pod('held', { nodeName: 'node-1' });
    (held['metadata'] as JsonObject)['finalizers'] = ['example.com/work'];
    const made = await make(server, pods, held);
    assert.equal(metadataOf(made)['generation'], 1);
    const delete_ = async (graceSeconds: number): Promise<JsonObject> => {
      const query = `gracePeriodSeconds=${graceSeconds}`;
      return metadataOf((await server.call('DELETE', `${pods}/held?${query}`)).json);
    };
    const marked = await delete_(30);
    assert.equal(marked['generation'], 2);
    const shortened = await delete_(5);
    assert.deepEqual([shortened['deletionGracePeriodSeconds'], shortened['generation']], [5, 2]);
    assert.equal((await delete_(5))['generation'], 2);
    const plain = configMap('plain');
    (plain['metadata'] as JsonObject)['finalizers'] = ['example.com/work'];
    await make(server, configMaps, plain);
    const { json } = await server.call('DELETE', `${configMaps}/plain`);
    assert.equal(metadataOf(json)['generation'], undefined);
  }));

test('a pod that was given to a node is only marked; one that was not goes at once', () =>
  withServer(async (server) => {
    await make(server, pods, pod('waiting'));
    await make(server, pods, pod('running', { nodeName: 'node-1' }));
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: 'running', namespace: 'default' },
    };
    assert.equal((await server.call('DELETE', `${pods}/waiting`)).json['status'], 'Success');
    const evicted = await server.call('POST', `${pods}/running/eviction`, { body: eviction });
    assert.equal(evicted.status, 201, evicted.text);
    const marked = metadataOf((await server.call('GET', `${pods}/running`)).json);
    assert.equal(marked['deletionGracePeriodSeconds'], 30);
    await server.call('DELETE', `${pods}/running?gracePeriodSeconds=1`);
    await server.call('DELETE', `${pods}/running?gracePeriodSeconds=9`);
    const shortened = metadataOf((await server.call('GET', `${pods}/running`)).json);
    assert.equal(shortened['deletionGracePeriodSeconds'], 1);
    assert.equal((await server.call('GET', `${pods}/waiting`)).status, 404);
  }));

test('any grace is taken, and no pod gets more than a day', () =>
  withServer(async (server) => {
    const endless = { nodeName: 'node-1', terminationGracePeriodSeconds: 1_000_000_000_000 };
    await make(server, pods, pod('own', endless));
    await make(server, pods, pod('asked', { nodeName: 'node-1' }));
    await make(server, pods, pod('evicted', endless));
    const before = Date.now();
    assert.equal((await server.call('DELETE', `${pods}/own`)).status, 200);
    const asked = `${pods}/asked?gracePeriodSeconds=9223372036854775807`;
    assert.equal((await server.call('DELETE', asked)).status, 200);
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: 'evicted', namespace: 'default' },
      deleteOptions: { gracePeriodSeconds: 1_000_000_000_000 },
    };
    const evicted = await server.call('POST', `${pods}/evicted/eviction`, { body: eviction });
    assert.equal(evicted.status, 201, evicted.text);
    for (const name of ['own', 'asked', 'evicted']) {
      const metadata = metadataOf((await server.call('GET', `${pods}/${name}`)).json);
      assert.equal(metadata['deletionGracePeriodSeconds'], 86_400);
      const leftMs = Date.parse(metadata['deletionTimestamp'] as string) - before;
      assert.ok(leftMs > 86_000_000 && leftMs < 87_000_000, String(leftMs));
    }
    const negative = await server.call('DELETE', `${pods}/own?gracePeriodSeconds=-1`);
    assert.equal(negative.status, 400, negative.text);
  }));

test('a namespace goes when its finalizer is done, and takes nothing new meanwhile', () =>
  withServer(async (server) => {
    const namespaces = '/api/v1/namespaces';
    await make(server, namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'n' },
    });
    const marked = (await server.call('DELETE', `${namespaces}/n`)).json;
    assert.equal((marked['status'] as JsonObject)['phase'], 'Terminating');
    const late = await server.call('POST', `${namespaces}/n/configmaps`, { body: configMap('a') });
    assert.equal(late.status, 403);
    const body = { ...marked, spec: { finalizers: [] } };
    assert.equal((await server.call('PUT', `${namespaces}/n/finalize`, { body })).status, 200);
    assert.equal((await server.call('GET', `${namespaces}/n`)).status, 404);
    const none = await server.call('POST', `${namespaces}/n/configmaps`, { body: configMap('a') });
    assert.equal(none.status, 404);
  }));

test('a log streams from the node, and says why where there is none', () =>
  withServer(async (server) => {
    await make(server, pods, pod('p', { nodeName: 'node-1' }));
    await make(server, pods, pod('unassigned'));
    const unassigned = await server.call('GET', `${pods}/unassigned/log`);
    assert.equal(unassigned.status, 400);
    assert.match(unassigned.text, /waiting to start/);
    const reading = server.call('GET', `${pods}/p/log?tailLines=5`);
    const opened = await opening(server, 0);
    assert.deepEqual(
      [opened.nodeName, opened.request.container, opened.request.tailLines],
      ['node-1', 'c', 5],
    );
    opened.listener.onBytes(utf8('one\n'));
    opened.listener.onBytes(utf8('two\n'));
    setImmediate(() => opened.listener.onEnd(undefined));
    assert.equal((await reading).text, 'one\ntwo\n');
    const refused = server.call('GET', `${pods}/p/log`);
    (await opening(server, 1)).listener.onEnd({ code: 'POD_NOT_FOUND', message: 'no such pod' });
    assert.equal((await refused).status, 400);
    const gone = server.call('GET', `${pods}/p/log`);
    (await opening(server, 2)).listener.onEnd({ code: 'NODE_GONE', message: 'not connected' });
    const away = await gone;
    assert.deepEqual([away.status, away.headers['retry-after']], [503, '1']);
    // Known to be lost: who asks is told at once, and does not ask again by itself.
    await putNode(server, 'node-1', 'Unknown');
    const lost = server.call('GET', `${pods}/p/log`);
    (await opening(server, 3)).listener.onEnd({ code: 'NODE_GONE', message: 'not connected' });
    const { status, headers } = await lost;
    assert.deepEqual([status, headers['retry-after']], [503, undefined]);
  }));

async function opening(server: TestServer, position: number) {
  for (;;) {
    const opened = server.logs[position];
    if (opened !== undefined) return opened;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('generated names differ, dry runs store nothing, leases are made from liveness', () =>
  withServer(async (server) => {
    const generated = { ...configMap(''), metadata: { generateName: 'web-' } };
    const first = textAt(metadataOf(await make(server, configMaps, generated)), 'name');
    const second = textAt(metadataOf(await make(server, configMaps, generated)), 'name');
    assert.match(first, /^web-[a-z0-9]{5}$/);
    assert.notEqual(first, second);
    await make(server, `${configMaps}?dryRun=All`, configMap('dry'));
    assert.equal((await server.call('GET', `${configMaps}/dry`)).status, 404);
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' }, spec: {} };
    await make(server, '/api/v1/nodes', node);
    const lease = await server.call(
      'GET',
      '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1',
    );
    assert.equal((lease.json['spec'] as JsonObject)['renewTime'], '2023-11-14T22:13:20.000000Z');
    // Beside those of nodes there are leases that programs elect a leader by.
    const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
    const own = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'leader' },
      spec: { holderIdentity: 'one', leaseDurationSeconds: 15 },
    };
    assert.equal((await server.call('POST', leases, { body: own })).status, 201);
    const all = await server.call('GET', '/apis/coordination.k8s.io/v1/leases');
    const names = (all.json['items'] as { metadata: { namespace: string; name: string } }[]).map(
      ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
    );
    assert.deepEqual(names, ['default/leader', 'kube-node-lease/node-1']);
    const among = await server.call('POST', leases.replace('default', 'kube-node-lease'), {
      body: own,
    });
    assert.equal(among.status, 422);
  }));

test('requests are counted by what they asked for, and every answer has an id of its own', async () => {
  await withServer(async (server) => {
    const first = await server.call('GET', '/api/v1/namespaces/default/pods/absent');
    const second = await server.call('GET', '/api/v1/namespaces/default/pods/other');
    assert.equal(first.status, 404);
    assert.notEqual(first.headers['audit-id'], second.headers['audit-id']);
    await server.call('GET', '/nothing-like-it');
    const { text, headers } = await server.call('GET', '/metrics', { as: 'viewer' });
    assert.match(headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
    const counted =
      /^selvage_api_requests_total\{verb="get",resource="pods",subresource="",code="404"\} 2$/m;
    assert.match(text, counted);
    assert.match(
      text,
      /requests_total\{verb="none",resource="none",subresource="",code="404"\} 1\n/,
    );
    assert.doesNotMatch(text, /absent|nothing-like-it/);
    assert.equal((await server.call('GET', '/metrics', { as: 'nobody' })).status, 401);
  });
});
