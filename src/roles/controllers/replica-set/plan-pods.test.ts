import assert from 'node:assert/strict';
import test from 'node:test';
import type { Pod, PodPhase } from '#platform/api/mod.ts';
import { availableInMs } from '../shared/pod-state.ts';
import { endedPodsMax, planPods, rankForRemoval } from './plan-pods.ts';

type Traits = {
  name: string;
  node?: string;
  phase?: PodPhase;
  readySince?: string;
  created?: string;
  leaving?: boolean;
};

function pod({ name, node, phase, readySince, created, leaving }: Traits): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      creationTimestamp: created ?? '2026-01-01T00:00:00Z',
      ...(leaving === true ? { deletionTimestamp: '2026-01-02T00:00:00Z' } : {}),
    },
    spec: { containers: [], ...(node === undefined ? {} : { nodeName: node }) },
    status: {
      phase: phase ?? (readySince === undefined ? 'Pending' : 'Running'),
      ...(readySince === undefined
        ? {}
        : { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: readySince }] }),
    },
  };
}

const early = '2026-01-01T00:00:10Z';
const late = '2026-01-01T00:05:00Z';

test('pods that ended or are on their way out are replaced', () => {
  const pods = [
    pod({ name: 'runs', node: 'a', readySince: early }),
    pod({ name: 'failed', node: 'a', phase: 'Failed' }),
    pod({ name: 'leaves', node: 'b', readySince: early, leaving: true }),
  ];
  assert.deepEqual(planPods(3, pods), { create: 2, remove: [] });
  assert.deepEqual(planPods(1, pods), { create: 0, remove: [] });
});

test('the pods that are missed least go first', () => {
  const pods = [
    pod({ name: 'alone', node: 'c', readySince: early }),
    pod({ name: 'doubled-old', node: 'a', readySince: early }),
    pod({ name: 'doubled-new', node: 'a', readySince: late }),
    pod({ name: 'not-ready', node: 'b', phase: 'Running' }),
    pod({ name: 'pending', node: 'b', phase: 'Pending' }),
    pod({ name: 'unassigned' }),
  ];
  assert.deepEqual(
    rankForRemoval(pods).map((ranked) => ranked.metadata.name),
    ['unassigned', 'pending', 'not-ready', 'doubled-new', 'alone', 'doubled-old'],
  );
});

test('shrinking takes pods from the fullest node until the rest is spread', () => {
  const pods = ['a', 'a', 'a', 'b', 'b', 'c'].map((node, i) =>
    pod({ name: `p${i}`, node, readySince: early }),
  );
  const { remove } = planPods(3, pods);
  const removed = new Set(remove.map((gone) => gone.metadata.name));
  const left = pods.filter((kept) => !removed.has(kept.metadata.name));
  assert.deepEqual(new Set(left.map((kept) => kept.spec.nodeName)), new Set(['a', 'b', 'c']));
  assert.equal(left.length, 3);
});

test('a pod counts as available once it has been ready for long enough', () => {
  const ready = pod({ name: 'p', node: 'a', readySince: '2026-01-01T00:00:10Z' });
  const nowMs = 1_767_225_615_000; // 2026-01-01T00:00:15Z
  assert.equal(availableInMs(ready, 0, nowMs), 0);
  assert.equal(availableInMs(ready, 8, nowMs), 3_000);
  assert.equal(availableInMs(pod({ name: 'q', node: 'a' }), 0, nowMs), undefined);
});

test('a pod that was given up with its node is replaced and left to the node', () => {
  const lost = pod({ name: 'lost', node: 'a', readySince: early });
  lost.status = { ...lost.status, reason: 'NodeLost' };
  const runs = pod({ name: 'runs', node: 'b', readySince: early });
  assert.deepEqual(planPods(2, [lost, runs]), { create: 1, remove: [] });
  assert.deepEqual(planPods(0, [lost, runs]).remove, [runs]);
});

test('a pod that counts again makes the one that replaced it a surplus', () => {
  const old = pod({ name: 'old', node: 'a', readySince: early });
  const replacement = pod({ name: 'new', node: 'b', readySince: late });
  assert.deepEqual(planPods(1, [old, replacement]), { create: 0, remove: [replacement] });
});

test('pods that ended do not pile up: the newest few stay', () => {
  const ended = Array.from({ length: endedPodsMax + 2 }, (_, i) =>
    pod({ name: `e${i}`, node: 'a', phase: 'Failed', created: `2026-01-01T00:00:0${i}Z` }),
  );
  const { create, remove } = planPods(1, ended);
  assert.equal(create, 1);
  assert.deepEqual(
    remove.map(({ metadata }) => metadata.name),
    ['e1', 'e0'],
  );
});
