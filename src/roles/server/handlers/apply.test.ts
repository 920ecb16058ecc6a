// oxlint-disable typescript/no-explicit-any -- tests read deep into JSON that was just made
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '#base/mod.ts';
import { type Answer, type CallOptions, type TestServer, withServer } from '../harness.contract.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const deployments = '/apis/apps/v1/namespaces/default/deployments';

const configMap = (data: JsonObject, name = 'a'): JsonObject => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap' },
  ...{ metadata: { name, namespace: 'default' }, data },
});

const deployment = (spec: JsonObject = {}, containers: Json = [{ name: 'c', image: 'i:1' }]) => ({
  ...{ apiVersion: 'apps/v1', kind: 'Deployment' },
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers } },
    ...spec,
  },
});

function apply(
  server: TestServer,
  target: string,
  body: unknown,
  manager: string,
  more: string = '',
): Promise<Answer> {
  const headers = { 'content-type': 'application/apply-patch+yaml' };
  return server.call('PATCH', `${target}?fieldManager=${manager}${more}`, { body, headers });
}

function patch(server: TestServer, target: string, body: unknown, kind = 'merge-patch') {
  const headers = { 'content-type': `application/${kind}+json`, 'user-agent': 'tester/1 (x)' };
  return server.call('PATCH', target, { body, headers });
}

function ownersOf(answer: Answer): Record<string, unknown> {
  const owners: Record<string, unknown> = {};
  for (const one of (answer.json as any).metadata.managedFields ?? []) {
    assert.equal(one.fieldsType, 'FieldsV1');
    const where = one.subresource === undefined ? '' : `/${one.subresource}`;
    owners[`${one.manager} ${one.operation}${where}`] = one.fieldsV1;
  }
  return owners;
}

async function answered(answer: Promise<Answer>, status: number): Promise<Answer> {
  const given = await answer;
  assert.equal(given.status, status, given.text);
  return given;
}

test('an apply makes what is not there, is shared where it agrees, and conflicts where not', () =>
  withServer(async (server) => {
    const target = `${configMaps}/a`;
    const made = await answered(apply(server, target, configMap({ x: '1', y: '1' }), 'git'), 201);
    assert.deepEqual(ownersOf(made), { 'git Apply': { 'f:data': { 'f:x': {}, 'f:y': {} } } });
    const again = await answered(apply(server, target, configMap({ x: '1', y: '1' }), 'git'), 200);
    assert.deepEqual(again.json, made.json);

    const refused = await answered(apply(server, target, configMap({ x: '2' }), 'me'), 409);
    assert.equal(refused.json['reason'], 'Conflict');
    assert.deepEqual((refused.json as any).details.causes, [
      { reason: 'FieldManagerConflict', message: 'conflict with "git"', field: '.data.x' },
    ]);
    const forced = apply(server, target, configMap({ x: '2' }), 'me', '&force=true');
    assert.deepEqual(ownersOf(await answered(forced, 200)), {
      'git Apply': { 'f:data': { 'f:y': {} } },
      'me Apply': { 'f:data': { 'f:x': {} } },
    });
    // What git leaves out now was its own alone; x is another's by now.
    const less = await answered(apply(server, target, configMap({ z: '1' }), 'git'), 200);
    assert.deepEqual(less.json['data'], { x: '2', z: '1' });
  }));

test('what a person should know of an object is said when it is applied, as when it is made', () =>
  withServer(async (server) => {
    const target = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies/n';
    const policy = (spec: JsonObject): JsonObject => ({
      ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
      ...{ metadata: { name: 'n', namespace: 'default' }, spec },
    });
    const said = /NetworkPolicy is stored, and not served yet/;
    const made = await answered(apply(server, target, policy({ podSelector: {} }), 'git'), 201);
    assert.match(made.headers['warning'] ?? '', said);
    const changed = policy({ podSelector: {}, policyTypes: ['Egress'], colour: 'red' });
    const again = await answered(apply(server, target, changed, 'git'), 200);
    assert.match(again.headers['warning'] ?? '', said);
    assert.match(again.headers['warning'] ?? '', /unknown field/);
    const plain = await answered(
      apply(server, `${configMaps}/a`, configMap({ x: '1' }), 'git'),
      201,
    );
    assert.equal(plain.headers['warning'], undefined);
  }));

