import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWorld } from '#platform/sim/mod.ts';
import { requireConvergence, requireSameStateFromLog } from './checks.ts';
import { SimulationFailure } from './errors.ts';
import { Fleet } from './fleet.ts';
import { Scenario } from './scenario.ts';

const limitMs = 3_600_000;
const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a fleet at rest passes, and a process too many fails with the seed in the message', async () => {
  const world = createWorld({ seed: 5, drainMicrotasks });
  const fleet = new Fleet(world, 2);
  const scenario = new Scenario(fleet);
  const settle = async (): Promise<void> => {
    await fleet.found();
    await scenario.apply();
    await requireConvergence(fleet, scenario.declared);
  };
  await world.settle(settle(), limitMs);
  const node = fleet.nodes[0];
  assert.ok(node !== undefined);
  const stray = { program: '/usr/bin/stray', arguments: ['run', '/a/b'], environment: {} };
  await world.settle(node.ports.spawn.start({ ...stray, workingDirectory: '/' }), limitMs);
  await assert.rejects(
    world.settle(requireConvergence(fleet, scenario.declared), limitMs),
    (thrown) => {
      assert.ok(thrown instanceof SimulationFailure);
      assert.equal(thrown.code, 'SIM_INVARIANT');
      assert.match(thrown.message, /^seed 5: invariant 8 .*not as declared .* on harbour-1 run \[/);
      return true;
    },
  );
});

test('a store whose log lost its end is found out', async () => {
  const world = createWorld({ seed: 6, drainMicrotasks });
  const fleet = new Fleet(world, 1);
  await world.settle(fleet.found(), limitMs);
  await world.settle(requireConvergence(fleet, undefined), limitMs);
  assert.ok((await world.settle(requireSameStateFromLog(fleet), limitMs)) > 5);
  const { disk } = fleet.serverHost.ports;
  const damage = async (): Promise<void> => {
    fleet.startServer();
    await fleet.untilTrue('the server is back', () => fleet.server !== undefined);
    const folder = 'selvage/server/store/log';
    const segments = (await disk.list(folder)).filter((entry) => entry.kind === 'file');
    for (const segment of segments) {
      const file = await disk.open(`${folder}/${segment.name}`, 'write');
      await file.truncate(Math.floor(segment.sizeBytes / 2));
      await file.sync();
      await file.close();
    }
  };
  await world.settle(damage(), limitMs);
  await assert.rejects(world.settle(requireSameStateFromLog(fleet), limitMs));
});

test('a link whose greeting comes late replaces none that was opened after it', async () => {
  // Found by seed 500260: an agent died after it had connected and connected again; its first
  // greeting had been held up, and the hub took that link for the newer one.
  for (let seed = 1; seed <= 3; seed += 1) {
    const world = createWorld({ seed, drainMicrotasks });
    const fleet = new Fleet(world, 1);
    await world.settle(fleet.found(), limitMs);
    await world.settle(requireConvergence(fleet, undefined), limitMs);
    const [node] = fleet.nodes;
    assert.ok(node !== undefined);
    world.faults.weather.delayRate = 0.3;
    for (let round = 0; round < 60; round += 1) {
      await world.run(world.clock.monotonicMs() + 300);
      node.crash();
      fleet.startAgent(node);
    }
    world.faults.weather.delayRate = 0;
    await world.settle(requireConvergence(fleet, undefined), limitMs);
    assert.equal(fleet.processFailure, undefined);
  }
});
