// oxlint-disable typescript/no-explicit-any -- tests read deep into JSON that was just made
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, type Uid, utf8 } from '#base/mod.ts';
import { type Answer, type TestServer, withServer } from '../harness.contract.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';

async function put(server: TestServer, name: string, value: string): Promise<number> {
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } };
  const made = await server.call('POST', configMaps, { body });
  const answer =
    made.status === 409 ? await server.call('PUT', `${configMaps}/${name}`, { body }) : made;
  assert.ok(answer.status < 300, answer.text);
  return revisionOf(answer);
}

async function remove(server: TestServer, name: string): Promise<void> {
  assert.equal((await server.call('DELETE', `${configMaps}/${name}`)).status, 200);
}

const revisionOf = ({ json }: Answer): number => Number((json as any).metadata.resourceVersion);

const valuesOf = ({ json }: Answer): string[] =>
  (json['items'] as any[])
    .filter(({ metadata }) => metadata.name !== 'kube-root-ca.crt')
    .map(({ metadata, data }) => `${metadata.name}=${data.value}`);

const shown = (line: JsonObject): string => {
  const { type, object } = line as any;
  if (type === 'BOOKMARK') {
    const end = object.metadata.annotations?.['k8s.io/initial-events-end'];
    return end === 'true' ? 'initial events end' : 'BOOKMARK';
  }
  return `${type} ${object.metadata.name ?? object.reason}`;
};

test('a list of exactly one revision is what was there then, also in pieces and in part', () =>
  withServer(async (server) => {
    await put(server, 'a', '1');
    await put(server, 'b', '1');
    const then = await put(server, 'c', '1');
    await put(server, 'b', '2');
    await remove(server, 'a');
    await put(server, 'a', '3');
    await remove(server, 'c');
    await put(server, 'd', '1');
    const exact = `resourceVersion=${then}&resourceVersionMatch=Exact`;
    const list = await server.call('GET', `${configMaps}?${exact}`);
    assert.deepEqual([revisionOf(list), valuesOf(list)], [then, ['a=1', 'b=1', 'c=1']]);
    const one = await server.call('GET', `${configMaps}?${exact}&fieldSelector=metadata.name!%3Db`);
    assert.deepEqual(valuesOf(one), ['a=1', 'c=1']);

    const first = await server.call('GET', `${configMaps}?resourceVersion=${then}&limit=2`);
    await put(server, 'e', '1');
    const rest = (first.json as any).metadata.continue as string;
    const second = await server.call('GET', `${configMaps}?limit=2&continue=${rest}`);
    assert.deepEqual([valuesOf(first), valuesOf(second)], [['a=1', 'b=1'], ['c=1']]);
    assert.deepEqual([revisionOf(first), revisionOf(second)], [then, then]);
    // Any that is not older will do where nothing more is said.
    const any = await server.call('GET', `${configMaps}?resourceVersion=${then}`);
    assert.deepEqual(valuesOf(any), ['a=3', 'b=2', 'd=1', 'e=1']);
  }));

test('options of lists and watches that do not go together are refused by name', () =>
  withServer(async (server) => {
    const refusals: readonly (readonly [query: string, status: number, says: RegExp])[] = [
      ['resourceVersionMatch=Exact', 422, /resourceVersionMatch: Forbidden/],
      ['resourceVersionMatch=Exact&resourceVersion=0', 422, /forbidden for resourceVersion/],
      ['resourceVersionMatch=Newest&resourceVersion=1', 400, /NotOlderThan/],
      ['continue=x&resourceVersion=3', 400, /not allowed when using continue/],
      ['watch=1&sendInitialEvents=true', 422, /sendInitialEvents: Forbidden/],
      ['watch=1&resourceVersionMatch=NotOlderThan', 422, /unless sendInitialEvents/],
      ['resourceVersion=99999', 504, /Too large resource version/],
    ];
    for (const [query, status, says] of refusals) {
      const answer = await server.call('GET', `${configMaps}?${query}`);
      assert.equal(answer.status, status, `${query}: ${answer.text}`);
      assert.match(answer.text, says);
    }
    const future = await server.call('GET', `${configMaps}/a?resourceVersion=99999`);
    assert.equal(future.status, 504);
  }));

