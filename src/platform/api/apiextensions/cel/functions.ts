/**
 * All functions that rules may call: those of CEL and the extensions that Kubernetes
 * adds to it (lists, sets, quantities, addresses of the web, optional values).
 */
import { compareQuantities, tryParseQuantity } from '../../quantity.ts';
import { isIpAddress, isNetwork } from '../string-formats.ts';
import { evaluationError } from './errors.ts';
import { appended, operators } from './operators.ts';
import { method, type Overload, type Overloads, plain } from './overloads.ts';
import { textFunctions } from './text-functions.ts';
import { type CalendarParts, calendarPartsOf } from './time.ts';
import {
  bool,
  type CelType,
  double,
  duration,
  dyn,
  int,
  listOf,
  optionalOf,
  quantity,
  string,
  timestamp,
  url,
} from './types.ts';
import {
  type Budget,
  type CelDuration,
  type CelInstant,
  type CelList,
  type CelOptional,
  type CelQuantity,
  type CelUrl,
  compareValues,
  equalValues,
  isList,
  isMap,
  listFrom,
  none,
  some,
  type Value,
} from './values.ts';

const anyList = listOf(dyn);
const optional = optionalOf(dyn);

function itemsOf(list: CelList, budget: Budget): Value[] {
  budget.spend(list.size);
  const items: Value[] = [];
  for (let at = 0; at < list.size; at += 1) items.push(list.at(at));
  return items;
}

function extreme(items: readonly Value[], sign: 1 | -1): Value {
  const [first, ...rest] = items;
  if (first === undefined) throw evaluationError('an empty list has no least or greatest entry');
  return rest.reduce((best, item) => (sign * compareValues(item, best) > 0 ? item : best), first);
}

function position(items: readonly Value[], value: Value, budget: Budget): bigint {
  return BigInt(items.findIndex((item) => equalValues(item, value, budget)));
}

const listFunctions: Overloads = {
  isSorted: [
    method<[CelList]>([anyList], bool, (list, budget) => {
      const items = itemsOf(list, budget);
      return items.every((item, at) => at === 0 || compareValues(items[at - 1] ?? null, item) <= 0);
    }),
  ],
  sum: [
    method<[CelList]>([anyList], dyn, (list, budget) => {
      const items = itemsOf(list, budget);
      if (items.every((item) => typeof item === 'bigint')) {
        return items.reduce((sum, item) => sum + item, 0n);
      }
      if (items.every((item) => typeof item === 'number')) {
        return items.reduce((sum, item) => sum + item, 0);
      }
      throw evaluationError('sum takes a list of numbers of one kind');
    }),
  ],
  min: [method<[CelList]>([anyList], dyn, (list, budget) => extreme(itemsOf(list, budget), -1))],
  max: [method<[CelList]>([anyList], dyn, (list, budget) => extreme(itemsOf(list, budget), 1))],
  indexOf: [
    method<[CelList, Value]>([anyList, dyn], int, (list, value, budget) =>
      position(itemsOf(list, budget), value, budget),
    ),
  ],
  lastIndexOf: [
    method<[CelList, Value]>([anyList, dyn], int, (list, value, budget) => {
      const items = itemsOf(list, budget);
      return BigInt(items.findLastIndex((item) => equalValues(item, value, budget)));
    }),
  ],
  distinct: [
    method<[CelList]>([anyList], anyList, (list, budget) => {
      const kept: Value[] = [];
      for (const item of itemsOf(list, budget)) {
        budget.spend(kept.length);
        if (!kept.some((known) => equalValues(known, item, budget))) kept.push(item);
      }
      return listFrom(kept);
    }),
  ],
  flatten: [
    method<[CelList]>([anyList], anyList, (list, budget) =>
      itemsOf(list, budget).reduce<CelList>(
        (flat, item) => appended(flat, isList(item) ? item : listFrom([item]), budget),
        listFrom([]),
      ),
    ),
  ],
  sort: [
    method<[CelList]>([anyList], anyList, (list, budget) => {
      budget.spend(list.size * Math.log2(list.size + 1));
      return listFrom(itemsOf(list, budget).sort(compareValues));
    }),
  ],
  slice: [
    method<[CelList, bigint, bigint]>([anyList, int, int], anyList, (list, from, to, budget) => {
      if (from < 0n || to > BigInt(list.size) || from > to) {
        throw evaluationError(`no such part of the list: ${from} to ${to}`);
      }
      return listFrom(itemsOf(list, budget).slice(Number(from), Number(to)));
    }),
  ],
};

