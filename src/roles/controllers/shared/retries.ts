/**
 * When something that failed by itself may be made anew: twice as long after each time.
 *
 * Invariants:
 * 1. What held for `holdsAfterMs` since it could be made anew was a success: the failures
 *    before it are forgotten, and the next one counts as the first. Less is none: what
 *    comes up for a moment and fails again must not be made anew every second.
 * 2. At most `keysMax` are remembered, those that failed last.
 */
const retryFirstMs = 1_000;
const retryMaxMs = 15 * 60_000;
const holdsAfterMs = 10 * 60_000;
const keysMax = 10_000;

export interface Retries<Key> {
  noteFailure(key: Key, nowMs: number): void;
  /** 0 where nothing failed that still counts. */
  untilMs(key: Key): number;
}

interface Failures {
  readonly count: number;
  readonly untilMs: number;
}

export function createRetries<Key>(): Retries<Key> {
  /** In the order of the last failure. */
  const failures = new Map<Key, Failures>();

  function forgetOld(nowMs: number): void {
    for (const [key, { untilMs }] of failures) {
      if (failures.size <= keysMax && untilMs + holdsAfterMs > nowMs) return;
      failures.delete(key);
    }
  }

  return {
    noteFailure(key, nowMs) {
      const known = failures.get(key);
      const hasHeld = known !== undefined && known.untilMs + holdsAfterMs <= nowMs;
      const count = known === undefined || hasHeld ? 1 : known.count + 1;
      const delayMs = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(count - 1, 20));
      failures.delete(key);
      failures.set(key, { count, untilMs: nowMs + delayMs });
      forgetOld(nowMs);
    },
    untilMs: (key) => failures.get(key)?.untilMs ?? 0,
  };
}
