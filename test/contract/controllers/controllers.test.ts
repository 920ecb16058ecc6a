import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ApiObject,
  type Deployment,
  type Pod,
  type ReplicaSet,
  resources,
  StatusError,
} from '#platform/api/mod.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';

function manifest(replicas: number, image = 'app:1', spec: object = {}): ApiObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'main', image }] },
      },
      ...spec,
    },
  };
}

async function deployment(plane: ControlPlane): Promise<Deployment> {
  return (await plane.act(plane.client.get(resources.deployments, 'default', 'web'))) as Deployment;
}

async function isRolledOut(plane: ControlPlane): Promise<boolean> {
  const { metadata, spec, status = {} } = await deployment(plane);
  return (
    status.observedGeneration === metadata.generation &&
    status.updatedReplicas === spec.replicas &&
    status.replicas === spec.replicas &&
    status.availableReplicas === spec.replicas
  );
}

const rolledOut = (plane: ControlPlane): Promise<void> =>
  plane.until('the rollout', () => isRolledOut(plane));

function patch(plane: ControlPlane, spec: object): Promise<ApiObject> {
  return plane.act(
    plane.client.mergePatch(resources.deployments, 'default', 'web', { spec } as never),
  );
}

const image = (name: string): object => ({
  template: { spec: { containers: [{ name: 'main', image: name }] } },
});

async function imagesOf(plane: ControlPlane): Promise<(string | undefined)[]> {
  const pods = (await plane.list(resources.pods)) as Pod[];
  return pods.map((pod) => pod.spec.containers[0]?.image);
}

async function isEmpty(
  plane: ControlPlane,
  ...kinds: (typeof resources)[keyof typeof resources][]
): Promise<boolean> {
  for (const kind of kinds) if ((await plane.list(kind)).length > 0) return false;
  return true;
}

test('a deployment becomes a replica set and exactly its pods, and tells of it', async () => {
  const plane = await openControlPlane(1);
  let most = 0;
  plane.onPods((pods) => (most = Math.max(most, pods.length)));
  await plane.act(plane.client.create(resources.deployments, manifest(5)));
  await rolledOut(plane);
  assert.equal(most, 5);
  const [set, ...others] = (await plane.list(resources.replicaSets)) as ReplicaSet[];
  assert.equal(others.length, 0);
  assert.match(set?.metadata.name ?? '', /^web-[a-z0-9]{10}$/u);
  assert.equal(set?.metadata.annotations?.['deployment.kubernetes.io/revision'], '1');
  const events = await plane.list(resources.events);
  const told = events.map((event) => event['reason']);
  assert.equal(told.filter((reason) => reason === 'SuccessfulCreate').length, 5);
  assert.equal(told.filter((reason) => reason === 'ScalingReplicaSet').length, 1);
  await plane.close();
});

test('a rolling update keeps its bounds, and undoing it takes the old set up again', async () => {
  const plane = await openControlPlane(2);
  await plane.act(plane.client.create(resources.deployments, manifest(4)));
  await rolledOut(plane);
  let most = 0;
  let least = Number.POSITIVE_INFINITY;
  plane.onPods((pods) => {
    most = Math.max(most, pods.length);
    least = Math.min(least, pods.filter((pod) => pod.status?.phase === 'Running').length);
  });
  await patch(plane, image('app:2'));
  await rolledOut(plane);
  assert.ok(most <= 5, `${most} pods`);
  assert.ok(least >= 3, `${least} available`);
  await plane.until('the end of the old pods', async () => {
    return new Set(await imagesOf(plane)).size === 1;
  });
  assert.deepEqual(new Set(await imagesOf(plane)), new Set(['app:2']));

  await patch(plane, image('app:1'));
  await rolledOut(plane);
  const sets = (await plane.list(resources.replicaSets)) as ReplicaSet[];
  const revisions = sets.map(({ metadata, spec }) => [
    metadata.annotations?.['deployment.kubernetes.io/revision'],
    spec.replicas,
  ]);
  assert.deepEqual(
    new Map(revisions as [string, number][]),
    new Map([
      ['2', 0],
      ['3', 4],
    ]),
  );
  const { metadata } = await deployment(plane);
  assert.equal(metadata.annotations?.['deployment.kubernetes.io/revision'], '3');
  await plane.close();
});

