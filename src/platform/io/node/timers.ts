/**
 * Timers of this process. Node fires up to one millisecond early against the
 * monotonic clock and fires at once beyond 2^31 ms, so a delay is rounded up by
 * one and a long one is waited for in pieces. No delay means after what is ready
 * now, which Node calls an immediate: its shortest timer is a millisecond.
 */
import { assert } from '#base/mod.ts';
import type { Timer, Timers } from '../clock.ts';

const pieceMaxMs = 2 ** 31 - 2;

export function createNodeTimers(): Timers {
  return {
    after: (delayMs, run) => {
      assert(delayMs >= 0, 'a delay is not negative');
      if (delayMs === 0) {
        const immediate = setImmediate(run);
        return { cancel: () => clearImmediate(immediate) };
      }
      return new NodeTimer(Math.ceil(delayMs) + 1, run);
    },
  };
}

/** A server holds one for every watch: no closure where one piece is enough. */
class NodeTimer implements Timer {
  #handle: NodeJS.Timeout;

  constructor(delayMs: number, run: () => void) {
    this.#handle = this.#begin(delayMs, run);
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  #begin(delayMs: number, run: () => void): NodeJS.Timeout {
    if (delayMs <= pieceMaxMs) return setTimeout(run, delayMs);
    return setTimeout(() => {
      this.#handle = this.#begin(delayMs - pieceMaxMs, run);
    }, pieceMaxMs);
  }
}
