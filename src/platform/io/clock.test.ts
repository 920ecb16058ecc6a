import assert from 'node:assert/strict';
import { test } from 'node:test';
import { microTimestampOf, timestampOf } from './mod.ts';

test('timestamps are those of the calendar, on every day of four centuries', () => {
  const dayMs = 86_400_000;
  const first = Date.UTC(1883, 0, 1);
  const last = Date.UTC(2283, 0, 1);
  for (let day = first, index = 0; day <= last; day += dayMs, index += 1) {
    // Another time of each day, with its milliseconds.
    const wallMs = day + ((index * 7_919_993) % dayMs);
    const text = new Date(wallMs).toISOString();
    if (microTimestampOf(wallMs) !== `${text.slice(0, 23)}000Z`) {
      assert.equal(microTimestampOf(wallMs), `${text.slice(0, 23)}000Z`);
    }
    if (index % 97 === 0) assert.equal(timestampOf(wallMs), `${text.slice(0, 19)}Z`);
  }
  assert.equal(timestampOf(Date.UTC(2024, 1, 29, 23, 59, 59, 999)), '2024-02-29T23:59:59Z');
  assert.equal(timestampOf(Date.UTC(9999, 11, 31)), '9999-12-31T00:00:00Z');
  assert.equal(microTimestampOf(1_000.7), '1970-01-01T00:00:01.000000Z');
});

test('what is no time of four-digit years is refused', () => {
  for (const wallMs of [Number.NaN, Number.POSITIVE_INFINITY, Date.UTC(10_000, 0, 1)]) {
    assert.throws(() => microTimestampOf(wallMs), /four digits/);
  }
});
