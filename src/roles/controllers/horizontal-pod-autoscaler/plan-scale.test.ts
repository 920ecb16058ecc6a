import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { HorizontalPodAutoscalerSpec, ScalingRules } from '#platform/api/mod.ts';
import { beginHistory, planScale, type ScaleHistory } from './plan-scale.ts';

function specOf(change: Partial<HorizontalPodAutoscalerSpec> = {}): HorizontalPodAutoscalerSpec {
  return {
    scaleTargetRef: { kind: 'Deployment', name: 'web' },
    minReplicas: 1,
    maxReplicas: 100,
    ...change,
  };
}

/** What becomes of it when that is asked for every 15 seconds. */
function run(
  spec: HorizontalPodAutoscalerSpec,
  from: number,
  asked: readonly number[],
  everyMs = 15_000,
): string {
  let history: ScaleHistory = { recommendations: [], ups: [], downs: [] };
  let replicas = from;
  const seen: string[] = [];
  for (const [step, wanted] of asked.entries()) {
    const plan = planScale(spec, replicas, wanted, history, step * everyMs);
    ({ replicas, history } = plan);
    seen.push(String(replicas));
  }
  return seen.join(' ');
}

test('up goes at once, twice as many or four more in 15 seconds, whichever is more', () => {
  assert.equal(run(specOf(), 1, [50, 50, 50, 50]), '5 10 20 40');
  assert.equal(run(specOf({ maxReplicas: 12 }), 1, [50, 50, 50]), '5 10 12');
});

test('down waits until nothing more was recommended for five minutes', () => {
  const asked = [8, ...Array.from({ length: 20 }, () => 2)];
  const seen = run(specOf(), 8, asked).split(' ');
  assert.deepEqual(
    [seen.slice(0, 20).every((one) => one === '8'), seen[20]],
    [true, '2'],
    seen.join(' '),
  );
  const none: ScalingRules = { stabilizationWindowSeconds: 0 };
  assert.equal(run(specOf({ behavior: { scaleDown: none } }), 8, [2]), '2');
  // A controller that has only begun knows nothing of before, and takes what there is for it.
  const plan = planScale(specOf(), 8, 2, beginHistory(8, 0), 15_000);
  assert.deepEqual([plan.replicas, plan.isStabilized], [8, true]);
});

test('policies bound what changes in their period, and the selected one counts', () => {
  const down = (rules: ScalingRules): HorizontalPodAutoscalerSpec =>
    specOf({ behavior: { scaleDown: { stabilizationWindowSeconds: 0, ...rules } } });
  const one = { type: 'Pods', value: 1, periodSeconds: 60 } as const;
  const half = { type: 'Percent', value: 50, periodSeconds: 60 } as const;
  assert.equal(run(down({ policies: [one] }), 10, [1, 1, 1, 1, 1]), '9 9 9 9 8');
  assert.equal(run(down({ policies: [one, half] }), 10, [1, 1, 1, 1, 1]), '5 5 5 5 2');
  const min: ScalingRules = { policies: [one, half], selectPolicy: 'Min' };
  assert.equal(run(down(min), 10, [1]), '9');
  assert.equal(run(down({ selectPolicy: 'Disabled' }), 10, [1, 1]), '10 10');
  const up = specOf({ behavior: { scaleUp: { policies: [one] } } });
  assert.equal(run(up, 2, [9, 9, 9, 9, 9]), '3 3 3 3 4');
});

test('what was recommended least in the window counts upwards', () => {
  const slow = specOf({ behavior: { scaleUp: { stabilizationWindowSeconds: 60 } } });
  assert.equal(run(slow, 2, [2, 6, 6, 6, 6]), '2 2 2 2 6');
});

test('the reason of a bound is told', () => {
  const limitOf = (asked: number, current: number, spec = specOf({ minReplicas: 2 })): string =>
    planScale(spec, current, asked, { recommendations: [], ups: [], downs: [] }, 0).limit;
  assert.equal(limitOf(3, 3), 'DesiredWithinRange');
  assert.equal(limitOf(200, 90), 'TooManyReplicas');
  assert.equal(limitOf(50, 3), 'ScaleUpLimit');
  assert.equal(limitOf(1, 3), 'TooFewReplicas');
});

test('whatever is asked for, the number stays in its bounds and no faster than it may', () => {
  const policies = fc.array(
    fc.record({
      type: fc.constantFrom('Pods' as const, 'Percent' as const),
      value: fc.integer({ min: 1, max: 100 }),
      periodSeconds: fc.constantFrom(15, 60, 120),
    }),
    { minLength: 1, maxLength: 3 },
  );
  const rules = fc.record({
    stabilizationWindowSeconds: fc.constantFrom(0, 30, 300),
    selectPolicy: fc.constantFrom('Max' as const, 'Min' as const, 'Disabled' as const),
    policies,
  });
  fc.assert(
    fc.property(
      fc.record({ scaleUp: rules, scaleDown: rules }),
      fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 40 }),
      (behavior, asked) => {
        const spec = specOf({ minReplicas: 2, maxReplicas: 40, behavior });
        let history = beginHistory(10, 0);
        let replicas = 10;
        for (const [step, wanted] of asked.entries()) {
          const before = replicas;
          const plan = planScale(spec, replicas, wanted, history, (step + 1) * 15_000);
          ({ replicas, history } = plan);
          assert.ok(replicas >= 2 && replicas <= 40);
          if (behavior.scaleUp.selectPolicy === 'Disabled') assert.ok(replicas <= before);
          if (behavior.scaleDown.selectPolicy === 'Disabled') assert.ok(replicas >= before);
          if (replicas > before) assert.ok(wanted > before, 'up only when more is asked for');
          if (replicas < before) assert.ok(wanted < before, 'down only when less is asked for');
        }
      },
    ),
    { numRuns: 300, seed: 4 },
  );
});

test('the largest numbers stay within the bounds', () => {
  const most = 2_147_483_647;
  const policies = [{ type: 'Percent' as const, value: most, periodSeconds: 15 }];
  const spec = specOf({
    minReplicas: most,
    maxReplicas: most,
    behavior: { scaleUp: { policies } },
  });
  assert.equal(run(spec, 1, [1e18, 0]), `${most} ${most}`);
  assert.equal(run({ ...spec, minReplicas: 1 }, most, [Number.MAX_VALUE]), `${most}`);
});
