// What a pod is given: its environment and its volumes, with the real kubectl. One fleet
// for the whole file.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, startFleet, type TestFleet } from './helpers/fleet.ts';

const image = 'pod-config:1';
const node = 'harbour-1';
/** Does to the file system what it is asked over HTTP, and says what came of it. */
const program = `
  import { createServer } from 'node:http';
  import { hostname } from 'node:os';
  import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
  const port = Number(process.argv[2] ?? 8080);
  const verbs = {
    env: () => ({ ...process.env, hostname: hostname(), directory: process.cwd() }),
    read: (path) => readFileSync(path, 'utf8'),
    list: (path) => readdirSync(path).filter((name) => !name.startsWith('..')).sort(),
    mode: (path) => (statSync(path).mode & 0o777).toString(8),
    write: (path, text) => writeFileSync(path, text) ?? 'done',
    fill: (path, text) => writeFileSync(path, Buffer.alloc(Number(text))) ?? 'done',
  };
  createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://pod');
    let answer;
    try { answer = { value: verbs[pathname.slice(1)](searchParams.get('path'), searchParams.get('text')) }; }
    catch (error) { answer = { error: error.code ?? String(error) }; }
    response.end(JSON.stringify(answer));
  }).listen(port, process.env.POD_IP);`;

interface Pod {
  metadata: { uid: string };
  status: {
    phase?: string;
    reason?: string;
    message?: string;
    podIP?: string;
    hostIP?: string;
    containerStatuses?: {
      name: string;
      state?: { waiting?: { reason: string; message: string }; running?: object };
    }[];
  };
}

let fleet: TestFleet;
const folder = mkdtempSync(join(tmpdir(), 'selvage-pod-config-'));
const shared = join(folder, 'shared');

before(async () => {
  mkdirSync(join(shared, 'data'), { recursive: true });
  writeFileSync(join(shared, 'data/note'), 'of the machine');
  symlinkSync('/etc', join(shared, 'link'));
  fleet = await startFleet(['--nodes', '1', '--heartbeat', '500ms', '--allow-host-path', shared]);
  mkdirSync(join(folder, 'image'));
  writeFileSync(join(folder, 'image/main.mjs'), program);
  const description = { name: image, entrypoint: ['main.mjs'], include: ['main.mjs'] };
  writeFileSync(join(folder, 'image/image.json'), JSON.stringify(description));
  await fleet.pushImage(join(folder, 'image'));
});

after(async () => {
  await fleet.remove();
  rmSync(folder, { recursive: true, force: true });
});

const apply = (object: object): Promise<string> =>
  fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(object));
const podOf = (name: string): Promise<Pod> => fleet.kubectl.json<Pod>(['get', 'pod', name]);

async function applyPod(name: string, container: object, spec: object = {}): Promise<void> {
  await apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name, tier: 'test' }, annotations: { note: 'a "word"' } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image, ...container }],
      ...spec,
    },
  });
}

async function waits(name: string, message: RegExp): Promise<void> {
  await eventually(`${name} waits`, 20_000, async () => {
    const waiting = (await podOf(name)).status.containerStatuses?.[0]?.state?.waiting;
    if (waiting?.reason !== 'CreateContainerConfigError') return undefined;
    assert.match(waiting.message, message);
    return true;
  });
  await eventually(`an event about ${name}`, 20_000, async () => {
    const about = ['get', 'events', '--field-selector', `involvedObject.name=${name},type=Warning`];
    return message.test(await fleet.kubectl.ok(about)) ? true : undefined;
  });
}

/** Asks the pod; waits until it answers at all. */
async function ask(
  name: string,
  verb: string,
  path = '',
  text = '',
  port = 8080,
  // oxlint-disable-next-line typescript/no-explicit-any -- what it answers depends on the verb
): Promise<any> {
  return eventually(`${name} answers`, 30_000, async () => {
    const { podIP } = (await podOf(name)).status;
    const words = new URLSearchParams({ path, text });
    const answer = await fetch(`http://${podIP}:${port}/${verb}?${words.toString()}`);
    return (await answer.json()) as object;
  });
}

async function remove(name: string): Promise<void> {
  await fleet.kubectl.ok(['delete', 'pod', name, '--wait=true']);
}

const configMap = (name: string, data: object) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
const secret = (name: string, stringData: object) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  stringData,
});

function podFolder(uid: string): string {
  return join(fleet.stateFolder, 'nodes', node, 'pods', uid);
}

