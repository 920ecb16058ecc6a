/** Clock and Timers over virtual time, for one incarnation of one process. */
import { assert } from '#base/mod.ts';
import type { Clock, Timer, Timers } from '#platform/io/mod.ts';
import type { Kernel, Lifetime } from './kernel.ts';

/** What a machine's clocks show beside virtual time; faults move it. */
export interface ClockFace {
  /** When the machine was switched on, in virtual time. */
  bootedAtMs: number;
  /** What the machine's wall clock is ahead of the true time. */
  wallOffsetMs: number;
}

/** The wall clock of every world at its beginning: 2026-01-01T00:00:00Z. */
export const wallEpochMs = 1_767_225_600_000;

const noTimer: Timer = { cancel() {} };

export function simClock(kernel: Kernel, face: ClockFace): Clock {
  return {
    monotonicMs: () => kernel.nowMs - face.bootedAtMs,
    bootMs: () => kernel.nowMs - face.bootedAtMs,
    wallMs: () => Math.floor(wallEpochMs + kernel.nowMs + face.wallOffsetMs),
  };
}

/** Timers that die with `owner`; without one they live as long as the world. */
export function simTimers(kernel: Kernel, owner: Lifetime | undefined): Timers {
  return {
    after: (delayMs, run) => {
      assert(delayMs >= 0, `a delay of ${delayMs} ms`);
      if (owner?.alive === false) return noTimer;
      return kernel.schedule(delayMs, owner, 'timer', '', run);
    },
  };
}
