import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeRandom,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { storeContract } from './store.contract.ts';

const caseLimitMs = 3_600_000;

storeContract('real disk', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-store-'));
  const timers = createNodeTimers();
  const disk = createNodeDisk(folder);
  return {
    machine: { disk, random: createNodeRandom(), timers, clock: createNodeClock() },
    passTime: (durationMs) => sleep(timers, durationMs),
    close: async () => rmSync(folder, { recursive: true, force: true }),
  };
});

storeContract('simulated disk', async () => {
  const world = createWorld({
    seed: 20_261_122,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const host = world.host('a');
  return {
    machine: host.ports,
    passTime: (durationMs) => sleep(world.timers, durationMs),
    run: (body) => world.settle(body(), caseLimitMs),
    close: async () => {},
    cutPower: async () => {
      host.crashMachine();
      return host.boot();
    },
  };
});
