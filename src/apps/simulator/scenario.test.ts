import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#platform/sim/mod.ts';
import { faultWeights } from './faults.ts';
import { runSimulation } from './run-simulation.ts';
import { drawWeights } from './scenario.ts';

const seeds = Array.from({ length: 200 }, (_, index) => index + 1);

test('each seed draws rates of its own, some of them zero', () => {
  const drawn = seeds.map((seed) => new Map(drawWeights(seededRandom(seed, 'scenario operator'))));
  const texts = new Set(drawn.map((weights) => JSON.stringify([...weights])));
  assert.equal(texts.size, seeds.length, 'no two seeds have the same');
  const zeroes = (weights: ReadonlyMap<string, number>): number =>
    [...weights.values()].filter((weight) => weight === 0).length;
  const some = drawn.filter((weights) => zeroes(weights) > 0 && zeroes(weights) < weights.size);
  assert.ok(some.length > 0.9 * seeds.length, `${some.length} seeds have some zero`);
  for (const [fault, usual] of Object.entries(faultWeights)) {
    const rates = drawn.map((weights) => weights.get(fault as keyof typeof faultWeights) ?? 0);
    const share = rates.filter((rate) => rate > 0).length / rates.length;
    assert.ok(share > 0.6 && share < 0.95, `${fault} is in ${share} of the seeds`);
    assert.ok(Math.max(...rates) > 2 * usual, `${fault} is frequent in some`);
    assert.ok(
      rates.some((rate) => rate > 0 && rate < usual / 2),
      `${fault} is rare in some`,
    );
  }
});

test('a fleet whose nodes are heard of every 200 ms gets through trouble like any other', async () => {
  const result = await runSimulation({
    ...{ seed: 3, minutes: 3, nodes: 3, heartbeatIntervalMs: 200 },
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
  assert.ok(result.replicas > 0 && result.agentCrashes + result.nodePowerCuts > 0);
});
