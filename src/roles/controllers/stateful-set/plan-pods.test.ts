import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { Pod, PodStatus, StatefulSetSpec } from '#platform/api/mod.ts';
import { revisionLabel } from '../shared/plan-revisions.ts';
import { changesMax, type NumberedPod, planStatefulPods, type StatefulPlan } from './plan-pods.ts';

const early = '2026-01-01T00:00:00Z';
const nowMs = 1_767_229_200_000;

interface Traits {
  readonly revision?: string;
  readonly isReady?: boolean;
  readonly isLeaving?: boolean;
  readonly status?: PodStatus;
  readonly annotations?: Record<string, string>;
}

function pod(ordinal: number, traits: Traits = {}): NumberedPod {
  const { revision = 'new', isReady = true, isLeaving = false } = traits;
  const status: PodStatus = {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False', lastTransitionTime: early }],
    ...traits.status,
  };
  return {
    ordinal,
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `web-${ordinal}`,
        uid: `uid-${ordinal}`,
        creationTimestamp: early,
        labels: { [revisionLabel]: revision },
        ...(isLeaving ? { deletionTimestamp: early } : {}),
        ...(traits.annotations === undefined ? {} : { annotations: traits.annotations }),
      },
      spec: { containers: [{ name: 'main', image: 'app:1' }], nodeName: 'a' },
      status,
    },
  };
}

function specOf(spec: Partial<StatefulSetSpec>): StatefulSetSpec {
  return { selector: {}, template: { spec: { containers: [] } }, replicas: 3, ...spec };
}

function plan(spec: Partial<StatefulSetSpec>, pods: readonly NumberedPod[]): StatefulPlan {
  return planStatefulPods({
    spec: specOf(spec),
    pods,
    asked: new Set(),
    currentRevision: 'old',
    updateRevision: 'new',
    nowMs,
    retryAtMs: () => 0,
  });
}

const made = ({ create }: StatefulPlan): string[] =>
  create.map(({ ordinal, revision }) => `${ordinal} ${revision}`);
const gone = ({ remove }: StatefulPlan): string[] => remove.map(({ metadata }) => metadata.name);

test('in order, a pod is made when all before it are available; in parallel all at once', () => {
  assert.deepEqual(made(plan({}, [])), ['0 new']);
  assert.deepEqual(made(plan({}, [pod(0, { isReady: false })])), []);
  assert.deepEqual(made(plan({}, [pod(0)])), ['1 new']);
  assert.deepEqual(made(plan({ podManagementPolicy: 'Parallel' }, [])), [
    '0 new',
    '1 new',
    '2 new',
  ]);
  assert.deepEqual(made(plan({ ordinals: { start: 5 }, replicas: 1 }, [])), ['5 new']);
});

test('pods are scaled away from the highest number down, one after the other', () => {
  const four = [pod(0), pod(1), pod(2), pod(3)];
  assert.deepEqual(gone(plan({ replicas: 2 }, four)), ['web-3']);
  const leaving = [pod(0), pod(1), pod(2), pod(3, { isLeaving: true })];
  assert.deepEqual(gone(plan({ replicas: 2 }, leaving)), []);
  assert.deepEqual(gone(plan({ replicas: 2 }, [pod(0, { isReady: false }), pod(1), pod(2)])), []);
  const parallel = { podManagementPolicy: 'Parallel' as const, replicas: 1 };
  assert.deepEqual(gone(plan(parallel, four)), ['web-3', 'web-2', 'web-1']);
});

test('a pod that is leaving or out of reach keeps its name; one that surely stopped gives it back', () => {
  const lost: PodStatus = { reason: 'NodeLost', phase: 'Running' };
  const [first, last] = [pod(0), pod(2)];
  for (const held of [
    pod(1, { isLeaving: true }),
    pod(1, { isReady: false, status: lost }),
    pod(1, { isReady: false, status: lost, annotations: { 'selvage.dev/on-cut': 'keep' } }),
  ]) {
    const { create, remove } = plan({ podManagementPolicy: 'Parallel' }, [first, held, last]);
    assert.deepEqual([create, remove], [[], []]);
  }
  const annotations = { 'selvage.dev/on-cut': 'stop-after=30s' };
  const stopped = pod(1, { isReady: false, status: lost, annotations });
  assert.deepEqual(gone(plan({}, [first, stopped, last])), ['web-1']);
});

