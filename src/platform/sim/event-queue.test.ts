import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventQueue, type QueuedEvent } from './event-queue.ts';
import { seededRandom } from './seeded-random.ts';

const eventAt = (atMs: number, sequence: number): QueuedEvent => ({
  atMs,
  sequence,
  next: undefined,
});

test('events come out by time and then by insertion, near and far, whatever was put meanwhile', () => {
  for (let seed = 0; seed < 40; seed += 1) {
    const random = seededRandom(seed, 'queue');
    const queue = new EventQueue<QueuedEvent>();
    const waiting: QueuedEvent[] = [];
    let nowMs = 0;
    let sequence = 0;
    const put = (): void => {
      // At once, within a millisecond, within the ring, at its edge, and far beyond it.
      const delayMs = random.pick([0, 1 / 1024, 1, 2000, 4095, 4096, 4097, 30_000, 1e7]);
      const jitterMs = random.below(2) * (random.below(4096) / 1024);
      const event = eventAt(nowMs + delayMs + jitterMs, sequence);
      sequence += 1;
      queue.push(event);
      waiting.push(event);
    };
    for (let round = 0; round < 3000; round += 1) {
      const isGrowing = Math.floor(round / 500) % 2 === 0;
      for (let more = random.below(isGrowing ? 4 : 2); more > 0; more -= 1) put();
      waiting.sort((left, right) => left.atMs - right.atMs || left.sequence - right.sequence);
      assert.equal(queue.size, waiting.length);
      const expected = waiting.shift();
      if (expected !== undefined) {
        assert.equal(queue.popUntil(expected.atMs - 1 / 1024), undefined);
      }
      assert.equal(queue.popUntil(Infinity), expected);
      nowMs = expected?.atMs ?? nowMs;
      // Time may stand between two events, before the next one is looked at.
      if (random.chance(0.2)) nowMs += Math.max(0, (waiting[0]?.atMs ?? nowMs) - nowMs) / 2;
    }
  }
});

test('an event put after a later one was not yet due still comes first', () => {
  const queue = new EventQueue<QueuedEvent>();
  const late = eventAt(3000.5, 0);
  const early = eventAt(10.25, 1);
  queue.push(late);
  assert.equal(queue.popUntil(20), undefined);
  queue.push(early);
  const taken = [1, 2, 3].map(() => queue.popUntil(5000));
  assert.deepEqual(taken, [early, late, undefined]);
});
