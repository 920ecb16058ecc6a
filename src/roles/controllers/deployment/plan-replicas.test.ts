import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import {
  planReplicas,
  type ReplicaSetFacts,
  rolloutBounds,
  type RolloutFacts,
} from './plan-replicas.ts';

type Set_ = { name: string; wanted: number; existing: number; available: number };

const rolling = (maxSurge: number | string, maxUnavailable: number | string) =>
  ({ type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } }) as const;

function facts(overrides: Partial<RolloutFacts>): RolloutFacts {
  return {
    replicas: 4,
    strategy: rolling('25%', '25%'),
    paused: false,
    current: undefined,
    older: [],
    olderPodsRemain: false,
    ...overrides,
  };
}

function steady(name: string, count: number): ReplicaSetFacts {
  return { name, wanted: count, existing: count, available: count };
}

test('percentages become counts: surge up, unavailable down, never both nothing', () => {
  assert.deepEqual(rolloutBounds(10, rolling('25%', '25%')), { maxSurge: 3, maxUnavailable: 2 });
  assert.deepEqual(rolloutBounds(2, rolling('25%', '25%')), { maxSurge: 1, maxUnavailable: 0 });
  assert.deepEqual(rolloutBounds(3, rolling('0%', '10%')), { maxSurge: 0, maxUnavailable: 1 });
  assert.deepEqual(rolloutBounds(3, rolling(1, 5)), { maxSurge: 1, maxUnavailable: 3 });
});

test('a new deployment gets all of its replicas at once', () => {
  assert.deepEqual(planReplicas(facts({})), { current: 4, older: [] });
});

test('a rolling update begins with the surge and takes what may be unavailable', () => {
  const plan = planReplicas(facts({ older: [steady('old', 4)] }));
  assert.deepEqual(plan, { current: 1, older: [{ name: 'old', replicas: 3 }] });
});

test('pods of older sets that do no work go first, and cost nothing', () => {
  const broken = { name: 'broken', wanted: 2, existing: 2, available: 0 };
  const plan = planReplicas(
    facts({
      older: [steady('good', 4), broken],
      strategy: rolling(0, 1),
      current: steady('new', 0),
    }),
  );
  assert.deepEqual(plan, {
    current: 0,
    older: [
      { name: 'good', replicas: 3 },
      { name: 'broken', replicas: 0 },
    ],
  });
});

test('pods that are all out of touch are not given up for new ones that do no work yet', () => {
  const silent = { name: 'old', wanted: 4, existing: 4, available: 0 };
  const started = { name: 'new', wanted: 1, existing: 1, available: 0 };
  const plan = planReplicas(facts({ older: [silent], current: started }));
  assert.deepEqual(plan, { current: 1, older: [{ name: 'old', replicas: 3 }] });
});

test('Recreate waits until the last older pod is gone', () => {
  const strategy = { type: 'Recreate' } as const;
  assert.deepEqual(planReplicas(facts({ strategy, older: [steady('old', 4)] })), {
    current: undefined,
    older: [{ name: 'old', replicas: 0 }],
  });
  const emptied = steady('old', 0);
  assert.deepEqual(planReplicas(facts({ strategy, older: [emptied], olderPodsRemain: true })), {
    current: undefined,
    older: [],
  });
  assert.deepEqual(planReplicas(facts({ strategy, older: [emptied] })), { current: 4, older: [] });
});

test('a paused rollout makes no new set and scales the sets that are there in proportion', () => {
  assert.deepEqual(planReplicas(facts({ paused: true, older: [steady('old', 2)] })), {
    current: undefined,
    older: [{ name: 'old', replicas: 4 }],
  });
  const plan = planReplicas(
    facts({ paused: true, replicas: 10, older: [steady('old', 3)], current: steady('new', 1) }),
  );
  assert.deepEqual(plan, { current: 2, older: [{ name: 'old', replicas: 8 }] });
});

/** One set does as it was told for one of its pods, or one of its pods changes its readiness. */
function moveOne(set: Set_, move: number): void {
  if (set.existing < set.wanted) set.existing += 1;
  else if (set.existing > set.wanted) {
    set.existing -= 1;
    set.available = Math.min(set.available, set.existing);
  } else if (move % 2 === 0 && set.available < set.existing) set.available += 1;
}

test('whatever order things happen in, a rolling update keeps its bounds and ends', () => {
  const parameters = fc.record({
    replicas: fc.integer({ min: 0, max: 12 }),
    surge: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom('0%', '25%', '100%')),
    unavailable: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom('0%', '25%', '100%')),
    olderSets: fc.integer({ min: 1, max: 3 }),
    moves: fc.array(fc.integer({ min: 0, max: 63 }), { maxLength: 120 }),
  });
  fc.assert(
    fc.property(parameters, ({ replicas, surge, unavailable, olderSets, moves }) => {
      const strategy = rolling(surge, unavailable);
      const bounds = rolloutBounds(replicas, strategy);
      const sets: Set_[] = Array.from({ length: olderSets }, (_, i) => ({
        ...steady(`old-${i}`, i === 0 ? replicas : 0),
      }));
      const current: Set_ = { ...steady('new', 0) };
      sets.push(current);
      const step = (): void => {
        const plan = planReplicas(facts({ replicas, strategy, current, older: sets.slice(0, -1) }));
        current.wanted = plan.current ?? 0;
        for (const { name, replicas: wanted } of plan.older) {
          const set = sets.find((candidate) => candidate.name === name);
          assert.ok(set);
          set.wanted = wanted;
        }
        const most = sets.reduce((total, set) => total + Math.max(set.wanted, set.existing), 0);
        const works = sets.reduce((total, set) => total + Math.min(set.wanted, set.available), 0);
        assert.ok(most <= replicas + bounds.maxSurge, `${most} pods`);
        assert.ok(works >= replicas - bounds.maxUnavailable, `${works} available`);
      };
      for (const move of moves) {
        step();
        const set = sets[move % sets.length];
        if (set !== undefined) moveOne(set, move >> 2);
      }
      for (let round = 0; round < 400; round += 1) {
        step();
        for (const set of sets) moveOne(set, 0);
      }
      assert.deepEqual(current, steady('new', replicas));
      assert.ok(sets.slice(0, -1).every((set) => set.existing === 0 && set.wanted === 0));
    }),
    { numRuns: 300 },
  );
});

test('the largest numbers are planned like small ones', () => {
  const replicas = 2_147_483_647;
  const strategy = rolling(replicas, 0);
  assert.deepEqual(planReplicas(facts({ replicas, strategy })), { current: replicas, older: [] });
  const started = { name: 'new', wanted: 5, existing: 5, available: 5 };
  assert.deepEqual(planReplicas(facts({ replicas, strategy, current: started })), {
    current: replicas,
    older: [],
  });
  const shared = [steady('old', replicas), steady('older', replicas)];
  const { older } = planReplicas(facts({ replicas, strategy, paused: true, older: shared }));
  assert.deepEqual(older, []);
  const four = planReplicas(facts({ replicas: 4, strategy: rolling(0, 0), older: shared }));
  assert.equal(four.current, 0, 'none is made before those that are too many have gone');
  assert.ok(four.older.every((set) => set.replicas >= 0 && set.replicas <= replicas));
});
