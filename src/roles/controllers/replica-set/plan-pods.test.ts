import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { Pod, PodPhase } from '#platform/api/mod.ts';
import { availableInMs, createdMs, isReady, readySinceMs } from '../shared/pod-state.ts';
import { changesMax, endedPodsMax, planPods, rankForRemoval } from './plan-pods.ts';

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

/** The rule as it is told: again and again the one that is missed least, counted anew. */
function chosenOneByOne(pods: readonly Pod[]): Pod[] {
  const left = [...pods];
  const chosen: Pod[] = [];
  const phases: Partial<Record<PodPhase, number>> = { Unknown: 1, Running: 2 };
  while (left.length > 0) {
    const rankOf = (one: Pod): (number | string)[] => [
      one.spec.nodeName === undefined ? 0 : 1,
      phases[one.status?.phase ?? 'Pending'] ?? 0,
      isReady(one) ? 1 : 0,
      -left.filter(({ spec }) => spec.nodeName === one.spec.nodeName).length,
      -readySinceMs(one),
      -createdMs(one),
      one.metadata.name,
    ];
    const ranks = left.map((one, at) => ({ at, rank: rankOf(one) }));
    const [first] = ranks.toSorted((one, other) => {
      const where = one.rank.findIndex((value, position) => value !== other.rank[position]);
      if (where < 0) return one.at - other.at;
      return (one.rank[where] ?? 0) < (other.rank[where] ?? 0) ? -1 : 1;
    });
    chosen.push(...left.splice(first?.at ?? 0, 1));
  }
  return chosen;
}

test('the order is that of choosing one after the other', () => {
  const instant = fc.constantFrom(early, late, '2026-01-01T00:01:00Z');
  const traits = fc.record(
    {
      name: fc.string({ minLength: 1, maxLength: 2 }),
      node: fc.constantFrom('a', 'a', 'b', 'c'),
      phase: fc.constantFrom<PodPhase>('Pending', 'Running', 'Running', 'Unknown', 'Failed'),
      readySince: instant,
      created: instant,
    },
    { requiredKeys: ['name'] },
  );
  fc.assert(
    fc.property(fc.array(traits, { maxLength: 14 }), (all) => {
      const pods = all.map((one) => pod(one as Traits));
      assert.deepEqual(rankForRemoval(pods), chosenOneByOne(pods));
    }),
    { numRuns: 1_000, seed: 7 },
  );
});

test('taking one of very many pods is a matter of milliseconds', () => {
  const pods = Array.from({ length: 10_000 }, (_, at) =>
    pod({ name: `p${at}`, node: `node-${at % 7}`, readySince: at % 2 === 0 ? early : late }),
  );
  const beginMs = performance.now();
  assert.equal(planPods(pods.length - 1, pods).remove.length, 1);
  assert.equal(planPods(0, pods).remove.length, changesMax);
  assert.equal(planPods(2_147_483_647, pods).create, changesMax);
  // Half a minute and more where each is compared with all.
  assert.ok(performance.now() - beginMs < 10_000);
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
