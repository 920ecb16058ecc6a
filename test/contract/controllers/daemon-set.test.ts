import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ApiObject,
  type ControllerRevision,
  type DaemonSet,
  type Pod,
  resources,
} from '#platform/api/mod.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';

function daemons(spec: object = {}, podSpec: object = {}, image = 'app:1'): ApiObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agent', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'agent' } },
      template: {
        metadata: { labels: { app: 'agent' } },
        spec: { containers: [{ name: 'main', image }], ...podSpec },
      },
      ...spec,
    },
  };
}

async function podsByNode(plane: ControlPlane): Promise<Record<string, string>> {
  const pods = (await plane.list(resources.pods)) as Pod[];
  const active = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const images = active.map(({ spec }) => [spec.nodeName, spec.containers[0]?.image]);
  assert.equal(new Set(images.map(([node]) => node)).size, images.length, 'one on each node');
  return Object.fromEntries(
    images.toSorted(([left = ''], [right = '']) => (left < right ? -1 : 1)),
  ) as Record<string, string>;
}

async function daemonSet(plane: ControlPlane): Promise<DaemonSet> {
  return (await plane.act(plane.client.get(resources.daemonSets, 'default', 'agent'))) as DaemonSet;
}

async function statusOf(plane: ControlPlane): Promise<DaemonSet['status']> {
  return (await daemonSet(plane)).status;
}

const settled = (plane: ControlPlane, nodes: number): Promise<void> =>
  plane.until(`a pod on ${nodes} nodes`, async () => {
    const { metadata, status } = await daemonSet(plane);
    return (
      status?.observedGeneration === metadata.generation &&
      status?.desiredNumberScheduled === nodes &&
      status.numberAvailable === nodes &&
      status.updatedNumberScheduled === nodes
    );
  });

test('every node that fits has one pod, also one that joins later, and none that stops to fit', async () => {
  const plane = await openControlPlane(11);
  for (const name of ['a', 'b', 'c']) await plane.addNode(name, { disk: 'ssd' });
  await plane.addNode('d');
  await plane.act(
    plane.client.create(resources.daemonSets, daemons({}, { nodeSelector: { disk: 'ssd' } })),
  );
  await settled(plane, 3);
  await plane.addNode('e', { disk: 'ssd' });
  await settled(plane, 4);
  assert.deepEqual(Object.keys(await podsByNode(plane)), ['a', 'b', 'c', 'e']);
  const label = (name: string, disk: string | null): Promise<ApiObject> =>
    plane.act(
      plane.client.mergePatch(resources.nodes, '', name, { metadata: { labels: { disk } } }),
    );
  await label('b', null);
  await label('d', 'ssd');
  await plane.until('the pod moved', async () => {
    return Object.keys(await podsByNode(plane)).join() === 'a,c,d,e';
  });
  await settled(plane, 4);
  assert.equal((await statusOf(plane))?.numberMisscheduled, 0);
  await plane.close();
});

test('a cordon keeps pods where they are, a taint keeps new ones away, NoExecute ends them', async () => {
  const plane = await openControlPlane(12);
  for (const name of ['a', 'b', 'c']) await plane.addNode(name);
  await plane.act(plane.client.create(resources.daemonSets, daemons()));
  await settled(plane, 3);
  const setSpec = (name: string, spec: object): Promise<ApiObject> =>
    plane.act(plane.client.mergePatch(resources.nodes, '', name, { spec } as never));
  await setSpec('a', { unschedulable: true });
  await setSpec('b', { taints: [{ key: 'k', effect: 'NoSchedule' }] });
  await setSpec('c', { taints: [{ key: 'k', effect: 'NoExecute' }] });
  await plane.until('the pod on c goes', async () => {
    return Object.keys(await podsByNode(plane)).join() === 'a,b';
  });
  await plane.until('the count', async () => (await statusOf(plane))?.desiredNumberScheduled === 1);
  assert.equal((await statusOf(plane))?.numberMisscheduled, 1);
  await setSpec('c', { taints: null });
  await plane.until('it comes back', async () =>
    Object.keys(await podsByNode(plane)).includes('c'),
  );
  await plane.close();
});

