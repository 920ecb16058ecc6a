// Services and daemon sets as somebody uses them: the examples, applied with kubectl,
// asked from inside pods. One fleet for the whole file; the tests follow each other.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';

interface Pod {
  metadata: { name: string; labels: Record<string, string> };
  spec: { nodeName: string };
  status: { podIP: string; conditions?: { type: string; status: string }[] };
}

interface Answer {
  pod: string;
  node: string;
}

let fleet: TestFleet;

before(async () => {
  fleet = await startFleet(['--nodes', '4']);
});

after(async () => {
  await fleet.remove();
});

/** Another fleet on this machine may run the example as it stands. */
const nodePort = 30_200 + (process.pid % 2_500);

function manifestOf(name: string): string {
  const text = readFileSync(join(projectFolder, 'examples', `${name}.yaml`), 'utf8');
  return text.replaceAll('30180', String(nodePort));
}

async function readyPods(app: string, count: number): Promise<Pod[]> {
  return await eventually(`${count} ready pods of ${app}`, 60_000, async () => {
    const { items } = await fleet.kubectl.json<{ items: Pod[] }>([
      'get',
      'pods',
      '-l',
      `app=${app}`,
    ]);
    const isReady = ({ status }: Pod): boolean =>
      (status.conditions ?? []).some(
        ({ type, status: holds }) => type === 'Ready' && holds === 'True',
      );
    return items.length === count && items.every(isReady) ? items : undefined;
  });
}

async function ask<Kind>(url: string): Promise<Kind> {
  const options = { signal: AbortSignal.timeout(5_000), headers: { connection: 'close' } };
  const answer: unknown = await (await fetch(url, options)).json();
  return answer as Kind;
}

const from = <Kind>(asker: Pod | undefined, path: string): Promise<Kind> =>
  ask<Kind>(`http://${asker?.status.podIP}:8080${path}`);

test('a daemon set has one pod on each node, and a name leads to the one on the own node', async () => {
  await fleet.kubectl.ok(['apply', '-f', '-'], manifestOf('nearest-service'));
  await fleet.kubectl.ok(['rollout', 'status', 'daemonset/shelf', '--timeout=60s']);
  const shelves = await readyPods('shelf', 4);
  assert.equal(new Set(shelves.map(({ spec }) => spec.nodeName)).size, 4);
  const askers = await readyPods('asker', 4);
  for (const asker of askers) {
    const { nodeName } = asker.spec;
    await eventually(`an answer from ${nodeName}`, 15_000, async () => {
      const { node } = await from<Answer>(asker, '/who');
      return node === nodeName ? true : undefined;
    });
    for (let count = 0; count < 5; count += 1) {
      assert.equal((await from<Answer>(asker, '/who')).node, nodeName);
    }
    const all = await from<{ address: string }[]>(asker, '/where');
    assert.deepEqual(
      new Set(all.map(({ address }) => address)),
      new Set(shelves.map(({ status }) => status.podIP)),
    );
    const own = shelves.find(({ spec }) => spec.nodeName === nodeName);
    assert.equal(all[0]?.address, own?.status.podIP, 'the nearest first');
    assert.equal((await from<unknown[]>(asker, '/ports')).length, 4);
    assert.deepEqual(await from(asker, '/nobody'), { error: 'ENOTFOUND' });
  }
});

test('a service has an address and a port on every node; kubectl tells of them', async () => {
  const { spec } = await fleet.kubectl.json<{ spec: { clusterIP: string } }>([
    'get',
    'svc',
    'shelf',
  ]);
  assert.match((await ask<Answer>(`http://${spec.clusterIP}/`)).pod, /^shelf-/u);
  assert.match((await ask<Answer>(`http://127.0.0.1:${nodePort}/`)).pod, /^shelf-/u);
  const described = await fleet.kubectl.ok(['describe', 'service', 'shelf']);
  assert.match(described, new RegExp(`NodePort: +http +${nodePort}/TCP`, 'u'));
  assert.match(described, /Endpoints: +127\.\d+\.\d+\.\d+:8080/u);
  const endpoints = await fleet.kubectl.ok(['get', 'endpoints', 'shelf']);
  assert.match(endpoints, /shelf +127\.\d+\.\d+\.\d+:8080,.* \+ 1 more\.\.\./u);
  const rival = manifestOf('nearest-service')
    .split('---')
    .find((part) => part.includes(`nodePort: ${nodePort}`))
    ?.replace('name: shelf', 'name: rival');
  const { status, stderr } = await fleet.kubectl.attempt(['apply', '-f', '-'], rival ?? '');
  assert.notEqual(status, 0);
  assert.match(
    stderr,
    /nodePort: .*\d: provided port is already allocated: Service default\/shelf/u,
  );
});

