// What must be refused: a clear error, nothing stored, the server unharmed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createNodeKeys } from '#platform/io/node/mod.ts';
import { startFleet, type TestFleet } from './helpers/fleet.ts';
import {
  type ClientCertificate,
  type RawAnswer,
  type RawApi,
  rawApiFor,
} from './helpers/raw-api.ts';

let fleet: TestFleet;
let api: RawApi;

before(async () => {
  fleet = await startFleet(['--nodes', '2']);
  api = rawApiFor(fleet.kubeconfig);
});

after(async () => {
  await fleet.remove();
});

const configMaps = '/api/v1/namespaces/default/configmaps';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const strict = '?fieldValidation=Strict';

function configMap(data: string): string {
  return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bad"},"data":${data}}`;
}

function deployment(change: (spec: Record<string, unknown>) => void): string {
  const spec: Record<string, unknown> = {
    replicas: 1,
    selector: { matchLabels: { app: 'bad' } },
    template: {
      metadata: { labels: { app: 'bad' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    },
  };
  change(spec);
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'bad' },
    spec,
  });
}

interface Case {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Buffer;
  readonly contentType?: string;
  readonly status: number;
  readonly says: RegExp;
}

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

const cases: readonly Case[] = [
  {
    name: 'no JSON at all',
    path: configMaps,
    body: 'hello',
    status: 400,
    says: /JSON|position|line/i,
  },
  { name: 'cut JSON', path: configMaps, body: '{"kind":', status: 400, says: /JSON|end/i },
  {
    name: 'a number where an object belongs',
    path: configMaps,
    body: '7',
    status: 400,
    says: /object/,
  },
  { name: 'an empty body', path: configMaps, body: '', status: 400, says: /body|empty|end/i },
  {
    name: 'bytes that are not UTF-8',
    path: configMaps,
    body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]),
    status: 400,
    says: /UTF-8/,
  },
  {
    name: 'another kind than the path has',
    path: configMaps,
    body: configMap('{}').replace('ConfigMap', 'Secret'),
    status: 400,
    says: /Secret.*ConfigMap|ConfigMap.*Secret/,
  },
  {
    name: 'an unknown field',
    path: deployments + strict,
    body: deployment((spec) => {
      spec['replica'] = 2;
    }),
    status: 400,
    says: /spec\.replica\b/,
  },
  {
    name: 'an unknown field deep inside',
    path: deployments + strict,
    body: deployment((spec) => {
      (spec['template'] as { spec: { containers: object[] } }).spec.containers[0] = {
        name: 'c',
        image: 'i',
        imagee: 'x',
      };
    }),
    status: 400,
    says: /spec\.template\.spec\.containers\[0\]\.imagee/,
  },
  {
    name: 'text where a number belongs',
    path: deployments,
    body: deployment((spec) => {
      spec['replicas'] = 'two';
    }),
    status: 422,
    says: /spec\.replicas.*whole number/,
  },
  {
    name: 'negative replicas',
    path: deployments,
    body: deployment((spec) => {
      spec['replicas'] = -1;
    }),
    status: 422,
    says: /spec\.replicas.*greater than or equal to 0/,
  },
  {
    name: 'a missing required field',
    path: deployments,
    body: deployment((spec) => {
      delete spec['selector'];
    }),
    status: 422,
    says: /spec\.selector.*[Rr]equired/,
  },
  {
    name: 'a selector that does not match the template',
    path: deployments,
    body: deployment((spec) => {
      spec['selector'] = { matchLabels: { app: 'other' } };
    }),
    status: 422,
    says: /spec\.template\.metadata\.labels/,
  },
  {
    name: 'a name that is no DNS name',
    path: configMaps,
    body: configMap('{}').replace('"bad"', '"Not_A_Name"'),
    status: 422,
    says: /metadata\.name.*lower/,
  },
  {
    name: '300 KiB of annotations',
    path: configMaps,
    body: configMap('{}').replace(
      '"name":"bad"',
      `"name":"bad","annotations":{"a":"${'x'.repeat(300 * 1024)}"}`,
    ),
    status: 422,
    says: /metadata\.annotations.*262144/,
  },
  {
    name: 'a body of 10 MB',
    path: configMaps,
    body: configMap(`{"a":"${'x'.repeat(10_000_000)}"}`),
    status: 413,
    says: /limit of \d+ bytes/,
  },
  {
    name: '2,000 levels of nesting',
    path: configMaps,
    body: configMap(nested(2_000)),
    status: 400,
    says: /nest|deep|levels/,
  },
  {
    name: '200,000 levels of nesting',
    path: configMaps,
    body: nested(200_000),
    status: 400,
    says: /nest|deep|levels/,
  },
  {
    name: 'a __proto__ key',
    path: configMaps,
    body: configMap('{"__proto__":"x"}'),
    status: 400,
    says: /__proto__/,
  },
  {
    name: 'the same key twice',
    path: configMaps + strict,
    body: configMap('{"a":"1","a":"2"}'),
    status: 400,
    says: /data\.a|duplicate/,
  },
  {
    name: 'an integer that JSON readers round',
    path: deployments,
    body: deployment(() => {}).replace('"replicas":1', '"replicas":9007199254740993'),
    status: 400,
    says: /9007199254740993|2\^53|integer/,
  },
  {
    name: 'protobuf that breaks off',
    path: configMaps,
    body: Buffer.from('k8s\0xx'),
    contentType: 'application/vnd.kubernetes.protobuf',
    status: 400,
    says: /protobuf/,
  },
  {
    name: 'protobuf of a kind that is read as JSON only',
    path: configMaps,
    body: Buffer.from('k8s\0\n\r\n\u0002v1\u0012\u0007Unknown'),
    contentType: 'application/vnd.kubernetes.protobuf',
    status: 415,
    says: /read as JSON/,
  },
  {
    name: 'an unknown media type',
    path: configMaps,
    body: 'a',
    contentType: 'text/plain',
    status: 415,
    says: /text\/plain/,
  },
  {
    name: 'an unknown resource',
    method: 'GET',
    path: '/api/v1/namespaces/default/unicorns',
    status: 404,
    says: /./,
  },
  {
    name: 'an unknown group',
    method: 'GET',
    path: '/apis/nobody.example/v1/things',
    status: 404,
    says: /./,
  },
  {
    name: 'a method that nothing has here',
    method: 'PATCH',
    path: configMaps,
    body: '{}',
    contentType: 'application/merge-patch+json',
    status: 405,
    says: /PATCH|method/i,
  },
  {
    name: 'a namespace that does not exist',
    path: '/api/v1/namespaces/nowhere/configmaps',
    body: configMap('{}'),
    status: 404,
    says: /nowhere/,
  },
  {
    name: 'a selector that does not parse',
    method: 'GET',
    path: `${configMaps}?labelSelector=a%20in%20(`,
    status: 400,
    says: /selector/i,
  },
  {
    name: 'a watch from the future',
    method: 'GET',
    path: `${configMaps}?watch=true&resourceVersion=999999999`,
    status: 504,
    says: /resource ?version/i,
  },
  {
    name: 'a resourceVersion that is no number',
    method: 'GET',
    path: `${configMaps}?resourceVersion=abc`,
    status: 400,
    says: /resourceVersion/,
  },
  {
    name: 'a path that is not percent-encoded right',
    method: 'GET',
    path: '/api/v1/namespaces/%zz',
    status: 400,
    says: /./,
  },
];

