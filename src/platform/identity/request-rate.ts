/** A bound on how often somebody may ask: a bucket of tokens that fills up with time. */
import { assert } from '#base/mod.ts';

const bucketsMax = 10_000;

export interface RequestRate {
  /** Takes one token of this bucket; false where it is empty. */
  take(name: string, nowMs: number): boolean;
}

/** `burst` at once, `perSecond` in the long run, for each name. `nowMs` is monotonic. */
export function createRequestRate(burst: number, perSecond: number): RequestRate {
  assert(burst >= 1 && perSecond > 0, 'a rate lets something pass');
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  return {
    take(name, nowMs) {
      const before = buckets.get(name);
      const sinceMs = before === undefined ? 0 : Math.max(0, nowMs - before.atMs);
      const tokens = Math.min(burst, (before?.tokens ?? burst) + (sinceMs / 1_000) * perSecond);
      // The least recently used bucket is first, and makes room.
      buckets.delete(name);
      if (buckets.size >= bucketsMax) {
        const [oldest] = buckets.keys();
        if (oldest !== undefined) buckets.delete(oldest);
      }
      const passes = tokens >= 1;
      buckets.set(name, { tokens: passes ? tokens - 1 : tokens, atMs: nowMs });
      return passes;
    },
  };
}