test('an update goes from the highest number down to the partition, OnDelete waits for somebody', () => {
  const old = [0, 1, 2].map((ordinal) => pod(ordinal, { revision: 'old' }));
  assert.deepEqual(gone(plan({}, old)), ['web-2']);
  const two = { updateStrategy: { rollingUpdate: { maxUnavailable: 2 } } };
  assert.deepEqual(gone(plan(two, old)), ['web-2', 'web-1']);
  const half = { updateStrategy: { rollingUpdate: { maxUnavailable: '34%' } } };
  assert.deepEqual(gone(plan(half, old)), ['web-2', 'web-1']);
  const held = { updateStrategy: { rollingUpdate: { partition: 2 } } };
  assert.deepEqual(gone(plan(held, old)), ['web-2']);
  const [zero, one] = old as [NumberedPod, NumberedPod];
  assert.deepEqual(gone(plan(held, [zero, one, pod(2)])), []);
  assert.deepEqual(made(plan(held, [zero])), ['1 old']);
  assert.deepEqual(made(plan(held, [zero, one])), ['2 new']);
  assert.deepEqual(gone(plan({ updateStrategy: { type: 'OnDelete' } }, old)), []);
  assert.deepEqual(made(plan({ updateStrategy: { type: 'OnDelete' } }, [zero, one])), ['2 new']);
});

test('a pod of the older template that cannot start does not hold up the one that would mend it', () => {
  const waiting = (reason: string): PodStatus => ({
    containerStatuses: [
      {
        name: 'main',
        ready: false,
        restartCount: 3,
        image: 'app:1',
        imageID: '',
        state: { waiting: { reason } },
      },
    ],
  });
  const stuck = { revision: 'old', isReady: false, status: waiting('CrashLoopBackOff') };
  assert.deepEqual(gone(plan({}, [pod(0), pod(1, stuck)])), ['web-1']);
  const starting = { ...stuck, status: waiting('ContainerCreating') };
  assert.deepEqual(gone(plan({}, [pod(0), pod(1, starting)])), []);
  assert.deepEqual(gone(plan({}, [pod(0), pod(1, { ...stuck, revision: 'new' })])), []);
});

test('the status counts by revision, and the rollout is over when all are ready', () => {
  const half = plan({}, [pod(0, { revision: 'old' }), pod(1, { isReady: false }), pod(2)]).status;
  assert.deepEqual(half, {
    replicas: 3,
    readyReplicas: 2,
    availableReplicas: 2,
    currentReplicas: 1,
    updatedReplicas: 2,
    currentRevision: 'old',
    updateRevision: 'new',
  });
  const { currentRevision, currentReplicas } = plan({}, [pod(0), pod(1), pod(2)]).status;
  assert.deepEqual([currentRevision, currentReplicas], ['new', 3]);
});

test('a pod that ended is made again only after a while', () => {
  const { remove, ended } = plan({}, [pod(0, { isReady: false, status: { phase: 'Failed' } })]);
  assert.deepEqual([remove.length, ended.length], [1, 1]);
  const { create, againAfterMs } = planStatefulPods({
    spec: specOf({}),
    pods: [],
    asked: new Set(),
    currentRevision: 'new',
    updateRevision: 'new',
    nowMs,
    retryAtMs: () => nowMs + 5_000,
  });
  assert.deepEqual([create, againAfterMs], [[], 5_000]);
});

test('the work does not grow with the wanted number, however large', () => {
  const replicas = 2_147_483_647;
  const pods = [pod(1), pod(700, { status: { phase: 'Failed' } }), pod(2_147_483_646)];
  const parallel = { podManagementPolicy: 'Parallel' as const, replicas };
  const many = plan(parallel, pods);
  assert.equal(many.create.length, changesMax);
  assert.deepEqual(
    many.create.slice(0, 3).map(({ ordinal }) => ordinal),
    [0, 2, 3],
  );
  assert.deepEqual(gone(many), ['web-700']);
  assert.deepEqual(made(plan({ replicas }, pods)), ['0 new']);
  assert.deepEqual(made(plan({ replicas }, [pod(0), pod(1)])), ['2 new']);
  const high = { replicas, ordinals: { start: replicas } };
  assert.deepEqual(made(plan(high, [pod(replicas)])), ['2147483648 new']);
  // A hundred are missing, and of a hundred and one that may be one is left.
  const all = Array.from({ length: 400 }, (_, at) => pod(at, { revision: 'old' }));
  const updateStrategy = { rollingUpdate: { maxUnavailable: 101 } };
  const updating = { ...parallel, updateStrategy };
  assert.deepEqual(gone(plan({ ...updating, replicas: 500 }, all)), ['web-399']);
  assert.deepEqual(gone(plan(updating, all)), []);
});