function containsAll(whole: CelList, part: CelList, budget: Budget): boolean {
  const items = itemsOf(whole, budget);
  return itemsOf(part, budget).every((item) => {
    budget.spend(items.length);
    return items.some((other) => equalValues(other, item, budget));
  });
}

const setFunctions: Overloads = {
  'sets.contains': [plain<[CelList, CelList]>([anyList, anyList], bool, containsAll)],
  'sets.equivalent': [
    plain<[CelList, CelList]>(
      [anyList, anyList],
      bool,
      (left, right, budget) => containsAll(left, right, budget) && containsAll(right, left, budget),
    ),
  ],
  'sets.intersects': [
    plain<[CelList, CelList]>([anyList, anyList], bool, (left, right, budget) => {
      const items = itemsOf(right, budget);
      return itemsOf(left, budget).some((item) => {
        budget.spend(items.length);
        return items.some((other) => equalValues(item, other, budget));
      });
    }),
  ],
};

function extremeOf(sign: 1 | -1): readonly Overload[] {
  return [
    plain<[CelList]>([anyList], dyn, (list, budget) => extreme(itemsOf(list, budget), sign)),
    plain<[Value]>([dyn], dyn, (value) => value),
    plain<[Value, Value]>([dyn, dyn], dyn, (a, b) => extreme([a, b], sign)),
    plain<[Value, Value, Value]>([dyn, dyn, dyn], dyn, (a, b, c) => extreme([a, b, c], sign)),
  ];
}

function parsedQuantity(text: string): CelQuantity {
  const parsed = tryParseQuantity(text);
  if (parsed === undefined) throw evaluationError('the text is no quantity');
  return { kind: 'quantity', quantity: parsed };
}

const nanosPerUnit = 1_000_000_000n;

function sumOf(left: CelQuantity, right: CelQuantity, sign: 1n | -1n): CelQuantity {
  const { nano, notation } = left.quantity;
  return { kind: 'quantity', quantity: { nano: nano + sign * right.quantity.nano, notation } };
}

function compared(holds: (order: number) => boolean): readonly Overload[] {
  return [
    method<[CelQuantity, CelQuantity]>([quantity, quantity], bool, (left, right) =>
      holds(compareQuantities(left.quantity, right.quantity)),
    ),
  ];
}

function combined(sign: 1n | -1n): readonly Overload[] {
  return [
    method<[CelQuantity, CelQuantity]>([quantity, quantity], quantity, (left, right) =>
      sumOf(left, right, sign),
    ),
    method<[CelQuantity, bigint]>([quantity, int], quantity, (left, right) =>
      sumOf(left, parsedQuantity(String(right)), sign),
    ),
  ];
}

const quantityFunctions: Overloads = {
  quantity: [plain<[string]>([string], quantity, parsedQuantity)],
  isQuantity: [plain<[string]>([string], bool, (text) => tryParseQuantity(text) !== undefined)],
  isGreaterThan: compared((order) => order > 0),
  isLessThan: compared((order) => order < 0),
  compareTo: [
    method<[CelQuantity, CelQuantity]>([quantity, quantity], int, (left, right) =>
      BigInt(compareQuantities(left.quantity, right.quantity)),
    ),
  ],
  add: combined(1n),
  sub: combined(-1n),
  sign: [
    method<[CelQuantity]>([quantity], int, ({ quantity: { nano } }) =>
      nano === 0n ? 0n : nano < 0n ? -1n : 1n,
    ),
  ],
  isInteger: [
    method<[CelQuantity]>([quantity], bool, ({ quantity: { nano } }) => nano % nanosPerUnit === 0n),
  ],
  asInteger: [
    method<[CelQuantity]>([quantity], int, ({ quantity: { nano } }) => {
      if (nano % nanosPerUnit !== 0n) throw evaluationError('the quantity is no whole number');
      return nano / nanosPerUnit;
    }),
  ],
  asApproximateFloat: [
    method<[CelQuantity]>([quantity], double, ({ quantity: { nano } }) => Number(nano) / 1e9),
  ],
};

