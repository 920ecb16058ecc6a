/**
 * A queue of keys to look at. It carries no reasons: whoever takes a key reads
 * the present state and acts on that.
 *
 * Invariants:
 * 1. A key waits at most once, however often it is added.
 * 2. A key that is being worked on is not handed out again before done(key); if
 *    it was added meanwhile, it waits again after that.
 * 3. Keys are handed out in the order in which they were added.
 * 4. There are never more than keysMax keys.
 */
import { assert } from '#base/mod.ts';
import type { Clock, Random, Timer, Timers } from '#platform/io/mod.ts';
import { backOffMs, type BackOffLimits } from './back-off.ts';

/** Keys are names of objects; a store that holds more than this has other limits before. */
export const keysMax = 4_000_000;

const defaultBackOff: BackOffLimits = { firstMs: 10, maxMs: 60_000 };

export interface WorkQueue {
  add(key: string): void;
  /** Adds the key when `delayMs` have passed; an earlier time for the same key wins. */
  addAfter(key: string, delayMs: number): void;
  /** Adds the key after a delay that grows with every retry until forget(key). */
  retry(key: string): void;
  /** The work on the key went well: its next retry waits the shortest time. */
  forget(key: string): void;
  take(): string | undefined;
  done(key: string): void;
  /** Called whenever a key has become ready to take. One listener. */
  onReady(listener: () => void): void;
  /** Keys that wait or are being worked on. */
  size(): number;
  /** Drops everything, timers too; later calls do nothing. */
  close(): void;
}

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly backOff?: BackOffLimits;
}

export function createWorkQueue({
  clock,
  timers,
  random,
  backOff = defaultBackOff,
}: WorkQueueOptions): WorkQueue {
  const waiting = new Set<string>();
  const working = new Set<string>();
  const addedMeanwhile = new Set<string>();
  const failures = new Map<string, number>();
  const later = new Map<string, { timer: Timer; atMs: number }>();
  let ready: () => void = () => {};
  let closed = false;

  function add(key: string): void {
    if (closed) return;
    if (working.has(key)) {
      addedMeanwhile.add(key);
      return;
    }
    if (waiting.has(key)) return;
    waiting.add(key);
    assert(waiting.size + working.size <= keysMax, `a work queue holds at most ${keysMax} keys`);
    ready();
  }

  function addAfter(key: string, delayMs: number): void {
    if (closed) return;
    const planned = later.get(key);
    const atMs = clock.monotonicMs() + delayMs;
    if (planned !== undefined && planned.atMs <= atMs) return;
    planned?.timer.cancel();
    const timer = timers.after(delayMs, () => {
      later.delete(key);
      add(key);
    });
    later.set(key, { timer, atMs });
  }

  return {
    add,
    addAfter,
    retry(key) {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      addAfter(key, backOffMs(backOff, count, random));
    },
    forget(key) {
      failures.delete(key);
    },
    take() {
      for (const key of waiting) {
        waiting.delete(key);
        working.add(key);
        return key;
      }
      return undefined;
    },
    done(key) {
      if (closed) return;
      assert(working.delete(key), 'only a key that was taken can be done');
      if (addedMeanwhile.delete(key)) add(key);
    },
    onReady(listener) {
      ready = listener;
    },
    size: () => waiting.size + working.size,
    close() {
      closed = true;
      for (const { timer } of later.values()) timer.cancel();
      later.clear();
      waiting.clear();
      addedMeanwhile.clear();
      failures.clear();
    },
  };
}
