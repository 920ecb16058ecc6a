import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { type Answer, type CallOptions, type TestServer, withServer } from '../harness.contract.ts';

const ann = { name: 'ann', groups: ['team'] };
const accounts = '/api/v1/namespaces/default/serviceaccounts';
const authentication = '/apis/authentication.k8s.io/v1';
const authorization = '/apis/authorization.k8s.io/v1';

async function withAccount(run: (server: TestServer) => Promise<void>): Promise<void> {
  await withServer(async (server) => {
    const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } };
    assert.equal((await server.call('POST', accounts, { body })).status, 201);
    await bindRole(server, 'view', { kind: 'ServiceAccount', name: 'robot', namespace: 'default' });
    await run(server);
  });
}

async function bindRole(server: TestServer, role: string, subject: JsonObject): Promise<void> {
  const body = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { generateName: 'given-' },
    roleRef: { kind: 'ClusterRole', name: role },
    subjects: [subject],
  };
  const path = '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings';
  assert.equal((await server.call('POST', path, { body })).status, 201);
}

function requestToken(server: TestServer, spec: JsonObject = {}, query = ''): Promise<Answer> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  return server.call('POST', `${accounts}/robot/token${query}`, { body });
}

async function tokenOf(server: TestServer, spec: JsonObject = {}): Promise<string> {
  const { json } = await requestToken(server, spec);
  assert.ok(isJsonObject(json['status']));
  return json['status']['token'] as string;
}

function bearing(token: string): CallOptions {
  return { as: 'nobody', headers: { authorization: `Bearer ${token}` } };
}

async function ask(
  server: TestServer,
  path: string,
  kind: string,
  spec: JsonObject | undefined,
  options: CallOptions = {},
): Promise<JsonObject> {
  const apiVersion = path.slice('/apis/'.length).split('/').slice(0, 2).join('/');
  const body = { apiVersion, kind, ...(spec === undefined ? {} : { spec }) };
  const { status, json } = await server.call('POST', path, { ...options, body });
  assert.equal(status, 201, JSON.stringify(json));
  return json['status'] as JsonObject;
}

const pods = '/api/v1/namespaces/default/pods';