/** A set that lives through whatever happens to its pods: what is wrong at any moment. */
function live(spec: StatefulSetSpec, happenings: readonly (readonly [number, string])[]): void {
  const isOrdered = spec.podManagementPolicy !== 'Parallel';
  const wanted = spec.replicas ?? 1;
  const bound = Number(spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1);
  let pods = new Map<number, Traits>();
  for (let ordinal = 0; ordinal < 4; ordinal += 1) pods.set(ordinal, { revision: 'old' });
  const step = (): boolean => {
    const all = [...pods].map(([ordinal, traits]) => pod(ordinal, traits));
    const { create, remove, condemned } = plan(spec, all);
    for (const { ordinal } of create) {
      assert.ok(!pods.has(ordinal), 'never two of one name');
      const before = Array.from({ length: ordinal }, (_, at) => pods.get(at));
      const areThere = before.every((one) => one?.isReady !== false && one?.isLeaving !== true);
      if (isOrdered) assert.ok(areThere && before.every((one) => one !== undefined), 'in order');
    }
    const isServing = (one: Traits | undefined): boolean =>
      one !== undefined && one.isReady !== false && one.isLeaving !== true;
    const down = (without: readonly Pod[]): number => {
      let count = 0;
      for (let ordinal = 0; ordinal < wanted; ordinal += 1) {
        const isTaken = without.some(({ metadata }) => metadata.name === `web-${ordinal}`);
        if (isTaken || !isServing(pods.get(ordinal))) count += 1;
      }
      return count;
    };
    assert.ok(down(remove) <= Math.max(down([]), bound), 'no more out of service than may be');
    const highest = Math.max(...condemned.map(({ ordinal }) => ordinal));
    for (const { metadata } of remove) {
      const ordinal = Number(metadata.name.slice(4));
      if (isOrdered && ordinal >= wanted) assert.equal(ordinal, highest, 'the last goes first');
      pods.set(ordinal, { ...pods.get(ordinal), isLeaving: true });
    }
    for (const { ordinal, revision } of create) pods.set(ordinal, { revision, isReady: false });
    return create.length + remove.length > 0;
  };
  for (const [ordinal, what] of happenings) {
    step();
    const there = pods.get(ordinal);
    if (there === undefined) continue;
    if (what === 'goes' && there.isLeaving === true) pods.delete(ordinal);
    if (what === 'ready') pods.set(ordinal, { ...there, isReady: true });
    if (what === 'fails') pods.set(ordinal, { ...there, isReady: false });
    if (what === 'deleted') pods.set(ordinal, { ...there, isLeaving: true });
  }
  // Left alone it comes to rest.
  for (let round = 0; round < 60; round += 1) {
    const didSomething = step();
    const before = JSON.stringify([...pods]);
    pods = new Map(
      [...pods]
        .filter(([, { isLeaving }]) => isLeaving !== true)
        .map(([ordinal, traits]) => [ordinal, { ...traits, isReady: true }]),
    );
    if (!didSomething && JSON.stringify([...pods]) === before) break;
  }
  const revisions = Array.from({ length: wanted }, (_, at) => pods.get(at)?.revision);
  const { partition = 0 } = spec.updateStrategy?.rollingUpdate ?? {};
  assert.deepEqual(pods.size, wanted);
  for (const [at, revision] of revisions.entries()) {
    if (at >= partition) assert.equal(revision, 'new', `${at} is of the new template`);
    else assert.equal(revision, 'old', `${at} is held by the partition`);
  }
}

test('whatever happens to the pods, names are single, the order is kept, and it comes to rest', () => {
  fc.assert(
    fc.property(
      fc.record({
        replicas: fc.integer({ min: 0, max: 6 }),
        isOrdered: fc.boolean(),
        maxUnavailable: fc.integer({ min: 1, max: 3 }),
        partition: fc.integer({ min: 0, max: 3 }),
      }),
      fc.array(
        fc.tuple(
          fc.integer({ min: 0, max: 6 }),
          fc.constantFrom('goes', 'ready', 'ready', 'fails', 'deleted'),
        ),
        { maxLength: 40 },
      ),
      ({ replicas, isOrdered, maxUnavailable, partition }, happenings) => {
        const spec = specOf({
          replicas,
          podManagementPolicy: isOrdered ? 'OrderedReady' : 'Parallel',
          updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition, maxUnavailable } },
        });
        live(spec, happenings);
      },
    ),
    { numRuns: 400, seed: 5 },
  );
});
