import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from '#platform/io/mod.ts';
import { createNodeDisk, createNodeRandom, createNodeTimers } from '#platform/io/node/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { logContract } from './log.contract.ts';

const caseLimitMs = 3_600_000;

logContract('real disk', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-log-'));
  const timers = createNodeTimers();
  return {
    machine: { disk: createNodeDisk(folder), random: createNodeRandom(), timers },
    byteStride: 3,
    passTime: (durationMs) => sleep(timers, durationMs),
    close: async () => rmSync(folder, { recursive: true, force: true }),
  };
});

logContract('simulated disk', async () => {
  const world = createWorld({
    seed: 20_261_122,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const host = world.host('a');
  return {
    machine: host.ports,
    byteStride: 1,
    passTime: (durationMs) => sleep(world.timers, durationMs),
    run: (body) => world.settle(body(), caseLimitMs),
    close: async () => {},
    cutPower: async () => {
      host.crashMachine();
      return host.boot();
    },
    killProcess: async () => {
      host.crash();
      return host.boot();
    },
  };
});
