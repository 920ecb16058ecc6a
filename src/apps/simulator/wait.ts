/** Waiting for something that may never come. */
import type { Timers } from '#platform/io/mod.ts';

/** Resolves when `begin`'s callback is called, or after `limitMs`. */
export function waitAtMost(
  timers: Timers,
  limitMs: number,
  begin: (resolve: () => void) => void,
): Promise<void> {
  return new Promise((resolve) => {
    begin(resolve);
    timers.after(limitMs, resolve);
  });
}
