// Every planted bug is found by the checker of the invariant that it breaks, and by
// no other; without it the same seeds pass (simulation.test.ts runs some of them).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  invariantText,
  runSimulation,
  sabotages,
  sameTraceFailure,
  SimulationFailure,
  type Sabotage,
} from '#apps/simulator/mod.ts';

const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

async function failureOf(seed: number, sabotage: Sabotage): Promise<SimulationFailure | undefined> {
  const run = () =>
    runSimulation({
      seed,
      minutes: 6,
      nodes: 3,
      sabotage,
      drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
    });
  try {
    const first = await run();
    if (sabotage.isSeenTwice !== true) return undefined;
    const second = await run();
    return first.trace === second.trace ? undefined : sameTraceFailure(seed, first, second);
  } catch (thrown) {
    assert.ok(thrown instanceof SimulationFailure, String(thrown));
    return thrown;
  }
}

test('there are at least twelve planted bugs, and their names differ', () => {
  assert.ok(sabotages.length >= 12);
  assert.equal(new Set(sabotages.map(({ name }) => name)).size, sabotages.length);
});

for (const sabotage of sabotages) {
  const wanted = invariantText(sabotage.invariant);
  test(`a program that ${sabotage.what} breaks ${wanted}`, async () => {
    for (const seed of seeds) {
      const failure = await failureOf(seed, sabotage);
      if (failure === undefined) continue;
      assert.ok(
        failure.message.startsWith(`seed ${seed}: ${wanted} violated at `),
        failure.message,
      );
      return;
    }
    assert.fail(`none of the seeds ${seeds.join(', ')} showed it`);
  });
}
