/**
 * Time as the program sees it. Three clocks that must never be mixed:
 * 1. monotonic never goes back, stops while the machine sleeps, means nothing
 *    outside this process; durations are measured with it.
 * 2. boot never goes back, counts sleep, is shared by all processes until the
 *    next boot; leases and grants count on it.
 * 3. wall is what people read and may jump either way; it is for timestamps only,
 *    never for a decision about order.
 */
import { assert } from '#base/mod.ts';

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

const dayMs = 86_400_000;
const daysOfFourCenturies = 146_097;
/** From 1 March of the year 0, with which the count below begins, to 1 January 1970. */
const daysToEpoch = 719_468;
const yearMax = 9_999;

/**
 * RFC 3339 in UTC with milliseconds. By arithmetic, as the engine's own calendar brings
 * tables of all the world's time zones into an agent's memory. Years begin in March
 * here, so that the leap day is the last of its year.
 */
function instantText(wallMs: number): string {
  const days = Math.floor(wallMs / dayMs);
  const era = Math.floor((days + daysToEpoch) / daysOfFourCenturies);
  const dayOfEra = days + daysToEpoch - era * daysOfFourCenturies;
  const leapDays =
    Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear =
    dayOfEra - 365 * yearOfEra - Math.floor(yearOfEra / 4) + Math.floor(yearOfEra / 100);
  // Months from March on have 31, 30, 31, 30, 31 days, again and again.
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0);
  assert(year >= 0 && year <= yearMax, 'a year has four digits');
  const inDay = Math.floor(wallMs) - days * dayMs;
  const part = (unitMs: number, count: number): string =>
    digits(Math.floor(inDay / unitMs) % count, 2);
  const date = `${digits(year, 4)}-${digits(month, 2)}-${digits(day, 2)}`;
  const time = `${part(3_600_000, 24)}:${part(60_000, 60)}:${part(1_000, 60)}`;
  return `${date}T${time}.${digits(inDay % 1_000, 3)}Z`;
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0');
}
