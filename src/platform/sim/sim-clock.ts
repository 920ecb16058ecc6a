/** Clock and Timers over virtual time, for one incarnation of one process. */
import { assert } from '#base/mod.ts';
import type { Clock, Timer, Timers } from '#platform/io/mod.ts';
import type { Kernel, Lifetime } from './kernel.ts';

/** What a machine's clocks show beside virtual time; faults move it. */
export interface ClockFace {
  /** When the machine was switched on, in virtual time. */
  bootedAtMs: number;
  /** Milliseconds that its monotonic and boot clocks count in one of true time. */
  rate: number;
  /** From where the rate holds: an instant of true time, and what the clocks showed then. */
  rateSinceMs: number;
  shownThenMs: number;
  /** What the machine's wall clock was ahead of the true time when it was last set... */
  wallOffsetMs: number;
  /** ... which was then; since then it runs as fast as the others. */
  wallSinceMs: number;
}

/** The wall clock of every world at its beginning: 2026-01-01T00:00:00Z. */
export const wallEpochMs = 1_767_225_600_000;
const ticksPerMs = 1024;

/** Of a machine that is switched on at `nowMs`, with clocks that are right. */
export function clockFaceAt(nowMs: number): ClockFace {
  return {
    ...{ bootedAtMs: nowMs, rate: 1, rateSinceMs: nowMs, shownThenMs: 0 },
    ...{ wallOffsetMs: 0, wallSinceMs: nowMs },
  };
}

/** What the wall clock is ahead of the true time now. */
export function wallAheadMs(nowMs: number, face: ClockFace): number {
  return face.wallOffsetMs + (nowMs - face.wallSinceMs) * (face.rate - 1);
}

/** Sets the wall clock wrong by so much. */
export function setWallOffset(nowMs: number, face: ClockFace, offsetMs: number): void {
  face.wallOffsetMs = offsetMs;
  face.wallSinceMs = nowMs;
}

function shownMs(nowMs: number, face: ClockFace): number {
  const passedMs = nowMs - face.rateSinceMs;
  if (face.rate === 1) return face.shownThenMs + passedMs;
  // In whole ticks, so that what programs add and subtract stays exact.
  return face.shownThenMs + Math.floor(passedMs * face.rate * ticksPerMs) / ticksPerMs;
}

/** From now on the machine's clocks run that fast; they neither jump nor go back. */
export function setClockRate(nowMs: number, face: ClockFace, rate: number): void {
  assert(rate > 0.5 && rate < 2, 'a clock that still is one');
  setWallOffset(nowMs, face, wallAheadMs(nowMs, face));
  face.shownThenMs = shownMs(nowMs, face);
  face.rateSinceMs = nowMs;
  face.rate = rate;
}

const noTimer: Timer = { cancel() {} };

export function simClock(kernel: Kernel, face: ClockFace): Clock {
  return {
    monotonicMs: () => shownMs(kernel.nowMs, face),
    bootMs: () => shownMs(kernel.nowMs, face),
    wallMs: () => Math.floor(wallEpochMs + kernel.nowMs + wallAheadMs(kernel.nowMs, face)),
  };
}

/**
 * Timers that die with `owner`; without one they live as long as the world. They
 * count by the clock of `face`, where there is one.
 */
export function simTimers(kernel: Kernel, owner: Lifetime | undefined, face?: ClockFace): Timers {
  return {
    after: (delayMs, run) => {
      assert(delayMs >= 0, 'a delay is not negative');
      if (owner?.alive === false) return noTimer;
      const rate = face?.rate ?? 1;
      // Two ticks more, so that the clock shows the whole delay when it fires.
      const trueDelayMs = rate === 1 ? delayMs : delayMs / rate + 2 / ticksPerMs;
      return kernel.schedule(trueDelayMs, owner, 'timer', '', run);
    },
  };
}
