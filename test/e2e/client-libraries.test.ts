// Clients that people already have, unmodified: the JavaScript and the Python library of
// Kubernetes against one fleet. Typed calls, informers that live over a killed server and
// over a history that no longer reaches back, leader election, ways into pods.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import {
  AppsV1Api,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  Exec,
  KubeConfig,
  makeInformer,
  PatchStrategy,
  PortForward,
  setHeaderOptions,
  VersionApi,
  V1MicroTime,
  type V1ConfigMap,
  type V1Lease,
  type V1Status,
} from '@kubernetes/client-node';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';
import { run } from './helpers/kubectl.ts';

let fleet: TestFleet;
let relay: Relay;

interface Relay {
  readonly port: number;
  /** Breaks what is open and lets nobody through until `resume`. */
  cut(): void;
  resume(): void;
  close(): Promise<void>;
}

before(async () => {
  fleet = await startFleet(['--nodes', '2', '--heartbeat', '500ms']);
  relay = await openRelay(fleet.apiPort);
});

after(async () => {
  await relay.close();
  await fleet.remove();
});

/** A way to the API that can be cut. */
async function openRelay(target: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const server: Server = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    cut() {
      isCut = true;
      breakAll();
    },
    resume() {
      isCut = false;
    },
    async close() {
      breakAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function configOver(port: number): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(fleet.kubeconfig);
  const [cluster] = config.clusters;
  assert.ok(cluster !== undefined);
  config.clusters = [{ ...cluster, server: `https://127.0.0.1:${port}` }];
  return config;
}

const configMap = (name: string, data: Record<string, string>): V1ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});

/** The HTTP status that a call was refused with. */
async function refusalOf(call: Promise<unknown>): Promise<number> {
  const thrown = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown !== undefined && (thrown as { code?: number }).code === undefined) throw thrown;
  return (thrown as { code?: number } | undefined)?.code ?? 0;
}

test('typed calls: create, read, list, patch, replace, scale, delete, and refusals by their status', async () => {
  const config = configOver(fleet.apiPort);
  const core = config.makeApiClient(CoreV1Api);
  const apps = config.makeApiClient(AppsV1Api);
  const custom = config.makeApiClient(CustomObjectsApi);
  assert.match((await config.makeApiClient(VersionApi).getCode()).gitVersion, /\+selvage-/);

  const namespace = 'default';
  const made = await core.createNamespacedConfigMap({
    namespace,
    body: configMap('typed', { a: '1' }),
  });
  assert.equal(made.data?.['a'], '1');
  assert.ok((made.metadata?.creationTimestamp ?? new Date(0)) > new Date(0), 'an instant');
  const name = 'typed';
  assert.equal(
    await refusalOf(core.createNamespacedConfigMap({ namespace, body: configMap(name, {}) })),
    409,
  );
  const patched = await core.patchNamespacedConfigMap(
    { namespace, name, body: { data: { b: '2' } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  );
  assert.deepEqual(patched.data, { a: '1', b: '2' });
  assert.equal(
    await refusalOf(core.replaceNamespacedConfigMap({ namespace, name, body: made })),
    409,
    'an older version is not written over a newer one',
  );
  const applied = await core.patchNamespacedConfigMap(
    {
      namespace,
      name,
      body: configMap(name, { c: '3' }),
      fieldManager: 'library',
    },
    setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply),
  );
  assert.deepEqual(applied.data, { a: '1', b: '2', c: '3' });
  const listed = await core.listNamespacedConfigMap({
    namespace,
    fieldSelector: 'metadata.name=typed',
  });
  assert.deepEqual(
    listed.items.map(({ metadata }) => metadata?.name),
    [name],
  );
  const deleted = await core.deleteNamespacedConfigMap({ namespace, name });
  assert.equal(deleted.status, 'Success');
  assert.equal(await refusalOf(core.readNamespacedConfigMap({ namespace, name })), 404);

  const labels = { app: 'typed' };
  await apps.createNamespacedDeployment({
    namespace,
    body: {
      metadata: { name },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: 'main', image: 'edge-service-image:latest' }] },
        },
      },
    },
  });
  // Its controller writes its status meanwhile: who loses reads again.
  await eventually('it is scaled', 20_000, async () => {
    const scale = await apps.readNamespacedDeploymentScale({ namespace, name });
    scale.spec = { replicas: 2 };
    return await apps.replaceNamespacedDeploymentScale({ namespace, name, body: scale });
  });
  await eventually('both replicas are ready', 60_000, async () => {
    const { status } = await apps.readNamespacedDeployment({ namespace, name });
    return status?.readyReplicas === 2 ? true : undefined;
  });
  const sites = (await custom.listClusterCustomObject({
    group: 'selvage.dev',
    version: 'v1',
    plural: 'sites',
  })) as { items: { metadata: { name: string } }[] };
  assert.ok(sites.items.some(({ metadata }) => metadata.name === 'mill'));
});