test('a dry run applies nothing, and a body is read as strictly as it asks for', () =>
  withServer(async (server) => {
    const dry = '&dryRun=All';
    const planned = await answered(
      apply(server, `${configMaps}/a`, configMap({ x: '1' }), 'git', dry),
      201,
    );
    assert.deepEqual(ownersOf(planned), { 'git Apply': { 'f:data': { 'f:x': {} } } });
    await answered(server.call('GET', `${configMaps}/a`), 404);
    const unknown = { ...configMap({ x: '1' }), colour: 'red' };
    const strict = '&fieldValidation=Strict';
    const refused = await answered(apply(server, `${configMaps}/a`, unknown, 'git', strict), 400);
    assert.match(refused.text, /unknown field \\"colour\\"/);
    const warned = await answered(apply(server, `${configMaps}/a`, unknown, 'git'), 201);
    assert.match(warned.headers['warning'] ?? '', /unknown field/);
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\ndata:\n  x: "1"\n';
    await answered(apply(server, `${configMaps}/b`, yaml, 'git'), 201);
    const other = await answered(apply(server, `${configMaps}/b`, configMap({}, 'c'), 'git'), 400);
    assert.match(other.text, /does not match the name on the URL/);
    const owners = { ...configMap({}), metadata: { name: 'a', managedFields: [{}] } };
    await answered(apply(server, `${configMaps}/a`, owners, 'git'), 400);
  }));

test('whoever writes is known: by name or program, for the object, its status and its scale', () =>
  withServer(async (server) => {
    const headers = { 'user-agent': 'kubectl/v1.32 (linux/amd64)' };
    const made = await answered(
      server.call('POST', deployments, { body: deployment({ replicas: 2 }), headers }),
      201,
    );
    const owned = ownersOf(made) as any;
    assert.deepEqual(Object.keys(owned), ['kubectl Update']);
    assert.deepEqual(owned['kubectl Update']['f:spec']['f:replicas'], {});
    assert.equal(owned['kubectl Update']['f:metadata'], undefined);
    const container = owned['kubectl Update']['f:spec']['f:template']['f:spec']['f:containers'];
    assert.deepEqual(container['k:{"name":"c"}']['f:image'], {});

    await answered(patch(server, `${deployments}/web/scale`, { spec: { replicas: 3 } }), 200);
    const status = { status: { replicas: 3 } };
    await answered(patch(server, `${deployments}/web/status?fieldManager=counter`, status), 200);
    const now = ownersOf(await server.call('GET', `${deployments}/web`)) as any;
    assert.deepEqual(now['tester Update/scale'], { 'f:spec': { 'f:replicas': {} } });
    assert.deepEqual(now['counter Update/status'], { 'f:status': { 'f:replicas': {} } });
    assert.equal(now['kubectl Update']['f:spec']['f:replicas'], undefined);

    const refused = await answered(
      apply(server, `${deployments}/web`, deployment({ replicas: 9 }), 'git'),
      409,
    );
    assert.match(
      refused.text,
      /tester\\" with subresource \\"scale\\" using apps\/v1: .spec.replicas/,
    );
    const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'web' } };
    const scaled = { ...scale, spec: { replicas: 5 } };
    await answered(apply(server, `${deployments}/web/scale`, scaled, 'auto'), 409);
    const forced = apply(server, `${deployments}/web/scale`, scaled, 'auto', '&force=true');
    assert.equal(((await answered(forced, 200)) as any).json.spec.replicas, 5);
    const last = ownersOf(await server.call('GET', `${deployments}/web`)) as any;
    assert.deepEqual(last['auto Apply/scale'], { 'f:spec': { 'f:replicas': {} } });
    assert.equal(last['tester Update/scale'], undefined);
  }));

