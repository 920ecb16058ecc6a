/**
 * Time as the program sees it. Three clocks that must never be mixed:
 * 1. monotonic never goes back, stops while the machine sleeps, means nothing
 *    outside this process; durations are measured with it.
 * 2. boot never goes back, counts sleep, is shared by all processes until the
 *    next boot; leases and grants count on it.
 * 3. wall is what people read and may jump either way; it is for timestamps only,
 *    never for a decision about order.
 */
export interface Clock {
  monotonicMs(): number;
  bootMs(): number;
  wallMs(): number;
}

export interface Timer {
  /** Idempotent; the callback never runs after this returns. */
  cancel(): void;
}

export interface Timers {
  /** Runs `run` once, no earlier than `delayMs` (>= 0) from now on the monotonic clock. */
  after(delayMs: number, run: () => void): Timer;
}

/** Resolves after `delayMs`. For code that has nothing to cancel; others keep the Timer. */
export function sleep(timers: Timers, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    timers.after(delayMs, resolve);
  });
}

/** RFC 3339 in UTC with whole seconds, the form of every `metadata` timestamp. */
export function timestampOf(wallMs: number): string {
  const second = Math.floor(wallMs / 1000);
  if (second !== lastSecond) {
    lastTimestamp = `${instantText(wallMs).slice(0, 19)}Z`;
    lastSecond = second;
  }
  return lastTimestamp;
}

/** Many objects are written within one second. */
let lastSecond = Number.NaN;
let lastTimestamp = '';

/** RFC 3339 in UTC with microseconds, the form of `MicroTime` fields (leases, events). */
export function microTimestampOf(wallMs: number): string {
  return `${instantText(wallMs).slice(0, 23)}000Z`;
}

function instantText(wallMs: number): string {
  // The only conversion between a number from the clock port and the calendar.
  // oxlint-disable-next-line no-restricted-globals -- pure: a given instant, not the present
  return new Date(wallMs).toISOString();
}
