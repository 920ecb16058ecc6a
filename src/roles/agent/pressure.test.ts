import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MachineSample } from './machine.ts';
import {
  conditionsOf,
  evicted,
  evictionFor,
  isEnough,
  judgePressure,
  type Moment,
  noPressure,
  type RunningPod,
  shortOf,
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

function pod(uid: string, memory?: string, priority?: number): RunningPod {
  const requests = { memory: memory ?? '0', 'ephemeral-storage': memory ?? '0' };
  const resources = memory === undefined ? {} : { resources: { requests } };
  const container = { name: 'main', image: 'x', ...resources };
  return {
    uid,
    spec: { containers: [container], ...(priority === undefined ? {} : { priority }) },
  };
}

/** In which order they would go if each gave back nothing. */
function orderOf(
  what: 'memory' | 'disk',
  use: Readonly<Record<string, number>>,
  pods: readonly RunningPod[],
): string[] {
  const order: string[] = [];
  let left = pods;
  for (;;) {
    const next = evictionFor(what, sample(0, use).podMemoryBytes, left);
    if (next === undefined) return order;
    order.push(next.uid);
    left = left.filter(({ uid }) => uid !== next.uid);
  }
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

test('who takes most above its word goes first, who keeps it last, one at a time', () => {
  const use = { free: 20, small: 30, greedy: 300, modest: 400 };
  const usage = sample(0, use).podMemoryBytes;
  for (const what of ['memory', 'disk'] as const) {
    const pods = [
      pod('modest', '400Mi'),
      pod('greedy', '100Mi'),
      pod('small'),
      pod('free'),
      pod('none'),
    ];
    const short = what === 'memory' ? sample(50) : { ...sample(500), diskFreeBytes: 0 };
    const disk = what === 'memory' ? 0 : 1_000 * mebibyte;
    let state = noPressure(at(0));
    const order: string[] = [];
    let now = 10;
    let left = pods;
    for (;;) {
      state = judgePressure(state, short, disk, at(now));
      assert.equal(shortOf(state, at(now), false), what);
      const next = evictionFor(what, usage, left);
      if (next === undefined) break;
      assert.match(next.message, new RegExp(`low on ${what}`));
      order.push(next.uid);
      state = evicted(state, at(now));
      state = judgePressure(state, short, disk, at(now + 5));
      assert.equal(shortOf(state, at(now + 5), false), undefined, 'a pause');
      left = left.filter(({ uid }) => uid !== next.uid);
      now += 20;
    }
    // Who has nothing of it would give nothing back.
    assert.deepEqual(order, ['greedy', 'small', 'free', 'modest']);
  }
});

test('among those above their word, and then among the others, those of less priority go first', () => {
  const use = { vital: 500, usual: 60, batch: 20, steady: 300, spare: 90, idle: 80 };
  const pods = [
    pod('vital', '100Mi', 1_000_000),
    pod('usual', '50Mi'),
    pod('batch', undefined, -10),
    pod('steady', '400Mi', -1000),
    pod('spare', '100Mi', 5),
    pod('idle', '100Mi', 5),
  ];
  const expected = ['batch', 'usual', 'vital', 'steady', 'spare', 'idle'];
  for (const what of ['memory', 'disk'] as const) {
    assert.deepEqual(orderOf(what, use, pods), expected);
    assert.deepEqual(orderOf(what, use, pods.toReversed()), expected);
  }
});

test('who uses exactly what it asked for keeps to its word, and equals go by their uid', () => {
  const use = { exact: 100, above: 101, a: 50, b: 50 };
  const pods = [pod('exact', '100Mi', -5), pod('above', '100Mi', 5), pod('b'), pod('a')];
  assert.deepEqual(orderOf('memory', use, pods), ['a', 'b', 'above', 'exact']);
  const [container] = pod('x', '100Mi').spec.containers;
  assert.ok(container !== undefined);
  const sidecar = { ...container, name: 'side', restartPolicy: 'Always' } as const;
  const task = { ...container, name: 'task' };
  const withSidecar = { uid: 'pair', spec: { containers: [container], initContainers: [sidecar] } };
  const withTask = { uid: 'once', spec: { containers: [container], initContainers: [task] } };
  assert.deepEqual(orderOf('memory', { pair: 150, once: 110 }, [withSidecar, withTask]), [
    'once',
    'pair',
  ]);
});

test('nobody goes while there is enough, for memory before disk, and for processes never', () => {
  const well = judgePressure(noPressure(at(0)), sample(500), 0, at(5));
  assert.equal(shortOf(well, at(5), false), undefined);
  const both = { ...sample(50), diskFreeBytes: 0, processes: { used: 99, max: 100 } };
  const state = judgePressure(noPressure(at(0)), both, 1_000 * mebibyte, at(5));
  assert.deepEqual(holding(state), ['MemoryPressure', 'DiskPressure', 'PIDPressure']);
  assert.equal(shortOf(state, at(5), false), 'memory');
  const later = judgePressure(state, sample(500), 0, at(10));
  assert.equal(
    shortOf(later, at(10), false),
    undefined,
    'the condition holds on, and nobody goes for it',
  );
  const crowded = { ...sample(500), processes: { used: 99, max: 100 } };
  assert.equal(shortOf(judgePressure(well, crowded, 0, at(20)), at(20), false), undefined);
});

test('while one that has to go has not gone nobody else goes, unless it cannot be ended', () => {
  let state = judgePressure(noPressure(at(0)), sample(50), 0, at(10));
  assert.ok(!isEnough(state, at(10)));
  state = evicted(state, at(10));
  const shortAt = (seconds: number, isEvicting: boolean): string | undefined => {
    state = judgePressure(state, sample(50), 0, at(seconds));
    return shortOf(state, at(seconds), isEvicting);
  };
  for (const [seconds, isEvicting] of [
    [15, false],
    [30, true],
    [65, true],
  ] as const) {
    assert.equal(shortAt(seconds, isEvicting), undefined);
  }
  assert.deepEqual([shortAt(66, false), shortAt(70, true)], ['memory', 'memory']);
  state = judgePressure(state, sample(500), 0, at(75));
  assert.ok(isEnough(state, at(75)), 'though the condition holds on');
  assert.deepEqual(holding(state), ['MemoryPressure']);
});
