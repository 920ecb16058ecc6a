// The main job as a new user tries it: a fleet of real processes, the real
// kubectl, real HTTP. One fleet for the whole file; the tests follow each other.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';

const manifest = join(projectFolder, 'examples/edge-microservice/deployment.yaml');

interface Pod {
  metadata: { name: string; uid: string };
  spec: { nodeName?: string; containers: { image: string }[] };
  status: { phase?: string; podIP?: string; conditions?: { type: string; status: string }[] };
}

interface FleetStatus {
  processes: {
    role: string;
    name: string;
    node?: string;
    pod?: { namespace: string; name: string; uid: string };
    pid?: number;
    startTime?: string;
    state: string;
  }[];
}

let fleet: TestFleet;

before(async () => {
  fleet = await startFleet();
});

after(async () => {
  await fleet.remove();
});

async function pods(): Promise<Pod[]> {
  const list = await fleet.kubectl.json<{ items: Pod[] }>([
    ...['get', 'pods', '-l', 'app=edge-microservice'],
  ]);
  return list.items;
}

function isReady(pod: Pod): boolean {
  return (
    pod.status.conditions?.some((entry) => entry.type === 'Ready' && entry.status === 'True') ===
    true
  );
}

async function readyPods(count: number, timeoutMs: number): Promise<Pod[]> {
  return await eventually(`${count} ready pods and no other`, timeoutMs, async () => {
    const found = await pods();
    return found.length === count && found.every(isReady) ? found : undefined;
  });
}

async function fleetStatus(): Promise<FleetStatus> {
  const result = await fleet.selvage(['status', '-o', 'json']);
  assert.equal(result.status, 0, result.stderr);
  return JSON.parse(result.stdout) as FleetStatus;
}

