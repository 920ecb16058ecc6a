// Giving people and programs access, with the real kubectl: the commands of
// docs/operations/access.md, and what those who were given something can do then.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { blocksOf } from './helpers/documents.ts';
import { startFleet, type TestFleet } from './helpers/fleet.ts';
import { run } from './helpers/kubectl.ts';

let fleet: TestFleet;

before(async () => {
  fleet = await startFleet(['--nodes', '1']);
});

after(() => fleet.remove());

async function canI(words: readonly string[]): Promise<string> {
  const { stdout } = await fleet.kubectl.attempt(['auth', 'can-i', ...words]);
  return stdout.trim();
}

test('kubectl asks who it is and what it may do', async () => {
  const { kubectl } = fleet;
  const whoami = await kubectl.ok(['auth', 'whoami', '-o', 'json']);
  const { userInfo } = (JSON.parse(whoami) as { status: { userInfo: { groups: string[] } } })
    .status;
  assert.deepEqual(userInfo.groups, ['system:masters', 'system:authenticated']);
  assert.equal(await canI(['create', 'deployments']), 'yes');
  assert.equal(await canI(['create', 'deployments', '--as', 'ann']), 'no');
  assert.match(await kubectl.ok(['auth', 'can-i', '--list']), /\*\.\*\s+\[\]\s+\[\]\s+\[\*\]/);
  assert.match(
    await kubectl.ok(['auth', 'can-i', '--list', '--as', 'ann']),
    /selfsubjectreviews\.authentication\.k8s\.io\s+\[\]\s+\[\]\s+\[create\]/,
  );
});

test('the commands of docs/operations/access.md do what it says', async () => {
  const [block] = blocksOf('docs/operations/access.md');
  const env = { ...process.env, KUBECONFIG: fleet.kubeconfig };
  const { status, stdout, stderr } = await run('sh', ['-ec', block?.text ?? 'false'], { env });
  assert.equal(status, 0, stderr);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines[2], 'yes');
  assert.match(lines.at(-1) ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/, 'the token');
});

test('a person is given a role in a namespace, and can give on what it holds', async () => {
  const { kubectl } = fleet;
  await kubectl.ok(['create', 'namespace', 'shop']);
  await kubectl.ok([
    'create',
    'rolebinding',
    'ann-edits',
    '--clusterrole=edit',
    '--user=ann',
    '-n',
    'shop',
  ]);
  const ann = ['--as', 'ann', '-n', 'shop'];
  assert.equal(await canI(['create', 'deployments.apps', ...ann]), 'yes');
  assert.equal(await canI(['create', 'deployments.apps', '--as', 'ann']), 'no');
  assert.equal(await canI(['get', 'pods', '--subresource=log', ...ann]), 'yes');
  await kubectl.ok(['create', 'configmap', 'settings', '--from-literal=a=b', ...ann]);
  const refused = await kubectl.attempt([
    'create',
    'rolebinding',
    'more',
    '--clusterrole=cluster-admin',
    '--user=ann',
    ...ann,
  ]);
  assert.match(refused.stderr, /User "ann" cannot create resource "rolebindings"/);
  await kubectl.ok([
    'create',
    'rolebinding',
    'bert-administers',
    '--clusterrole=admin',
    '--user=bert',
    '-n',
    'shop',
  ]);
  const bert = ['--as', 'bert', '-n', 'shop'];
  await kubectl.ok([
    'create',
    'role',
    'reader',
    '--verb=get,list',
    '--resource=pods,pods/log',
    ...bert,
  ]);
  await kubectl.ok(['create', 'rolebinding', 'readers', '--role=reader', '--group=team', ...bert]);
  assert.equal(
    await canI(['list', 'pods', '--as', 'carl', '--as-group', 'team', '-n', 'shop']),
    'yes',
  );
  const upwards = await kubectl.attempt([
    'create',
    'rolebinding',
    'more',
    '--clusterrole=cluster-admin',
    '--user=bert',
    ...bert,
  ]);
  assert.match(upwards.stderr, /attempting to grant RBAC permissions not currently held/);
  assert.match(
    await kubectl.ok(['get', 'rolebindings', '-n', 'shop', '-o', 'wide']),
    /readers\s+Role\/reader\s+\d+s\s+team/,
  );
});

