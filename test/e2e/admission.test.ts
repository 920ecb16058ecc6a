// What admission and the scheduler make of quotas, limits, budgets and priorities, as
// somebody sees it with kubectl. One fleet for the whole file.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, projectFolder, startFleet, type TestFleet } from './helpers/fleet.ts';

const image = 'edge-service-image:latest';
let fleet: TestFleet;

before(async () => {
  fleet = await startFleet(['--nodes', '2', '--heartbeat', '500ms']);
});

after(() => fleet.remove());

function example(name: string): string {
  return readFileSync(join(projectFolder, 'examples', `${name}.yaml`), 'utf8');
}

function pod(name: string, requests: Record<string, string>, spec: object = {}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 3,
      ...spec,
      containers: [{ name: 'main', image, resources: { requests } }],
    },
  });
}

interface PodSeen {
  spec: { nodeName?: string; priority?: number };
  status: { phase: string; conditions?: { type: string; message?: string }[] };
}

const podNamed = (name: string): Promise<PodSeen> =>
  fleet.kubectl.json<PodSeen>(['get', 'pod', name]);

async function isRunning(name: string): Promise<true | undefined> {
  return (await podNamed(name)).status.phase === 'Running' ? true : undefined;
}

test('a namespace keeps to its share, and people see how much of it is used', async () => {
  await fleet.kubectl.ok(['apply', '-f', '-'], example('fair-share'));
  const inWorkshop = ['-n', 'workshop'];
  await fleet.kubectl.ok([
    ...['create', 'deployment', 'bench', `--image=${image}`, '--replicas=3'],
    ...inWorkshop,
  ]);
  await eventually('two pods run, and the third is refused', 40_000, async () => {
    const table = await fleet.kubectl.ok(['get', 'deployment', 'bench', ...inWorkshop]);
    return /bench +2\/3/u.test(table) ? true : undefined;
  });
  const events = await fleet.kubectl.ok(['get', 'events', ...inWorkshop]);
  assert.match(
    events,
    /FailedCreate .*is forbidden: exceeded quota: share, requested: pods=1, used: pods=2, limited: pods=2/u,
  );
  const quota = await fleet.kubectl.ok(['describe', 'quota', 'share', ...inWorkshop]);
  assert.match(
    quota,
    /count\/deployments.apps +1 +1\npods +2 +2\nrequests.cpu +100m +200m\nrequests.memory +64Mi +128Mi/u,
  );
  const limits = await fleet.kubectl.ok(['describe', 'limits', 'usual', ...inWorkshop]);
  assert.match(limits, /Container +memory +- +512Mi +32Mi +256Mi +-/u);
  const namespace = await fleet.kubectl.ok(['describe', 'namespace', 'workshop']);
  assert.match(
    namespace,
    /Resource Quotas\n +Name: +share[\s\S]*pods +2 +2[\s\S]*Resource Limits/u,
  );
  const second = await fleet.kubectl.attempt([
    ...['create', 'deployment', 'more', `--image=${image}`],
    ...inWorkshop,
  ]);
  assert.equal(second.status, 1);
  assert.match(second.stderr, /deployments.apps "more" is forbidden: exceeded quota: share/u);
  await fleet.kubectl.ok(['scale', 'deployment/bench', '--replicas=0', ...inWorkshop]);
  await eventually('the share is given back', 30_000, async () => {
    const table = await fleet.kubectl.ok(['get', 'quota', ...inWorkshop]);
    return /pods: 0\/2/u.test(table) ? true : undefined;
  });
  await fleet.kubectl.ok(['delete', 'namespace', 'workshop', '--wait=false']);
});

test('kubectl drain waits for the budget, and goes on when another pod is there', async () => {
  await fleet.kubectl.ok(['apply', '-f', '-'], example('steady-service'));
  await fleet.kubectl.ok(['rollout', 'status', 'deployment/steady', '--timeout=40s']);
  const selected = ['get', 'pods', '-l', 'app=steady', '-o', 'jsonpath={.items[0].spec.nodeName}'];
  const node = await fleet.kubectl.ok(selected);
  await eventually('the budget has been looked at', 20_000, async () => {
    const table = await fleet.kubectl.ok(['get', 'pdb', 'steady']);
    return /steady +1 +N\/A +0 /u.test(table) ? true : undefined;
  });
  const words = ['drain', node, '--ignore-daemonsets', '--force', '--delete-emptydir-data'];
  const drained = fleet.kubectl.attempt([...words, '--timeout=50s']);
  await eventually('nothing goes before another is there', 20_000, async () => {
    const { stdout } = await fleet.kubectl.attempt(['get', 'node', node]);
    return stdout.includes('SchedulingDisabled') ? true : undefined;
  });
  await fleet.kubectl.ok(['scale', 'deployment/steady', '--replicas=2']);
  const { status, stdout, stderr } = await drained;
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stderr, /Cannot evict pod as it would violate the pod's disruption budget/u);
  const left = await fleet.kubectl.ok([
    'get',
    'pods',
    '-l',
    'app=steady',
    '--field-selector=status.phase=Running',
    '-o',
    'wide',
  ]);
  assert.ok(!left.includes(node), 'it serves elsewhere');
  assert.match(await fleet.kubectl.ok(['describe', 'pdb', 'steady']), /Min available: +1/u);
  await fleet.kubectl.ok(['uncordon', node]);
  await fleet.kubectl.ok(['delete', '-f', '-', '--wait=true'], example('steady-service'));
});