/** A process that has ended and that nobody has reaped yet does not run. */
function isRunning(pid: number | undefined): boolean {
  if (pid === undefined || !existsSync(`/proc/${pid}/stat`)) return false;
  return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

async function answerOf(pod: Pod): Promise<string> {
  const response = await fetch(`http://${pod.status.podIP}:8080/`, {
    signal: AbortSignal.timeout(2_000),
  });
  assert.equal(response.status, 200);
  return await response.text();
}

test('up ends its start with the API, the kubeconfig and what to try', () => {
  const printed = fleet.output();
  assert.match(printed, /Fleet ready/);
  assert.ok(printed.includes(`https://127.0.0.1:${fleet.apiPort}`), printed);
  assert.ok(printed.includes(fleet.kubeconfig), printed);
  assert.match(printed, /kubectl get nodes -o wide/);
});

test('four nodes are Ready, with their place and abilities as columns and labels', async () => {
  const table = await fleet.kubectl.ok(['get', 'nodes', '-o', 'wide']);
  const [header = '', ...rows] = table.trim().split('\n');
  for (const column of ['NAME', 'STATUS', 'REGION', 'SITE', 'ARCH', 'RUNTIMES']) {
    assert.match(header, new RegExp(`\\b${column}\\b`));
  }
  assert.equal(rows.length, 4);
  for (const row of rows) assert.match(row, /\sReady\s.*script/);

  const nodes = await fleet.kubectl.json<{
    items: { metadata: { labels: Record<string, string> } }[];
  }>(['get', 'nodes']);
  const places = nodes.items.map(({ metadata: { labels } }) => [
    labels['topology.kubernetes.io/region'],
    labels['topology.kubernetes.io/zone'],
    labels['selvage.dev/site'],
  ]);
  assert.deepEqual(places, [
    ['south', 'depot', 'depot'],
    ['north', 'harbour', 'harbour'],
    ['north', 'harbour', 'harbour'],
    ['north', 'mill', 'mill'],
  ]);
});

test('the founding Deployment runs on two nodes and answers within five seconds', async () => {
  await fleet.kubectl.ok(['apply', '-f', manifest]);
  const deadline = Date.now() + 5_000;
  const running = await readyPods(2, 5_000);
  assert.equal(new Set(running.map((pod) => pod.spec.nodeName)).size, 2);
  assert.equal(new Set(running.map((pod) => pod.status.podIP)).size, 2);
  for (const pod of running) {
    // Without a readiness probe a pod is Ready as soon as its process runs.
    const answer = await eventually('it answers', deadline - Date.now(), () => answerOf(pod));
    assert.ok(answer.includes(pod.metadata.name), answer);
  }
});

test('get in every form, describe and logs show it', async () => {
  const { kubectl } = fleet;
  const [pod] = await readyPods(2, 30_000);
  assert.ok(pod !== undefined);
  const wide = await kubectl.ok(['get', 'pods', '-o', 'wide']);
  assert.ok(wide.includes(String(pod.status.podIP)) && wide.includes(String(pod.spec.nodeName)));
  assert.match(await kubectl.ok(['get', 'deployment', 'edge-microservice']), /2\/2\s+2\s+2/);
  assert.match(await kubectl.ok(['get', 'pod', pod.metadata.name, '-o', 'yaml']), /phase: Running/);
  const described = await kubectl.ok(['describe', 'pod', pod.metadata.name]);
  for (const word of ['Scheduled', 'Pulled', 'Started']) assert.ok(described.includes(word), word);
  assert.match(
    await kubectl.ok(['describe', 'deployment', 'edge-microservice']),
    /2 desired \| 2 updated \| 2 total \| 2 available/,
  );
  assert.match(await kubectl.ok(['describe', 'node', String(pod.spec.nodeName)]), /Ready\s+True/);

  const following = kubectl.follow(['logs', '-f', pod.metadata.name]);
  await answerOf(pod);
  const before = following.lines.length;
  await answerOf(pod);
  await eventually('the followed log shows the request', 20_000, async () =>
    following.lines.length > before && following.lines.join('\n').includes('GET /')
      ? true
      : undefined,
  );
  await following.close();
});

test('a watch shows pods coming as scale asks for more', async () => {
  const { kubectl } = fleet;
  const watch = kubectl.follow(['get', 'pods', '-w']);
  await kubectl.ok(['scale', 'deployment/edge-microservice', '--replicas=4']);
  const running = await readyPods(4, 30_000);
  assert.equal(new Set(running.map((pod) => pod.spec.nodeName)).size, 4, 'one on each node');
  await eventually('the watch printed every pod', 20_000, async () =>
    running.every((pod) => watch.lines.some((line) => line.startsWith(pod.metadata.name)))
      ? true
      : undefined,
  );
  await watch.close();
  await kubectl.ok(['scale', 'deployment/edge-microservice', '--replicas=2']);
  await readyPods(2, 30_000);
});

test('a second apply with a change rolls out, and undo brings the first back', async () => {
  const { kubectl } = fleet;
  const changed = (await kubectl.ok(['create', '--dry-run=client', '-f', manifest, '-o', 'yaml']))
    .replace(
      'containerPort: 8080',
      'containerPort: 8080\n        env: [{name: GREETING, value: "second"}]',
    )
    .replace(/^( *)- image:/m, '$1- image:');
  await kubectl.ok(['apply', '-f', '-'], changed);
  assert.match(
    await kubectl.ok(['rollout', 'status', 'deployment/edge-microservice', '--timeout=30s']),
    /successfully rolled out/,
  );
  const history = await kubectl.ok(['rollout', 'history', 'deployment/edge-microservice']);
  assert.match(history, /^1\s/m);
  assert.match(history, /^2\s/m);
  await kubectl.ok(['rollout', 'undo', 'deployment/edge-microservice']);
  await kubectl.ok(['rollout', 'status', 'deployment/edge-microservice', '--timeout=30s']);
  const running = await readyPods(2, 30_000);
  assert.ok(!JSON.stringify(running).includes('GREETING'));
});

test('a deleted pod is replaced, and the old process is gone', async () => {
  const { kubectl } = fleet;
  const [victim] = await readyPods(2, 30_000);
  assert.ok(victim !== undefined);
  await kubectl.ok(['delete', 'pod', victim.metadata.name]);
  const running = await readyPods(2, 30_000);
  assert.ok(running.every((pod) => pod.metadata.uid !== victim.metadata.uid));
  const { processes } = await fleetStatus();
  assert.deepEqual(
    processes.filter((entry) => entry.pod?.uid === victim.metadata.uid),
    [],
  );
});

test('a cordoned node gets nothing new, and says so, until it is uncordoned', async () => {
  const { kubectl } = fleet;
  await kubectl.ok(['cordon', 'depot-1', 'harbour-1', 'harbour-2']);
  assert.match(await kubectl.ok(['get', 'nodes', 'depot-1']), /Ready,SchedulingDisabled/);
  await kubectl.ok(['scale', 'deployment/edge-microservice', '--replicas=0']);
  await eventually('no pods', 15_000, async () => ((await pods()).length === 0 ? true : undefined));
  await kubectl.ok(['cordon', 'mill-1']);
  await kubectl.ok(['scale', 'deployment/edge-microservice', '--replicas=1']);
  await eventually('the pending pod says why', 20_000, async () => {
    const events = await kubectl.ok(['get', 'events']);
    return /FailedScheduling.*0\/4 nodes.*4 .*unschedulable/.test(events) ? true : undefined;
  });
  await kubectl.ok(['uncordon', 'mill-1']);
  const [only] = await readyPods(1, 30_000);
  assert.equal(only?.spec.nodeName, 'mill-1');
  await kubectl.ok(['uncordon', 'depot-1', 'harbour-1', 'harbour-2']);
  await kubectl.ok(['scale', 'deployment/edge-microservice', '--replicas=2']);
  await readyPods(2, 30_000);
});

test('status lists every process, and lab takes one away and brings it back', async () => {
  const before = (await fleetStatus()).processes;
  assert.deepEqual(
    before.map((entry) => entry.role),
    ['server', 'agent', 'agent', 'agent', 'agent', 'pod', 'pod'],
  );
  for (const entry of before) {
    assert.ok(isRunning(entry.pid), entry.name);
    assert.equal(entry.state, 'running');
    assert.match(entry.startTime ?? '', /^\d{4}-\d\d-\d\dT/);
  }
  const pod = before.find((entry) => entry.role === 'pod');
  const node = String(pod?.node);
  assert.equal((await fleet.selvage(['lab', 'stop', `agent/${node}`])).status, 0);
  const without = (await fleetStatus()).processes;
  assert.equal(without.find((entry) => entry.name === `agent/${node}`)?.state, 'stopped');
  assert.ok(
    without.some((entry) => entry.pid === pod?.pid),
    'the pod outlives its agent',
  );
  assert.equal((await fleet.selvage(['lab', 'start', `agent/${node}`])).status, 0);
  await eventually('the agent is back with the same pod process', 20_000, async () => {
    const { processes } = await fleetStatus();
    return processes.some((entry) => entry.name === `agent/${node}` && entry.state === 'running') &&
      processes.some((entry) => entry.pid === pod?.pid && entry.pod?.uid === pod?.pod?.uid)
      ? true
      : undefined;
  });

  assert.equal((await fleet.selvage(['lab', 'kill', node])).status, 0);
  const killed = (await fleetStatus()).processes;
  assert.ok(!killed.some((entry) => entry.node === node && entry.state === 'running'));
  assert.equal((await fleet.selvage(['lab', 'start', node])).status, 0);
  await fleet.kubectl.ok(['wait', '--for=condition=Ready', `node/${node}`, '--timeout=30s']);
  await readyPods(2, 30_000);

  assert.equal((await fleet.selvage(['lab', 'kill', 'server'])).status, 0);
  const again = await fleet.selvage(['lab', 'start', 'server']);
  assert.match(again.stdout, /^started the server \(pid \d+\); it is ready\n$/, again.stderr);
  // At once: the command has waited for it.
  assert.equal(await fleet.kubectl.ok(['get', '--raw', '/readyz']), 'ok');
  await readyPods(2, 30_000);

  const wrong = await fleet.selvage(['lab', 'kill', 'nowhere-1']);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /no node 'nowhere-1'.*harbour-1/);
});

test('an interrupt stops everything it started, and up continues the same fleet', async () => {
  const uids = (await readyPods(2, 30_000)).map((pod) => pod.metadata.uid).sort();
  const running = (await fleetStatus()).processes.map((entry) => entry.pid);
  assert.equal(await fleet.interrupt(), 0);
  for (const pid of running) assert.ok(!isRunning(pid), `pid ${pid} is gone`);
  await fleet.again();
  const continued = await readyPods(2, 30_000);
  assert.deepEqual(continued.map((pod) => pod.metadata.uid).sort(), uids);
  for (const pod of continued) await eventually('it answers', 20_000, () => answerOf(pod));
});

test('delete -f takes the Deployment, its pods and their processes away', async () => {
  await fleet.kubectl.ok(['delete', '-f', manifest]);
  await eventually('nothing is left', 20_000, async () => {
    const left = await fleet.kubectl.ok(['get', 'deployments,replicasets,pods', '-o', 'name']);
    return left.trim() === '' ? true : undefined;
  });
  const { processes } = await fleetStatus();
  assert.deepEqual(
    processes.filter((entry) => entry.role === 'pod'),
    [],
  );
});