for (const item of cases) {
  test(`${item.name} is answered ${item.status}`, async () => {
    const answer = await api.send(item.method ?? 'POST', item.path, {
      ...(item.body === undefined ? {} : { body: item.body }),
      ...(item.contentType === undefined ? {} : { contentType: item.contentType }),
    });
    assert.equal(answer.status, item.status, answer.text.slice(0, 500));
    const status = JSON.parse(answer.text) as { kind: string; message: string; code: number };
    assert.equal(status.kind, 'Status');
    assert.equal(status.code, item.status);
    assert.match(JSON.stringify(status), item.says);
    assert.ok(status.message.length < 5_000, 'an error is not an echo of its input');
  });
}

test('kubectl passes the errors on with the field and the mend', async () => {
  const manifest = deployment((spec) => {
    spec['replicas'] = -3;
    spec['strateggy'] = {};
  });
  const unknown = await fleet.kubectl.attempt(['apply', '-f', '-'], manifest);
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /strateggy/);
  const negative = await fleet.kubectl.attempt(
    ['apply', '-f', '-'],
    manifest.replace('"strateggy":{}', '"paused":false'),
  );
  assert.equal(negative.status, 1);
  assert.match(negative.stderr, /spec\.replicas: Invalid value.*greater than or equal to 0/);
  const kind = await fleet.kubectl.attempt(
    ['apply', '-f', '-'],
    '{"apiVersion":"v1","kind":"Unicorn","metadata":{"name":"a"}}',
  );
  assert.equal(kind.status, 1);
  assert.match(kind.stderr, /Unicorn/);
});

