/** How long ago, in the short form that `kubectl get` prints: `45s`, `3m12s`, `5d4h`, `2y10d`. */

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const yearMs = 365 * dayMs;

/** A small negative duration (a clock that lags) counts as none; a large one is not a duration. */
const clockLagToleratedMs = 2 * secondMs;

/** The longer the duration, the coarser the text: never more than two units. */
export function durationText(durationMs: number): string {
  if (durationMs < -clockLagToleratedMs) return '<invalid>';
  if (durationMs < 0) return '0s';
  const seconds = Math.floor(durationMs / secondMs);
  if (durationMs < 2 * minuteMs) return `${seconds}s`;
  const minutes = Math.floor(durationMs / minuteMs);
  if (durationMs < 10 * minuteMs) return twoUnits(minutes, 'm', seconds % 60, 's');
  if (durationMs < 3 * hourMs) return `${minutes}m`;
  const hours = Math.floor(durationMs / hourMs);
  if (durationMs < 8 * hourMs) return twoUnits(hours, 'h', minutes % 60, 'm');
  if (durationMs < 2 * dayMs) return `${hours}h`;
  const days = Math.floor(durationMs / dayMs);
  if (durationMs < 8 * dayMs) return twoUnits(days, 'd', hours % 24, 'h');
  if (durationMs < 2 * yearMs) return `${days}d`;
  const years = Math.floor(durationMs / yearMs);
  if (durationMs < 8 * yearMs) return twoUnits(years, 'y', days % 365, 'd');
  return `${years}y`;
}

/** The age of an RFC 3339 instant; `<unknown>` where there is none or it cannot be read. */
export function ageText(timestamp: string | undefined, nowMs: number): string {
  const instantMs = timestamp === undefined ? undefined : wallMsOf(timestamp);
  return instantMs === undefined ? '<unknown>' : durationText(nowMs - instantMs);
}

const timestampPattern =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;
const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Milliseconds since 1970 of an RFC 3339 instant; undefined where it is none. Reads no clock. */
export function wallMsOf(timestamp: string): number | undefined {
  const parts = timestampPattern.exec(timestamp);
  if (parts === null) return undefined;
  const number = (index: number): number => Number(parts[index] ?? '0');
  const [year, month, day] = [number(1), number(2), number(3)];
  const [hour, minute, second] = [number(4), number(5), number(6)];
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return undefined;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const lastDay = month === 2 && leap ? 29 : (daysOfMonth[month - 1] ?? 0);
  if (day < 1 || day > lastDay) return undefined;
  const offsetMinutes = (number(9) * 60 + number(10)) * (parts[8] === '-' ? -1 : 1);
  if (number(9) > 23 || number(10) > 59) return undefined;
  const fractionMs = Math.floor(Number(`0.${parts[7] ?? '0'}`) * 1000);
  const seconds = hour * 3600 + (minute - offsetMinutes) * 60 + second;
  return daysSinceEpoch(year, month, day) * dayMs + seconds * secondMs + fractionMs;
}

/** Days from 1970-01-01 in the Gregorian calendar, counting years from March so that leap days come last. */
export function daysSinceEpoch(year: number, month: number, day: number): number {
  const shiftedYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(shiftedYear / 400);
  const yearOfEra = shiftedYear - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function twoUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}