test('roles are made whole from a manifest, and aggregated by their labels', async () => {
  const { kubectl } = fleet;
  await kubectl.ok([
    'create',
    'clusterrole',
    'site-reader',
    '--verb=get,list,watch',
    '--resource=sites.selvage.dev',
  ]);
  await kubectl.ok([
    'create',
    'clusterrolebinding',
    'site-readers',
    '--clusterrole=site-reader',
    '--group=sites',
  ]);
  const asked = ['list', 'sites.selvage.dev', '--as', 'dora', '--as-group', 'sites'];
  assert.equal(await canI(asked), 'yes');
  const manifest = (verbs: string): string => `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: site-reader
  labels: { rbac.authorization.k8s.io/aggregate-to-view: "true" }
rules: [{ apiGroups: [selvage.dev], resources: [sites], verbs: [${verbs}] }]
`;
  assert.match(
    await kubectl.ok(['auth', 'reconcile', '-f', '-'], manifest('get, update')),
    /site-reader reconciled/,
  );
  const role = await kubectl.json<{ rules: { verbs: string[] }[] }>([
    'get',
    'clusterrole',
    'site-reader',
  ]);
  assert.deepEqual(role.rules.flatMap(({ verbs }) => verbs).toSorted(), [
    'get',
    'list',
    'update',
    'watch',
  ]);
  const view = ['get', 'clusterrole', 'view', '-o', 'jsonpath={.rules[*].apiGroups}'];
  for (let tries = 0; !(await kubectl.ok(view)).includes('selvage.dev'); tries += 1) {
    assert.ok(tries < 50, 'the role is part of view');
  }
});

test('a program uses the token of its ServiceAccount, until the account is deleted', async () => {
  const { kubectl } = fleet;
  await kubectl.ok(['create', 'serviceaccount', 'robot', '-n', 'shop']);
  await kubectl.ok([
    'create',
    'rolebinding',
    'robot-views',
    '--clusterrole=view',
    '--serviceaccount=shop:robot',
    '-n',
    'shop',
  ]);
  const token = (
    await kubectl.ok(['create', 'token', 'robot', '-n', 'shop', '--duration=20m'])
  ).trim();
  const ask = async (path: string): Promise<number> => await fetchTrusting(path, token);
  assert.equal(await ask('/api/v1/namespaces/shop/pods'), 200);
  assert.equal(await ask('/api/v1/namespaces/shop/secrets'), 403);
  assert.equal(await ask('/api/v1/namespaces/default/pods'), 403);
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } };
  const reviewed = await kubectl.ok(
    ['create', '-f', '-', '-o', 'jsonpath={.status.user.username}'],
    JSON.stringify(review),
  );
  assert.equal(reviewed, 'system:serviceaccount:shop:robot');
  assert.match(await kubectl.ok(['get', 'sa', '-n', 'shop']), /default\s+0[\s\S]*robot\s+0/);
  await kubectl.ok(['delete', 'serviceaccount', 'robot', '-n', 'shop']);
  assert.equal(await ask('/api/v1/namespaces/shop/pods'), 401);
});

/** Says what of the API it reaches with what it was given. */
const program = `
  import { readFileSync, statSync } from 'node:fs';
  import { request } from 'node:https';
  const folder = '/var/run/secrets/kubernetes.io/serviceaccount';
  const read = (name) => readFileSync(folder + '/' + name, 'utf8');
  const namespace = read('namespace');
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  const get = (path) => new Promise((resolve, reject) => {
    const headers = { authorization: 'Bearer ' + read('token') };
    request({ host, port, path, headers, ca: read('ca.crt') }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on('error', reject).end();
  });
  const pods = await get('/api/v1/namespaces/' + namespace + '/pods');
  const secrets = await get('/api/v1/namespaces/' + namespace + '/secrets');
  const mode = (statSync(folder + '/token').mode & 0o777).toString(8);
  console.log(JSON.stringify({ namespace, pods, secrets, mode }));`;

