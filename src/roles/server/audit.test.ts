import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuditEvent } from '#platform/audit/mod.ts';
import { inProcessAddress } from '#platform/io/mod.ts';
import { auditedAddress } from './audited-address.ts';
import { withServer } from './harness.contract.ts';

const secretWord = 'hunter2-correct-horse';
const configMaps = '/api/v1/namespaces/default/configmaps';

function bareOf({ auditID, requestReceivedTimestamp, stageTimestamp, ...rest }: AuditEvent) {
  assert.match(auditID, /^[0-9a-f]{8}-\d+$/);
  for (const time of [requestReceivedTimestamp, stageTimestamp]) {
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  }
  return rest;
}

describe('what goes into the audit log', () => {
  it('says who created what from where, with the id of the answer', () =>
    withServer(async (server) => {
      const { audited } = server;
      const answer = await server.call('POST', `${configMaps}?fieldManager=kubectl-create`, {
        headers: { 'user-agent': 'kubectl/v1.32.0' },
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'web-' } },
      });
      const [event] = audited;
      assert.ok(event !== undefined && audited.length === 1);
      assert.equal(event.auditID, answer.headers['audit-id']);
      const { metadata } = answer.json as { metadata: { name: string } };
      assert.deepEqual(bareOf(event), {
        kind: 'Event',
        apiVersion: 'audit.k8s.io/v1',
        level: 'Metadata',
        stage: 'ResponseComplete',
        requestURI: `${configMaps}?fieldManager=kubectl-create`,
        verb: 'create',
        user: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
        sourceIPs: ['127.0.0.1'],
        userAgent: 'kubectl/v1.32.0',
        objectRef: {
          resource: 'configmaps',
          namespace: 'default',
          name: metadata.name,
          apiVersion: 'v1',
        },
        responseStatus: { metadata: {}, code: 201 },
        annotations: {
          'authorization.k8s.io/decision': 'allow',
          'authorization.k8s.io/reason': 'the group system:masters may do everything',
        },
      });
    }));

  it('says what was refused, to whom and why, also to nobody and to our own parts', () =>
    withServer(async (server) => {
      const { audited } = server;
      await server.call('DELETE', '/api/v1/namespaces/default/secrets/token', { as: 'viewer' });
      await server.call('GET', '/api/v1/pods', { as: 'nobody' });
      await server.call('GET', '/api/v1/pods', { as: 'stranger', from: inProcessAddress });
      await server.call('GET', '/no/such/path');
      const told = audited.map(({ user, verb, responseStatus, annotations, objectRef }) => [
        user.username,
        verb,
        objectRef?.resource ?? '',
        responseStatus.code,
        annotations['authorization.k8s.io/decision'] ?? '',
      ]);
      assert.deepEqual(told, [
        ['eve', 'delete', 'secrets', 403, 'forbid'],
        ['system:anonymous', 'list', 'pods', 401, 'forbid'],
        ['bob', 'list', 'pods', 403, 'forbid'],
        ['admin', 'get', '', 404, ''],
      ]);
      const [first] = audited;
      assert.match(
        first?.annotations['authorization.k8s.io/reason'] ?? '',
        /^secrets "token" is forbidden: User "eve" cannot delete resource/,
      );
    }));

  it('records what a listener refused for its certificate, as asked by nobody', () =>
    withServer(async (server) => {
      server.server.refused({
        ...{ method: 'GET', path: '/api/v1/secrets', query: 'token=abc', headers: {} },
        ...{ remoteAddress: '192.0.2.9', why: 'it was revoked' },
      });
      const told = server.audited.map(({ user, sourceIPs, requestURI, annotations }) => [
        user.username,
        sourceIPs,
        requestURI,
        annotations['authorization.k8s.io/reason'],
      ]);
      assert.deepEqual(told, [
        ['system:anonymous', ['192.0.2.9'], '/api/v1/secrets?token=*', 'it was revoked'],
      ]);
    }));

  it('records a watch when it begins and when it has ended', () =>
    withServer(async (server) => {
      const { audited } = server;
      const opened = await server.watch('/api/v1/configmaps?watch=true&resourceVersion=1');
      assert.deepEqual(
        audited.map(({ verb, stage }) => [verb, stage]),
        [['watch', 'ResponseStarted']],
      );
      opened.close();
      assert.deepEqual(
        audited.map(({ stage, responseStatus }) => [stage, responseStatus.code]),
        [
          ['ResponseStarted', 200],
          ['ResponseComplete', 200],
        ],
      );
      assert.equal(audited[0]?.auditID, audited[1]?.auditID);
    }));

  it('leaves out health, and what our own parts read and report, and counts it', () =>
    withServer(async (server) => {
      const { audited, audit } = server;
      const own = { as: 'controller', from: inProcessAddress } as const;
      await server.call('GET', '/readyz');
      await server.call('GET', '/metrics');
      await server.call('GET', configMaps, own);
      assert.deepEqual([audited.length, audit.omitted], [0, 3]);
      await server.call('GET', configMaps, { as: 'controller' });
      await server.call('DELETE', `${configMaps}/gone`, own);
      assert.deepEqual(
        audited.map(({ verb, user }) => [verb, user.username]),
        [
          ['list', 'system:controller:test'],
          ['delete', 'system:controller:test'],
        ],
      );
    }));

  it('holds no value of a secret, however it was sent', () =>
    withServer(async (server) => {
      const { audited } = server;
      const secrets = '/api/v1/namespaces/default/secrets';
      const data = { password: Buffer.from(secretWord).toString('base64') };
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'db' }, data };
      await server.call('POST', secrets, { body: secret });
      await server.call('POST', secrets, {
        body: { ...secret, stringData: { password: secretWord } },
      });
      await server.call('PUT', `${secrets}/db`, { body: { ...secret, type: secretWord } });
      await server.call('PATCH', `${secrets}/db`, {
        body: { stringData: { password: secretWord } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
      await server.call('GET', `${secrets}/db`, {
        headers: { authorization: `Bearer ${secretWord}` },
      });
      await server.call('GET', `${secrets}?fieldSelector=data.password%3D${secretWord}`);
      await server.call(
        'GET',
        `${secrets}?continue=${secretWord}&token=${secretWord}&${secretWord}`,
      );
      const exec = '/api/v1/namespaces/default/pods/web/exec';
      await server.call(
        'POST',
        `${exec}?container=web&command=psql&command=-p${secretWord}&stdin=true`,
      );
      assert.equal(audited.length, 8);
      const text = JSON.stringify(audited);
      assert.equal(text.includes(secretWord), false, text);
      assert.equal(text.includes(data.password), false);
      assert.ok(text.includes(`${exec}?container=web&command=psql&command=*&stdin=true`));
    }));
});

describe('auditedAddress', () => {
  it('keeps selectors by name and drops the values of content', () => {
    const cases: Readonly<Record<string, string>> = {
      'fieldSelector=metadata.name%3Dweb': 'fieldSelector=metadata.name%3Dweb',
      'fieldSelector=data.key%3Dvalue%2Ctype%21%3DOpaque':
        'fieldSelector=data.key%3D*%2Ctype!%3DOpaque',
      'fieldSelector=%zz': 'fieldSelector=*',
      'labelSelector=app%3Dweb&limit=500': 'labelSelector=app%3Dweb&limit=500',
      'continue=0b1.7&watch': 'continue=*&watch',
      'a%20b=c': '*=*',
    };
    for (const [query, expected] of Object.entries(cases)) {
      assert.equal(auditedAddress('/api/v1/secrets', query), `/api/v1/secrets?${expected}`);
    }
  });

  it('is bounded', () => {
    assert.equal(auditedAddress(`/${'x'.repeat(9_000)}`, '').length, 2049);
  });
});
