import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, utf8 } from '#base/mod.ts';
import { base64Of } from '#platform/api/mod.ts';
import { type CallOptions, type TestServer, withServer } from '../harness.contract.ts';

const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const ann = { name: 'ann', groups: ['team'] };
const pem = '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n';
const userSigner = 'kubernetes.io/kube-apiserver-client';

function requestOf(name: string, spec: JsonObject = {}): JsonObject {
  const asked = { request: base64Of(utf8(pem)), signerName: userSigner, usages: ['client auth'] };
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name },
    spec: { ...asked, ...spec },
  };
}

async function give(server: TestServer, rules: JsonObject[]): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const name = `r${server.store.revision}`;
  const role = { apiVersion, kind: 'ClusterRole', metadata: { name }, rules };
  assert.equal((await server.call('POST', `${rbac}/clusterroles`, { body: role })).status, 201);
  const binding = {
    apiVersion,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { kind: 'ClusterRole', name },
    subjects: [{ kind: 'User', name: 'ann' }],
  };
  const bound = await server.call('POST', `${rbac}/clusterrolebindings`, { body: binding });
  assert.equal(bound.status, 201);
}

const group = 'certificates.k8s.io';

function condition(type: string): JsonObject {
  return { type, status: 'True', reason: 'Test', message: 'because' };
}

async function patch(
  server: TestServer,
  target: string,
  status: JsonObject,
  options: CallOptions = {},
): Promise<number> {
  const headers = { 'content-type': 'application/merge-patch+json' };
  const answer = await server.call('PATCH', `${path}/${target}`, {
    ...options,
    body: { status },
    headers,
  });
  return answer.status;
}

test('a request says who asked, whatever its body says, and what is asked cannot be changed', () =>
  withServer(async (server) => {
    await give(server, [
      { verbs: ['*'], apiGroups: [group], resources: ['certificatesigningrequests'] },
    ]);
    const forged = requestOf('a', { username: 'root', groups: ['system:masters'], uid: 'x' });
    const made = await server.call('POST', path, { as: ann, body: forged });
    assert.equal(made.status, 201, made.text);
    const { username, groups, uid } = made.json['spec'] as JsonObject;
    assert.deepEqual([username, groups, uid], ['ann', ['team', 'system:authenticated'], undefined]);
    const headers = { 'content-type': 'application/merge-patch+json' };
    const body = { spec: { username: 'root' } };
    const changed = await server.call('PATCH', `${path}/a`, { as: ann, body, headers });
    assert.equal(changed.status, 422);
    for (const [spec, expected] of [
      [{ request: 'AAAA' }, /spec.request: Invalid value/],
      [{ usages: ['server auth'] }, /spec.usages\[0\]/],
      [{ usages: [] }, /spec.usages: Required/],
      [{ expirationSeconds: 60 }, /spec.expirationSeconds/],
    ] as const) {
      const answer = await server.call('POST', path, {
        body: requestOf('b', spec as unknown as JsonObject),
      });
      assert.equal(answer.status, 422);
      assert.match(answer.text, expected);
    }
  }));

test('approving and signing each take their own verb on the signer, and happen once', () =>
  withServer(async (server) => {
    await server.call('POST', path, { body: requestOf('a') });
    const resources = ['certificatesigningrequests/approval', 'certificatesigningrequests/status'];
    await give(server, [{ verbs: ['patch'], apiGroups: [group], resources }]);
    const approved = { conditions: [condition('Approved')] };
    assert.equal(
      await patch(server, 'a/approval', approved, { as: ann }),
      403,
      'without the verb approve',
    );
    await give(server, [
      {
        verbs: ['approve'],
        apiGroups: [group],
        resources: ['signers'],
        resourceNames: ['kubernetes.io/*'],
      },
    ]);
    assert.equal(
      await patch(server, 'a/status', approved, { as: ann }),
      403,
      'not through its status',
    );
    const both = { conditions: [condition('Approved'), condition('Denied')] };
    assert.equal(await patch(server, 'a/approval', both, { as: ann }), 422);
    assert.equal(await patch(server, 'a/approval', approved, { as: ann }), 200);
    assert.equal(
      await patch(server, 'a/approval', { conditions: [condition('Denied')] }),
      403,
      'for good',
    );
    const certificate = base64Of(utf8('x'));
    assert.equal(await patch(server, 'a/approval', { certificate }, { as: ann }), 403);
    assert.equal(
      await patch(server, 'a/status', { certificate }, { as: ann }),
      403,
      'without the verb sign',
    );
    assert.equal(await patch(server, 'a/status', { certificate }), 200);
    assert.equal(
      await patch(server, 'a/status', { certificate: base64Of(utf8('y')) }),
      403,
      'for good',
    );
  }));