test('keyed lists, sets and atomic fields are merged as the schema says', () =>
  withServer(async (server) => {
    const target = `${deployments}/web`;
    const container = (name: string, more: JsonObject = {}) => ({ name, image: 'i:1', ...more });
    const env = [{ name: 'A', value: '1' }];
    await answered(
      apply(server, target, deployment({}, [container('c', { env }), container('d')]), 'git'),
      201,
    );
    const sidecar = {
      ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' } },
      spec: {
        template: {
          spec: {
            containers: [
              { name: 'c', env: [{ name: 'B', value: '2' }] },
              { name: 'log', image: 'l:1' },
            ],
          },
        },
      },
    };
    const both = await answered(apply(server, target, sidecar, 'mesh'), 200);
    const containersOf = (answer: Answer): any[] =>
      (answer.json as any).spec.template.spec.containers;
    assert.deepEqual(
      containersOf(both).map(({ name }) => name),
      ['c', 'd', 'log'],
    );
    assert.deepEqual(
      containersOf(both)[0].env.map(({ name }: any) => name),
      ['A', 'B'],
    );
    // A container that only git named goes with what the defaults put into it.
    const less = await answered(
      apply(server, target, deployment({}, [container('c', { env })]), 'git'),
      200,
    );
    assert.deepEqual(
      containersOf(less).map(({ name }) => name),
      ['c', 'log'],
    );
    const finalizers = (names: string[]) => ({
      ...configMap({}),
      metadata: { name: 'f', finalizers: names },
    });
    await apply(server, `${configMaps}/f`, finalizers(['x.io/a']), 'one');
    await apply(server, `${configMaps}/f`, finalizers(['x.io/b']), 'two');
    const mixed = await answered(
      apply(server, `${configMaps}/f`, finalizers(['x.io/c']), 'one'),
      200,
    );
    assert.deepEqual((mixed.json as any).metadata.finalizers.toSorted(), ['x.io/b', 'x.io/c']);
  }));

