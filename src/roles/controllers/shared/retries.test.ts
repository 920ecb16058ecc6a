import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRetries } from './retries.ts';

const minuteMs = 60_000;

test('each failure waits twice as long as the one before, up to a quarter of an hour', () => {
  const retries = createRetries<string>();
  const delays: number[] = [];
  let nowMs = 1_000_000;
  for (let failure = 1; failure <= 12; failure += 1) {
    retries.noteFailure('node', nowMs);
    delays.push((retries.untilMs('node') - nowMs) / 1_000);
    // It is made anew at once, and fails again after a moment.
    nowMs = retries.untilMs('node') + 500;
  }
  assert.deepEqual(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
  assert.equal(retries.untilMs('another'), 0);
});

test('what has held for ten minutes was a success: the failures before it are forgotten', () => {
  const retries = createRetries<string>();
  let nowMs = 1_000_000;
  for (let failure = 1; failure <= 20; failure += 1) {
    retries.noteFailure('node', nowMs);
    nowMs = retries.untilMs('node') + 10 * minuteMs;
  }
  retries.noteFailure('node', nowMs);
  assert.equal(retries.untilMs('node') - nowMs, 1_000);
  nowMs = retries.untilMs('node') + 10 * minuteMs - 1;
  retries.noteFailure('node', nowMs);
  assert.equal(retries.untilMs('node') - nowMs, 2_000, 'less than that is none');
});

test('of keys that fail no more nothing is kept, and of many only those that failed last', () => {
  const retries = createRetries<number>();
  retries.noteFailure(-1, 1_000_000);
  retries.noteFailure(-2, 1_000_000 + 20 * minuteMs);
  assert.equal(retries.untilMs(-1), 0);
  for (let key = 0; key < 10_000; key += 1) retries.noteFailure(key, 2_500_000);
  assert.deepEqual(
    [-2, 0, 9_999].map((key) => retries.untilMs(key)),
    [0, 2_501_000, 2_501_000],
  );
});