test('a rolling update makes no more nodes unavailable than it may, over kills of the server', async () => {
  const plane = await openControlPlane(13);
  for (const name of ['a', 'b', 'c', 'd', 'e']) await plane.addNode(name);
  const updateStrategy = { rollingUpdate: { maxUnavailable: 2 } };
  await plane.act(plane.client.create(resources.daemonSets, daemons({ updateStrategy })));
  await settled(plane, 5);
  let least = 5;
  plane.onPods((pods) => {
    least = Math.min(least, pods.filter(({ status }) => status?.phase === 'Running').length);
  });
  const template = { spec: { containers: [{ name: 'main', image: 'app:2' }] } };
  await plane.act(
    plane.client.mergePatch(resources.daemonSets, 'default', 'agent', { spec: { template } }),
  );
  await plane.world.run(plane.world.clock.monotonicMs() + 700);
  await plane.restart();
  await settled(plane, 5);
  assert.deepEqual(new Set(Object.values(await podsByNode(plane))), new Set(['app:2']));
  assert.equal(least, 3);
  await plane.close();
});

test('with maxSurge the new pod runs before the old one goes; OnDelete waits for somebody', async () => {
  const plane = await openControlPlane(14);
  for (const name of ['a', 'b', 'c']) await plane.addNode(name);
  const updateStrategy = { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  await plane.act(plane.client.create(resources.daemonSets, daemons({ updateStrategy })));
  await settled(plane, 3);
  let least = 3;
  let most = 3;
  plane.onPods((pods) => {
    most = Math.max(most, pods.length);
    least = Math.min(least, pods.filter(({ status }) => status?.phase === 'Running').length);
  });
  const change = (spec: object): Promise<ApiObject> =>
    plane.act(plane.client.mergePatch(resources.daemonSets, 'default', 'agent', { spec } as never));
  const image = (name: string): object => ({
    template: { spec: { containers: [{ name: 'main', image: name }] } },
  });
  await change(image('app:2'));
  await settled(plane, 3);
  await plane.until('only new ones', async () => (await plane.list(resources.pods)).length === 3);
  assert.deepEqual([least, most], [3, 4]);

  await change({ updateStrategy: { type: 'OnDelete', rollingUpdate: null } });
  await change(image('app:3'));
  await plane.world.run(plane.world.clock.monotonicMs() + 10_000);
  assert.deepEqual(new Set(Object.values(await podsByNode(plane))), new Set(['app:2']));
  const [first] = (await plane.list(resources.pods)) as Pod[];
  await plane.act(plane.client.delete(resources.pods, 'default', first?.metadata.name ?? ''));
  await plane.until('that one is new', async () => {
    return Object.values(await podsByNode(plane)).filter((name) => name === 'app:3').length === 1;
  });
  await plane.close();
});

test('each template is kept as a revision, one that comes back goes to the top, old ones go', async () => {
  const plane = await openControlPlane(15);
  for (const name of ['a', 'b']) await plane.addNode(name);
  await plane.act(plane.client.create(resources.daemonSets, daemons({ revisionHistoryLimit: 1 })));
  await settled(plane, 2);
  const change = async (image: string): Promise<void> => {
    const template = { spec: { containers: [{ name: 'main', image }] } };
    await plane.act(
      plane.client.mergePatch(resources.daemonSets, 'default', 'agent', { spec: { template } }),
    );
    await settled(plane, 2);
  };
  const history = async (): Promise<readonly string[]> => {
    const revisions = (await plane.list(resources.controllerRevisions)) as ControllerRevision[];
    const told = revisions.map(({ revision, data }) => {
      const { spec } = data as unknown as { spec: DaemonSet['spec'] };
      return `${revision} ${spec.template.spec.containers[0]?.image}`;
    });
    return told.toSorted();
  };
  await change('app:2');
  assert.deepEqual(await history(), ['1 app:1', '2 app:2']);
  await change('app:1');
  assert.deepEqual(await history(), ['2 app:2', '3 app:1']);
  await change('app:3');
  await plane.until('only one old one is left', async () => (await history()).length === 2);
  assert.deepEqual(await history(), ['3 app:1', '4 app:3']);
  const [pod] = await plane.list(resources.pods);
  const hash = pod?.metadata.labels?.['controller-revision-hash'];
  const current = (await plane.list(resources.controllerRevisions)).find(
    ({ metadata }) => metadata.labels?.['controller-revision-hash'] === hash,
  );
  assert.equal((current as ControllerRevision | undefined)?.revision, 4);
  await plane.act(plane.client.delete(resources.daemonSets, 'default', 'agent'));
  await plane.until('its history goes with it', async () => (await history()).length === 0);
  await plane.close();
});