test('what is no longer kept is 410 for a list, and an event of the same Status for a watch', () =>
  withServer(
    async (server) => {
      const old = await put(server, 'a', '0');
      for (let count = 1; count <= 12; count += 1) await put(server, 'a', String(count));
      const exact = `resourceVersion=${old}&resourceVersionMatch=Exact`;
      const list = await server.call('GET', `${configMaps}?${exact}`);
      assert.deepEqual([list.status, list.json['reason']], [410, 'Expired']);
      const watch = await server.watch(`${configMaps}?watch=1&resourceVersion=${old}`);
      await watch.ended;
      const [line] = await watch.lines(1);
      assert.deepEqual(
        [watch.status, line?.['type'], (line as any).object.code, (line as any).object.reason],
        [200, 'ERROR', 410, 'Expired'],
      );
      // The oldest that is kept is where a watch may still begin.
      const from = server.store.oldestWatchable;
      const kept = await server.watch(`${configMaps}?watch=1&resourceVersion=${from}`);
      assert.equal((await kept.lines(8)).length, 8);
      kept.close();
    },
    [],
    { historyMaxTransactions: 8 },
  ));

test('a watch goes on from any revision that is kept, however much has happened since', () =>
  withServer(async (server) => {
    const from = await put(server, 'a', '0');
    const large = 'x'.repeat(700_000);
    // More than may wait for one client as bytes.
    for (let count = 1; count <= 14; count += 1) await put(server, 'a', `${count} ${large}`);
    const watch = await server.watch(`${configMaps}?watch=1&resourceVersion=${from}`);
    const lines = await watch.lines(14);
    assert.deepEqual(
      lines.map((line) => (line as any).object.data.value.split(' ')[0]),
      Array.from({ length: 14 }, (_, index) => String(index + 1)),
    );
    watch.close();
  }));

test('initial events come first and their end is marked; without them a watch begins now', () =>
  withServer(async (server) => {
    await put(server, 'a', '1');
    const only = `fieldSelector=metadata.name!%3Dkube-root-ca.crt`;
    const initial = `watch=1&resourceVersionMatch=NotOlderThan&${only}`;
    const all = await server.watch(`${configMaps}?${initial}&sendInitialEvents=true`);
    const none = await server.watch(`${configMaps}?${initial}&sendInitialEvents=false`);
    await put(server, 'b', '1');
    assert.deepEqual((await all.lines(3)).map(shown), ['ADDED a', 'initial events end', 'ADDED b']);
    assert.deepEqual((await none.lines(1)).map(shown), ['ADDED b']);
    all.close();
    none.close();
  }));

