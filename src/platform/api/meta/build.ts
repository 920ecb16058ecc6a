/**
 * Small builders for schemas, so that a kind reads as a list of fields with
 * their meaning instead of nested braces. They add nothing of their own: what
 * a schema says is what its caller passed in.
 */
import type { Schema } from '../schema.ts';

type Fields = Readonly<Record<string, Schema>>;

/** A string. `extra` adds format, length or enum. */
export function text(description: string, extra: Partial<Schema> = {}): Schema {
  return { type: 'string', description, ...extra };
}

/** One of a closed set of words. */
export function oneOf(description: string, values: readonly string[], fallback?: string): Schema {
  return {
    type: 'string',
    description,
    enum: values,
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

/** A whole number that fits 32 bits. */
export function integer(description: string, extra: Partial<Schema> = {}): Schema {
  return { type: 'integer', format: 'int32', description, ...extra };
}

export function flag(description: string, extra: Partial<Schema> = {}): Schema {
  return { type: 'boolean', description, ...extra };
}

/** An instant in RFC 3339. Clients built on typed structures send null for "not set". */
export function instant(description: string): Schema {
  return { type: 'string', format: 'date-time', description, nullable: true };
}

/** An object with exactly these fields. */
export function record(
  description: string,
  properties: Fields,
  required: readonly string[] = [],
): Schema {
  return { type: 'object', description, properties, ...(required.length > 0 ? { required } : {}) };
}

/** An object whose keys the user chooses. */
export function mapOf(description: string, value: Schema, extra: Partial<Schema> = {}): Schema {
  return { type: 'object', description, additionalProperties: value, ...extra };
}

/** A list that a patch replaces as a whole. */
export function atomicList(
  description: string,
  items: Schema,
  extra: Partial<Schema> = {},
): Schema {
  return { type: 'array', description, items, 'x-kubernetes-list-type': 'atomic', ...extra };
}

/** A list without repetitions, which a patch merges value by value. */
export function setList(description: string, items: Schema, extra: Partial<Schema> = {}): Schema {
  return {
    type: 'array',
    description,
    items,
    'x-kubernetes-list-type': 'set',
    'x-kubernetes-patch-strategy': 'merge',
    ...extra,
  };
}

/** A list whose entries are known by `keys`; a strategic patch merges them by the first. */
export function keyedList(
  description: string,
  keys: readonly [string, ...string[]],
  items: Schema,
  extra: Partial<Schema> = {},
): Schema {
  return {
    type: 'array',
    description,
    items,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': keys[0],
    ...extra,
  };
}

/** An amount such as `250m`, `1.5` or `64Mi`. A plain number is accepted too. */
export function quantity(description: string): Schema {
  return { description, 'x-kubernetes-int-or-string': true, format: 'quantity' };
}

/** A count, or a percentage such as `25%`. */
export function countOrPercent(description: string): Schema {
  return { description, 'x-kubernetes-int-or-string': true };
}
