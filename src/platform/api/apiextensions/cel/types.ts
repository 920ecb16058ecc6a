/**
 * What is known of a value before the expression runs. `dyn` is anything: what is
 * compared with it is found out when it runs.
 */
export type CelType =
  | { readonly kind: ScalarKind }
  | { readonly kind: 'list'; readonly item: CelType }
  | { readonly kind: 'map'; readonly key: CelType; readonly value: CelType }
  | {
      readonly kind: 'object';
      /** By the names that expressions use. */
      readonly fields: ReadonlyMap<string, ObjectField>;
    }
  | { readonly kind: 'optional'; readonly of: CelType };

export type ScalarKind =
  | 'dyn'
  | 'null'
  | 'bool'
  | 'int'
  | 'double'
  | 'string'
  | 'bytes'
  | 'timestamp'
  | 'duration'
  | 'type'
  | 'quantity'
  | 'url';

export interface ObjectField {
  /** As it is in the JSON. */
  readonly name: string;
  readonly type: CelType;
}

function scalar(kind: ScalarKind): CelType {
  return { kind };
}

export const dyn = scalar('dyn');
export const bool = scalar('bool');
export const int = scalar('int');
export const double = scalar('double');
export const string = scalar('string');
export const bytes = scalar('bytes');
export const timestamp = scalar('timestamp');
export const duration = scalar('duration');
export const quantity = scalar('quantity');
export const url = scalar('url');
export const typeOfType = scalar('type');

export function listOf(item: CelType): CelType {
  return { kind: 'list', item };
}

export function mapOf(key: CelType, value: CelType): CelType {
  return { kind: 'map', key, value };
}

export function optionalOf(of: CelType): CelType {
  return { kind: 'optional', of };
}

/** Whether a value of type `given` may be one of type `wanted`. */
export function mayBe(given: CelType, wanted: CelType): boolean {
  if (given.kind === 'dyn' || wanted.kind === 'dyn') return true;
  if (given.kind === 'list' && wanted.kind === 'list') return mayBe(given.item, wanted.item);
  if (given.kind === 'optional' && wanted.kind === 'optional') return mayBe(given.of, wanted.of);
  if (given.kind === 'map' && wanted.kind === 'map') {
    return mayBe(given.key, wanted.key) && mayBe(given.value, wanted.value);
  }
  // Objects are maps by the names of their fields to whoever compares or counts them.
  if (given.kind === 'object' && wanted.kind === 'map') return mayBe(string, wanted.key);
  return given.kind === wanted.kind;
}

/** The type of what may be either. */
export function joined(left: CelType, right: CelType): CelType {
  if (left === right) return left;
  if (left.kind === 'list' && right.kind === 'list') return listOf(joined(left.item, right.item));
  return left.kind === right.kind && isScalar(left) ? left : dyn;
}

function isScalar({ kind }: CelType): boolean {
  return kind !== 'list' && kind !== 'map' && kind !== 'object' && kind !== 'optional';
}

export function typeText(type: CelType): string {
  if (type.kind === 'list') return `list(${typeText(type.item)})`;
  if (type.kind === 'map') return `map(${typeText(type.key)}, ${typeText(type.value)})`;
  return type.kind === 'optional' ? `optional_type(${typeText(type.of)})` : type.kind;
}