test('an update that does not work stops at its bounds and is reported at its deadline', async () => {
  const plane = await openControlPlane(3);
  await plane.act(
    plane.client.create(
      resources.deployments,
      manifest(4, 'app:1', { progressDeadlineSeconds: 20 }),
    ),
  );
  await rolledOut(plane);
  plane.brokenImages.add('app:bad');
  await patch(plane, image('app:bad'));
  await plane.until('the deadline', async () => {
    const { status } = await deployment(plane);
    return status?.conditions?.some(({ reason }) => reason === 'ProgressDeadlineExceeded') ?? false;
  });
  const images = await imagesOf(plane);
  assert.equal(images.filter((name) => name === 'app:1').length, 3);
  await plane.close();
});

test('Recreate never lets two templates run side by side', async () => {
  const plane = await openControlPlane(4);
  const strategy = { type: 'Recreate' };
  await plane.act(plane.client.create(resources.deployments, manifest(3, 'app:1', { strategy })));
  await rolledOut(plane);
  await patch(plane, image('app:2'));
  await plane.until('only the new image', async () => {
    const images = new Set(await imagesOf(plane));
    assert.ok(images.size <= 1, [...images].join());
    return images.has('app:2') && (await isRolledOut(plane));
  });
  await plane.close();
});

test('Recreate does not wait for old pods that have ended and are kept to be looked at', async () => {
  const plane = await openControlPlane(27);
  const strategy = { type: 'Recreate' };
  await plane.act(plane.client.create(resources.deployments, manifest(2, 'app:1', { strategy })));
  await rolledOut(plane);
  const [evicted] = (await plane.list(resources.pods)) as Pod[];
  assert.ok(evicted !== undefined);
  await plane.report(evicted, { phase: 'Failed', reason: 'Evicted' });
  await plane.until('a replacement', async () => {
    return (await plane.list(resources.pods)).length === 3 && (await isRolledOut(plane));
  });
  await patch(plane, image('app:2'));
  await plane.until('the new template', async () => {
    return (await imagesOf(plane)).includes('app:2') && (await isRolledOut(plane));
  });
  const kept = (await plane.list(resources.pods)) as Pod[];
  assert.ok(kept.some(({ metadata }) => metadata.uid === evicted.metadata.uid));
  await plane.close();
});

test('a pod that goes is replaced, and scaling down keeps the rest', async () => {
  const plane = await openControlPlane(5);
  await plane.act(plane.client.create(resources.deployments, manifest(3)));
  await rolledOut(plane);
  const before = await plane.list(resources.pods);
  const first = before[0]?.metadata;
  await plane.act(plane.client.delete(resources.pods, 'default', first?.name ?? ''));
  await plane.until('a replacement', async () => {
    const pods = await plane.list(resources.pods);
    return pods.length === 3 && pods.every(({ metadata }) => metadata.uid !== first?.uid);
  });
  await rolledOut(plane);
  await patch(plane, { replicas: 1 });
  await plane.until('one pod', async () => (await plane.list(resources.pods)).length === 1);
  await plane.close();
});

test('deleting a deployment in the background takes all that it made', async () => {
  const plane = await openControlPlane(6);
  await plane.act(plane.client.create(resources.deployments, manifest(3)));
  await rolledOut(plane);
  await plane.act(plane.client.delete(resources.deployments, 'default', 'web'));
  await plane.until('nothing left', () =>
    isEmpty(plane, resources.deployments, resources.replicaSets, resources.pods),
  );
  await plane.close();
});

