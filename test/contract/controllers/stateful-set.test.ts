import assert from 'node:assert/strict';
import test from 'node:test';
import type { Uid } from '#base/mod.ts';
import {
  type ApiObject,
  encodeFacet,
  type EndpointSlice,
  type Pod,
  resources,
  type StatefulSet,
} from '#platform/api/mod.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';

const dataClaim = {
  metadata: { name: 'data' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
};

function statefulSet(spec: object = {}, image = 'app:1', annotations = {}): ApiObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default' },
    spec: {
      replicas: 3,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: {
        metadata: { labels: { app: 'db' }, annotations },
        spec: { containers: [{ name: 'main', image }] },
      },
      ...spec,
    },
  };
}

async function get(plane: ControlPlane): Promise<StatefulSet> {
  return (await plane.act(
    plane.client.get(resources.statefulSets, 'default', 'db'),
  )) as StatefulSet;
}

const settled = (plane: ControlPlane, replicas: number): Promise<void> =>
  plane.until(`${replicas} pods of the newest template`, async () => {
    const { metadata, status } = await get(plane);
    return (
      status?.observedGeneration === metadata.generation &&
      status?.replicas === replicas &&
      status.availableReplicas === replicas &&
      status.updateRevision === status.currentRevision
    );
  });

async function podsByName(plane: ControlPlane): Promise<Record<string, Pod>> {
  const pods = (await plane.list(resources.pods)) as Pod[];
  return Object.fromEntries(pods.map((pod) => [pod.metadata.name, pod]));
}

async function names(plane: ControlPlane, resource = resources.pods): Promise<string> {
  const objects = await plane.list(resource);
  return objects
    .map(({ metadata }) => metadata.name)
    .toSorted()
    .join();
}

const change = (plane: ControlPlane, spec: object): Promise<ApiObject> =>
  plane.act(plane.client.mergePatch(resources.statefulSets, 'default', 'db', { spec } as never));

test('pods come in order with names, hosts and claims of their own, and find those again', async () => {
  const plane = await openControlPlane(21);
  const service = { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 80 }] };
  await plane.act(
    plane.client.create(resources.services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'db', namespace: 'default' },
      spec: service,
    }),
  );
  const order: string[] = [];
  plane.onPods((pods) => {
    for (const { metadata } of pods) if (!order.includes(metadata.name)) order.push(metadata.name);
    const ready = pods.filter(({ status }) => status?.phase === 'Running').length;
    assert.ok(pods.length <= ready + 1, 'one is made when those before it are ready');
  });
  await plane.act(
    plane.client.create(resources.statefulSets, statefulSet({ volumeClaimTemplates: [dataClaim] })),
  );
  await settled(plane, 3);
  assert.deepEqual(order, ['db-0', 'db-1', 'db-2']);
  const { 'db-1': second } = await podsByName(plane);
  assert.deepEqual([second?.spec.hostname, second?.spec.subdomain], ['db-1', 'db']);
  assert.deepEqual(second?.spec.volumes, [
    { name: 'data', persistentVolumeClaim: { claimName: 'data-db-1' } },
  ]);
  assert.equal(second?.metadata.labels?.['statefulset.kubernetes.io/pod-name'], 'db-1');
  assert.equal(second?.metadata.labels?.['apps.kubernetes.io/pod-index'], '1');
  assert.equal(
    await names(plane, resources.persistentVolumeClaims),
    'data-db-0,data-db-1,data-db-2',
  );
  await plane.until('each pod has its name in the service', async () => {
    const slices = (await plane.list(resources.endpointSlices)) as EndpointSlice[];
    const hosts = slices.flatMap(({ endpoints }) => endpoints.map(({ hostname }) => hostname));
    return hosts.map(String).toSorted().join() === 'db-0,db-1,db-2';
  });

  const claimUids = async (): Promise<readonly (string | undefined)[]> =>
    (await plane.list(resources.persistentVolumeClaims)).map(({ metadata }) => metadata.uid);
  const before = await claimUids();
  await change(plane, { replicas: 1 });
  await settled(plane, 1);
  assert.equal(await names(plane), 'db-0');
  await plane.restart();
  await change(plane, { replicas: 3 });
  await settled(plane, 3);
  assert.deepEqual(await claimUids(), before);
  await plane.act(plane.client.delete(resources.pods, 'default', 'db-0'));
  await plane.until('a pod that is deleted comes back under its name', async () => {
    const { 'db-0': first } = await podsByName(plane);
    return first !== undefined && first.metadata.deletionTimestamp === undefined;
  });
  await plane.act(plane.client.delete(resources.statefulSets, 'default', 'db'));
  await plane.until('its pods go with it', async () => (await names(plane)) === '');
  assert.deepEqual(await claimUids(), before, 'and what they kept stays');
  await plane.close();
});

