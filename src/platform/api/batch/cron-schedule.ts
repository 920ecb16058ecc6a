/**
 * Schedules in the five fields of cron: minute, hour, day of the month, month, day
 * of the week. Names (`jan`, `mon`), lists, ranges, steps, `?` for `*`, and the
 * words `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
 *
 * Invariants:
 * 1. A schedule names whole minutes. Whether an instant is one of them follows from
 *    the schedule, the time zone and the instant alone.
 * 2. Where both days are restricted, either suffices, as everywhere in cron.
 * 3. A local time that a change of clocks leaves out does not come that day; one
 *    that comes twice counts once, unless the schedule runs every hour anyway.
 */
import { ownOf } from '#base/mod.ts';
import { daysSinceEpoch } from '../age-text.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
/** 29 February comes within eight years, also around 2100. */
const searchDaysMax = 8 * 366;
const scheduleLengthMax = 256;

export interface CronSchedule {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  /** 0 is Sunday. */
  readonly daysOfWeek: ReadonlySet<number>;
  readonly isAnyDayOfMonth: boolean;
  readonly isAnyDayOfWeek: boolean;
  readonly isEveryHour: boolean;
}

const monthNames = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const dayNames = 'sun mon tue wed thu fri sat'.split(' ');

const words: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

interface FieldRange {
  readonly what: string;
  readonly least: number;
  readonly most: number;
  /** Of the numbers from `least` up. */
  readonly names?: readonly string[];
}

const fieldRanges: readonly FieldRange[] = [
  { what: 'minute', least: 0, most: 59 },
  { what: 'hour', least: 0, most: 23 },
  { what: 'day of the month', least: 1, most: 31 },
  { what: 'month', least: 1, most: 12, names: monthNames },
  { what: 'day of the week', least: 0, most: 7, names: dayNames },
];

/** The schedule, or what is wrong with its text. */
export function parseCronSchedule(
  schedule: string,
): { readonly schedule: CronSchedule } | { readonly problem: string } {
  if (schedule.length > scheduleLengthMax) {
    return { problem: `must have at most ${scheduleLengthMax} characters` };
  }
  if (/(^|\s)(TZ|CRON_TZ)=/u.test(schedule)) {
    return { problem: 'must not name a time zone: use the field timeZone' };
  }
  const text = schedule.trim().toLowerCase();
  const known = ownOf(words, text);
  if (known === undefined && text.startsWith('@')) {
    return { problem: `${text} is not one of ${Object.keys(words).join(', ')}` };
  }
  const fields = (known ?? text).split(/\s+/u);
  if (fields.length !== fieldRanges.length) {
    return {
      problem:
        'must have five fields: minute, hour, day of the month, month, day of the week (such as "*/5 * * * *")',
    };
  }
  const sets: Set<number>[] = [];
  for (const [position, range] of fieldRanges.entries()) {
    const values = parseField(fields[position] ?? '', range);
    if (typeof values === 'string') return { problem: values };
    sets.push(values);
  }
  const [minutes, hours, daysOfMonth, months, daysOfWeek] = sets as [
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
  ];
  // Sunday is 0 and 7.
  if (daysOfWeek.delete(7)) daysOfWeek.add(0);
  const isAny = (position: number): boolean => /^[*?](\/|$)/u.test(fields[position] ?? '');
  return {
    schedule: {
      minutes,
      hours,
      daysOfMonth,
      months,
      daysOfWeek,
      isAnyDayOfMonth: isAny(2),
      isAnyDayOfWeek: isAny(4),
      isEveryHour: hours.size === 24,
    },
  };
}

function parseField(field: string, range: FieldRange): Set<number> | string {
  const { what, least, most, names } = range;
  const wrong = (part: string): string =>
    `${JSON.stringify(part)} is no ${what}: numbers from ${least} to ${most}${names === undefined ? '' : ' or names'}, lists "1,2", ranges "1-5", steps "*/2"`;
  const numberOf = (word: string): number | undefined => {
    const named = names?.indexOf(word) ?? -1;
    if (named >= 0) return least + named;
    const value = /^\d{1,2}$/u.test(word) ? Number(word) : -1;
    return value >= least && value <= most ? value : undefined;
  };
  const values = new Set<number>();
  for (const part of field.split(',')) {
    const match = /^(?:[*?]|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:\/(\d{1,3}))?$/u.exec(part);
    if (match === null) return wrong(part);
    const [, firstWord, lastWord, stepWord] = match;
    const step = stepWord === undefined ? 1 : Number(stepWord);
    if (step === 0) return `${JSON.stringify(part)}: a step of 0 never moves on`;
    let first: number | undefined = least;
    // Of the week, 7 is another word for 0.
    let last: number | undefined = what === 'day of the week' ? 6 : most;
    if (firstWord !== undefined) {
      first = numberOf(firstWord);
      if (lastWord !== undefined) last = numberOf(lastWord);
      else if (stepWord === undefined) last = first;
    }
    if (first === undefined || last === undefined) return wrong(part);
    if (first > last) return `${JSON.stringify(part)}: a range goes upwards`;
    for (let value = first; value <= last; value += step) values.add(value);
  }
  return values;
}

