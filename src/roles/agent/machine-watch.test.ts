// Looks at a machine that is made up here, in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWorld } from '#platform/sim/mod.ts';
import { watchMachine } from './machine-watch.ts';
import type { RunningPod } from './pressure.ts';

const mebibyte = 1024 * 1024;
const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const pod = (uid: string): RunningPod => ({
  uid,
  spec: { containers: [{ name: 'main', image: 'x' }] },
});

function watched() {
  const world = createWorld({ seed: 7, drainMicrotasks });
  const { clock, timers, logger } = world.host('node').ports;
  const seen = { evicted: [] as string[], isEvicting: false, withdrawn: 0, freeBytes: 0 };
  const watch = watchMachine(
    { clock, timers, logger },
    {
      sample: () =>
        Promise.resolve({
          memoryAvailableBytes: 500 * mebibyte,
          diskFreeBytes: seen.freeBytes,
          processes: { used: 1, max: 100 },
          podMemoryBytes: new Map(),
        }),
      diskBytes: 1_000 * mebibyte,
      pods: () => ['a', 'b', 'c'].filter((uid) => !seen.evicted.includes(uid)).map(pod),
      podDiskBytes: () => Promise.resolve(new Map(['a', 'b', 'c'].map((uid) => [uid, 1]))),
      reclaimDisk: () => Promise.resolve(false),
      evict: (uid) => void seen.evicted.push(uid),
      isEvicting: () => seen.isEvicting,
      withdrawEvictions: () => {
        seen.withdrawn += 1;
      },
      onChanged: () =>
        seen.freeBytes === 0 ? Promise.reject(new Error('no space')) : Promise.resolve(),
    },
  );
  return { world, seen, watch };
}

test('a disk too full to report that it is full lets a pod go all the same', async () => {
  const { world, seen, watch } = watched();
  await world.run(1_000);
  assert.deepEqual(seen.evicted, ['a']);
  watch.close();
});

test('the next pod goes after the one before has gone, and those that have not begun to may stay', async () => {
  const { world, seen, watch } = watched();
  seen.isEvicting = true;
  await world.run(70_000);
  assert.deepEqual(seen.evicted, ['a', 'b'], 'one that cannot be ended is waited for a minute');
  seen.isEvicting = false;
  await world.run(90_000);
  assert.deepEqual(seen.evicted, ['a', 'b', 'c']);
  assert.equal(seen.withdrawn, 0);
  seen.freeBytes = 500 * mebibyte;
  await world.run(96_000);
  assert.ok(seen.withdrawn > 0);
  watch.close();
});
