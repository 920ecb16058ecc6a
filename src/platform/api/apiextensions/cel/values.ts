/**
 * Values of expressions: int is a bigint, double a number, lists and maps are looked
 * at where they are, in the JSON of the object, and never copied.
 */
import { assert, equalBytes, type Json, type JsonObject } from '#base/mod.ts';
import { bytesOfBase64 } from '../../meta/base64.ts';
import { compareQuantities, formatQuantity, type Quantity } from '../../quantity.ts';
import { type CelError, evaluationError } from './errors.ts';
import { durationNanosOf, durationText, instantNanosOf, instantText } from './time.ts';
import type { CelType } from './types.ts';

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | CelList
  | CelMap
  | CelInstant
  | CelDuration
  | CelTypeName
  | CelQuantity
  | CelUrl
  | CelOptional;

export interface CelList {
  readonly kind: 'list';
  readonly size: number;
  at(position: number): Value;
}

export interface CelMap {
  readonly kind: 'map';
  readonly size: number;
  /** Undefined where it has no such key. */
  get(key: Value): Value | undefined;
  keys(): readonly Value[];
}

export interface CelInstant {
  readonly kind: 'timestamp';
  readonly nanos: bigint;
}
export interface CelDuration {
  readonly kind: 'duration';
  readonly nanos: bigint;
}
export interface CelTypeName {
  readonly kind: 'type';
  readonly name: string;
}
export interface CelQuantity {
  readonly kind: 'quantity';
  readonly quantity: Quantity;
}
export interface CelUrl {
  readonly kind: 'url';
  readonly url: URL;
}
export interface CelOptional {
  readonly kind: 'optional';
  readonly value: Value | undefined;
}

export const none: CelOptional = { kind: 'optional', value: undefined };

export function some(value: Value): CelOptional {
  return { kind: 'optional', value };
}

export function listFrom(items: readonly Value[]): CelList {
  return {
    kind: 'list',
    size: items.length,
    at(position) {
      const item = items[position];
      assert(item !== undefined, 'a list is read within its bounds');
      return item;
    },
  };
}

export function mapFrom(entries: readonly (readonly [Value, Value])[]): CelMap {
  const known = new Map(entries.map(([key, value]) => [keyText(key), { key, value }]));
  if (known.size < entries.length) throw evaluationError('a key of the map is given twice');
  return {
    kind: 'map',
    size: known.size,
    get: (key) => known.get(keyText(key))?.value,
    keys: () => Array.from(known.values(), ({ key }) => key),
  };
}

function keyText(key: Value): string {
  if (typeof key === 'string') return `s${key}`;
  if (typeof key === 'boolean') return `b${key}`;
  if (typeof key === 'bigint') return `n${key}`;
  if (typeof key === 'number') return `n${key}`;
  throw evaluationError(`${kindOf(key)} cannot be the key of a map`);
}

/** A value of the object as its schema says to read it. */
export function valueOf(json: Json | undefined, type: CelType): Value {
  if (json === null || json === undefined) return null;
  if (typeof json === 'boolean') return json;
  if (typeof json === 'number') {
    return type.kind === 'double' || !Number.isSafeInteger(json) ? json : BigInt(json);
  }
  if (typeof json === 'string') return textValue(json, type);
  if (Array.isArray(json)) return jsonList(json, type);
  return jsonMap(json, type);
}

function textValue(text: string, type: CelType): Value {
  if (type.kind === 'timestamp') {
    const nanos = instantNanosOf(text.length === 10 ? `${text}T00:00:00Z` : text);
    return nanos === undefined ? text : { kind: 'timestamp', nanos };
  }
  if (type.kind === 'duration') {
    const nanos = durationNanosOf(text);
    return nanos === undefined ? text : { kind: 'duration', nanos };
  }
  return type.kind === 'bytes' ? bytesOfBase64(text) : text;
}

function jsonList(json: readonly Json[], type: CelType): CelList {
  const item: CelType = type.kind === 'list' ? type.item : { kind: 'dyn' };
  return { kind: 'list', size: json.length, at: (position) => valueOf(json[position], item) };
}

function jsonMap(json: JsonObject, type: CelType): CelMap {
  if (type.kind === 'object') {
    const { fields } = type;
    return {
      kind: 'map',
      get size() {
        return Object.keys(json).length;
      },
      get(key) {
        const field = typeof key === 'string' ? fields.get(key) : undefined;
        if (field === undefined || !Object.hasOwn(json, field.name)) return undefined;
        return valueOf(json[field.name], field.type);
      },
      keys: () =>
        Array.from(fields)
          .filter(([, { name }]) => Object.hasOwn(json, name))
          .map(([key]) => key),
    };
  }
  const ofValue: CelType = type.kind === 'map' ? type.value : { kind: 'dyn' };
  return {
    kind: 'map',
    get size() {
      return Object.keys(json).length;
    },
    get(key) {
      if (typeof key !== 'string' || !Object.hasOwn(json, key)) return undefined;
      return valueOf(json[key], ofValue);
    },
    keys: () => Object.keys(json),
  };
}