test('a node without the pod is served by its own site first, and by the others when that is gone', async () => {
  const askers = await readyPods('asker', 4);
  const [asker] = askers.filter(({ spec }) => spec.nodeName.startsWith('harbour-'));
  const nodeName = asker?.spec.nodeName ?? '';
  const neighbour = nodeName === 'harbour-1' ? 'harbour-2' : 'harbour-1';
  const keepOff = (node: string): Promise<string> =>
    fleet.kubectl.ok(['taint', 'nodes', node, 'shelf=none:NoExecute']);
  // Only the askers bear the taint.
  const tolerations = [{ key: 'shelf', operator: 'Exists' }];
  const patch = JSON.stringify({ spec: { template: { spec: { tolerations } } } });
  await fleet.kubectl.ok(['patch', 'daemonset', 'asker', '-p', patch]);
  await fleet.kubectl.ok(['rollout', 'status', 'daemonset/asker', '--timeout=90s']);
  const there = async (): Promise<Pod | undefined> =>
    (await readyPods('asker', 4)).find(({ spec }) => spec.nodeName === nodeName);
  await keepOff(nodeName);
  await readyPods('shelf', 3);
  const same = await there();
  await eventually('the neighbour answers', 20_000, async () => {
    return (await from<Answer>(same, '/who')).node === neighbour ? true : undefined;
  });
  await keepOff(neighbour);
  await readyPods('shelf', 2);
  await eventually('the region answers', 20_000, async () => {
    return (await from<Answer>(same, '/who')).node === 'mill-1' ? true : undefined;
  });
  for (const node of [nodeName, neighbour]) {
    await fleet.kubectl.ok(['taint', 'nodes', node, 'shelf-']);
  }
  await readyPods('shelf', 4);
});

test('no request is lost while pods of the service are replaced', async () => {
  const [asker] = await readyPods('asker', 4);
  const state = { isDone: false };
  let asked = 0;
  const failures: unknown[] = [];
  const keepAsking = async (): Promise<void> => {
    while (!state.isDone) {
      asked += 1;
      const answer = await from<Answer & { error?: string }>(asker, '/who').catch(
        (error: unknown) => ({ error: String(error) }),
      );
      if ('error' in answer) failures.push(answer);
    }
  };
  const asking = keepAsking();
  await fleet.kubectl.ok(['rollout', 'restart', 'daemonset/shelf']);
  await fleet.kubectl.ok(['rollout', 'status', 'daemonset/shelf', '--timeout=90s']);
  state.isDone = true;
  await asking;
  assert.ok(asked > 10, `${asked} questions`);
  assert.deepEqual(failures, []);
});

test('datagrams reach a pod by its service, at its address and on the node port', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-udp-'));
  writeFileSync(
    join(folder, 'main.mjs'),
    `import { createSocket } from 'node:dgram';
    const socket = createSocket('udp4');
    socket.on('message', (bytes, from) => socket.send(process.env.POD_NAME + ' heard ' + bytes, from.port, from.address));
    socket.bind(5353, process.env.HOST, () => console.log('ready'));`,
  );
  const image = { name: 'udp-echo:1', entrypoint: ['main.mjs'], include: ['main.mjs'] };
  writeFileSync(join(folder, 'image.json'), JSON.stringify(image));
  await fleet.pushImage(folder);
  rmSync(folder, { recursive: true });
  const udpPort = nodePort + 1;
  const labels = { app: 'udp-echo' };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'udp-echo', labels },
    spec: { containers: [{ name: 'main', image: 'udp-echo:1' }] },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'udp-echo' },
    spec: {
      type: 'NodePort',
      selector: labels,
      ports: [{ port: 53, targetPort: 5353, nodePort: udpPort, protocol: 'UDP' }],
    },
  };
  const list = { apiVersion: 'v1', kind: 'List', items: [pod, service] };
  await fleet.kubectl.ok(['apply', '-f', '-'], JSON.stringify(list));
  await readyPods('udp-echo', 1);
  const path = 'jsonpath={.spec.clusterIP}';
  const clusterIP = await fleet.kubectl.ok(['get', 'service', 'udp-echo', '-o', path]);
  const socket = createSocket('udp4');
  const heard: string[] = [];
  socket.on('message', (bytes, from) =>
    heard.push(`${bytes.toString()} ${from.address}:${from.port}`),
  );
  for (const [host, port] of [
    [clusterIP, 53],
    ['127.0.0.1', udpPort],
  ] as const) {
    // Any datagram may be lost, and the pod is told of to the nodes only now.
    await eventually(`an answer from ${host}:${port}`, 20_000, async () => {
      socket.send('a word', port, host);
      await new Promise((next) => setTimeout(next, 100));
      return heard.includes(`udp-echo heard a word ${host}:${port}`) ? true : undefined;
    });
  }
  socket.close();
  await fleet.kubectl.ok(['delete', '-f', '-'], JSON.stringify(list));
});

test('names and addresses work on while the server is away', async () => {
  const [asker] = await readyPods('asker', 4);
  await readyPods('shelf', 4);
  const { status, stderr } = await fleet.selvage(['lab', 'kill', 'server']);
  assert.equal(status, 0, stderr);
  for (let count = 0; count < 5; count += 1) {
    assert.equal((await from<Answer>(asker, '/who')).node, asker?.spec.nodeName);
  }
  assert.match((await ask<Answer>(`http://127.0.0.1:${nodePort}/`)).pod, /^shelf-/u);
  assert.equal((await fleet.selvage(['lab', 'start', 'server'])).status, 0);
});

test('a daemon set for one site stays there, and everything goes when it is deleted', async () => {
  await fleet.kubectl.ok(['apply', '-f', '-'], manifestOf('daemon-per-site'));
  const watchers = await readyPods('harbour-watch', 2);
  assert.deepEqual(watchers.map(({ spec }) => spec.nodeName).toSorted(), [
    'harbour-1',
    'harbour-2',
  ]);
  for (const name of ['daemon-per-site', 'nearest-service']) {
    await fleet.kubectl.ok(['delete', '-f', '-'], manifestOf(name));
  }
  await eventually('nothing is left', 40_000, async () => {
    const kinds = 'daemonsets,services,endpointslices,pods';
    const left = await fleet.kubectl.ok(['get', kinds, '-o', 'name']);
    return left.trim() === '' ? true : undefined;
  });
});