test('the environment comes from everywhere it may come from', async () => {
  await apply(configMap('settings', { COLOUR: 'green', 'dotted.key': 'y' }));
  await apply(secret('access', { token: 'hush', user: 'me' }));
  await applyPod(
    'env',
    {
      resources: { limits: { memory: '64Mi', cpu: '250m' } },
      envFrom: [
        { configMapRef: { name: 'settings' } },
        { prefix: 'S_', secretRef: { name: 'access' } },
      ],
      env: [
        { name: 'COLOUR_AGAIN', value: 'not $(COLOUR) but $$(COLOUR)' },
        { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'access', key: 'token' } } },
        { name: 'ONE', valueFrom: { configMapKeyRef: { name: 'settings', key: 'dotted.key' } } },
        {
          name: 'NONE',
          valueFrom: { configMapKeyRef: { name: 'absent', key: 'x', optional: true } },
        },
        { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'SPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
        { name: 'UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'HOST_IP', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
        {
          name: 'MEMORY',
          valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } },
        },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
      ],
      workingDir: '/etc',
    },
    { hostname: 'a-name-of-its-own' },
  );
  const { value } = await ask('env', 'env');
  const { metadata, status } = await podOf('env');
  const expected = {
    COLOUR: 'green',
    S_token: 'hush',
    S_user: 'me',
    COLOUR_AGAIN: 'not green but $(COLOUR)',
    TOKEN: 'hush',
    ONE: 'y',
    NAME: 'env',
    SPACE: 'default',
    UID: metadata.uid,
    APP: 'env',
    NODE: node,
    IP: status.podIP,
    HOST_IP: status.hostIP,
    MEMORY: '64',
    hostname: 'a-name-of-its-own',
    directory: '/etc',
    CPU: '250',
  };
  const found = Object.fromEntries(Object.keys(expected).map((name) => [name, value[name]]));
  assert.deepEqual(found, expected);
  assert.equal('NONE' in value, false);
  assert.equal('dotted.key' in value, false);
  await eventually('the key that names no variable is told', 20_000, async () => {
    const about = ['get', 'events', '--field-selector', 'involvedObject.name=env,type=Warning'];
    return /dotted\.key.*skipped/.test(await fleet.kubectl.ok(about)) ? true : undefined;
  });
  await remove('env');
});

test('a container waits for what it names, says what is missing, and starts when it is there', async () => {
  const variable = { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'later', key: 'token' } } };
  await applyPod('waits', { env: [variable] });
  await waits('waits', /secret "later" not found/);
  await apply(secret('later', { other: 'x' }));
  await waits('waits', /couldn't find key token in Secret default\/later/);
  await apply(secret('later', { token: 'now' }));
  assert.equal((await ask('waits', 'env')).value.TOKEN, 'now');
  await remove('waits');
  const mount = { volumeMounts: [{ name: 'v', mountPath: '/etc/v' }] };
  await applyPod('mounts', mount, { volumes: [{ name: 'v', configMap: { name: 'coming' } }] });
  await waits('mounts', /volume "v": configmap "coming" not found/);
  await apply(configMap('coming', { key: 'here' }));
  assert.equal((await ask('mounts', 'read', '/etc/v/key')).value, 'here');
  await remove('mounts');
});