export type ValueKind =
  | Exclude<Value, Scalar>['kind']
  | 'null'
  | 'bool'
  | 'int'
  | 'double'
  | 'string'
  | 'bytes';

export function kindOf(value: Value): ValueKind {
  if (value === null) return 'null';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'double';
  return value instanceof Uint8Array ? 'bytes' : value.kind;
}

type Scalar = null | boolean | bigint | number | string | Uint8Array;

/** Counts what an evaluation does; throws CelError (CEL_BUDGET) where it is too much. */
export interface Budget {
  spend(steps: number): void;
}

export function equalValues(left: Value, right: Value, budget: Budget): boolean {
  if (left === right) return true;
  const [kind, other] = [kindOf(left), kindOf(right)];
  if (kind !== other) {
    const isNumeric = (one: ValueKind): boolean => one === 'int' || one === 'double';
    return isNumeric(kind) && isNumeric(other) && Number(left) === Number(right);
  }
  if (kind === 'list') return equalLists(left as CelList, right as CelList, budget);
  if (kind === 'map') return equalMaps(left as CelMap, right as CelMap, budget);
  if (kind === 'optional') {
    const [one, two] = [(left as CelOptional).value, (right as CelOptional).value];
    if (one === undefined || two === undefined) return one === two;
    return equalValues(one, two, budget);
  }
  if (kind === 'bytes') {
    const [one, two] = [left as Uint8Array, right as Uint8Array];
    budget.spend(one.length / 10);
    return equalBytes(one, two);
  }
  if (kind === 'type') return (left as CelTypeName).name === (right as CelTypeName).name;
  if (kind === 'url') return (left as CelUrl).url.href === (right as CelUrl).url.href;
  return isOrdered(kind) && compareValues(left, right) === 0;
}

function equalLists(left: CelList, right: CelList, budget: Budget): boolean {
  if (left.size !== right.size) return false;
  for (let position = 0; position < left.size; position += 1) {
    budget.spend(1);
    if (!equalValues(left.at(position), right.at(position), budget)) return false;
  }
  return true;
}

function equalMaps(left: CelMap, right: CelMap, budget: Budget): boolean {
  if (left.size !== right.size) return false;
  for (const key of left.keys()) {
    budget.spend(1);
    const [one, two] = [left.get(key), right.get(key)];
    if (one === undefined || two === undefined || !equalValues(one, two, budget)) return false;
  }
  return true;
}

/** Negative, zero or positive. Throws where there is no order between the two. */
export function compareValues(left: Value, right: Value): number {
  const [kind, other] = [kindOf(left), kindOf(right)];
  const isNumber = (one: ValueKind): boolean => one === 'int' || one === 'double';
  if (isNumber(kind) && isNumber(other)) return order(left as bigint, right as bigint);
  if (kind !== other) throw noOverload('<', left, right);
  if (kind === 'string' || kind === 'bool') return order(left as string, right as string);
  if (kind === 'timestamp' || kind === 'duration') {
    return order((left as CelInstant).nanos, (right as CelInstant).nanos);
  }
  if (kind !== 'quantity') throw noOverload('<', left, right);
  return compareQuantities((left as CelQuantity).quantity, (right as CelQuantity).quantity);
}

function isOrdered(kind: ValueKind): boolean {
  return kind === 'timestamp' || kind === 'duration' || kind === 'quantity';
}

function order<Ordered extends string | bigint>(left: Ordered, right: Ordered): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

export function noOverload(name: string, ...given: readonly Value[]): CelError {
  return evaluationError(`no such overload: ${name}(${given.map(kindOf).join(', ')})`);
}

/** As `string()` writes it. */
export function textOfValue(value: Value): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') {
    return String(value);
  }
  if (value === null || value instanceof Uint8Array) throw noOverload('string', value);
  if (value.kind === 'timestamp') return instantText(value.nanos);
  if (value.kind === 'duration') return durationText(value.nanos);
  if (value.kind === 'quantity') return formatQuantity(value.quantity);
  if (value.kind === 'url') return value.url.href;
  throw noOverload('string', value);
}

export function isMap(value: Value): value is CelMap {
  return kindOf(value) === 'map';
}

export function isList(value: Value): value is CelList {
  return kindOf(value) === 'list';
}