/** A client certificate for any name from an authority that the server does not know. */
async function foreignCertificate(
  commonName: string,
  organization: string,
): Promise<ClientCertificate> {
  const keys = createNodeKeys();
  const now = Date.now();
  const profile = {
    dnsNames: [],
    ipAddresses: [],
    uris: [],
    notBeforeMs: now - 60_000,
    notAfterMs: now + 3_600_000,
  };
  const authorityKeys = await keys.createKeyPair();
  const authorityPem = await keys.issueAuthority(
    {
      ...profile,
      subject: { commonName: 'selvage', organizations: [] },
      serialNumber: '01',
      usage: 'authority',
    },
    authorityKeys,
  );
  const pair = await keys.createKeyPair();
  const cert = await keys.issueCertificate(
    {
      ...profile,
      subject: { commonName, organizations: [organization] },
      serialNumber: '02',
      usage: 'client',
    },
    pair.publicKeyPem,
    { certificatePem: authorityPem, privateKeyPem: authorityKeys.privateKeyPem },
  );
  return { cert, key: pair.privateKeyPem };
}

function refused(answer: RawAnswer): void {
  // Refused in the handshake (no HTTP answer) or with 401: never anonymous, never believed.
  assert.ok(answer.status === 0 || answer.status === 401, `${answer.status} ${answer.text}`);
}

test("another authority's administrator is nobody here", async () => {
  const certificate = await foreignCertificate('admin', 'system:masters');
  refused(await api.send('GET', '/api/v1/nodes', { certificate }));
  refused(await api.send('GET', '/version', { certificate }));
});

test('without a certificate only the health and the version are told', async () => {
  for (const path of ['/readyz', '/healthz', '/livez', '/version']) {
    assert.equal((await api.send('GET', path, { certificate: 'none' })).status, 200, path);
  }
  for (const path of ['/api/v1/nodes', '/api/v1/secrets', '/openapi/v3', '/v2/_catalog']) {
    const { status } = await api.send('GET', path, { certificate: 'none' });
    assert.ok(status === 401 || status === 403, `${path} ${status}`);
  }
});

test("a node reads its own objects and nobody else's", async () => {
  const folder = join(fleet.stateFolder, 'nodes', 'harbour-1', 'identity');
  const certificate = {
    cert: readFileSync(join(folder, 'certificate.pem'), 'utf8'),
    key: readFileSync(join(folder, 'key.pem'), 'utf8'),
  };
  const get = async (path: string): Promise<number> =>
    (await api.send('GET', path, { certificate })).status;
  assert.equal(await get('/api/v1/nodes/harbour-1'), 200);
  assert.deepEqual(
    {
      anotherNode: await get('/api/v1/nodes/mill-1'),
      allNodes: await get('/api/v1/nodes'),
      allSecrets: await get('/api/v1/secrets'),
      allPods: await get('/api/v1/pods'),
      podsOfAnother: await get('/api/v1/pods?fieldSelector=spec.nodeName%3Dmill-1'),
      podsOfItsOwn: await get('/api/v1/pods?fieldSelector=spec.nodeName%3Dharbour-1'),
    },
    {
      anotherNode: 403,
      allNodes: 403,
      allSecrets: 403,
      allPods: 403,
      podsOfAnother: 403,
      podsOfItsOwn: 200,
    },
  );
  const stolen = await api.send('DELETE', '/api/v1/nodes/harbour-1', { certificate });
  assert.equal(stolen.status, 403);
  const written = await api.send('POST', configMaps, { certificate, body: configMap('{}') });
  assert.equal(written.status, 403);
});

test('a join token that was never given out joins nobody', async () => {
  const answer = await api.send('POST', '/apis/selvage.dev/v1/nodejoins', {
    certificate: 'none',
    body: '{"nodeName":"thief","certificateRequestPem":"x"}',
  });
  assert.equal(answer.status, 401, answer.text);
});

test('nothing of all that was stored, and the server is as it was', async () => {
  assert.equal((await fleet.kubectl.attempt(['get', 'configmap', 'bad'])).status, 1);
  assert.equal((await fleet.kubectl.attempt(['get', 'deployment', 'bad'])).status, 1);
  assert.equal((await api.send('GET', '/readyz')).status, 200);
  const accepted = await api.send('POST', configMaps, { body: configMap('{"a":"1"}') });
  assert.equal(accepted.status, 201);
});
