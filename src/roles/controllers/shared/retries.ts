/** When something that failed by itself may be made anew: twice as long after each time. */
const retryFirstMs = 1_000;
const retryMaxMs = 15 * 60_000;

export interface Retries<Key> {
  noteFailure(key: Key, nowMs: number): void;
  /** 0 where nothing failed. */
  untilMs(key: Key): number;
}

export function createRetries<Key>(): Retries<Key> {
  const failures = new Map<Key, { readonly count: number; readonly untilMs: number }>();
  return {
    noteFailure(key, nowMs) {
      const count = (failures.get(key)?.count ?? 0) + 1;
      const delayMs = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(count - 1, 20));
      failures.set(key, { count, untilMs: nowMs + delayMs });
    },
    untilMs: (key) => failures.get(key)?.untilMs ?? 0,
  };
}
