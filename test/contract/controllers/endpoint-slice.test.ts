import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ApiObject,
  type Endpoints,
  type EndpointSlice,
  type Pod,
  resources,
} from '#platform/api/mod.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';

function pod(name: string, nodeName: string, port = 8080): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: 'web' } },
    spec: {
      nodeName,
      containers: [
        { name: 'main', image: 'app:1', ports: [{ name: 'http', containerPort: port }] },
      ],
    },
  };
}

const service: ApiObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default', labels: { team: 'a' } },
  spec: { selector: { app: 'web' }, ports: [{ name: 'web', port: 80, targetPort: 'http' }] },
};

async function slices(plane: ControlPlane): Promise<EndpointSlice[]> {
  return (await plane.list(resources.endpointSlices)) as EndpointSlice[];
}

/** `pod@zone:port` of each endpoint, with `!` where it is not ready. */
async function told(plane: ControlPlane): Promise<string[]> {
  return (await slices(plane))
    .flatMap(({ endpoints, ports = [] }) =>
      endpoints.map(
        ({ targetRef, zone, conditions }) =>
          `${targetRef?.name}@${zone}:${ports[0]?.port}${conditions?.ready === true ? '' : '!'}`,
      ),
    )
    .sort();
}

test('slices tell where the pods of a service are, and follow what becomes of them', async () => {
  const plane = await openControlPlane(31);
  const { client } = plane;
  for (const name of ['a', 'b']) await plane.addNode(name);
  await plane.act(client.create(resources.services, service));
  await plane.until('an empty slice', async () => (await slices(plane)).length === 1);
  for (const [name, node] of [
    ['one', 'a'],
    ['two', 'b'],
  ] as const) {
    await plane.act(client.create(resources.pods, pod(name, node)));
  }
  await plane.act(client.create(resources.pods, pod('old', 'b', 9090)));
  await plane.until('all ready', async () => {
    return (
      (await told(plane)).join(' ') === 'old@site-of-b:9090 one@site-of-a:8080 two@site-of-b:8080'
    );
  });
  const both = await slices(plane);
  assert.equal(both.length, 2, 'one for each meaning of the name');
  assert.equal(both[0]?.metadata.labels?.['kubernetes.io/service-name'], 'web');
  assert.equal(both[0]?.metadata.labels?.['team'], 'a');
  const [endpoint] = both[0]?.endpoints ?? [];
  assert.deepEqual(endpoint?.deprecatedTopology, { 'topology.kubernetes.io/region': 'north' });

  const one = (await plane.act(client.get(resources.pods, 'default', 'one'))) as Pod;
  await plane.report(one, { ...one.status, conditions: [{ type: 'Ready', status: 'False' }] });
  await plane.until('not ready', async () => (await told(plane)).includes('one@site-of-a:8080!'));
  const endpoints = { group: '', version: 'v1', plural: 'endpoints' };
  const older = (await plane.act(client.get(endpoints, 'default', 'web'))) as Endpoints;
  const counts = (older.subsets ?? []).map(
    ({ addresses = [], notReadyAddresses = [], ports = [] }) =>
      `${ports[0]?.port}: ${addresses.length} and ${notReadyAddresses.length}`,
  );
  assert.deepEqual(new Set(counts), new Set(['8080: 1 and 1', '9090: 1 and 0']));
  assert.equal((await plane.list(endpoints)).length, 1);
  // On its way out it is still there, and takes nothing new.
  await plane.act(client.delete(resources.pods, 'default', 'two'));
  await plane.until('leaving', async () => {
    const leaving = (await slices(plane)).flatMap(({ endpoints }) => endpoints);
    return leaving.some(
      ({ conditions }) =>
        conditions?.terminating === true && conditions.serving === true && !conditions.ready,
    );
  });
  await plane.until('gone', async () =>
    (await told(plane)).every((text) => !text.startsWith('two')),
  );
  const labels = { metadata: { labels: { app: 'other' } } };
  await plane.act(client.mergePatch(resources.pods, 'default', 'old', labels));
  await plane.until('only one', async () => (await told(plane)).join() === 'one@site-of-a:8080!');
  await plane.act(client.delete(resources.services, 'default', 'web'));
  await plane.until('no slices', async () => (await slices(plane)).length === 0);
  await plane.close();
});

test('many pods are told in several slices; a service without a selector is left to others', async () => {
  const plane = await openControlPlane(32);
  const { client } = plane;
  await plane.addNode('a');
  await plane.act(client.create(resources.services, service));
  for (let count = 0; count < 130; count += 1) {
    await plane.act(client.create(resources.pods, pod(`p${count}`, 'a')));
  }
  await plane.until('all of them', async () => {
    const all = await told(plane);
    return all.length === 130 && all.every((text) => !text.endsWith('!'));
  });
  const sizes = (await slices(plane)).map(({ endpoints }) => endpoints.length);
  assert.deepEqual(new Set(sizes), new Set([100, 30]));
  const own: ApiObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'legacy', namespace: 'default' },
    spec: { ports: [{ port: 80 }] },
  };
  await plane.act(client.create(resources.services, own));
  await plane.act(
    client.create(resources.endpointSlices, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: 'legacy-1',
        namespace: 'default',
        labels: { 'kubernetes.io/service-name': 'legacy' },
      },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['192.168.7.7'] }],
      ports: [{ port: 80 }],
    }),
  );
  await plane.world.run(plane.world.clock.monotonicMs() + 5_000);
  assert.ok((await slices(plane)).some(({ metadata }) => metadata.name === 'legacy-1'));
  await plane.close();
});
