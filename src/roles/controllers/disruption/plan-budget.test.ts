import assert from 'node:assert/strict';
import test from 'node:test';
import type { PodDisruptionBudget } from '#platform/api/mod.ts';
import { planBudget } from './plan-budget.ts';

const most = 2_147_483_647;

/** `allowed, desired of expected` where workloads want `count` pods and none is there. */
function numbersOf(spec: PodDisruptionBudget['spec'], count: number): string {
  const budget: PodDisruptionBudget = {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'web', generation: 1 },
    spec,
  };
  const now = '2026-01-01T00:00:00Z';
  const { status } = planBudget({ budget, pods: [], wanted: { count }, nowMs: 0, now });
  return `${status.disruptionsAllowed}, ${status.desiredHealthy} of ${status.expectedPods}`;
}

test('the largest numbers are counted like small ones', () => {
  assert.equal(numbersOf({ minAvailable: '50%' }, most), '0, 1073741824 of 2147483647');
  assert.equal(numbersOf({ maxUnavailable: most }, most), '0, 0 of 2147483647');
  assert.equal(numbersOf({ minAvailable: most }, 3), '0, 2147483647 of 0');
});
