// Stateful sets and their volumes as somebody uses them with kubectl: names that stay, data
// that outlives its pods, rollouts and their history. One fleet for the whole file.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';

interface Pod {
  metadata: { name: string; uid: string; labels: Record<string, string> };
  spec: { nodeName?: string };
  status: { podIP?: string; conditions?: { type: string; status: string }[] };
}

let fleet: TestFleet;
const ledger = readFileSync(join(projectFolder, 'examples', 'stateful-ledger.yaml'), 'utf8');

/** Without its autoscaler, which kubectl makes. */
const busy = readFileSync(join(projectFolder, 'examples', 'autoscaled.yaml'), 'utf8')
  .split('---\n')
  .slice(0, 2)
  .join('---\n');

before(async () => {
  fleet = await startFleet(['--nodes', '2']);
});

after(async () => {
  await fleet.remove();
});

async function readyPod(name: string, notUid = ''): Promise<Pod> {
  return await eventually(`${name} is ready`, 40_000, async () => {
    const pod = await fleet.kubectl.json<Pod>(['get', 'pod', name]);
    const isReady = pod.status.conditions?.some(
      ({ type, status }) => type === 'Ready' && status === 'True',
    );
    return isReady === true && pod.metadata.uid !== notUid ? pod : undefined;
  });
}

async function ask({ status }: Pod, line?: string): Promise<string> {
  return await eventually('an answer', 20_000, async () => {
    const init = line === undefined ? {} : { method: 'POST', body: line };
    const response = await fetch(`http://${status.podIP}:8080/`, init);
    return await response.text();
  });
}

/** What the nodes keep for claims, by the claims' uids. */
function keptUids(): readonly string[] {
  const nodes = join(fleet.stateFolder, 'nodes');
  return readdirSync(nodes).flatMap((node) => {
    const claims = join(nodes, node, 'claims');
    return existsSync(claims) ? readdirSync(claims) : [];
  });
}

test('each pod of a stateful set keeps its name and its data, and its neighbour finds it by name', async () => {
  const { kubectl } = fleet;
  await kubectl.ok(['apply', '-f', '-'], ledger);
  assert.match(await kubectl.ok(['rollout', 'status', 'sts/ledger', '--timeout=60s']), /complete/u);
  const first = await readyPod('ledger-0');
  assert.equal(await ask(first, 'sold a lamp'), 'written\n');
  const askNeighbour = `fetch('http://ledger-0.ledger.default.svc:8080/').then(async (r) => console.log(await r.text()))`;
  const told = await eventually('the name leads to the pod', 20_000, async () => {
    const { stdout } = await kubectl.attempt([
      ...['exec', 'ledger-1', '--', 'node', '-e', askNeighbour],
    ]);
    return stdout.includes('sold a lamp') ? stdout : undefined;
  });
  assert.equal(told.trim(), 'sold a lamp');

  const claims = await kubectl.ok(['get', 'pvc']);
  assert.match(claims, /NAME +STATUS +VOLUME +CAPACITY +ACCESS MODES +STORAGECLASS/u);
  assert.match(claims, /data-ledger-0 +Bound +pvc-\S+ +16Mi +RWO +node-local/u);
  assert.match(
    await kubectl.ok(['get', 'pv']),
    /16Mi +RWO +Delete +Bound +default\/data-ledger-0/u,
  );
  assert.match(await kubectl.ok(['get', 'sc']), /node-local \(default\) +selvage.dev\/node-local/u);
  assert.match(await kubectl.ok(['get', 'sts']), /ledger +2\/2/u);

  await kubectl.ok(['delete', 'pod', 'ledger-0']);
  const again = await readyPod('ledger-0', first.metadata.uid);
  assert.equal(again.spec.nodeName, first.spec.nodeName);
  assert.equal(await ask(again), 'sold a lamp\n');
  await ask(again, 'and another');

  await kubectl.ok(['scale', 'sts', 'ledger', '--replicas=0']);
  await eventually('no pods', 30_000, async () => {
    return (await kubectl.ok(['get', 'pods', '-o', 'name'])) === '' ? true : undefined;
  });
  await fleet.selvage(['lab', 'kill', again.spec.nodeName ?? '']);
  assert.equal((await fleet.selvage(['lab', 'start', again.spec.nodeName ?? ''])).status, 0);
  await kubectl.ok(['scale', 'sts', 'ledger', '--replicas=2']);
  assert.equal(await ask(await readyPod('ledger-0')), 'sold a lamp\nand another\n');
});