test('claims go with pods that are scaled away and with the set, where the policy says so', async () => {
  const plane = await openControlPlane(22);
  const claims = (): Promise<string> => names(plane, resources.persistentVolumeClaims);
  /** Stands in for the node that lets the data go. */
  const release = async (): Promise<void> => {
    for (const { metadata } of await plane.list(resources.persistentVolumeClaims)) {
      if (metadata.deletionTimestamp === undefined) continue;
      await plane.act(
        plane.client.mergePatch(resources.persistentVolumeClaims, 'default', metadata.name, {
          metadata: { finalizers: null },
        }),
      );
    }
  };
  const policy = { whenDeleted: 'Delete', whenScaled: 'Delete' };
  await plane.act(
    plane.client.create(
      resources.statefulSets,
      statefulSet({
        volumeClaimTemplates: [dataClaim],
        persistentVolumeClaimRetentionPolicy: policy,
        podManagementPolicy: 'Parallel',
      }),
    ),
  );
  await settled(plane, 3);
  await change(plane, { replicas: 2 });
  await plane.until('the claim of the third goes with it', async () => {
    await release();
    return (await claims()) === 'data-db-0,data-db-1';
  });
  await change(plane, { replicas: 3 });
  await settled(plane, 3);
  assert.equal(await claims(), 'data-db-0,data-db-1,data-db-2');
  const retain = { whenDeleted: 'Retain', whenScaled: 'Retain' };
  await change(plane, { persistentVolumeClaimRetentionPolicy: retain });
  await plane.until('nobody owns the claims', async () => {
    const all = await plane.list(resources.persistentVolumeClaims);
    return all.every(({ metadata }) => (metadata.ownerReferences ?? []).length === 0);
  });
  await change(plane, { persistentVolumeClaimRetentionPolicy: policy });
  await plane.until('the set owns the claims', async () => {
    const all = await plane.list(resources.persistentVolumeClaims);
    return all.every(({ metadata }) => metadata.ownerReferences?.[0]?.kind === 'StatefulSet');
  });
  await plane.act(plane.client.delete(resources.statefulSets, 'default', 'db'));
  await plane.until('all claims go with the set', async () => {
    await release();
    return (await claims()) === '';
  });
  await plane.close();
});

test('a set that asks for two thousand million pods gets them one by one, and comes back from it', async () => {
  const plane = await openControlPlane(26);
  await plane.act(
    plane.client.create(
      resources.statefulSets,
      statefulSet({
        replicas: 2_147_483_647,
        volumeClaimTemplates: [dataClaim],
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete' },
      }),
    ),
  );
  const available = (count: number): Promise<void> =>
    plane.until(`${count} pods`, async () => {
      return ((await get(plane)).status?.availableReplicas ?? 0) >= count;
    });
  await available(2);
  await plane.restart();
  await available(4);
  await change(plane, { replicas: 1 });
  await settled(plane, 1);
  assert.equal(await names(plane), 'db-0');
  const claims = await plane.list(resources.persistentVolumeClaims);
  assert.ok(claims.length >= 4, 'claims of pods that are scaled away stay');
  assert.ok(
    claims.every(({ metadata }) => metadata.ownerReferences?.[0]?.kind === 'StatefulSet'),
    'and are the set’s',
  );
  await plane.close();
});

test('a set that is on its way out replaces nothing and says what is left', async () => {
  const plane = await openControlPlane(28);
  const held = statefulSet();
  held.metadata.finalizers = ['example.com/work'];
  await plane.act(plane.client.create(resources.statefulSets, held));
  await settled(plane, 3);
  await plane.act(plane.client.delete(resources.statefulSets, 'default', 'db'));
  await plane.act(plane.client.delete(resources.pods, 'default', 'db-1'));
  await plane.until('two are left', async () => {
    const { metadata, status } = await get(plane);
    return status?.observedGeneration === metadata.generation && status?.replicas === 2;
  });
  assert.equal((await get(plane)).metadata.generation, 2);
  await plane.world.run(plane.world.clock.monotonicMs() + 5_000);
  assert.equal(await names(plane), 'db-0,db-2');
  await plane.close();
});

