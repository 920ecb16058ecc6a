import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ApiObject,
  conditionOf,
  type HorizontalPodAutoscaler,
  resources,
} from '#platform/api/mod.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';

function deployment(replicas: number): ApiObject {
  const container = { name: 'main', image: 'app:1', resources: { requests: { cpu: '100m' } } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } },
    },
  };
}

function autoscaler(spec: object = {}): ApiObject {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      maxReplicas: 6,
      behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
      ...spec,
    },
  };
}

async function get(plane: ControlPlane): Promise<HorizontalPodAutoscaler> {
  const object = await plane.act(plane.client.get(resources.autoscalers, 'default', 'web'));
  return object as HorizontalPodAutoscaler;
}

async function replicasOf(plane: ControlPlane): Promise<unknown> {
  const { spec } = await plane.act(plane.client.get(resources.deployments, 'default', 'web'));
  return spec?.['replicas'];
}

const pass = (plane: ControlPlane, seconds: number): Promise<void> =>
  plane.world.run(plane.world.clock.monotonicMs() + seconds * 1_000);

async function conditionsOf(plane: ControlPlane): Promise<string> {
  const { status } = await get(plane);
  return ['AbleToScale', 'ScalingActive', 'ScalingLimited']
    .map((type) => {
      const found = conditionOf(status?.conditions, type);
      return `${type}=${found?.status} ${found?.reason}`;
    })
    .join(', ');
}

test('a workload that uses much gets more pods, one that uses little fewer, over kills of the server', async () => {
  const plane = await openControlPlane(31);
  await plane.act(plane.client.create(resources.deployments, deployment(2)));
  await plane.act(plane.client.create(resources.autoscalers, autoscaler()));
  await pass(plane, 30);
  assert.match(await conditionsOf(plane), /ScalingActive=False FailedGetResourceMetric/u);
  assert.equal(await replicasOf(plane), 2, 'nobody measures: nothing is done');

  // So much in all, whoever does it.
  let total = 80;
  plane.setPodUse(() => {
    return total / Math.max(1, plane.store.list('pods').length);
  });
  await pass(plane, 6 * 60);
  assert.equal(await replicasOf(plane), 1);
  total = 240;
  await plane.until('three times as many', async () => (await replicasOf(plane)) === 3);
  await pass(plane, 40);
  const { status } = await get(plane);
  assert.deepEqual([status?.currentReplicas, status?.desiredReplicas], [3, 3]);
  total = 2_000;
  await pass(plane, 6 * 60);
  assert.equal(await replicasOf(plane), 6);
  assert.match(
    await conditionsOf(plane),
    /ScalingActive=True ValidMetricFound, ScalingLimited=True TooManyReplicas/u,
  );
  await plane.restart();
  total = 80;
  await pass(plane, 45);
  assert.equal(await replicasOf(plane), 6, 'who has only begun is as careful');
  await plane.until('few are enough', async () => (await replicasOf(plane)) === 2);
  await plane.close();
});

test('a target that is not there or is switched off is left alone, and that is said', async () => {
  const plane = await openControlPlane(32);
  plane.setPodUse(() => 500);
  await plane.act(plane.client.create(resources.autoscalers, autoscaler()));
  await pass(plane, 20);
  assert.match(await conditionsOf(plane), /^AbleToScale=False FailedGetScale/u);
  await plane.act(plane.client.create(resources.deployments, deployment(0)));
  await pass(plane, 40);
  assert.equal(await replicasOf(plane), 0);
  assert.match(
    await conditionsOf(plane),
    /AbleToScale=True .*ScalingActive=False ScalingDisabled/u,
  );
  const scale = { spec: { replicas: 9 } };
  await plane.act(plane.client.mergePatch(resources.deployments, 'default', 'web', scale, 'scale'));
  await plane.until('no more than the most', async () => (await replicasOf(plane)) === 6);
  await plane.close();
});
