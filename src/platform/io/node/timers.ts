/**
 * Timers of this process. Node fires up to one millisecond early against the
 * monotonic clock and fires at once beyond 2^31 ms, so a delay is rounded up by
 * one and a long one is waited for in pieces. No delay means after what is ready
 * now, which Node calls an immediate: its shortest timer is a millisecond.
 */
import { assert } from '#base/mod.ts';
import type { Timers } from '../clock.ts';

const pieceMaxMs = 2 ** 31 - 2;

export function createNodeTimers(): Timers {
  return {
    after: (delayMs, run) => {
      assert(delayMs >= 0, 'a delay is not negative');
      if (delayMs === 0) {
        const immediate = setImmediate(run);
        return { cancel: () => clearImmediate(immediate) };
      }
      let remainingMs = Math.ceil(delayMs) + 1;
      let handle: NodeJS.Timeout;
      const step = (): void => {
        const pieceMs = Math.min(remainingMs, pieceMaxMs);
        remainingMs -= pieceMs;
        handle = setTimeout(remainingMs > 0 ? step : run, pieceMs);
      };
      step();
      return {
        cancel: () => {
          clearTimeout(handle);
        },
      };
    },
  };
}