test('exec and port-forward reach into a pod', async () => {
  const config = configOver(fleet.apiPort);
  const core = config.makeApiClient(CoreV1Api);
  const { items } = await core.listNamespacedPod({
    namespace: 'default',
    labelSelector: 'app=typed',
  });
  const pod = items[0]?.metadata?.name ?? '';
  const stdout = new PassThrough();
  const printed: Buffer[] = [];
  stdout.on('data', (chunk: Buffer) => printed.push(chunk));
  const input = new PassThrough();
  const status = await new Promise<V1Status>((resolve, reject) => {
    const script =
      "process.stdin.on('data', (data) => { console.log(String(data) * 2); process.exit(3); })";
    new Exec(config)
      .exec('default', pod, 'main', ['node', '-e', script], stdout, null, input, false, resolve)
      .catch(reject);
    input.write('21\n');
  });
  assert.equal(Buffer.concat(printed).toString('utf8'), '42\n');
  assert.equal(status.reason, 'NonZeroExitCode');
  assert.equal(status.details?.causes?.[0]?.message, '3');

  const request = new PassThrough();
  const answer = new PassThrough();
  let text = '';
  answer.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const socket = await new PortForward(config).portForward(
    'default',
    pod,
    [8080],
    answer,
    null,
    request,
  );
  request.write('GET / HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n');
  await eventually('the pod answers over the forwarded port', 20_000, async () =>
    text.includes(`"pod":"${pod}"`) ? true : undefined,
  );
  if (typeof socket !== 'function') socket.close();
});

test('an informer has what the server has, over a killed server and over a compaction', async () => {
  const core = configOver(fleet.apiPort).makeApiClient(CoreV1Api);
  const namespace = 'informed';
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  const over = configOver(relay.port);
  const informerCore = over.makeApiClient(CoreV1Api);
  const informer = makeInformer<V1ConfigMap>(
    over,
    `/api/v1/namespaces/${namespace}/configmaps`,
    () => informerCore.listNamespacedConfigMap({ namespace }),
  );
  let isStopped = false;
  let deletes = 0;
  informer.on('delete', () => {
    deletes += 1;
  });
  // As its documentation says: whoever uses an informer starts it again after an error.
  informer.on('error', () => {
    if (!isStopped) setTimeout(() => void informer.start().catch(() => undefined), 200);
  });
  await informer.start();

  const versionsOf = (objects: readonly V1ConfigMap[]): string[] =>
    objects.map(({ metadata }) => `${metadata?.name}@${metadata?.resourceVersion}`).sort();
  const agrees = (): Promise<boolean> =>
    eventually('the informer has what the server has', 60_000, async () => {
      const { items } = await core.listNamespacedConfigMap({ namespace });
      const [known, there] = [versionsOf(informer.list(namespace)), versionsOf(items)];
      if (known.join() === there.join()) return true;
      throw new Error(`known ${known.join()}; there ${there.join()}`);
    });
  const create = (name: string, data: Record<string, string>) =>
    core.createNamespacedConfigMap({ namespace, body: configMap(name, data) });

  for (const name of ['one', 'two', 'three']) await create(name, { n: name });
  await agrees();
  assert.equal(informer.list(namespace).length, 3);

  assert.equal((await fleet.selvage(['lab', 'kill', 'server'])).status, 0);
  assert.equal((await fleet.selvage(['lab', 'start', 'server'])).status, 0);
  await eventually('the server is back', 30_000, () => core.readNamespace({ name: namespace }));
  await core.deleteNamespacedConfigMap({ namespace, name: 'one' });
  await create('four', { n: 'four' });
  await agrees();

  // More than the server keeps of its history, while the informer hears nothing.
  relay.cut();
  const filler = 'x'.repeat(900_000);
  for (let round = 0; round < 40; round += 1) {
    await core.createNamespacedConfigMap({
      namespace,
      body: configMap(`large-${round}`, { filler }),
    });
    await core.deleteNamespacedConfigMap({ namespace, name: `large-${round}` });
  }
  await core.deleteNamespacedConfigMap({ namespace, name: 'two' });
  await create('five', { n: 'five' });
  relay.resume();
  await agrees();
  assert.ok(deletes >= 2, 'what went is told, also what went unheard');
  isStopped = true;
  await informer.stop();
});

