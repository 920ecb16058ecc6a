import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MachineSample } from './machine.ts';
import {
  conditionsOf,
  evicted,
  evictionFor,
  judgePressure,
  type Moment,
  noPressure,
  type RunningPod,
} from './pressure.ts';

const mebibyte = 1024 * 1024;
const at = (seconds: number): Moment => ({ monotonicMs: seconds * 1000, wallMs: seconds * 1000 });

function sample(
  memoryMebibytes: number,
  pods: Readonly<Record<string, number>> = {},
): MachineSample {
  return {
    memoryAvailableBytes: memoryMebibytes * mebibyte,
    diskFreeBytes: 50 * mebibyte,
    processes: { used: 10, max: 100 },
    podMemoryBytes: new Map(
      Object.entries(pods).map(([uid, mebibytes]) => [uid, mebibytes * mebibyte]),
    ),
  };
}

function pod(uid: string, memory?: string): RunningPod {
  const resources = memory === undefined ? {} : { resources: { requests: { memory } } };
  const container = { name: 'main', image: 'x', ...resources };
  return { uid, spec: { containers: [container] } };
}

function holding(state: ReturnType<typeof noPressure>): string[] {
  return conditionsOf(state).flatMap(({ type, status }) => (status === 'True' ? [type] : []));
}

test('a shortage is said at once, and taken back only after it was well for a while', () => {
  let state = judgePressure(noPressure(at(0)), sample(500), 0, at(0));
  assert.deepEqual(holding(state), []);
  state = judgePressure(state, sample(50), 0, at(10));
  assert.deepEqual(holding(state), ['MemoryPressure']);
  state = judgePressure(state, sample(500), 0, at(60));
  assert.deepEqual(holding(state), ['MemoryPressure'], 'not well for long enough');
  state = judgePressure(state, sample(50), 0, at(65));
  state = judgePressure(state, sample(500), 0, at(120));
  assert.deepEqual(holding(state), ['MemoryPressure'], 'it was short again meanwhile');
  assert.equal(conditionsOf(state)[0]?.lastTransitionTime, '1970-01-01T00:00:10Z');
  state = judgePressure(state, sample(500), 0, at(126));
  assert.deepEqual(holding(state), []);
});

test('disk and processes count in parts of what there is', () => {
  const disk = 1_000 * mebibyte;
  assert.deepEqual(holding(judgePressure(noPressure(at(0)), sample(500), disk, at(0))), []);
  const full = { ...sample(500), diskFreeBytes: 49 * mebibyte };
  assert.deepEqual(holding(judgePressure(noPressure(at(0)), full, disk, at(0))), ['DiskPressure']);
  const crowded = { ...sample(500), processes: { used: 91, max: 100 } };
  assert.deepEqual(holding(judgePressure(noPressure(at(0)), crowded, disk, at(0))), [
    'PIDPressure',
  ]);
});

test('who promised nothing goes first, then who takes most above its word, one at a time', () => {
  const use = { free: 20, small: 30, greedy: 300, modest: 400 };
  const pods = [pod('modest', '400Mi'), pod('greedy', '100Mi'), pod('small'), pod('free')];
  let state = judgePressure(noPressure(at(0)), sample(50, use), 0, at(10));
  const order: string[] = [];
  let now = 10;
  let left = pods;
  while (left.length > 0) {
    state = judgePressure(state, sample(50, use), 0, at(now));
    const next = evictionFor(state, sample(50, use), left, at(now));
    assert.ok(next !== undefined);
    assert.match(next.message, /low on memory/);
    order.push(next.uid);
    state = evicted(state, at(now));
    state = judgePressure(state, sample(50, use), 0, at(now + 5));
    assert.equal(evictionFor(state, sample(50, use), left, at(now + 5)), undefined, 'a pause');
    left = left.filter(({ uid }) => uid !== next.uid);
    now += 20;
  }
  assert.deepEqual(order, ['small', 'free', 'greedy', 'modest']);
});

test('nobody goes while there is memory, nor for a disk', () => {
  const disk = { ...sample(500, { a: 10 }), diskFreeBytes: 0 };
  const state = judgePressure(noPressure(at(0)), disk, 1_000 * mebibyte, at(5));
  assert.deepEqual(holding(state), ['DiskPressure']);
  assert.equal(evictionFor(state, disk, [pod('a')], at(5)), undefined);
});
