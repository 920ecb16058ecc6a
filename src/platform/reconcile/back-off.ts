/** How long to wait before another try: twice as long each time, up to a bound, never in step. */
import type { Random } from '#platform/io/mod.ts';

export interface BackOffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** `failures` is 1 after the first failure. Between half of the full delay and all of it. */
export function backOffMs(limits: BackOffLimits, failures: number, random: Random): number {
  const doublings = Math.min(failures - 1, 30);
  const fullMs = Math.min(limits.maxMs, limits.firstMs * 2 ** doublings);
  return fullMs / 2 + (random.unit() * fullMs) / 2;
}