/** What is wrong with the name of a time zone; undefined where it is one. */
export function timeZoneProblem(timeZone: string): string | undefined {
  if (timeZone.toLowerCase() === 'local')
    return 'must not be Local: name the place, such as Europe/Berlin';
  try {
    void new Intl.DateTimeFormat('en-US', { timeZone });
    return undefined;
  } catch {
    return 'is no time zone of the IANA database, such as Europe/Berlin or Etc/UTC';
  }
}

/** How far local time is ahead of UTC at an instant. */
export type OffsetAt = (wallMs: number) => number;

/** Throws RangeError for a name that `timeZoneProblem` refuses. */
export function offsetsOf(timeZone: string | undefined): OffsetAt {
  if (timeZone === undefined || ['UTC', 'Etc/UTC'].includes(timeZone)) return () => 0;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (wallMs) => {
    const wholeMs = Math.floor(wallMs / 1000) * 1000;
    const field: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(wholeMs)) field[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = field;
    const days = daysSinceEpoch(year, month, day);
    return days * dayMs + hour * hourMs + minute * minuteMs + second * 1000 - wholeMs;
  };
}

/** The first instant of the schedule after `afterMs`; undefined where there is none for years. */
export function nextRunMs(
  schedule: CronSchedule,
  offsetAt: OffsetAt,
  afterMs: number,
): number | undefined {
  const endMs = afterMs + searchDaysMax * dayMs;
  let atMs = Math.floor(afterMs / minuteMs) * minuteMs + minuteMs;
  while (atMs <= endMs) {
    const localMs = atMs + offsetAt(atMs);
    const today = Math.floor(localMs / dayMs);
    if (!isDay(schedule, today)) {
      const day = nextDay(schedule, today);
      if (day === undefined) return undefined;
      const leftMs = day * dayMs - localMs;
      // Clocks may change before that midnight, so the last hours are taken in small steps.
      atMs += leftMs > 4 * hourMs ? leftMs - 3 * hourMs : stepOf(atMs);
    } else if (!schedule.hours.has(Math.floor(mod(localMs, dayMs) / hourMs))) {
      atMs += stepOf(atMs);
    } else if (
      schedule.minutes.has(Math.floor(mod(localMs, hourMs) / minuteMs)) &&
      !isRepeated(schedule, offsetAt, atMs, localMs)
    ) {
      return atMs;
    } else {
      atMs += minuteMs;
    }
  }
  return undefined;
}

/** To the next quarter of an hour: clocks change at no other moments. */
function stepOf(atMs: number): number {
  return 15 * minuteMs - mod(atMs, 15 * minuteMs);
}

/** Whether the same local time has been once already, before the clocks were set back. */
function isRepeated(
  { isEveryHour }: CronSchedule,
  offsetAt: OffsetAt,
  atMs: number,
  localMs: number,
): boolean {
  if (isEveryHour) return false;
  for (const backMs of [hourMs / 2, hourMs, 2 * hourMs]) {
    if (atMs - backMs + offsetAt(atMs - backMs) === localMs) return true;
  }
  return false;
}

/** By the calendar alone, which costs next to nothing; undefined for never. */
function nextDay(schedule: CronSchedule, today: number): number | undefined {
  for (let day = today + 1; day <= today + searchDaysMax; day += 1) {
    if (isDay(schedule, day)) return day;
  }
  return undefined;
}

/** `days` from 1970-01-01. */
function isDay(schedule: CronSchedule, days: number): boolean {
  const { month, day } = dateOf(days);
  if (!schedule.months.has(month)) return false;
  // 1970-01-01 was a Thursday.
  const inWeek = schedule.daysOfWeek.has(mod(days + 4, 7));
  const inMonth = schedule.daysOfMonth.has(day);
  if (schedule.isAnyDayOfMonth || schedule.isAnyDayOfWeek) return inWeek && inMonth;
  return inWeek || inMonth;
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** Month and day of a day counted from 1970-01-01, in the Gregorian calendar. */
function dateOf(days: number): { readonly month: number; readonly day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  return { month: shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9, day };
}
