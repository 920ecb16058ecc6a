/** Joining, renewing and revoking through the real server's handler. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNodeKeys } from '#platform/io/node/mod.ts';
import { type Answer, type TestServer, withServer } from '../harness.contract.ts';

const keys = createNodeKeys();
const racersMax = 10_000;
const group = '/apis/selvage.dev/v1';

/** Well signed, by a key of a curve that is not issued for. */
const requestOfCurve384 = `-----BEGIN CERTIFICATE REQUEST-----
MIIBEDCBmAIBADAZMRcwFQYDVQQDDA5zeXN0ZW06bm9kZTpuMTB2MBAGByqGSM49
AgEGBSuBBAAiA2IABBxok4qZw5veNbIV2+MQmHVbfWtHmIxDSqDOcyOHeYq6oQhO
gZmqjDCyZTaxTEauodGF9L2UsN+wHx/gIjA5Pb+VcMzSQDj57WgiCpDonqon78Mp
hFXCzqU6iQva3c13S6AAMAoGCCqGSM49BAMCA2cAMGQCMCKyPBd90GYQbF4dNSPY
oEoqrNaWfcya1hIvzXieL9Y01x2OSqeT4L3Q2bxl8CrM2AIwJD9R36werPfTKjB2
p+XODznxuVtqULVyY7Uq1cAnfKwisok0WJRHDq72yixMAVOA
-----END CERTIFICATE REQUEST-----
`;

async function newRequest(): Promise<string> {
  const subject = { commonName: 'system:node:any', organizations: [] };
  return keys.createRequest(await keys.createKeyPair(), subject);
}

function textField(answer: Answer | undefined, field: string): string {
  const value = answer?.json[field];
  assert.ok(typeof value === 'string', field);
  return value;
}

async function newToken(server: TestServer): Promise<string> {
  for (const [plural, kind, spec] of [
    ['regions', 'Region', {}],
    ['sites', 'Site', { region: 'north' }],
  ] as const) {
    const name = plural === 'regions' ? 'north' : 'oslo';
    const body = { apiVersion: 'selvage.dev/v1', kind, metadata: { name }, spec };
    const { status } = await server.call('POST', `${group}/${plural}`, { body });
    assert.ok(status === 201 || status === 409);
  }
  const made = await server.call('POST', `${group}/jointokens`, { body: { site: 'oslo' } });
  assert.equal(made.status, 201);
  return textField(made, 'token');
}

test('of 10,000 racing uses of one token exactly one makes a node', () =>
  withServer(async (server) => {
    const token = await newToken(server);
    const requests = await Promise.all(Array.from({ length: 50 }, newRequest));
    const answers = await Promise.all(
      Array.from({ length: racersMax }, (_, index) =>
        server.call('POST', `${group}/nodejoins`, {
          as: 'nobody',
          headers: { authorization: `Bearer ${token}` },
          // Keys and names are shared in many ways, but no two ask for the same.
          body: {
            nodeName: `racer-${Math.floor(index / requests.length)}`,
            certificateRequestPem: requests[index % requests.length],
          },
        }),
      ),
    );
    const counts = new Map<number, number>();
    for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
    assert.deepEqual(Object.fromEntries(counts), { 201: 1, 401: racersMax - 1 });
    assert.equal(server.store.list('nodes').length, 1);
    const winner = answers.find((answer) => answer.status === 201);
    const [node] = server.store.list('nodes');
    const { subject } = keys.readCertificate(textField(winner, 'certificatePem'));
    assert.equal(subject.commonName, `system:node:${node?.key.name}`);
  }));

test('a node renews without credentials; revoking is a matter of administrators, and ends it', () =>
  withServer(async (server) => {
    const body = { nodeName: 'node-7', certificateRequestPem: await newRequest() };
    const joined = await server.call('POST', `${group}/nodejoins`, {
      as: 'nobody',
      headers: { authorization: `Bearer ${await newToken(server)}` },
      body,
    });
    assert.equal(joined.status, 201);
    const renew = () => server.call('POST', `${group}/noderenewals`, { as: 'nobody', body });
    assert.equal((await renew()).status, 201);

    const revoke = (as: 'admin' | 'viewer' | 'node-1' | 'nobody', of: object) =>
      server.call('POST', `${group}/noderevocations`, { as, body: of });
    const revocation = { nodeName: 'node-7', reason: 'stolen' };
    assert.deepEqual(
      [
        (await revoke('nobody', revocation)).status,
        (await revoke('viewer', revocation)).status,
        (await revoke('node-1', revocation)).status,
        (await revoke('admin', { nodeName: 'node-7', reson: 'stolen' })).status,
        (await revoke('admin', { nodeName: 'node-7', reason: 7 })).status,
        (await revoke('admin', { reason: 'stolen' })).status,
        (await revoke('admin', { nodeName: 'never' })).status,
      ],
      [401, 403, 403, 400, 400, 400, 404],
    );
    const tried = await server.call('POST', `${group}/noderevocations?dryRun=All`, {
      body: revocation,
    });
    assert.deepEqual(
      [tried.status, tried.json['message']],
      [
        400,
        'dryRun in the query is not supported by this request, which would take effect: leave it out',
      ],
    );
    assert.equal((await renew()).status, 201);
    const done = await revoke('admin', revocation);
    assert.deepEqual([done.status, done.json['reason']], [201, 'stolen']);
    const refused = await renew();
    assert.equal(refused.status, 401);
    assert.match(textField(refused, 'message'), /node node-7 was revoked/);
    const shown = await server.call('GET', '/api/v1/nodes/node-7');
    assert.match(shown.text, /"selvage.dev\/revoked":/);
    assert.match(shown.text, /"unschedulable":true/);
  }));

test('a request over a key that cannot be certified is refused and the token stays good', () =>
  withServer(async (server) => {
    const headers = { authorization: `Bearer ${await newToken(server)}` };
    const joinWith = (certificateRequestPem: string) =>
      server.call('POST', `${group}/nodejoins`, {
        as: 'nobody',
        headers,
        body: { nodeName: 'n1', certificateRequestPem },
      });
    const refused = await joinWith(requestOfCurve384);
    assert.equal(refused.status, 422);
    assert.match(textField(refused, 'message'), /its key is not one of the curve P-256/);
    assert.equal((await joinWith(await newRequest())).status, 201);
  }));