test('deleting in the foreground keeps the owner until its dependents are gone', async () => {
  const plane = await openControlPlane(7);
  await plane.act(plane.client.create(resources.deployments, manifest(2)));
  await rolledOut(plane);
  await plane.act(
    plane.client.delete(resources.deployments, 'default', 'web', {
      propagationPolicy: 'Foreground',
    }),
  );
  await plane.until('the end of the deployment', async () => {
    if (!(await isEmpty(plane, resources.deployments))) return false;
    assert.ok(await isEmpty(plane, resources.replicaSets, resources.pods));
    return true;
  });
  await plane.close();
});

test('orphans stay, and a new deployment of the same template takes them over', async () => {
  const plane = await openControlPlane(8);
  await plane.act(plane.client.create(resources.deployments, manifest(2)));
  await rolledOut(plane);
  const before = await plane.list(resources.pods);
  await plane.act(
    plane.client.delete(resources.deployments, 'default', 'web', { propagationPolicy: 'Orphan' }),
  );
  await plane.until('the end of the deployment', () => isEmpty(plane, resources.deployments));
  await plane.act(plane.client.create(resources.deployments, manifest(2)));
  await rolledOut(plane);
  const after = await plane.list(resources.pods);
  assert.deepEqual(
    new Set(after.map(({ metadata }) => metadata.uid)),
    new Set(before.map(({ metadata }) => metadata.uid)),
  );
  await plane.close();
});

test('a pod whose owner does not manage it is taken over, with one reference to that owner', async () => {
  const plane = await openControlPlane(11);
  const { spec } = manifest(2);
  await plane.act(
    plane.client.create(resources.replicaSets, {
      ...{ apiVersion: 'apps/v1', kind: 'ReplicaSet', spec: spec ?? {} },
      metadata: { name: 'web', namespace: 'default' },
    }),
  );
  const pods = (): Promise<readonly ApiObject[]> => plane.list(resources.pods);
  await plane.until('its pods', async () => (await pods()).length === 2);
  const [pod] = await pods();
  const managed = pod?.metadata.ownerReferences;
  const [reference] = managed ?? [];
  assert.ok(pod !== undefined && reference !== undefined);
  const { controller: _manages, blockOwnerDeletion: _blocks, ...owns } = reference;
  const metadata = { ownerReferences: [owns] };
  await plane.act(
    plane.client.mergePatch(resources.pods, 'default', pod.metadata.name, { metadata }),
  );
  await plane.until('the pod is managed again', async () => {
    const now = (await pods()).find(({ metadata: { uid } }) => uid === pod.metadata.uid);
    return now?.metadata.ownerReferences?.[0]?.controller === true;
  });
  const after = await pods();
  assert.equal(after.length, 2);
  const now = after.find(({ metadata: { uid } }) => uid === pod.metadata.uid);
  assert.deepEqual(now?.metadata.ownerReferences, managed);
  await plane.close();
});

test('deleting a namespace empties it first', async () => {
  const plane = await openControlPlane(9);
  const { client } = plane;
  const team = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } };
  await plane.act(client.create(resources.namespaces, team));
  const own = manifest(2);
  own.metadata.namespace = 'team';
  await plane.act(client.create(resources.deployments, own));
  await plane.act(
    client.create(resources.configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'team' },
    }),
  );
  await plane.until('pods', async () => (await plane.list(resources.pods, 'team')).length === 2);
  await plane.act(client.delete(resources.namespaces, '', 'team'));
  await plane.until('the end of the namespace', async () => {
    try {
      await plane.act(client.get(resources.namespaces, '', 'team'));
      return false;
    } catch (error) {
      assert.ok(error instanceof StatusError);
      assert.equal(error.reason, 'NotFound');
      return true;
    }
  });
  assert.equal((await plane.list(resources.pods, 'team')).length, 0);
  assert.equal((await plane.list(resources.configMaps, 'team')).length, 0);
  await plane.close();
});