test('kubectl apply goes over to the server side: its own fields are no conflict', () =>
  withServer(async (server) => {
    const target = `${configMaps}/a`;
    const manifest = configMap({ x: '1', y: '1' });
    const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
    const annotations = { [annotation]: JSON.stringify(manifest) };
    const body = { ...manifest, metadata: { name: 'a', annotations } };
    await answered(
      server.call('POST', `${configMaps}?fieldManager=kubectl-client-side-apply`, { body }),
      201,
    );
    await answered(patch(server, `${target}?fieldManager=kubectl-edit`, { data: { y: '2' } }), 200);
    const refused = await answered(
      apply(server, target, configMap({ x: '2', y: '3' }), 'kubectl'),
      409,
    );
    assert.deepEqual(
      (refused.json as any).details.causes.map(({ field }: any) => field),
      ['.data.y'],
    );
    const taken = await answered(apply(server, target, configMap({ x: '2' }), 'kubectl'), 200);
    const metadata = (taken.json as any).metadata;
    assert.deepEqual(JSON.parse(metadata.annotations[annotation]).data, { x: '2' });
    const owned = ownersOf(taken) as any;
    assert.deepEqual(owned['kubectl Apply'], { 'f:data': { 'f:x': {} } });

    // Then it moves what it owned as an updater to what it owns as an applier.
    const managedFields = metadata.managedFields
      .filter(({ manager }: any) => manager !== 'kubectl-client-side-apply')
      .map((one: any) =>
        one.manager === 'kubectl'
          ? { ...one, fieldsV1: { 'f:data': { 'f:x': {}, 'f:z': {} } } }
          : one,
      );
    const moved = await answered(
      patch(
        server,
        target,
        [
          { op: 'replace', path: '/metadata/managedFields', value: managedFields },
          { op: 'replace', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
        ],
        'json-patch',
      ),
      200,
    );
    assert.deepEqual(Object.keys(ownersOf(moved)), ['kubectl Apply', 'kubectl-edit Update']);
    assert.deepEqual(moved.json['data'], { x: '2', y: '2' });
  }));

test('the record of owners is begun anew by an empty list or entry, and kept by who leaves it out', () =>
  withServer(async (server) => {
    const target = `${configMaps}/a`;
    const made = await answered(apply(server, target, configMap({ x: '1' }), 'git'), 201);
    const { managedFields: _left, ...metadata } = (made.json as any).metadata;
    const replaced = await answered(
      server.call('PUT', `${target}?fieldManager=editor`, {
        body: { ...made.json, metadata, data: { x: '1', y: '2' } },
      }),
      200,
    );
    assert.deepEqual(ownersOf(replaced), {
      'editor Update': { 'f:data': { 'f:y': {} } },
      'git Apply': { 'f:data': { 'f:x': {} } },
    });
    // Sent back as it was read, it changes nothing.
    const same = await answered(server.call('PUT', target, { body: replaced.json }), 200);
    assert.deepEqual(same.json, replaced.json);
    const reset = [{ op: 'replace', path: '/metadata/managedFields', value: [{}] }];
    const empty = await answered(patch(server, target, reset, 'json-patch'), 200);
    assert.deepEqual(ownersOf(empty), {});
    const conflict = await answered(apply(server, target, configMap({ x: '2' }), 'git'), 409);
    assert.match(conflict.text, /before-first-apply/);
    const other = `${configMaps}/b`;
    await answered(apply(server, other, configMap({ x: '1' }, 'b'), 'git'), 201);
    // Nothing is no list: clients that know nothing of the record send it so.
    const kept = await answered(patch(server, other, { metadata: { managedFields: null } }), 200);
    assert.deepEqual(Object.keys(ownersOf(kept)), ['git Apply']);
    const body = { ...kept.json, metadata: { ...(kept.json as any).metadata, managedFields: [] } };
    const emptied = await answered(server.call('PUT', other, { body }), 200);
    assert.deepEqual(ownersOf(emptied), {});
  }));

test('parts of the server are tracked only where somebody else is, and are shown no owners', () =>
  withServer(async (server) => {
    const own: CallOptions = { as: 'controller' };
    await answered(
      server.call('POST', configMaps, { ...own, body: configMap({ x: '1' }, 'own') }),
      201,
    );
    assert.deepEqual(ownersOf(await server.call('GET', `${configMaps}/own`)), {});
    await answered(
      server.call('POST', deployments, { body: deployment(), headers: { 'user-agent': 'me' } }),
      201,
    );
    const headers = { 'content-type': 'application/merge-patch+json' };
    const body = { metadata: { annotations: { revision: '1' } } };
    const noted = await answered(
      server.call('PATCH', `${deployments}/web`, { ...own, body, headers }),
      200,
    );
    assert.equal((noted.json as any).metadata.managedFields, undefined);
    const list = await server.call('GET', deployments, own);
    assert.doesNotMatch(list.text, /managedFields/);
    const seen = ownersOf(await server.call('GET', `${deployments}/web`)) as any;
    assert.deepEqual(seen['test Update'], {
      'f:metadata': { 'f:annotations': { '.': {}, 'f:revision': {} } },
    });
    // Somebody else is the first to own anything of the server's object.
    await answered(patch(server, `${configMaps}/own`, { data: { y: '1' } }), 200);
    assert.deepEqual(ownersOf(await server.call('GET', `${configMaps}/own`)), {
      'before-first-apply Update': { 'f:data': { '.': {}, 'f:x': {} } },
      'tester Update': { 'f:data': { 'f:y': {} } },
    });
  }));

test('watches and lists show owners, tables do not', () =>
  withServer(async (server) => {
    await apply(server, `${configMaps}/a`, configMap({ x: '1' }), 'git');
    const watch = await server.watch(`${configMaps}?watch=true`);
    const [line] = await watch.lines(1);
    watch.close();
    assert.equal((line as any).object.metadata.managedFields[0].manager, 'git');
    const list = await server.call('GET', configMaps);
    assert.equal((list.json as any).items[0].metadata.managedFields[0].manager, 'git');
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const table = await server.call('GET', configMaps, { headers: { accept } });
    assert.doesNotMatch(table.text, /managedFields/);
  }));

test('a record of owners that cannot be read, or is too deep, changes nothing', () =>
  withServer(async (server) => {
    const target = `${configMaps}/a`;
    const deep = `{"a":`.repeat(300) + '1' + '}'.repeat(300);
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': deep };
    const body = { ...configMap({ x: '1' }), metadata: { name: 'a', annotations } };
    const made = await answered(server.call('POST', configMaps, { body }), 201);
    const conflict = await answered(apply(server, target, configMap({ x: '2' }), 'kubectl'), 409);
    assert.match(conflict.text, /\.data\.x/);
    const entry = (made.json as any).metadata.managedFields[0];
    const unreadable = [
      { ...entry, operation: 'Guess' },
      { ...entry, fieldsV1: { 'x:y': {} } },
      { ...entry, fieldsV1: { 'k:{': {} } },
    ];
    for (const wrong of unreadable) {
      const metadata = { ...(made.json as any).metadata, managedFields: [wrong] };
      const same = await server.call('PUT', target, { body: { ...made.json, metadata } });
      assert.deepEqual([same.status, same.json], [200, made.json]);
    }
  }));

test('whoever may write one object writes no other by a body that names it, whichever way', () =>
  withServer(async (server) => {
    const rules = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    const group = 'rbac.authorization.k8s.io';
    const verbs = ['get', 'create', 'update', 'patch'];
    const resources = ['secrets', 'deployments', 'deployments/scale', 'deployments/status'];
    const rule = { apiGroups: ['', 'apps'], resources, resourceNames: ['mine'], verbs };
    const meta = { apiVersion: `${group}/v1`, metadata: { name: 'only' } };
    const role = { ...meta, kind: 'Role', rules: [rule] };
    await answered(server.call('POST', `${rules}/roles`, { body: role }), 201);
    const subjects = [{ kind: 'User', name: 'bob' }];
    const roleRef = { apiGroup: group, kind: 'Role', name: 'only' };
    const binding = { ...meta, kind: 'RoleBinding', roleRef, subjects };
    await answered(server.call('POST', `${rules}/rolebindings`, { body: binding }), 201);
    const secrets = '/api/v1/namespaces/default/secrets';
    const secret = (metadata: JsonObject): JsonObject => ({
      ...{ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { a: '1' } },
    });
    const as = { name: 'bob', groups: [] };
    const write = (method: string, target: string, body: unknown, type = 'json') =>
      server.call(method, `${target}?fieldManager=bob`, {
        ...{ as, body, headers: { 'content-type': `application/${type}` } },
      });
    const applying = (body: unknown, target = `${secrets}/mine`) =>
      write('PATCH', target, body, 'apply-patch+yaml');
    const refuses = async (answer: Promise<Answer>, what: string): Promise<void> => {
      const { json } = await answered(answer, 400);
      assert.deepEqual([json['reason'], json['message']], ['BadRequest', what]);
    };
    const wrongName = 'the name of the object (not-mine) does not match the name on the URL (mine)';
    const wrongNamespace =
      'the namespace of the object (kube-system) does not match the namespace on the request (default)';
    const elsewhere = { name: 'mine', namespace: 'kube-system' };
    await refuses(applying(secret({ name: 'not-mine' })), wrongName);
    await refuses(applying(secret(elsewhere)), wrongNamespace);
    // A name that the server would make up is no other name than that of the address.
    const named = await answered(applying(secret({ name: '', generateName: 'any-' })), 201);
    assert.equal((named.json as any).metadata.name, 'mine');
    await refuses(applying(secret({ name: 'not-mine' })), wrongName);
    await refuses(write('PUT', `${secrets}/mine`, secret({ name: 'not-mine' })), wrongName);
    await refuses(write('PUT', `${secrets}/mine`, secret(elsewhere)), wrongNamespace);
    for (const [metadata, message] of [
      [{ name: 'not-mine' }, wrongName],
      [{ namespace: 'kube-system' }, wrongNamespace],
    ] as const) {
      const merge = write('PATCH', `${secrets}/mine`, { metadata }, 'merge-patch+json');
      await refuses(merge, message);
    }
    const move = [{ op: 'replace', path: '/metadata/name', value: 'not-mine' }];
    await refuses(write('PATCH', `${secrets}/mine`, move, 'json-patch+json'), wrongName);
    const listed = await server.call('GET', secrets);
    assert.deepEqual(
      (listed.json as any).items.map(({ metadata }: any) => metadata.name),
      ['mine'],
    );
    const web = { ...deployment(), metadata: { name: 'mine' } };
    await answered(server.call('POST', deployments, { body: web }), 201);
    const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', spec: { replicas: 2 } };
    const scales: [JsonObject, string][] = [
      [{ name: 'not-mine' }, wrongName],
      [elsewhere, wrongNamespace],
    ];
    for (const [metadata, message] of scales) {
      const body = { ...scale, metadata };
      await refuses(write('PUT', `${deployments}/mine/scale`, body), message);
      await refuses(applying(body, `${deployments}/mine/scale`), message);
      await refuses(applying({ ...web, metadata }, `${deployments}/mine/status`), message);
    }
  }));