test('a watch of one name is told of no other, and of sets of labels of those within', () =>
  withServer(async (server) => {
    const one = await server.watch(`${configMaps}?watch=1&fieldSelector=metadata.name%3Db`);
    const some = await server.watch(`${configMaps}?watch=1&labelSelector=tier+in+(web,db),!old`);
    const label = (name: string, labels: JsonObject) =>
      server.call('PATCH', `${configMaps}/${name}`, {
        body: { metadata: { labels } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    await put(server, 'a', '1');
    await put(server, 'b', '1');
    await label('a', { tier: 'web' });
    await label('b', { tier: 'db', old: 'yes' });
    await label('b', { old: null });
    await label('a', { tier: 'batch' });
    assert.deepEqual((await one.lines(3)).map(shown), ['ADDED b', 'MODIFIED b', 'MODIFIED b']);
    assert.deepEqual((await some.lines(3)).map(shown), ['ADDED a', 'ADDED b', 'DELETED a']);
    one.close();
    some.close();
  }));

test('what is made on read is listed, and asked to be watched it says that it cannot be', () =>
  withServer(async (server) => {
    const unwatched = server.server.registry.definitions.filter(
      ({ verbs }) => verbs.includes('list') && !verbs.includes('watch'),
    );
    assert.deepEqual(unwatched.map(({ plural }) => plural).toSorted(), [
      'endpoints',
      'nodes',
      'persistentvolumes',
      'pods',
      'replicationcontrollers',
    ]);
    for (const { group, version, plural } of unwatched) {
      const target = `${group === '' ? '/api' : `/apis/${group}`}/${version}/${plural}`;
      const list = await server.call('GET', target);
      assert.deepEqual([list.status, Array.isArray(list.json['items'])], [200, true]);
      const watch = await server.call('GET', `${target}?watch=true`);
      const { kind, reason, message, code, details } = watch.json;
      assert.deepEqual(
        [watch.status, kind, reason, code],
        [405, 'Status', 'MethodNotAllowed', 405],
      );
      assert.deepEqual(details, group === '' ? { kind: plural } : { kind: plural, group });
      const name = group === '' ? plural : `${plural}.${group}`;
      assert.match(JSON.stringify(message), new RegExp(`^"watch is not .* of kind ."${name}.":`));
      // Who may not watch is told just that.
      const refused = await server.call('GET', `${target}?watch=true`, { as: 'stranger' });
      assert.match(refused.text, /cannot watch resource/);
    }
    const inNamespace = '/api/v1/namespaces/default/endpoints?watch=1&allowWatchBookmarks=true';
    assert.equal((await server.call('GET', inNamespace)).status, 405);
    // Beside one name the word is not heard, as in Kubernetes.
    await put(server, 'a', '1');
    const one = await server.call('GET', `${configMaps}/a?watch=true`);
    assert.deepEqual([one.status, one.json['kind']], [200, 'ConfigMap']);
  }));

/** The fold of an object asserts that it has the name of its key. */
async function putBroken({ store }: TestServer, name: string): Promise<void> {
  const intent = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'another' } };
  const key = { resource: 'configmaps', namespace: 'default', name };
  const bytes = utf8(JSON.stringify(intent));
  const change = {
    type: 'put',
    key,
    uid: `uid-of-${name}` as Uid,
    facet: 'intent',
    bytes,
  } as const;
  await store.transact(() => ({ changes: [change], result: undefined }));
}

test('an object that cannot be shown ends the watches that would show it, and nothing else', () =>
  withServer(async (server) => {
    const from = await put(server, 'a', '1');
    const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    const since = `watch=1&resourceVersion=${from}`;
    const watches = [
      await server.watch(`${configMaps}?${since}`),
      await server.watch(`${configMaps}?${since}`, { headers: table }),
      await server.watch(`${configMaps}?${since}&labelSelector=x!%3Dy`),
    ];
    const ofOne = await server.watch(`${configMaps}?${since}&fieldSelector=metadata.name%3Dc`);
    await put(server, 'b', '1');
    await putBroken(server, 'broken');
    await put(server, 'c', '1');
    assert.equal(server.store.isLatched, false);
    assert.deepEqual((await ofOne.lines(1)).map(shown), ['ADDED c']);
    for (const watch of watches) {
      await watch.ended;
      const [first, last, ...rest] = await watch.lines(2);
      assert.deepEqual([first?.['type'], rest], ['ADDED', []]);
      assert.deepEqual(shown(last as JsonObject), 'ERROR InternalError');
    }
    ofOne.close();
    // One that begins where it cannot go on ends in the same way, however it begins.
    for (const query of [since, 'watch=1', `watch=1&resourceVersion=${from + 1}`]) {
      const later = await server.watch(`${configMaps}?${query}`);
      await later.ended;
      const lines = (await later.lines(1)).map(shown);
      assert.deepEqual(lines.indexOf('ERROR InternalError'), lines.length - 1, query);
      assert.ok(!lines.includes('ADDED c'), 'nothing that comes after a gap');
    }
  }));