test('a rollout goes from the last to the partition over kills of the server, and can be undone', async () => {
  const plane = await openControlPlane(23);
  await plane.act(plane.client.create(resources.statefulSets, statefulSet()));
  await settled(plane, 3);
  let least = 3;
  plane.onPods((pods) => {
    least = Math.min(least, pods.filter(({ status }) => status?.phase === 'Running').length);
  });
  const images = async (): Promise<string> => {
    const pods = await podsByName(plane);
    const shown = Object.keys(pods)
      .toSorted()
      .map((name) => pods[name]?.spec.containers[0]?.image);
    return shown.join();
  };
  const template = (image: string): object => ({
    template: { spec: { containers: [{ name: 'main', image }] } },
  });
  const partition = (from: number): object => ({
    updateStrategy: { rollingUpdate: { partition: from } },
  });
  await change(plane, { ...template('app:2'), ...partition(1) });
  await plane.world.run(plane.world.clock.monotonicMs() + 700);
  await plane.restart();
  await plane.until('those above the partition', async () => {
    const { status } = await get(plane);
    return status?.updatedReplicas === 2 && status.availableReplicas === 3;
  });
  assert.equal(await images(), 'app:1,app:2,app:2');
  await plane.act(plane.client.delete(resources.pods, 'default', 'db-0'));
  await plane.world.run(plane.world.clock.monotonicMs() + 5_000);
  assert.equal(
    await images(),
    'app:1,app:2,app:2',
    'what the partition holds comes back as it was',
  );
  await change(plane, partition(0));
  await settled(plane, 3);
  assert.equal(await images(), 'app:2,app:2,app:2');
  assert.ok(least >= 2, 'one at a time');
  const revisions = await plane.list(resources.controllerRevisions);
  const { status } = await get(plane);
  assert.deepEqual(
    revisions
      .map((one) => `${String(one['revision'])} ${one.metadata.name === status?.currentRevision}`)
      .toSorted(),
    ['1 false', '2 true'],
  );
  await plane.close();
});

test('a template that never starts holds only one pod, and the one that mends it gets through', async () => {
  const plane = await openControlPlane(24);
  await plane.act(plane.client.create(resources.statefulSets, statefulSet()));
  await settled(plane, 3);
  plane.brokenImages.add('app:broken');
  const template = (image: string): object => ({
    template: { spec: { containers: [{ name: 'main', image }] } },
  });
  await change(plane, template('app:broken'));
  const isBroken = ({ spec }: Pod): boolean => spec.containers[0]?.image === 'app:broken';
  await plane.until('the last one is tried', async () => {
    return Object.values(await podsByName(plane)).some(isBroken);
  });
  await plane.world.run(plane.world.clock.monotonicMs() + 10_000);
  assert.equal(Object.values(await podsByName(plane)).filter(isBroken).length, 1);
  const { 'db-2': last } = await podsByName(plane);
  assert.ok(last !== undefined);
  await plane.report(last, {
    phase: 'Pending',
    containerStatuses: [
      {
        name: 'main',
        ready: false,
        restartCount: 2,
        image: 'app:broken',
        imageID: '',
        state: { waiting: { reason: 'CrashLoopBackOff' } },
      },
    ],
  });
  await change(plane, template('app:2'));
  await settled(plane, 3);
  await plane.close();
});

test('a pod that is lost with its node keeps its name, unless it has surely stopped there', async () => {
  const plane = await openControlPlane(25);
  const giveUp = async (name: string): Promise<string | undefined> => {
    const { [name]: pod } = await podsByName(plane);
    const key = { resource: 'pods', namespace: 'default', name };
    const verdict = { lost: { id: 'l1' }, status: { reason: 'NodeLost', message: 'not heard of' } };
    const bytes = encodeFacet(verdict);
    await plane.act(
      plane.store.transact((view) => {
        const uid = view.get(key)?.uid as Uid;
        return { changes: [{ type: 'put', key, uid, facet: 'verdict', bytes }], result: undefined };
      }),
    );
    return pod?.metadata.uid;
  };
  await plane.act(plane.client.create(resources.statefulSets, statefulSet()));
  await settled(plane, 3);
  const kept = await giveUp('db-1');
  await plane.world.run(plane.world.clock.monotonicMs() + 120_000);
  assert.equal(
    (await podsByName(plane))['db-1']?.metadata.uid,
    kept,
    'nobody can say that it ended',
  );
  await plane.act(plane.client.delete(resources.statefulSets, 'default', 'db'));
  await plane.until('that set is gone', async () => (await names(plane)) === '');

  const annotations = { 'selvage.dev/on-cut': 'stop-after=30s' };
  await plane.act(
    plane.client.create(resources.statefulSets, statefulSet({}, 'app:1', annotations)),
  );
  await settled(plane, 3);
  const uids = new Set<string>();
  plane.onPods((pods) => {
    const named = pods.filter(({ metadata }) => metadata.name === 'db-1');
    for (const { metadata } of named) uids.add(metadata.uid ?? '');
  });
  const { 'db-1': before } = await podsByName(plane);
  const watch = plane.store.watch(plane.store.revision, ({ events }) => {
    const isAsked = events.some(
      ({ type, object }) =>
        type === 'put' &&
        object.uid === before?.metadata.uid &&
        JSON.stringify(object.facets.intent?.decoded).includes('deletionTimestamp'),
    );
    assert.equal(isAsked, false, 'there is nothing left to wait for on its node');
  });
  const left = await giveUp('db-1');
  await plane.until('it is made again, at once and by its name', async () => {
    const { 'db-1': pod } = await podsByName(plane);
    return pod !== undefined && pod.metadata.uid !== left && pod.status?.phase === 'Running';
  });
  assert.equal(uids.size, 2);
  watch.close();
  await plane.close();
});
