// What the scheduler is told of stored pods and nodes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, utf8 } from '#base/mod.ts';
import { planPlacement } from '#engines/scheduler/mod.ts';
import { builtInDefinitions } from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { schedulerNode, schedulerPod } from './scheduler-input.ts';

const revision = 1 as never;

function stored(resource: string, name: string, facets: Record<string, JsonObject>): StoredObject {
  const key = { resource, namespace: resource === 'pods' ? 'default' : '', name };
  const encoded = Object.entries(facets).map(([facet, value]) => [
    facet,
    { revision, bytes: utf8(JSON.stringify(value)) },
  ]);
  const uid = `uid-${name}` as StoredObject['uid'];
  return { key, uid, createdRevision: revision, revision, facets: Object.fromEntries(encoded) };
}

/** `requests` of each of its containers; undefined for one that asks for nothing. */
function podWith(name: string, ...requests: readonly (JsonObject | undefined)[]): StoredObject {
  const containers = requests.map((amounts, index) => ({
    name: `c${index}`,
    image: 'app:1',
    ...(amounts === undefined ? {} : { resources: { requests: amounts } }),
  }));
  const intent = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers } };
  return stored('pods', name, { intent });
}

const nodeDefinition = builtInDefinitions.find(({ kind }) => kind === 'Node');

/** Like the nodes of a fleet: equal, and each with room for more than it is given here. */
function nodeWith(name: string, pods: readonly StoredObject[]) {
  assert.ok(nodeDefinition !== undefined);
  const node = stored('nodes', name, {
    intent: { apiVersion: 'v1', kind: 'Node', metadata: { name } },
    verdict: { ready: 'True' },
    report: {
      platforms: ['script/javascript'],
      status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110' } },
    },
  });
  return schedulerNode(nodeDefinition, node, pods, () => []);
}

const found = { platforms: [['script/javascript']], runtime: undefined, dataNode: undefined };
const inputOf = (pod: StoredObject) => schedulerPod(pod, found, () => []);

test('pods that ask for nothing go where the fewest are, though another node has more that nobody asked for', () => {
  // A little is asked for everywhere but on the last, which is no reason to have them all.
  const asking = podWith('asking', { cpu: '100m', memory: '100Mi' });
  const nodes = ['n1', 'n2', 'n3'].map((name) => nodeWith(name, [asking]));
  nodes.push(nodeWith('n4', []));
  const pods = Array.from({ length: 50 }, (_, index) =>
    inputOf(podWith(`bare-${index}`, undefined)),
  );
  const onNode = new Map<string, number>();
  for (const placement of planPlacement({ nodes, pods }).placements) {
    assert.ok(placement.type === 'placed');
    onNode.set(placement.nodeName, (onNode.get(placement.nodeName) ?? 0) + 1);
  }
  const counts = [...onNode.values()];
  assert.equal(counts.length, 4);
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, counts.join());
});

test('what a container asks for is what it takes; what it does not say counts only where nodes are compared', () => {
  const half = podWith('half', { cpu: '250m' }, { cpu: '0', memory: '0' });
  const { requests, load } = inputOf(half);
  assert.deepEqual(requests, { cpuMilli: 250, memoryBytes: 0 });
  assert.deepEqual(load, { cpuMilli: 250, memoryBytes: 200 * 2 ** 20 });
  const node = nodeWith('n1', [half, podWith('bare', undefined)]);
  assert.deepEqual(node.requested, { cpuMilli: 250, memoryBytes: 0, pods: 2 });
  assert.deepEqual(node.load, { cpuMilli: 350, memoryBytes: 400 * 2 ** 20 });
});
