import assert from 'node:assert/strict';
import test from 'node:test';
import type { Deployment, DeploymentStatus, ReplicaSet } from '#platform/api/mod.ts';
import { planStatus, type StatusFacts } from './plan-status.ts';

const startMs = 1_767_225_600_000; // 2026-01-01T00:00:00Z
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [] } };

function deployment(status: DeploymentStatus | undefined, spec = {}): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default', generation: 3 },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'a' } },
      template,
      progressDeadlineSeconds: 60,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      ...spec,
    },
    ...(status === undefined ? {} : { status }),
  };
}

function set(name: string, wanted: number, existing: number, available: number): ReplicaSet {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, namespace: 'default' },
    spec: { replicas: wanted, selector: { matchLabels: { app: 'a' } }, template },
    status: { replicas: existing, readyReplicas: available, availableReplicas: available },
  };
}

function facts(overrides: Partial<StatusFacts> & Pick<StatusFacts, 'deployment'>): StatusFacts {
  const nowMs = overrides.nowMs ?? startMs;
  const seconds = (nowMs - startMs) / 1000;
  const clockText = `00:${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`;
  return {
    current: undefined,
    older: [],
    event: undefined,
    now: `2026-01-01T${clockText}Z`,
    nowMs,
    ...overrides,
  };
}

function progressing(status: DeploymentStatus): (string | undefined)[] {
  const found = status.conditions?.find(({ type }) => type === 'Progressing');
  return [found?.status, found?.reason];
}

test('a rollout is told from its first set to its end, and a stall by its deadline', () => {
  const created = planStatus(
    facts({ deployment: deployment(undefined), current: set('web-1', 2, 0, 0), event: 'created' }),
  );
  assert.deepEqual(progressing(created.status), ['True', 'NewReplicaSetCreated']);
  assert.equal(created.againAfterMs, 61_000);

  const moved = planStatus(
    facts({
      deployment: deployment(created.status),
      current: set('web-1', 2, 2, 1),
      nowMs: startMs + 10_000,
    }),
  );
  assert.deepEqual(progressing(moved.status), ['True', 'ReplicaSetUpdated']);

  const late = { deployment: deployment(moved.status), nowMs: startMs + 71_000 };
  const stalled = planStatus(facts({ ...late, current: set('web-1', 2, 2, 1) }));
  assert.deepEqual(progressing(stalled.status), ['False', 'ProgressDeadlineExceeded']);
  assert.equal(stalled.againAfterMs, undefined);

  const done = planStatus(facts({ ...late, current: set('web-1', 2, 2, 2) }));
  assert.deepEqual(done.status, {
    observedGeneration: 3,
    replicas: 2,
    updatedReplicas: 2,
    readyReplicas: 2,
    availableReplicas: 2,
    unavailableReplicas: 0,
    conditions: [
      {
        type: 'Available',
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
        lastUpdateTime: '2026-01-01T00:01:11Z',
        lastTransitionTime: '2026-01-01T00:01:11Z',
      },
      {
        type: 'Progressing',
        status: 'True',
        reason: 'NewReplicaSetAvailable',
        message: 'ReplicaSet "web-1" has successfully progressed.',
        lastUpdateTime: '2026-01-01T00:01:11Z',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ],
  });
});

test('a status that says the same again is the same', () => {
  const current = set('web-1', 2, 2, 2);
  const first = planStatus(facts({ deployment: deployment(undefined), current }));
  const second = planStatus(
    facts({ deployment: deployment(first.status), current, nowMs: startMs + 30_000 }),
  );
  assert.deepEqual(second.status, first.status);
});

test('a complete deployment that loses a pod stays a success and is not available', () => {
  const first = planStatus(
    facts({ deployment: deployment(undefined), current: set('web-1', 2, 2, 2) }),
  );
  const lost = planStatus(
    facts({
      deployment: deployment(first.status),
      current: set('web-1', 2, 2, 1),
      nowMs: startMs + 600_000 - 9_000,
    }),
  );
  assert.deepEqual(progressing(lost.status), ['True', 'NewReplicaSetAvailable']);
  assert.deepEqual(
    lost.status.conditions?.map(({ type, status }) => [type, status]),
    [
      ['Available', 'False'],
      ['Progressing', 'True'],
    ],
  );
});

test('a paused rollout says so and has no deadline', () => {
  const paused = planStatus(
    facts({ deployment: deployment(undefined, { paused: true }), older: [set('web-0', 2, 2, 2)] }),
  );
  assert.deepEqual(progressing(paused.status), ['Unknown', 'DeploymentPaused']);
  assert.equal(paused.againAfterMs, undefined);
});
