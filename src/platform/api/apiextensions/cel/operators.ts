/** Arithmetic, comparison, conversion: what every expression language has. */
import { textOf, utf8 } from '#base/mod.ts';
import { evaluationError } from './errors.ts';
import { method, type Overloads, plain } from './overloads.ts';
import { durationNanosOf, instantNanosOf, nanosPerSecond } from './time.ts';
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  listOf,
  mapOf,
  string,
  timestamp,
  typeOfType,
} from './types.ts';
import {
  type Budget,
  type CelDuration,
  type CelInstant,
  type CelList,
  type CelMap,
  compareValues,
  equalValues,
  kindOf,
  listFrom,
  textOfValue,
  type Value,
} from './values.ts';

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
/** Of texts and lists that an expression makes. */
const madeSizeMax = 1_000_000;

const anyList = listOf(dyn);
const anyMap = mapOf(dyn, dyn);

function inRange(value: bigint): bigint {
  if (value < int64Min || value > int64Max) throw evaluationError('integer overflow');
  return value;
}

function instant(nanos: bigint): CelInstant {
  return { kind: 'timestamp', nanos };
}

function durationOf(nanos: bigint): CelDuration {
  return { kind: 'duration', nanos: inRange(nanos) };
}

function divisor(value: bigint): bigint {
  if (value === 0n) throw evaluationError('division by zero');
  return value;
}

/** Spends by the size of what is made, and refuses what is too large. */
export function spendForSize(size: number, budget: Budget): void {
  if (size > madeSizeMax) {
    throw evaluationError(`a value of more than ${madeSizeMax} characters or entries`);
  }
  budget.spend(size / 10);
}

function wholeFrom(value: number): bigint {
  if (!Number.isFinite(value)) throw evaluationError('the number is out of range of an int');
  return inRange(BigInt(Math.trunc(value)));
}

function comparison(name: string, holds: (order: number) => boolean): Overloads {
  return {
    [name]: [
      plain<[Value, Value]>([dyn, dyn], bool, (left, right, budget) => {
        if (typeof left === 'string') budget.spend(left.length / 10);
        return holds(compareValues(left, right));
      }),
    ],
  };
}

export function appended(left: CelList, right: CelList, budget: Budget): CelList {
  const size = left.size + right.size;
  spendForSize(size * 10, budget);
  const items: Value[] = [];
  for (let at = 0; at < left.size; at += 1) items.push(left.at(at));
  for (let at = 0; at < right.size; at += 1) items.push(right.at(at));
  return listFrom(items);
}

const sizes = [
  [string, (value: string) => BigInt(codePointsOf(value))],
  [bytes, (value: Uint8Array) => BigInt(value.length)],
  [anyList, (value: CelList) => BigInt(value.size)],
  [anyMap, (value: CelMap) => BigInt(value.size)],
] as const;

function codePointsOf(text: string): number {
  let count = 0;
  for (const _character of text) count += 1;
  return count;
}