test('a pod that matters more takes the room of one that matters less, and both are told', async () => {
  const { items } = await fleet.kubectl.json<{
    items: { status: { allocatable: { cpu: string } } }[];
  }>(['get', 'nodes']);
  const cores = Math.min(
    ...items.map(({ status: { allocatable } }) => {
      const { cpu } = allocatable;
      return cpu.endsWith('m') ? Number.parseInt(cpu, 10) / 1000 : Number(cpu);
    }),
  );
  const most = { cpu: `${Math.floor(cores * 800)}m` };
  await fleet.kubectl.ok(['create', 'priorityclass', 'customers', '--value=100000']);
  for (const name of ['spare-1', 'spare-2']) {
    await fleet.kubectl.ok(['apply', '-f', '-'], pod(name, most));
  }
  for (const name of ['spare-1', 'spare-2']) {
    await eventually(`${name} runs`, 30_000, () => isRunning(name));
  }
  await fleet.kubectl.ok(['apply', '-f', '-'], pod('plain', most));
  await eventually('one that matters no more waits', 20_000, async () => {
    const { conditions = [] } = (await podNamed('plain')).status;
    return conditions.some(
      ({ message }) => message === '0/2 nodes are available: 2 Insufficient cpu.',
    )
      ? true
      : undefined;
  });
  await fleet.kubectl.ok(['delete', 'pod', 'plain']);
  await fleet.kubectl.ok(
    ['apply', '-f', '-'],
    pod('urgent', most, { priorityClassName: 'customers' }),
  );
  await eventually('the urgent one runs', 40_000, () => isRunning('urgent'));
  const described = await fleet.kubectl.ok(['describe', 'pod', 'urgent']);
  assert.match(described, /Priority: +100000\nPriority Class Name: +customers/u);
  const spare = await fleet.kubectl.ok(['get', 'pods', '-o', 'name']);
  assert.equal(spare.match(/pod\/spare-/gu)?.length, 1, spare);
  await eventually('the one that ended was told why', 20_000, async () => {
    const events = await fleet.kubectl.ok(['get', 'events', '--field-selector=reason=Preempted']);
    return /pod\/spare-\d +Preempted by pod default\/urgent/u.test(events) ? true : undefined;
  });
  await fleet.kubectl.ok(['delete', 'pods', '--all', '--wait=true']);
  const refused = await fleet.kubectl.attempt(
    ['apply', '-f', '-'],
    pod('nobody', {}, { priorityClassName: 'nope' }),
  );
  assert.match(
    refused.stderr,
    /pods "nobody" is forbidden: no PriorityClass with name nope was found/u,
  );
});

test('what is not served yet is stored with a warning, and shown', async () => {
  const ingress = await fleet.kubectl.attempt([
    ...['create', 'ingress', 'front', '--rule=example.com/*=web:80', '--class=proxy'],
  ]);
  assert.equal(ingress.status, 0, ingress.stderr);
  assert.match(ingress.stderr, /Warning: Ingress is stored, and not served yet/u);
  assert.match(await fleet.kubectl.ok(['get', 'ingress']), /front +proxy +example.com +80 /u);
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'none' },
    spec: { podSelector: {}, policyTypes: ['Ingress'] },
  };
  const applied = await fleet.kubectl.attempt(['apply', '-f', '-'], JSON.stringify(policy));
  assert.match(applied.stderr, /Warning: NetworkPolicy is stored, and not served yet/u);
  assert.match(
    await fleet.kubectl.ok(['describe', 'netpol', 'none']),
    /Allowing ingress traffic:\n +<none>/u,
  );
  await fleet.kubectl.ok(['delete', 'ingress/front', 'netpol/none']);
});
