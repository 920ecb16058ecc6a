// The real kubectl against a server: apply on the server with other managers beside it, the way
// there from apply on the client, patches and edits by patch keys, and watches over a kill.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, projectFolder } from './helpers/fleet.ts';
import { type Kubectl, kubectlFor, kubectlPath, run } from './helpers/kubectl.ts';

const apiPort = 20_200 + (process.pid % 400) * 2;
const folder = mkdtempSync(join(tmpdir(), 'selvage-apply-'));
const kubeconfig = join(folder, 'kubeconfig');
let server: ChildProcess;
let kubectl: Kubectl;

async function startServer(): Promise<void> {
  server = spawn(
    join(projectFolder, 'selvage'),
    [
      'server',
      ...['--state', folder],
      ...['--api', `127.0.0.1:${apiPort}`],
      ...['--link', `127.0.0.1:${apiPort + 1}`],
    ],
    { stdio: 'ignore' },
  );
  await eventually('the server', 60_000, async () => {
    if (!existsSync(kubeconfig)) return undefined;
    kubectl ??= kubectlFor(kubeconfig);
    await kubectl.ok(['get', '--raw', '/readyz']);
    return true;
  });
}

async function killServer(): Promise<void> {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await ended;
}

before(startServer);

after(async () => {
  await killServer();
  rmSync(folder, { recursive: true, force: true });
});

interface Owned {
  metadata: {
    managedFields?: { manager: string; operation: string; subresource?: string }[];
    finalizers?: string[];
  };
  spec: {
    replicas: number;
    strategy: object;
    template: { spec: { containers: { name: string; image: string; env?: object[] }[] } };
  };
}

const manifest = (name: string, replicas: number, containers: readonly object[]): string =>
  JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers } },
    },
  });

const container = (name: string, image: string, more: object = {}) => ({ name, image, ...more });

async function read(name: string): Promise<Owned> {
  return await kubectl.json<Owned>(['get', 'deployment', name, '--show-managed-fields']);
}

/** Without the parts of the server, whose turn comes when it comes. */
async function managersOf(name: string): Promise<string[]> {
  const { managedFields = [] } = (await read(name)).metadata;
  return managedFields
    .filter(({ manager }) => manager !== 'deployment-controller')
    .map(({ manager, operation, subresource }) =>
      `${manager} ${operation} ${subresource ?? ''}`.trim(),
    )
    .toSorted();
}

async function imagesOf(name: string): Promise<string[]> {
  const { containers } = (await read(name)).spec.template.spec;
  return containers.map((one) => `${one.name}=${one.image}`);
}

const serverSide = ['apply', '--server-side', '-f', '-'];

test('kubectl applies on the server, is told whose fields it would take, and takes them when forced', async () => {
  const wanted = manifest('web', 2, [container('c', 'nothing:1'), container('d', 'nothing:1')]);
  assert.equal(await kubectl.ok(serverSide, wanted), 'deployment.apps/web serverside-applied\n');
  await kubectl.ok(serverSide, wanted);
  assert.deepEqual(await managersOf('web'), ['kubectl Apply']);
  assert.doesNotMatch(
    await kubectl.ok(['get', 'deployment', 'web', '-o', 'yaml']),
    /managedFields/,
  );

  await kubectl.ok(['scale', 'deployment', 'web', '--replicas=0']);
  const refused = await kubectl.attempt(serverSide, wanted);
  assert.notEqual(refused.status, 0);
  assert.match(
    refused.stderr,
    /Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps\/v1: \.spec\.replicas/,
  );
  const other = manifest('web', 0, [container('c', 'other:2')]);
  const both = await kubectl.attempt([...serverSide, '--field-manager=other'], other);
  assert.match(both.stderr, /conflict with "kubectl": .*containers\[name="c"\]\.image/);
  const diff = await kubectl.attempt(
    ['diff', '--server-side', '--force-conflicts', '-f', '-'],
    wanted,
  );
  assert.match(diff.stdout, /^-  replicas: 0\n\+  replicas: 2/m);
  await kubectl.ok([...serverSide, '--force-conflicts'], wanted);
  assert.deepEqual(await managersOf('web'), ['kubectl Apply']);
  // Left to whoever scales: the field stays as it is.
  const unscaled = JSON.parse(wanted) as { spec: { replicas?: number } };
  await kubectl.ok(['scale', 'deployment', 'web', '--replicas=0']);
  delete unscaled.spec.replicas;
  await kubectl.ok(serverSide, JSON.stringify(unscaled));
  assert.equal((await read('web')).spec.replicas, 0);
});