export const operators: Overloads = {
  '+': [
    plain<[bigint, bigint]>([int, int], int, (a, b) => inRange(a + b)),
    plain<[number, number]>([double, double], double, (a, b) => a + b),
    plain<[string, string]>([string, string], string, (a, b, budget) => {
      spendForSize(a.length + b.length, budget);
      return a + b;
    }),
    plain<[Uint8Array, Uint8Array]>([bytes, bytes], bytes, (a, b, budget) => {
      spendForSize(a.length + b.length, budget);
      return Uint8Array.from([...a, ...b]);
    }),
    plain<[CelInstant, CelDuration]>([timestamp, duration], timestamp, (a, b) =>
      instant(a.nanos + b.nanos),
    ),
    plain<[CelDuration, CelInstant]>([duration, timestamp], timestamp, (a, b) =>
      instant(a.nanos + b.nanos),
    ),
    plain<[CelDuration, CelDuration]>([duration, duration], duration, (a, b) =>
      durationOf(a.nanos + b.nanos),
    ),
    plain<[CelList, CelList]>([anyList, anyList], anyList, appended),
  ],
  '-': [
    plain<[bigint, bigint]>([int, int], int, (a, b) => inRange(a - b)),
    plain<[number, number]>([double, double], double, (a, b) => a - b),
    plain<[CelInstant, CelInstant]>([timestamp, timestamp], duration, (a, b) =>
      durationOf(a.nanos - b.nanos),
    ),
    plain<[CelInstant, CelDuration]>([timestamp, duration], timestamp, (a, b) =>
      instant(a.nanos - b.nanos),
    ),
    plain<[CelDuration, CelDuration]>([duration, duration], duration, (a, b) =>
      durationOf(a.nanos - b.nanos),
    ),
  ],
  '*': [
    plain<[bigint, bigint]>([int, int], int, (a, b) => inRange(a * b)),
    plain<[number, number]>([double, double], double, (a, b) => a * b),
  ],
  '/': [
    plain<[bigint, bigint]>([int, int], int, (a, b) => inRange(a / divisor(b))),
    plain<[number, number]>([double, double], double, (a, b) => a / b),
  ],
  '%': [plain<[bigint, bigint]>([int, int], int, (a, b) => a % divisor(b))],
  negate: [
    plain<[bigint]>([int], int, (a) => inRange(-a)),
    plain<[number]>([double], double, (a) => -a),
  ],
  '!': [plain<[boolean]>([bool], bool, (a) => !a)],
  '==': [plain<[Value, Value]>([dyn, dyn], bool, equalTexts)],
  '!=': [plain<[Value, Value]>([dyn, dyn], bool, (a, b, budget) => !equalTexts(a, b, budget))],
  ...comparison('<', (order) => order < 0),
  ...comparison('<=', (order) => order <= 0),
  ...comparison('>', (order) => order > 0),
  ...comparison('>=', (order) => order >= 0),
  in: [
    plain<[Value, CelList]>([dyn, anyList], bool, (value, list, budget) => {
      for (let at = 0; at < list.size; at += 1) {
        budget.spend(1);
        if (equalValues(value, list.at(at), budget)) return true;
      }
      return false;
    }),
    plain<[Value, CelMap]>([dyn, anyMap], bool, (key, map) => map.get(key) !== undefined),
  ],
  size: sizes.flatMap(([type, count]) => {
    const run = (value: Value, budget: Budget): Value => {
      if (typeof value === 'string') budget.spend(value.length / 10);
      return (count as (value: Value) => bigint)(value);
    };
    return [plain<[Value]>([type], int, run), method<[Value]>([type], int, run)];
  }),
  int: [
    plain<[bigint]>([int], int, (value) => value),
    plain<[number]>([double], int, wholeFrom),
    plain<[string]>([string], int, (text) => {
      if (!/^[+-]?\d{1,19}$/.test(text)) throw evaluationError('the text is no whole number');
      return inRange(BigInt(text.replace('+', '')));
    }),
    plain<[CelInstant]>([timestamp], int, ({ nanos }) => nanos / nanosPerSecond),
  ],
  uint: [
    plain<[bigint]>([int], int, (value) => {
      if (value < 0n) throw evaluationError('a negative number is no uint');
      return value;
    }),
  ],
  double: [
    plain<[bigint]>([int], double, Number),
    plain<[number]>([double], double, (value) => value),
    plain<[string]>([string], double, (text) => {
      const value = text.trim() === '' ? Number.NaN : Number(text);
      if (Number.isNaN(value) && text !== 'NaN') throw evaluationError('the text is no number');
      return value;
    }),
  ],
  string: [
    plain<[Uint8Array]>([bytes], string, (value) => textOf(value)),
    plain<[Value]>([dyn], string, (value) => textOfValue(value)),
  ],
  bytes: [
    plain<[string]>([string], bytes, (text) => utf8(text)),
    plain<[Uint8Array]>([bytes], bytes, (value) => value),
  ],
  bool: [
    plain<[boolean]>([bool], bool, (value) => value),
    plain<[string]>([string], bool, (text) => {
      if (['true', 'True', 'TRUE', 't', '1'].includes(text)) return true;
      if (['false', 'False', 'FALSE', 'f', '0'].includes(text)) return false;
      throw evaluationError('the text is neither true nor false');
    }),
  ],
  timestamp: [
    plain<[CelInstant]>([timestamp], timestamp, (value) => value),
    plain<[string]>([string], timestamp, (text) => {
      const nanos = instantNanosOf(text);
      if (nanos === undefined) throw evaluationError('the text is no RFC 3339 instant');
      return instant(nanos);
    }),
    plain<[bigint]>([int], timestamp, (seconds) => instant(seconds * nanosPerSecond)),
  ],
  duration: [
    plain<[CelDuration]>([duration], duration, (value) => value),
    plain<[string]>([string], duration, (text) => {
      const nanos = durationNanosOf(text);
      if (nanos === undefined) throw evaluationError('the text is no duration');
      return durationOf(nanos);
    }),
  ],
  dyn: [plain<[Value]>([dyn], dyn, (value) => value)],
  type: [plain<[Value]>([dyn], typeOfType, (value) => ({ kind: 'type', name: kindOf(value) }))],
};

function equalTexts(left: Value, right: Value, budget: Budget): boolean {
  if (typeof left === 'string' && typeof right === 'string') {
    budget.spend(Math.min(left.length, right.length) / 10);
  }
  return equalValues(left, right, budget);
}
