/**
 * What a schema says about the fields of a value: which are unknown, which are
 * filled in, which count as absent.
 *
 * Invariants: arguments are never changed; a value that needs no change is
 * returned itself, and parts that need none are shared. Values of the wrong type
 * are left as they are: `validateAgainstSchema` reports them.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { childPath, indexPath, keyPath } from './field-errors.ts';
import type { Schema } from './schema.ts';

const unknownFieldsMaxDefault = 100;

export interface UnknownField {
  /** `spec.containers[0].foo` */
  readonly path: string;
  /** A field of Kubernetes that this version does not have. */
  readonly isNotYet: boolean;
}

/** Fields that the schema does not know, at most `fieldsMax` (100). */
export function findUnknownFields(
  schema: Schema,
  value: unknown,
  fieldsMax: number = unknownFieldsMaxDefault,
): UnknownField[] {
  const found: UnknownField[] = [];
  collectUnknown(schema, value as Json, '', found, fieldsMax);
  return found;
}

function collectUnknown(
  schema: Schema,
  value: Json,
  path: string,
  found: UnknownField[],
  fieldsMax: number,
): void {
  if (Array.isArray(value)) {
    if (schema.items === undefined) return;
    for (const [index, item] of value.entries()) {
      if (found.length >= fieldsMax) return;
      collectUnknown(schema.items, item, indexPath(path, index), found, fieldsMax);
    }
    return;
  }
  if (!isJsonObject(value) || schema.type !== 'object') return;
  for (const name of Object.keys(value)) {
    if (found.length >= fieldsMax) return;
    const child = fieldSchema(schema, name);
    const field = value[name];
    if (child === 'unknown') {
      const isNotYet = schema.notYet?.includes(name) === true;
      found.push({ path: childPath(path, name), isNotYet });
    } else if (child !== 'anything' && field !== undefined) {
      const isProperty = schema.additionalProperties === undefined;
      const at = isProperty ? childPath(path, name) : keyPath(path, name);
      collectUnknown(child, field, at, found, fieldsMax);
    }
  }
}

/** The same value without the fields that `findUnknownFields` would report. */
export function pruneUnknownFields<Value>(schema: Schema, value: Value): Value {
  return prune(schema, value as Json) as Value;
}

function prune(schema: Schema, value: Json): Json {
  return mapFields(schema, value, (child, field) => {
    if (child === 'unknown') return undefined;
    return child === 'anything' ? field : prune(child, field);
  });
}

/**
 * The same value without fields that are null: clients built on typed structures
 * send null for "not set". Inside parts that the schema leaves open, and where the author
 * of a declared kind allows it, null stays.
 */
export function dropNullFields<Value>(schema: Schema, value: Value): Value {
  return dropNulls(schema, value as Json) as Value;
}

function dropNulls(schema: Schema, value: Json): Json {
  return mapFields(schema, value, (child, field) => {
    if (child === 'anything') return field;
    const isValue = child !== 'unknown' && child.rules?.keepsNull === true;
    if (field === null) return isValue ? null : undefined;
    return child === 'unknown' ? field : dropNulls(child, field);
  });
}

/** The same value with the schema's defaults for absent fields of objects that are there. */
export function applySchemaDefaults<Value>(schema: Schema, value: Value): Value {
  return applyDefaults(schema, value as Json) as Value;
}

function applyDefaults(schema: Schema, value: Json): Json {
  const mapped = mapFields(schema, value, (child, field) =>
    typeof child === 'string' ? field : applyDefaults(child, field),
  );
  if (!isJsonObject(mapped) || schema.properties === undefined) return mapped;
  let filled: JsonObject | undefined;
  for (const [name, child] of Object.entries(schema.properties)) {
    if (child.default === undefined || mapped[name] !== undefined) continue;
    filled ??= { ...mapped };
    filled[name] = applyDefaults(child, structuredClone(child.default));
  }
  return filled ?? mapped;
}

/** The schema of a field of an object; `anything` where the object is open and says no more. */
function fieldSchema(schema: Schema, name: string): Schema | 'unknown' | 'anything' {
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, name)) {
    return schema.properties[name] ?? 'unknown';
  }
  if (schema.additionalProperties !== undefined) return schema.additionalProperties;
  return schema['x-kubernetes-preserve-unknown-fields'] === true ? 'anything' : 'unknown';
}

/** Maps the fields of an object or the entries of a list; a field mapped to undefined goes. */
function mapFields(
  schema: Schema,
  value: Json,
  map: (child: Schema | 'unknown' | 'anything', field: Json) => Json | undefined,
): Json {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    let changed: Json[] | undefined;
    for (const [index, item] of value.entries()) {
      // A null entry of a list has a place, so it stays and is reported as the wrong type.
      const mapped = item === null ? item : (map(items, item) ?? item);
      if (mapped === item) continue;
      changed ??= [...value];
      changed[index] = mapped;
    }
    return changed ?? value;
  }
  if (!isJsonObject(value) || schema.type !== 'object') return value;
  let changed: JsonObject | undefined;
  for (const name of Object.keys(value)) {
    const field = value[name];
    const mapped = field === undefined ? undefined : map(fieldSchema(schema, name), field);
    if (mapped === field && field !== undefined) continue;
    changed ??= { ...value };
    if (mapped === undefined) delete changed[name];
    else changed[name] = mapped;
  }
  return changed ?? value;
}