function ofUrl(result: CelType, read: (address: URL) => Value): readonly Overload[] {
  return [method<[CelUrl]>([url], result, ({ url: address }) => read(address))];
}

const addressFunctions: Overloads = {
  url: [
    plain<[string]>([string], url, (text) => {
      if (!URL.canParse(text)) throw evaluationError('the text is no URL');
      return { kind: 'url', url: new URL(text) };
    }),
  ],
  isURL: [plain<[string]>([string], bool, (text) => URL.canParse(text))],
  getScheme: ofUrl(string, ({ protocol }) => protocol.slice(0, -1)),
  getHost: ofUrl(string, ({ host }) => host),
  getHostname: ofUrl(string, ({ hostname }) => hostname),
  getPort: ofUrl(string, ({ port }) => port),
  getEscapedPath: ofUrl(string, ({ pathname }) => pathname),
  isIP: [plain<[string]>([string], bool, isIpAddress)],
  isCIDR: [plain<[string]>([string], bool, isNetwork)],
};

function part(read: (parts: CalendarParts) => number): readonly Overload[] {
  return [
    method<[CelInstant]>([timestamp], int, ({ nanos }) => BigInt(read(calendarPartsOf(nanos)))),
  ];
}

function ofDuration(per: bigint): Overload {
  return method<[CelDuration]>([duration], int, ({ nanos }) => nanos / per);
}

const timeFunctions: Overloads = {
  getFullYear: part(({ year }) => year),
  getMonth: part(({ month }) => month),
  getDate: part(({ dayOfMonth }) => dayOfMonth + 1),
  getDayOfMonth: part(({ dayOfMonth }) => dayOfMonth),
  getDayOfWeek: part(({ dayOfWeek }) => dayOfWeek),
  getHours: [...part(({ hours }) => hours), ofDuration(3_600_000_000_000n)],
  getMinutes: [...part(({ minutes }) => minutes), ofDuration(60_000_000_000n)],
  getSeconds: [...part(({ seconds }) => seconds), ofDuration(1_000_000_000n)],
  getMilliseconds: [...part(({ milliseconds }) => milliseconds), ofDuration(1_000_000n)],
};

function isZero(value: Value): boolean {
  if (value === null || value === false || value === 0n || value === 0 || value === '') return true;
  return (isList(value) || isMap(value)) && value.size === 0;
}

const optionalFunctions: Overloads = {
  'optional.of': [plain<[Value]>([dyn], optional, (value) => some(value))],
  'optional.none': [plain<[]>([], optional, () => none)],
  'optional.ofNonZeroValue': [
    plain<[Value]>([dyn], optional, (value) => (isZero(value) ? none : some(value))),
  ],
  hasValue: [method<[CelOptional]>([optional], bool, ({ value }) => value !== undefined)],
  value: [
    method<[CelOptional]>([optional], dyn, ({ value }) => {
      if (value === undefined) throw evaluationError('the optional has no value');
      return value;
    }),
  ],
  orValue: [
    method<[CelOptional, Value]>([optional, dyn], dyn, ({ value }, other) =>
      value === undefined ? other : value,
    ),
  ],
  or: [
    method<[CelOptional, CelOptional]>([optional, optional], optional, (first, second) =>
      first.value === undefined ? second : first,
    ),
  ],
};

const tables: readonly Overloads[] = [
  operators,
  textFunctions,
  listFunctions,
  setFunctions,
  { 'math.greatest': extremeOf(1), 'math.least': extremeOf(-1) },
  quantityFunctions,
  addressFunctions,
  timeFunctions,
  optionalFunctions,
];

const allFunctions = new Map<string, readonly Overload[]>();
for (const table of tables) {
  for (const [name, overloads] of Object.entries(table)) {
    allFunctions.set(name, [...(allFunctions.get(name) ?? []), ...overloads]);
  }
}

export function overloadsOf(name: string): readonly Overload[] | undefined {
  return allFunctions.get(name);
}
