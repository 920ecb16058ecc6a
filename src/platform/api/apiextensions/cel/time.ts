/** Durations and instants as expressions know them, in nanoseconds. */
import { timestampOf } from '#platform/io/mod.ts';
import { evaluationError } from './errors.ts';
import { wallMsOf } from '../../age-text.ts';

const nanosPer: Readonly<Record<string, bigint>> = {
  ...{ ns: 1n, us: 1_000n, µs: 1_000n, ms: 1_000_000n, s: 1_000_000_000n },
  ...{ m: 60_000_000_000n, h: 3_600_000_000_000n },
};
const durationPart = /(\d{0,18})(?:\.(\d{0,18}))?(ns|us|µs|ms|s|m|h)/y;
const durationLengthMax = 128;
export const nanosPerSecond = 1_000_000_000n;

/** `1h30m`, `-1.5s`, `250ms`; undefined where it is no duration. */
export function durationNanosOf(text: string): bigint | undefined {
  const isNegative = text.startsWith('-');
  const rest = /^[+-]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return 0n;
  if (rest === '' || rest.length > durationLengthMax) return undefined;
  let nanos = 0n;
  let at = 0;
  while (at < rest.length) {
    durationPart.lastIndex = at;
    const found = durationPart.exec(rest);
    if (found === null) return undefined;
    const [whole, integer = '', fraction = '', unit = ''] = found;
    if (integer === '' && fraction === '') return undefined;
    const per = nanosPer[unit] ?? 0n;
    nanos += BigInt(integer === '' ? '0' : integer) * per;
    if (fraction !== '') nanos += (BigInt(fraction) * per) / 10n ** BigInt(fraction.length);
    at += whole.length;
  }
  return isNegative ? -nanos : nanos;
}

export function instantNanosOf(text: string): bigint | undefined {
  const ms = wallMsOf(text);
  if (ms === undefined) return undefined;
  const fraction = (/\.(\d{1,9})/.exec(text)?.[1] ?? '').padEnd(9, '0');
  // The fraction of the milliseconds is counted with the others.
  return BigInt(Math.floor(ms / 1000)) * nanosPerSecond + BigInt(fraction);
}

/** As durations are written out: seconds with a fraction, `5400s`. */
export function durationText(nanos: bigint): string {
  const [sign, positive] = nanos < 0n ? ['-', -nanos] : ['', nanos];
  const fraction = (positive % nanosPerSecond).toString().padStart(9, '0').replace(/0+$/, '');
  return `${sign}${positive / nanosPerSecond}${fraction === '' ? '' : `.${fraction}`}s`;
}

export function instantText(nanos: bigint): string {
  const fraction = (((nanos % nanosPerSecond) + nanosPerSecond) % nanosPerSecond)
    .toString()
    .padStart(9, '0')
    .replace(/0+$/, '');
  const whole = secondsText(nanos).slice(0, -1);
  return `${whole}${fraction === '' ? '' : `.${fraction}`}Z`;
}

/** The years that have four digits. */
const textMsMin = -62_135_596_800_000;
const textMsMax = 253_402_300_799_999;

/** `2026-01-31T12:00:00Z` */
function secondsText(nanos: bigint): string {
  const ms = Number(nanos / 1_000_000n);
  if (ms < textMsMin || ms > textMsMax) {
    throw evaluationError('the timestamp is not in the years 1 to 9999');
  }
  return timestampOf(Math.floor(ms / 1000) * 1000);
}

/** Of the calendar, in UTC. */
export interface CalendarParts {
  readonly year: number;
  /** January is 0, as are the first day of a month and Sunday. */
  readonly month: number;
  readonly dayOfMonth: number;
  readonly dayOfWeek: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
  readonly milliseconds: number;
}

const msPerDay = 86_400_000;
/** 1970 began on a Thursday. */
const firstDayOfWeek = 4;

export function calendarPartsOf(nanos: bigint): CalendarParts {
  const ms = Number(nanos / 1_000_000n);
  const text = secondsText(nanos);
  const number = (from: number, to: number): number => Number(text.slice(from, to));
  const days = Math.floor(ms / msPerDay);
  return {
    year: number(0, 4),
    month: number(5, 7) - 1,
    dayOfMonth: number(8, 10) - 1,
    dayOfWeek: (((days + firstDayOfWeek) % 7) + 7) % 7,
    hours: number(11, 13),
    minutes: number(14, 16),
    seconds: number(17, 19),
    milliseconds: ((ms % 1000) + 1000) % 1000,
  };
}