test('kubectl apply goes over to the server side and back, and what it leaves out goes', async () => {
  const env = [
    { name: 'A', value: '1' },
    { name: 'B', value: '2' },
  ];
  const first = manifest('old', 0, [
    container('c', 'nothing:1', { env }),
    container('d', 'nothing:1'),
  ]);
  await kubectl.ok(['apply', '-f', '-'], first);
  assert.deepEqual(await managersOf('old'), ['kubectl-client-side-apply Update']);
  const less = manifest('old', 0, [container('c', 'nothing:2', { env: env.slice(0, 1) })]);
  await kubectl.ok(serverSide, less);
  // kubectl gives up for this time where the controller writes between its look and its patch.
  await eventually('the fields to be handed over', 20_000, async () => {
    const managers = await managersOf('old');
    if (managers.includes('kubectl-client-side-apply Update')) {
      await kubectl.ok(serverSide, less);
      throw new Error(managers.join());
    }
    assert.deepEqual(managers, ['kubectl Apply', 'kubectl-last-applied Apply']);
    return true;
  });
  const [only, ...others] = (await read('old')).spec.template.spec.containers;
  assert.deepEqual([only?.image, only?.env, others], ['nothing:2', env.slice(0, 1), []]);

  const back = manifest('old', 0, [container('c', 'nothing:3')]);
  await kubectl.ok(['apply', '-f', '-'], back);
  const [again] = (await read('old')).spec.template.spec.containers;
  assert.deepEqual([again?.image, again?.env], ['nothing:3', undefined]);
});

test('patches, set and edit change the entries of lists that they name, and directives are followed', async () => {
  const spec = (part: object): string =>
    JSON.stringify({ spec: { template: { spec: { containers: part } } } });
  const patch = (body: string): Promise<string> =>
    kubectl.ok(['patch', 'deployment', 'parts', '-p', body]);
  await kubectl.ok(
    ['create', '-f', '-'],
    manifest('parts', 0, [container('c', 'nothing:1'), container('d', 'nothing:1')]),
  );
  await patch(spec([container('e', 'e:1'), { name: 'c', env: [{ name: 'A', value: '1' }] }]));
  assert.deepEqual((await imagesOf('parts')).toSorted(), ['c=nothing:1', 'd=nothing:1', 'e=e:1']);
  await patch(spec([{ name: 'e', $patch: 'delete' }]));
  await kubectl.ok(['set', 'image', 'deployment/parts', 'c=new:3']);
  await kubectl.ok(['set', 'env', 'deployment/parts', '-c', 'c', 'A-', 'B=2']);
  assert.deepEqual(await imagesOf('parts'), ['c=new:3', 'd=nothing:1']);
  const [changed] = (await read('parts')).spec.template.spec.containers;
  assert.deepEqual(changed?.env, [{ name: 'B', value: '2' }]);

  await patch(JSON.stringify({ spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }));
  assert.deepEqual((await read('parts')).spec.strategy, { type: 'Recreate' });
  await patch(JSON.stringify({ metadata: { finalizers: ['x.io/a', 'x.io/b'] } }));
  const finalizers = {
    '$deleteFromPrimitiveList/finalizers': ['x.io/a'],
    '$setElementOrder/finalizers': ['x.io/c', 'x.io/b'],
    finalizers: ['x.io/c'],
  };
  await patch(JSON.stringify({ metadata: finalizers }));
  assert.deepEqual((await read('parts')).metadata.finalizers, ['x.io/c', 'x.io/b']);
  await patch(spec([{ $patch: 'replace' }, container('only', 'x:1')]));
  assert.deepEqual(await imagesOf('parts'), ['only=x:1']);
  const editor = join(folder, 'editor.sh');
  writeFileSync(editor, '#!/bin/sh\nexec sed -i s/x:1/y:2/ "$1"\n', { mode: 0o755 });
  const edited = await run(kubectlPath(), ['edit', 'deployment', 'parts'], {
    env: { ...process.env, KUBECONFIG: kubeconfig, EDITOR: editor },
  });
  assert.equal(edited.status, 0, edited.stderr);
  assert.deepEqual(await imagesOf('parts'), ['only=y:2']);
  const wrong = await kubectl.attempt([
    ...['patch', 'deployment', 'parts', '-p'],
    JSON.stringify({ metadata: { $patch: 'nonsense' } }),
  ]);
  assert.match(wrong.stderr, /must be replace, delete or merge/);
  await patch(JSON.stringify({ metadata: { finalizers: null } }));
});

test('lists in pieces are whole, and what was applied and who owns it is there after a kill', async () => {
  const before = await managersOf('web');
  const configMaps = Array.from({ length: 7 }, (_, index) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `piece-${index}`, labels: { set: 'pieces' } },
  }));
  await kubectl.ok(
    serverSide,
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: configMaps }),
  );
  const names = ['get', 'configmaps', '-l', 'set in (pieces),!gone', '-o', 'name'];
  const lines = (await kubectl.ok([...names, '--chunk-size=3'])).trim().split('\n');
  assert.equal(lines.length, 7);
  const rest = ['--field-selector', 'metadata.name!=piece-3'];
  assert.equal((await kubectl.ok([...names, ...rest])).trim().split('\n').length, 6);

  await killServer();
  await startServer();
  assert.deepEqual(await managersOf('web'), before);
  const watched = kubectl.follow(['get', 'configmaps', '-w', '-l', 'set=pieces', '-o', 'name']);
  await eventually('what there is', 20_000, async () =>
    watched.lines.length >= 7 ? true : undefined,
  );
  await kubectl.ok(['label', 'configmap', 'piece-3', 'set=other', '--overwrite']);
  await kubectl.ok(['label', 'configmap', 'piece-4', 'seen=yes']);
  await eventually('both changes', 20_000, async () =>
    watched.lines.length >= 9 ? true : undefined,
  );
  await watched.close();
});
