import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerOf, type UsageAmount } from './usage.ts';

const megabyte = 1024 * 1024;
const amount = (cpuMs: number, memoryBytes = megabyte): UsageAmount => ({
  cpuNanos: cpuMs * 1e6,
  memoryBytes,
});

test('processor time is told as cores over the time between two looks', () => {
  const before = {
    atMs: 10_000,
    sample: {
      node: amount(50_000),
      containers: new Map([
        ['u1/main', amount(1_000)],
        ['u2/main', amount(9_000)],
        ['gone/main', amount(1)],
      ]),
    },
  };
  const now = {
    atMs: 14_000,
    sample: {
      node: amount(56_000, 7 * megabyte),
      containers: new Map([
        ['u1/main', amount(3_000, 2 * megabyte)],
        // It was started again meanwhile.
        ['u2/main', amount(400)],
        ['u3/side', amount(4_000)],
      ]),
    },
  };
  assert.deepEqual(answerOf(before, now), {
    windowMs: 4_000,
    node: [1.5e9, 7 * megabyte],
    containers: [
      ['u1', 'main', 0.5e9, 2 * megabyte],
      ['u2', 'main', 0.1e9, megabyte],
      ['u3', 'side', 1e9, megabyte],
    ],
  });
});
