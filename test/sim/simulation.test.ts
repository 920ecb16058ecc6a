// Whole fleets over virtual time: what was declared is there in the end, whatever
// happened on the way, and a seed tells the same story every time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSimulation, type SimulationResult } from '#apps/simulator/mod.ts';

const run = (seed: number): Promise<SimulationResult> =>
  runSimulation({
    seed,
    minutes: 5,
    nodes: 3,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });

for (const seed of [1, 2, 3, 4, 5]) {
  test(`seed ${seed} converges, twice by the same way`, async () => {
    const first = await run(seed);
    assert.match(first.trace, /^[0-9a-f]{64}$/);
    assert.deepEqual(await run(seed), first);
  });
}

test('another seed is another story', async () => {
  assert.notEqual((await run(11)).trace, (await run(12)).trace);
});