test('a rollout of a stateful set is followed, told and undone; a daemon set has a history too', async () => {
  const { kubectl } = fleet;
  await readyPod('ledger-1');
  const agent = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent' },
    spec: {
      selector: { matchLabels: { app: 'agent' } },
      template: {
        metadata: { labels: { app: 'agent' } },
        spec: { containers: [{ name: 'agent', image: 'edge-service-image:latest' }] },
      },
    },
  };
  await kubectl.ok(['apply', '-f', '-'], JSON.stringify(agent));
  const colourOf = async (what: string): Promise<string> =>
    await kubectl.ok([
      ...['get', what, '-o', 'jsonpath={.spec.template.spec.containers[0].env[0].value}'],
    ]);
  for (const what of ['sts/ledger', 'ds/agent']) {
    await kubectl.ok(['rollout', 'status', what, '--timeout=60s']);
    await kubectl.ok(['set', 'env', what, 'COLOUR=green']);
    await kubectl.ok(['rollout', 'status', what, '--timeout=60s']);
    const history = await kubectl.ok(['rollout', 'history', what]);
    assert.match(history, /REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>/u, what);
    const second = await kubectl.ok(['rollout', 'history', what, '--revision=2']);
    assert.match(second, /COLOUR:\s+green/u);
    assert.match(await kubectl.ok(['rollout', 'undo', what]), /rolled back/u);
    await kubectl.ok(['rollout', 'status', what, '--timeout=60s']);
    assert.equal(await colourOf(what), '');
    assert.match(await kubectl.ok(['rollout', 'history', what]), /\n2 +<none>\n3 +<none>/u);
    await kubectl.ok(['rollout', 'restart', what]);
    await kubectl.ok(['rollout', 'status', what, '--timeout=60s']);
  }
  assert.match(await kubectl.ok(['get', 'controllerrevisions']), /statefulset.apps\/ledger/u);
  await kubectl.ok(['delete', 'ds', 'agent']);
});

test('top shows what nodes, pods and their containers use', async () => {
  const { kubectl } = fleet;
  await readyPod('ledger-0');
  const pods = await eventually('the pods were measured', 20_000, async () => {
    const { status, stdout } = await kubectl.attempt(['top', 'pods']);
    return status === 0 && stdout.includes('ledger-1') ? stdout : undefined;
  });
  assert.match(pods, /ledger-0 +[0-9]+m +[1-9][0-9]*Mi/u);
  const containers = await kubectl.ok(['top', 'pods', '--containers', '-l', 'app=ledger']);
  assert.match(containers, /ledger-0 +ledger +[0-9]+m +[1-9][0-9]*Mi/u);
  const nodes = await kubectl.ok(['top', 'nodes']);
  assert.match(nodes, /NAME +CPU\(cores\) +CPU(%|\(%\)) +MEMORY\(bytes\)/u);
  assert.equal(nodes.trim().split('\n').length, 3, nodes);
  assert.match(nodes, /[1-9][0-9]*m +[0-9]+% +[1-9][0-9]*Mi +[1-9][0-9]*%/u);
});

test('a workload that is busy gets more pods, by an autoscaler that kubectl makes', async () => {
  const { kubectl } = fleet;
  await kubectl.ok(['apply', '-f', '-'], busy);
  await kubectl.ok(['rollout', 'status', 'deploy/busy', '--timeout=60s']);
  await eventually('it is measured', 20_000, async () => {
    const { stdout } = await kubectl.attempt(['top', 'pods', '-l', 'app=busy']);
    return stdout.includes('busy-') ? true : undefined;
  });
  await kubectl.ok(['autoscale', 'deploy/busy', '--min=1', '--max=3', '--cpu-percent=50']);
  await eventually('there are as many as there may be', 60_000, async () => {
    const wanted = await kubectl.ok(['get', 'deploy', 'busy', '-o', 'jsonpath={.spec.replicas}']);
    return wanted === '3' ? true : undefined;
  });
  const table = await kubectl.ok(['get', 'hpa', 'busy']);
  assert.match(table, /Deployment\/busy +cpu: [0-9]+%\/50% +1 +3 +[1-3] /u);
  assert.match(table, /^NAME +REFERENCE +TARGETS +MINPODS +MAXPODS +REPLICAS +AGE/u);
  const old = await kubectl.json<{ spec: object }>([
    ...['get', 'horizontalpodautoscalers.v1.autoscaling', 'busy'],
  ]);
  assert.deepEqual(old.spec, {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'busy' },
    minReplicas: 1,
    maxReplicas: 3,
    targetCPUUtilizationPercentage: 50,
  });
  const told = await kubectl.ok(['describe', 'hpa', 'busy']);
  assert.match(told, /SuccessfulRescale .*New size: [23]; reason: cpu resource utilization/u);
  assert.match(told, /ScalingActive +True +ValidMetricFound/u);
  await kubectl.ok(['delete', 'hpa/busy']);
  await kubectl.ok(['delete', '-f', '-'], busy);
});

test('data goes with its claim, and not before', async () => {
  const { kubectl } = fleet;
  await kubectl.ok(['delete', '-f', '-'], ledger);
  await eventually('no pods', 30_000, async () => {
    return (await kubectl.ok(['get', 'pods', '-o', 'name'])) === '' ? true : undefined;
  });
  assert.equal(keptUids().length, 2);
  const refused = await kubectl.attempt(
    ['apply', '-f', '-'],
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'shared' },
      spec: { accessModes: ['ReadWriteMany'], resources: { requests: { storage: '1Mi' } } },
    }),
  );
  assert.match(refused.stderr, /accessModes\[0\]: Unsupported value: "ReadWriteMany"/u);
  await kubectl.ok(['delete', 'pvc', '-l', 'app=ledger', '--timeout=30s']);
  assert.deepEqual(keptUids(), []);
  assert.equal((await kubectl.ok(['get', 'pvc,pv', '-o', 'name'])).trim(), '');
});