test('files of ConfigMaps and Secrets follow the objects, and cannot be written', async () => {
  await apply(configMap('page', { 'index.html': 'one', footer: 'x' }));
  await apply(secret('key', { 'tls.key': 'private' }));
  const mounts = [
    { name: 'page', mountPath: '/app/site' },
    { name: 'page', mountPath: '/etc/fixed', subPath: 'index.html' },
    { name: 'all', mountPath: '/etc/all' },
  ];
  const sources = [
    { secret: { name: 'key', items: [{ key: 'tls.key', path: 'tls/key', mode: 0o400 }] } },
    { configMap: { name: 'page', items: [{ key: 'footer', path: 'footer' }] } },
    { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
  ];
  await applyPod(
    'files',
    { volumeMounts: mounts },
    {
      volumes: [
        { name: 'page', configMap: { name: 'page' } },
        { name: 'all', projected: { sources } },
      ],
    },
  );
  assert.deepEqual((await ask('files', 'list', '/app/site')).value, ['footer', 'index.html']);
  assert.deepEqual((await ask('files', 'list', '/app')).value, ['main.mjs', 'site']);
  assert.equal((await ask('files', 'read', '/etc/fixed')).value, 'one');
  assert.equal((await ask('files', 'read', '/etc/all/tls/key')).value, 'private');
  assert.equal((await ask('files', 'mode', '/etc/all/tls/key')).value, '400');
  assert.match((await ask('files', 'read', '/etc/all/labels')).value, /^app="files"$/m);
  assert.deepEqual(await ask('files', 'write', '/app/site/new', 'x'), {
    error: 'ERR_ACCESS_DENIED',
  });
  // On the node nobody else may read it.
  const { uid } = (await podOf('files')).metadata;
  assert.equal(statSync(podFolder(uid)).mode & 0o077, 0);
  await apply(configMap('page', { 'index.html': 'two', footer: 'x', added: 'y' }));
  await fleet.kubectl.ok(['label', 'pod', 'files', 'extra=yes']);
  await eventually('the change is seen', 15_000, async () => {
    const now = (await ask('files', 'read', '/app/site/index.html')).value;
    return now === 'two' ? true : undefined;
  });
  assert.deepEqual((await ask('files', 'list', '/app/site')).value, [
    'added',
    'footer',
    'index.html',
  ]);
  assert.equal((await ask('files', 'read', '/etc/fixed')).value, 'one', 'as it was at the start');
  await eventually('the label is seen', 15_000, async () => {
    return (
      /^extra="yes"$/m.test((await ask('files', 'read', '/etc/all/labels')).value) || undefined
    );
  });
  // The object goes; what was mounted stays.
  await fleet.kubectl.ok(['delete', 'configmap', 'page']);
  assert.equal((await ask('files', 'read', '/app/site/index.html')).value, 'two');
  await remove('files');
  await eventually(
    'nothing of it is left',
    10_000,
    async () => !existsSync(podFolder(uid)) || undefined,
  );
});

test('a node has the objects that its pods name, and keeps volumes over a new agent', async () => {
  await apply(secret('named', { token: 'known-to-the-node' }));
  await apply(secret('unnamed', { token: 'unknown-to-the-node' }));
  const mounts = [
    { name: 'secret', mountPath: '/etc/secret' },
    { name: 'ram', mountPath: '/ram' },
  ];
  const volumes = [
    { name: 'secret', secret: { secretName: 'named' } },
    { name: 'ram', emptyDir: { medium: 'Memory' } },
  ];
  await applyPod('lasts', { volumeMounts: mounts }, { volumes });
  assert.equal((await ask('lasts', 'read', '/etc/secret/token')).value, 'known-to-the-node');
  assert.equal((await ask('lasts', 'write', '/ram/note', 'kept')).value, 'done');
  const nodeFolder = join(fleet.stateFolder, 'nodes', node);
  const holds = (text: string): boolean => {
    const encoded = Buffer.from(text).toString('base64');
    const found = spawnSync('grep', ['-rlF', '-e', encoded, '-e', text, nodeFolder]);
    return found.status === 0;
  };
  assert.deepEqual([holds('known-to-the-node'), holds('unknown-to-the-node')], [true, false]);

  assert.equal((await fleet.selvage(['lab', 'kill', `agent/${node}`])).status, 0);
  await apply(secret('named', { token: 'changed-meanwhile' }));
  assert.equal((await ask('lasts', 'read', '/etc/secret/token')).value, 'known-to-the-node');
  assert.equal((await fleet.selvage(['lab', 'start', `agent/${node}`])).status, 0);
  await eventually('the new agent brings the change', 20_000, async () => {
    const { value } = await ask('lasts', 'read', '/etc/secret/token');
    return value === 'changed-meanwhile' ? true : undefined;
  });
  assert.equal((await ask('lasts', 'read', '/ram/note')).value, 'kept');
  await remove('lasts');
});

test('an empty folder is shared by the containers of a pod, held to its size, and lost with it', async () => {
  const data = {
    volumeMounts: [
      { name: 'data', mountPath: '/data' },
      { name: 'ram', mountPath: '/ram' },
    ],
  };
  const spec = {
    containers: [
      { name: 'main', image, ...data },
      {
        name: 'other',
        image,
        args: ['8081'],
        volumeMounts: [{ name: 'data', mountPath: '/in', readOnly: true }],
      },
    ],
    volumes: [
      { name: 'data', emptyDir: { sizeLimit: '1Mi' } },
      { name: 'ram', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    ],
  };
  await applyPod('shares', {}, spec);
  assert.equal((await ask('shares', 'write', '/data/note', 'hello')).value, 'done');
  assert.equal((await ask('shares', 'read', '/in/note', '', 8081)).value, 'hello');
  assert.equal((await ask('shares', 'write', '/in/note', 'no', 8081)).error, 'ERR_ACCESS_DENIED');
  assert.equal((await ask('shares', 'fill', '/ram/big', String(2 * 1024 * 1024))).error, 'ENOSPC');
  const { uid } = (await podOf('shares')).metadata;
  await remove('shares');
  await eventually('it is gone', 20_000, async () => !existsSync(podFolder(uid)) || undefined);
  await applyPod('shares', {}, spec);
  assert.deepEqual((await ask('shares', 'list', '/data')).value, []);
  assert.equal((await ask('shares', 'fill', '/data/big', String(3 * 1024 * 1024))).value, 'done');
  const evicted = await eventually('it has to go', 40_000, async () => {
    const pod = await podOf('shares');
    return pod.status.phase === 'Failed' ? pod : undefined;
  });
  assert.equal(evicted.status.reason, 'Evicted');
  assert.match(evicted.status.message ?? '', /EmptyDir volume "data" exceeds the limit "1Mi"/);
  await remove('shares');
});

test('paths of the node are shown where its operator said so, and nowhere else', async () => {
  const mount = { volumeMounts: [{ name: 'host', mountPath: '/host' }] };
  const host = (path: string, type?: string) => ({
    volumes: [{ name: 'host', hostPath: { path, ...(type === undefined ? {} : { type }) } }],
  });
  const refused: readonly [string, string, string | undefined, RegExp][] = [
    ['etc', '/etc', undefined, /hostPath \/etc is not allowed on this node \(only below/],
    ['linked', join(shared, 'link'), undefined, /leads through the link/],
    ['typed', join(shared, 'data'), 'File', /is a directory, not a file/],
    ['absent', join(shared, 'nothing'), 'Directory', /is not a directory/],
  ];
  for (const [name, path, type, expected] of refused) {
    await applyPod(name, mount, host(path, type));
    await waits(name, expected);
    await remove(name);
  }
  await applyPod('host', mount, host(join(shared, 'data')));
  assert.equal((await ask('host', 'read', '/host/note')).value, 'of the machine');
  await remove('host');
  await applyPod('made', mount, host(join(shared, 'made'), 'DirectoryOrCreate'));
  assert.equal((await ask('made', 'write', '/host/kept', 'yes')).value, 'done');
  await remove('made');
  assert.deepEqual(readdirSync(join(shared, 'made')), ['kept'], 'it outlives the pod');
});

test('what cannot be is refused at once, field by field', async () => {
  const cases: readonly [object, object, RegExp][] = [
    [
      { volumeMounts: [{ name: 'v', mountPath: '/v', subPath: '../../etc' }] },
      { volumes: [{ name: 'v' }] },
      /volumeMounts\[0\]\.subPath.*without '\.\.'/,
    ],
    [{}, { volumes: [{ name: 'v' }, { name: 'v' }] }, /volumes\[1\].*Duplicate value/],
    [{}, { initContainers: [{ name: 'main', image }] }, /Duplicate value: "main"/],
    [{}, { setHostnameAsFQDN: true }, /field "spec.setHostnameAsFQDN" is not supported yet/],
    [{ securityContext: { privileged: true } }, {}, /privileged.*is not supported yet/],
    [{ envFrom: [{ configMapRef: {} }] }, {}, /configMapRef\.name: Required/],
  ];
  for (const [container, spec, expected] of cases) {
    const object = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'wrong' },
      spec: { containers: [{ name: 'main', image, ...container }], ...spec },
    };
    const { status, stderr } = await fleet.kubectl.attempt(
      ['create', '-f', '-'],
      JSON.stringify(object),
    );
    assert.notEqual(status, 0);
    assert.match(stderr, expected);
  }
  const large = await fleet.kubectl.attempt(
    ['create', '-f', '-'],
    JSON.stringify(configMap('large', { key: 'x'.repeat(1024 * 1024 + 1) })),
  );
  assert.match(large.stderr, /may not be more than 1048576 bytes/);
  // Just within the limit it comes to the node whole, as a file; it is too large for a variable.
  await fleet.kubectl.ok(
    ['create', '-f', '-'],
    JSON.stringify(configMap('large', { key: 'x'.repeat(1024 * 1024) })),
  );
  await applyPod('long', { envFrom: [{ configMapRef: { name: 'large' } }] });
  await waits('long', /variable key has 1048580 bytes.*mount it as a file/);
  await remove('long');
  const volumes = [{ name: 'v', configMap: { name: 'large' } }];
  await applyPod('long', { volumeMounts: [{ name: 'v', mountPath: '/etc/v' }] }, { volumes });
  assert.equal((await ask('long', 'read', '/etc/v/key')).value.length, 1024 * 1024);
  await remove('long');
});
