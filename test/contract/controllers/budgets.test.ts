import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ApiObject,
  conditionOf,
  type Pod,
  type PodDisruptionBudget,
  type PodDisruptionBudgetStatus,
  type ResourceQuota,
  resources,
} from '#platform/api/mod.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';

function deployment(replicas: number): ApiObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'main', image: 'app:1' }] },
      },
    },
  };
}

function budget(name: string, spec: object): ApiObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name, namespace: 'default' },
    spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
  };
}

async function statusOf(plane: ControlPlane, name: string): Promise<PodDisruptionBudgetStatus> {
  const found = await plane.act(plane.client.get(resources.podDisruptionBudgets, 'default', name));
  return (
    (found as PodDisruptionBudget).status ?? {
      disruptionsAllowed: -1,
      currentHealthy: -1,
      desiredHealthy: -1,
      expectedPods: -1,
    }
  );
}

/** `allowed of healthy, desired of expected` */
async function numbersOf(plane: ControlPlane, name: string): Promise<string> {
  const status = await statusOf(plane, name);
  return `${status.disruptionsAllowed} of ${status.currentHealthy}, ${status.desiredHealthy} of ${status.expectedPods}`;
}

test('a budget counts what is healthy against what its workload wants, over kills of the server', async () => {
  const plane = await openControlPlane(41);
  await plane.act(plane.client.create(resources.deployments, deployment(4)));
  const budgets: [string, object][] = [
    ['count', { minAvailable: 3 }],
    ['part', { minAvailable: '60%' }],
    ['away', { maxUnavailable: 1 }],
    ['nobody', { maxUnavailable: 1, selector: { matchLabels: { app: 'none' } } }],
  ];
  for (const [name, spec] of budgets) {
    await plane.act(plane.client.create(resources.podDisruptionBudgets, budget(name, spec)));
  }
  const become = (name: string, numbers: string): Promise<void> =>
    plane.until(`${name} is ${numbers}`, async () => (await numbersOf(plane, name)) === numbers);
  await become('count', '1 of 4, 3 of 4');
  await become('part', '1 of 4, 3 of 4');
  await become('away', '1 of 4, 3 of 4');
  await become('nobody', '0 of 0, 0 of 0');
  const [victim] = (await plane.list(resources.pods)) as Pod[];
  assert.ok(victim !== undefined);
  plane.brokenImages.add('app:1');
  await plane.act(plane.client.delete(resources.pods, 'default', victim.metadata.name));
  await become('away', '0 of 3, 3 of 4');
  assert.equal(
    conditionOf((await statusOf(plane, 'away')).conditions, 'DisruptionAllowed')?.reason,
    'InsufficientPods',
  );
  await plane.restart();
  await plane.act(
    plane.client.mergePatch(
      resources.deployments,
      'default',
      'web',
      { spec: { replicas: 2 } },
      'scale',
    ),
  );
  await become('away', '1 of 2, 1 of 2');
  await plane.close();
});

test('an eviction that comes to nothing is given back after a while, and pods that nobody manages are not counted on', async () => {
  const plane = await openControlPlane(42);
  await plane.act(
    plane.client.create(resources.pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'alone', namespace: 'default', labels: { app: 'web' } },
      spec: { containers: [{ name: 'main', image: 'app:1' }] },
    }),
  );
  const create = (name: string, spec: object): Promise<ApiObject> =>
    plane.act(plane.client.create(resources.podDisruptionBudgets, budget(name, spec)));
  await create('count', { minAvailable: 0 });
  await create('away', { maxUnavailable: 1 });
  const allowed = (name: string, count: number): Promise<void> =>
    plane.until(
      `${name} allows ${count}`,
      async () => (await statusOf(plane, name)).disruptionsAllowed === count,
    );
  await allowed('count', 1);
  await allowed('away', 0);
  // As the API leaves it when the deletion that was to follow never comes.
  await plane.act(
    plane.client.mergePatch(
      resources.podDisruptionBudgets,
      'default',
      'count',
      {
        status: {
          disruptionsAllowed: 0,
          disruptedPods: {
            alone: new Date(plane.world.clock.wallMs()).toISOString().replace(/\.\d+/u, ''),
          },
        },
      },
      'status',
    ),
  );
  await plane.world.run(plane.world.clock.monotonicMs() + 60_000);
  assert.equal((await statusOf(plane, 'count')).disruptionsAllowed, 0);
  await plane.world.run(plane.world.clock.monotonicMs() + 90_000);
  assert.equal((await statusOf(plane, 'count')).disruptionsAllowed, 1);
  assert.equal((await statusOf(plane, 'count')).disruptedPods, undefined);
  await plane.close();
});

test('a budget that is on its way out is counted until it is gone', async () => {
  const plane = await openControlPlane(44);
  await plane.act(plane.client.create(resources.deployments, deployment(3)));
  const held = budget('held', { minAvailable: 2 });
  held.metadata.finalizers = ['example.com/work'];
  await plane.act(plane.client.create(resources.podDisruptionBudgets, held));
  const shows = (numbers: string): Promise<void> =>
    plane.until(numbers, async () => (await numbersOf(plane, 'held')) === numbers);
  await shows('1 of 3, 2 of 3');
  await plane.act(plane.client.delete(resources.podDisruptionBudgets, 'default', 'held'));
  await plane.until('the controller has seen the mark', async () => {
    return (await statusOf(plane, 'held')).observedGeneration === 2;
  });
  await plane.act(
    plane.client.mergePatch(resources.deployments, 'default', 'web', { spec: { replicas: 2 } }),
  );
  await shows('0 of 2, 2 of 2');
  await plane.close();
});

test('what goes, or ends, is given back to the quota, and a changed quota is counted anew', async () => {
  const plane = await openControlPlane(43);
  const usedOf = async (): Promise<string> => {
    const { status } = (await plane.act(
      plane.client.get(resources.resourceQuotas, 'default', 'all'),
    )) as ResourceQuota;
    return JSON.stringify(status?.used);
  };
  const become = (used: object): Promise<void> =>
    plane.until(
      `used is ${JSON.stringify(used)}`,
      async () => (await usedOf()) === JSON.stringify(used),
    );
  const pod = (name: string, image: string): ApiObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'main', image }], restartPolicy: 'Never' },
  });
  await plane.act(plane.client.create(resources.pods, pod('a', 'app:1')));
  await plane.act(
    plane.client.create(resources.resourceQuotas, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'all', namespace: 'default' },
      spec: { hard: { pods: '3' } },
    }),
  );
  await become({ pods: '1' });
  await plane.act(plane.client.create(resources.pods, pod('b', 'ok:2')));
  assert.equal(await usedOf(), '{"pods":"2"}');
  await become({ pods: '1' });
  await plane.act(plane.client.delete(resources.pods, 'default', 'a'));
  await become({ pods: '0' });
  await plane.act(
    plane.client.mergePatch(resources.resourceQuotas, 'default', 'all', {
      spec: { hard: { 'count/pods': '5', pods: null } },
    }),
  );
  await become({ 'count/pods': '1' });
  await plane.close();
});