/** What client libraries do to elect a leader by a Lease: whoever writes first leads. */
async function tryToLead(
  leases: CoordinationV1Api,
  candidate: string,
  leaseDurationSeconds: number,
): Promise<boolean> {
  const [namespace, name] = ['default', 'election'];
  const now = new Date();
  const found: V1Lease | undefined = await leases
    .readNamespacedLease({ namespace, name })
    .catch(() => undefined);
  const spec = { holderIdentity: candidate, leaseDurationSeconds, renewTime: micro(now) };
  if (found === undefined) {
    const body = { metadata: { name }, spec: { ...spec, acquireTime: micro(now) } };
    return (await refusalOf(leases.createNamespacedLease({ namespace, body }))) === 0;
  }
  const { holderIdentity, renewTime } = found.spec ?? {};
  const isHeld =
    renewTime !== undefined &&
    now.getTime() - new Date(renewTime).getTime() < leaseDurationSeconds * 1_000;
  if (isHeld && holderIdentity !== candidate) return false;
  Object.assign((found.spec ??= {}), spec);
  const call = leases.replaceNamespacedLease({ namespace, name, body: found });
  const refusal = await refusalOf(call);
  assert.ok(refusal === 0 || refusal === 409, `refused with ${refusal}`);
  return refusal === 0;
}

/** The library writes instants of Leases with six places, as the API's own type is. */
function micro(instant: Date): V1MicroTime {
  return new V1MicroTime(instant.getTime());
}

test('of many candidates one leads at a time, and another takes over when it falls silent', async () => {
  const leases = configOver(fleet.apiPort).makeApiClient(CoordinationV1Api);
  const candidates = ['a', 'b', 'c', 'd', 'e', 'f'];
  const led = await Promise.all(candidates.map((candidate) => tryToLead(leases, candidate, 2)));
  assert.equal(led.filter(Boolean).length, 1, 'one has won the race');
  const leader = candidates[led.indexOf(true)] ?? '';
  const rivals = candidates.filter((candidate) => candidate !== leader);
  assert.equal(await tryToLead(leases, leader, 2), true, 'it renews');
  assert.deepEqual(
    await Promise.all(rivals.map((candidate) => tryToLead(leases, candidate, 2))),
    rivals.map(() => false),
  );
  await wait(2_100);
  const next = await Promise.all(rivals.map((candidate) => tryToLead(leases, candidate, 2)));
  assert.equal(next.filter(Boolean).length, 1, 'one of the others has taken over');
});

/** A Python that has the library, or why there is none. */
function pythonWithLibrary(): string | undefined {
  const has = (): boolean =>
    spawnSync('/usr/bin/python3', ['-c', 'import kubernetes']).status === 0;
  if (!has()) {
    process.stderr.write('no python3-kubernetes: installing it with apt-get\n');
    spawnSync('sh', ['-c', 'apt-get update -q && apt-get install -q -y python3-kubernetes'], {
      stdio: 'ignore',
    });
  }
  return has() ? '/usr/bin/python3' : undefined;
}

test("Debian's python3-kubernetes creates, watches, patches, execs and deletes", async () => {
  const python = pythonWithLibrary();
  assert.ok(python !== undefined, 'python3-kubernetes is not here and could not be installed');
  const script = join(projectFolder, 'test/e2e/helpers/python-client.py');
  const { status, stdout, stderr } = await run(python, [script, fleet.kubeconfig]);
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.match(stdout, /^all well$/m);
});