test('a pod uses the token of its ServiceAccount against the API, and default pods have none', async (context) => {
  const { kubectl } = fleet;
  const folder = mkdtempSync(join(tmpdir(), 'access-'));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'main.mjs'), program);
  const description = { name: 'asks:1', entrypoint: ['main.mjs'], include: ['main.mjs'] };
  writeFileSync(join(folder, 'image.json'), JSON.stringify(description));
  await fleet.pushImage(folder);
  await kubectl.ok(['create', 'serviceaccount', 'asks', '-n', 'shop']);
  const give = ['create', 'rolebinding', 'asks-views', '--clusterrole=view'];
  await kubectl.ok([...give, '--serviceaccount=shop:asks', '-n', 'shop']);
  const pod = (name: string, spec: object): string =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'shop' },
      spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'asks:1' }], ...spec },
    });
  await kubectl.ok(['create', '-f', '-'], pod('asks', { serviceAccountName: 'asks' }));
  await kubectl.ok(['create', '-f', '-'], pod('plain', {}));
  const refused = await kubectl.attempt(
    ['create', '-f', '-'],
    pod('x', { serviceAccountName: 'x' }),
  );
  assert.match(refused.stderr, /serviceaccount "x" not found/);
  const done = '--for=jsonpath={.status.phase}=Succeeded';
  await kubectl.ok(['wait', 'pod/asks', '-n', 'shop', done, '--timeout=30s']);
  assert.deepEqual(JSON.parse(await kubectl.ok(['logs', 'asks', '-n', 'shop'])), {
    namespace: 'shop',
    pods: 200,
    secrets: 403,
    mode: '600',
  });
  const failed = '--for=jsonpath={.status.phase}=Failed';
  await kubectl.ok(['wait', 'pod/plain', '-n', 'shop', failed, '--timeout=30s']);
  assert.match(await kubectl.ok(['logs', 'plain', '-n', 'shop']), /ENOENT|ERR_ACCESS_DENIED/);
});

test('a person asks for a certificate, an administrator approves it, and the person uses it', async (context) => {
  const { kubectl } = fleet;
  const folder = mkdtempSync(join(tmpdir(), 'access-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const key = join(folder, 'key.pem');
  const words = ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', key];
  const request = async (subject: string): Promise<string> => {
    const { status, stdout, stderr } = await run('openssl', [...words, '-subj', subject]);
    assert.equal(status, 0, stderr);
    return Buffer.from(stdout).toString('base64');
  };
  const ask = async (name: string, subject: string): Promise<void> => {
    const signerName = 'kubernetes.io/kube-apiserver-client';
    const spec = {
      request: await request(subject),
      signerName,
      usages: ['client auth'],
      expirationSeconds: 7_200,
    };
    const metadata = { name };
    const body = {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata,
      spec,
    };
    await kubectl.ok(['create', '-f', '-'], JSON.stringify(body));
  };
  await ask('root', '/CN=eve/O=system:masters');
  await kubectl.ok(['certificate', 'approve', 'root']);
  await kubectl.ok(['wait', 'csr/root', '--for=condition=Failed']);
  await ask('no', '/CN=eve');
  assert.match(await kubectl.ok(['certificate', 'deny', 'no']), /denied/);
  await ask('fay', '/CN=fay/O=team');
  await kubectl.ok(['certificate', 'approve', 'fay']);
  const certificate = ['get', 'csr', 'fay', '-o', 'jsonpath={.status.certificate}'];
  let given = '';
  for (let tries = 0; given === ''; tries += 1) {
    assert.ok(tries < 50, 'the certificate is issued');
    given = await kubectl.ok(certificate);
  }
  const listed = await kubectl.ok(['get', 'csr']);
  assert.match(listed, /^root .*Approved,Failed$/m);
  assert.match(listed, /^no .*Denied$/m);
  assert.match(listed, /^fay .*120m +Approved,Issued$/m);
  const file = join(folder, 'fay.pem');
  writeFileSync(file, Buffer.from(given, 'base64'));
  const own = ['--user', 'fay', '--client-certificate', file, '--client-key', key];
  const config = join(folder, 'kubeconfig');
  writeFileSync(config, readFileSync(fleet.kubeconfig));
  const set = await run('kubectl', [
    '--kubeconfig',
    config,
    'config',
    'set-credentials',
    'fay',
    ...own.slice(2),
    '--embed-certs',
  ]);
  assert.equal(set.status, 0, set.stderr);
  const asFay = await run('kubectl', ['--kubeconfig', config, '--user', 'fay', 'auth', 'whoami']);
  assert.match(asFay.stdout, /Username\s+fay\s+Groups\s+\[team system:authenticated\]/);
  const pods = await run('kubectl', [
    '--kubeconfig',
    config,
    '--user',
    'fay',
    'get',
    'pods',
    '-n',
    'shop',
  ]);
  assert.equal(pods.status, 0, 'the group team reads pods there');
});

/** The status of a GET with a bearer token and no certificate. */
async function fetchTrusting(path: string, token: string): Promise<number> {
  const { request } = await import('node:https');
  const config = await fleet.kubectl.json<{
    clusters: { cluster: { 'certificate-authority-data': string } }[];
  }>(['config', 'view', '--raw']);
  const ca = Buffer.from(config.clusters[0]?.cluster['certificate-authority-data'] ?? '', 'base64');
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    request({ host: '127.0.0.1', port: fleet.apiPort, path, headers, ca }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}