test('a ServiceAccount is who its token says, for as long as both are there', () =>
  withAccount(async (server) => {
    const token = await tokenOf(server);
    const robot = bearing(token);
    assert.equal((await server.call('GET', pods, robot)).status, 200);
    assert.equal((await server.call('GET', '/api/v1/nodes', robot)).status, 403);
    const { userInfo } = await ask(
      server,
      `${authentication}/selfsubjectreviews`,
      'SelfSubjectReview',
      undefined,
      robot,
    );
    assert.ok(isJsonObject(userInfo));
    assert.equal(userInfo['username'], 'system:serviceaccount:default:robot');
    assert.deepEqual(userInfo['groups'], [
      'system:serviceaccounts',
      'system:serviceaccounts:default',
      'system:authenticated',
    ]);
    // One letter of what was signed, or of the signature, is another.
    const [head = '', body = '', signature = ''] = token.split('.');
    const turned = (text: string): string => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
    for (const wrong of [
      'x',
      `${head}.${body}`,
      `${turned(head)}.${body}.${signature}`,
      `${head}.${turned(body)}.${signature}`,
      `${head}.${body}.${turned(signature)}`,
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`,
      'x'.repeat(9_000),
    ]) {
      const answer = await server.call('GET', pods, bearing(wrong));
      assert.equal(answer.status, 401, wrong.slice(0, 40));
      if (wrong.length > 10) assert.ok(!answer.text.includes(wrong), 'no token in a message');
    }
    await server.call('DELETE', `${accounts}/robot`);
    assert.equal((await server.call('GET', pods, robot)).status, 401);
    const again = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } };
    await server.call('POST', accounts, { body: again });
    assert.equal((await server.call('GET', pods, robot)).status, 401, 'another of that name');
  }));

test('a token is for its audience alone, and ends with the pod that it is bound to', () =>
  withAccount(async (server) => {
    const other = await tokenOf(server, { audiences: ['vault'] });
    assert.equal((await server.call('GET', pods, bearing(other))).status, 401);
    const review = (spec: JsonObject): Promise<JsonObject> =>
      ask(server, `${authentication}/tokenreviews`, 'TokenReview', spec);
    const found = await review({ token: other, audiences: ['vault', 'more'] });
    assert.deepEqual([found['authenticated'], found['audiences']], [true, ['vault']]);
    assert.equal((await review({ token: other }))['authenticated'], false);
    const refused = await requestToken(server, { expirationSeconds: 10 });
    assert.equal(refused.status, 422);
    assert.match(refused.text, /spec.expirationSeconds/);

    const bound = { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' } };
    assert.equal((await requestToken(server, bound)).status, 404);
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { serviceAccountName: 'robot', containers: [{ name: 'c', image: 'i' }] },
    };
    assert.equal((await server.call('POST', pods, { body: pod })).status, 201);
    const ofPod = await tokenOf(server, bound);
    assert.equal((await server.call('GET', pods, bearing(ofPod))).status, 200);
    await server.call('DELETE', `${pods}/p?gracePeriodSeconds=0`);
    const gone = await server.call('GET', pods, bearing(ofPod));
    assert.equal(gone.status, 401);
    assert.match(gone.text, /the Pod that the token was made for has been deleted/);
  }));

test('a dry run is told what a token would be like, and gets none', () =>
  withAccount(async (server) => {
    const asked = { audiences: ['vault'], expirationSeconds: 365 * 24 * 3600 };
    const dry = await requestToken(server, asked, '?dryRun=All');
    const wet = await requestToken(server, asked);
    assert.deepEqual([dry.status, wet.status], [201, 201]);
    const { status: given, ...rest } = wet.json;
    assert.match(JSON.stringify(given), /"token":"[^"]{100,}"/);
    assert.deepEqual(dry.json, { ...rest, status: { token: '', expirationTimestamp: null } });
    const absent = { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'absent' } };
    assert.deepEqual(
      [
        (await requestToken(server, { expirationSeconds: 10 }, '?dryRun=All')).status,
        (await requestToken(server, absent, '?dryRun=All')).status,
        (await requestToken(server, {}, '?dryRun=Some')).status,
        (await server.call('POST', `${accounts}/absent/token?dryRun=All`, { body: dry.json }))
          .status,
      ],
      [422, 404, 400, 404],
    );
  }));

test('others find the keys where the discovery document says, and it takes a role to look', () =>
  withAccount(async (server) => {
    const robot = bearing(await tokenOf(server));
    const document = await server.call('GET', '/.well-known/openid-configuration', robot);
    const issuer = 'https://kubernetes.default.svc';
    assert.deepEqual(
      [document.json['issuer'], document.json['jwks_uri']],
      [issuer, `${issuer}/openid/v1/jwks`],
    );
    const [key] = (await server.call('GET', '/openid/v1/jwks', robot)).text.matchAll(
      /"kty":"(\w+)","crv":"(P-256)"/g,
    );
    assert.deepEqual(key?.slice(1), ['EC', 'P-256']);
    assert.equal((await server.call('GET', '/openid/v1/jwks', { as: ann })).status, 403);
  }));

test('what the reviews of access say is what the door does', () =>
  withAccount(async (server) => {
    const robot = bearing(await tokenOf(server));
    const canI = async (
      attributes: JsonObject,
      options: CallOptions,
    ): Promise<Json | undefined> => {
      const path = `${authorization}/selfsubjectaccessreviews`;
      const spec = { resourceAttributes: attributes };
      return (await ask(server, path, 'SelfSubjectAccessReview', spec, options))['allowed'];
    };
    const list = { verb: 'list', resource: 'pods', namespace: 'default' };
    assert.deepEqual(
      [
        await canI(list, robot),
        await canI({ ...list, verb: 'create' }, robot),
        await canI(list, { as: ann }),
        await canI(list, { as: 'viewer' }),
        await canI({ verb: '*', group: '*', resource: '*' }, { as: 'admin' }),
        await canI({ verb: 'get', resource: 'nodes', name: 'node-1' }, { as: 'node-1' }),
        await canI({ verb: 'get', resource: 'nodes', name: 'node-2' }, { as: 'node-1' }),
      ],
      [true, false, false, true, true, true, false],
    );
    const about = { user: 'system:serviceaccount:default:robot', resourceAttributes: list };
    const subject = await ask(
      server,
      `${authorization}/subjectaccessreviews`,
      'SubjectAccessReview',
      about,
    );
    assert.match(
      JSON.stringify(subject),
      /^\{"allowed":true,"reason":"RBAC: allowed by RoleBinding /,
    );
    const local = `${authorization}/namespaces/default/localsubjectaccessreviews`;
    const elsewhere = { ...about, resourceAttributes: { ...list, namespace: 'kube-system' } };
    assert.equal((await ask(server, local, 'LocalSubjectAccessReview', about))['allowed'], true);
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'LocalSubjectAccessReview',
      spec: elsewhere,
    };
    assert.equal((await server.call('POST', local, { body })).status, 422);
    const rules = async (options: CallOptions): Promise<JsonObject> =>
      ask(
        server,
        `${authorization}/selfsubjectrulesreviews`,
        'SelfSubjectRulesReview',
        { namespace: 'default' },
        options,
      );
    assert.match(JSON.stringify(await rules(robot)), /"pods\/log"/);
    assert.doesNotMatch(JSON.stringify(await rules({ as: 'viewer' })), /"secrets"/);
    assert.match(JSON.stringify(await rules({ as: 'viewer' })), /"deployments\/scale"/);
    assert.equal((await rules({ as: 'node-1' }))['incomplete'], true);
  }));

test('acting for another takes the verb impersonate on every name that is taken on', () =>
  withAccount(async (server) => {
    const as = (user: string, more: Record<string, string> = {}): Record<string, string> => {
      return { 'impersonate-user': user, ...more };
    };
    const who = async (
      headers: Record<string, string>,
      asker: CallOptions = {},
    ): Promise<Answer> => {
      const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
      return server.call('POST', `${authentication}/selfsubjectreviews`, {
        ...asker,
        body,
        headers: { ...asker.headers, ...headers },
      });
    };
    const ofAdmin = await who(
      as('bert', { 'impersonate-group': 'one, two', 'impersonate-extra-a%2fb': 'c' }),
    );
    assert.match(
      ofAdmin.text,
      /"username":"bert","groups":\["one","two","system:authenticated"\],"extra":\{"a\/b":\["c"\]\}/,
    );
    const headers = as('bert');
    assert.equal((await server.call('GET', pods, { headers })).status, 403);
    const robot = as('system:serviceaccount:default:robot');
    assert.equal((await server.call('GET', pods, { headers: robot })).status, 200);
    assert.match((await who(robot)).text, /"system:serviceaccounts:default"/);
    // Who may edit a namespace may act for its ServiceAccounts, and for nobody else.
    await bindRole(server, 'edit', { kind: 'User', name: 'ann' });
    assert.equal((await who(robot, { as: ann })).status, 201);
    const refused = await who(as('root', { 'impersonate-group': 'system:masters' }), { as: ann });
    assert.equal(refused.status, 403);
    assert.match(refused.text, /cannot impersonate resource \\"users\\"/);
    const upwards = await who({ ...robot, 'impersonate-group': 'system:masters' }, { as: ann });
    assert.match(upwards.text, /cannot impersonate resource \\"groups\\"/);
    assert.equal((await who({ 'impersonate-group': 'system:masters' }, { as: ann })).status, 400);
    assert.equal((await who(as('root'), { as: 'nobody' })).status, 403);
  }));
