/**
 * Whether a value is what a schema says, with one error per thing that is wrong.
 *
 * Invariants:
 * 1. Every error names its field in Kubernetes notation and says what would be right.
 * 2. The number of errors is bounded, so that a large wrong body gives a small answer.
 * 3. Unknown fields are no errors here: `findUnknownFields` reports them.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import type { FieldError } from './definition.ts';
import {
  childPath,
  fieldDuplicate,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  fieldTooLong,
  fieldTypeInvalid,
  indexPath,
  keyPath,
} from './field-errors.ts';
import { stringFormatProblem } from './formats.ts';
import type { Schema } from './schema.ts';

export interface ValidateOptions {
  /** Where `value` is within the object; empty for the object itself. */
  readonly path?: string;
  readonly errorsMax?: number;
}

const errorsMaxDefault = 50;
const int32Min = -(2 ** 31);
const int32Max = 2 ** 31 - 1;

/** In the order of the value's fields; at most `errorsMax` (50). */
export function validateAgainstSchema(
  schema: Schema,
  value: unknown,
  options: ValidateOptions = {},
): FieldError[] {
  const check = new SchemaCheck(options.errorsMax ?? errorsMaxDefault);
  check.value(schema, value as Json, options.path ?? '');
  return check.errors;
}

class SchemaCheck {
  readonly errors: FieldError[] = [];
  readonly #errorsMax: number;

  constructor(errorsMax: number) {
    this.#errorsMax = errorsMax;
  }

  value(schema: Schema, value: Json, path: string): void {
    if (this.errors.length >= this.#errorsMax) return;
    if (value === null) {
      if (schema.nullable === true || acceptsAnything(schema)) return;
      this.#add(fieldTypeInvalid(path, null, `must be ${typeText(schema)}, not null`));
      return;
    }
    if (schema['x-kubernetes-int-or-string'] === true) {
      this.#intOrString(schema, value, path);
    } else if (schema.type === 'object' && isJsonObject(value)) {
      this.#object(schema, value, path);
    } else if (schema.type === 'array' && Array.isArray(value)) {
      this.#list(schema, value, path);
    } else if (schema.type === 'string' && typeof value === 'string') {
      this.#string(schema, value, path);
    } else if (
      (schema.type === 'integer' || schema.type === 'number') &&
      typeof value === 'number'
    ) {
      this.#number(schema, value, path);
    } else if (schema.type !== undefined && !isBoolean(schema, value)) {
      this.#wrongType(schema, value, path);
      return;
    }
    for (const error of schema.rules?.check?.(value, path) ?? []) this.#add(error);
  }

  #object(schema: Schema, value: JsonObject, path: string): void {
    const properties = schema.properties ?? {};
    for (const name of schema.required ?? []) {
      if (Object.hasOwn(value, name) && value[name] !== undefined) continue;
      const meaning = properties[name]?.description ?? 'it';
      this.#add(fieldRequired(childPath(path, name), `must be given: ${meaning}`));
    }
    const names = Object.keys(value);
    if (schema.maxProperties !== undefined && names.length > schema.maxProperties) {
      this.#add(fieldTooLong(path, `must have at most ${schema.maxProperties} entries`));
    }
    for (const name of names) {
      const field = value[name];
      if (field === undefined) continue;
      if (Object.hasOwn(properties, name)) {
        this.value(properties[name] as Schema, field, childPath(path, name));
      } else if (schema.additionalProperties !== undefined) {
        this.value(schema.additionalProperties, field, keyPath(path, name));
      }
    }
  }

  #list(schema: Schema, list: readonly Json[], path: string): void {
    if (schema.minItems !== undefined && list.length < schema.minItems) {
      this.#add(fieldInvalid(path, list, `must have at least ${schema.minItems} entries`));
    }
    if (schema.maxItems !== undefined && list.length > schema.maxItems) {
      this.#add(fieldTooLong(path, `must have at most ${schema.maxItems} entries`));
      return;
    }
    const { items } = schema;
    if (items === undefined) return;
    for (const [index, item] of list.entries()) {
      this.value(items, item, indexPath(path, index));
      if (this.errors.length >= this.#errorsMax) return;
    }
    this.#duplicates(schema, list, path);
  }

  #duplicates(schema: Schema, list: readonly Json[], path: string): void {
    const listType = schema['x-kubernetes-list-type'];
    if (listType !== 'set' && listType !== 'map') return;
    const mapKeys = schema['x-kubernetes-list-map-keys'] ?? [];
    const seen = new Set<string>();
    for (const [index, item] of list.entries()) {
      let identity = JSON.stringify(item);
      let shown = item;
      if (listType === 'map') {
        if (!isJsonObject(item)) continue;
        identity = mapIdentity(schema, mapKeys, item);
        shown = identity;
      }
      if (seen.has(identity)) this.#add(fieldDuplicate(indexPath(path, index), shown));
      seen.add(identity);
    }
  }

  #string(schema: Schema, value: string, path: string): void {
    if (schema.enum !== undefined && !schema.enum.includes(value)) {
      this.#add(fieldNotSupported(path, value, schema.enum));
      return;
    }
    if (schema.minLength !== undefined && value.length < schema.minLength) {
      const what =
        schema.minLength === 1
          ? 'must not be empty'
          : `must have at least ${schema.minLength} characters`;
      this.#add(fieldInvalid(path, value, what));
      return;
    }
    if (schema.maxLength !== undefined && value.length > schema.maxLength) {
      this.#add(fieldTooLong(path, `must have at most ${schema.maxLength} characters`));
      return;
    }
    if (schema.format === undefined) return;
    const problem = stringFormatProblem(schema.format, value);
    if (problem !== undefined) this.#add(fieldInvalid(path, value, problem));
  }

  #number(schema: Schema, value: number, path: string): void {
    if (schema.type === 'integer' && !Number.isSafeInteger(value)) {
      this.#add(fieldTypeInvalid(path, value, 'must be a whole number'));
      return;
    }
    if (schema.format === 'int32' && (value < int32Min || value > int32Max)) {
      this.#add(fieldInvalid(path, value, `must be between ${int32Min} and ${int32Max}`));
      return;
    }
    if (schema.minimum !== undefined && value < schema.minimum) {
      this.#add(fieldInvalid(path, value, `must be greater than or equal to ${schema.minimum}`));
    }
    if (schema.maximum !== undefined && value > schema.maximum) {
      this.#add(fieldInvalid(path, value, `must be less than or equal to ${schema.maximum}`));
    }
  }

  #intOrString(schema: Schema, value: Json, path: string): void {
    if (typeof value === 'string') return this.#string(schema, value, path);
    if (typeof value !== 'number') return this.#wrongType(schema, value, path);
    if (schema.format === 'quantity') return;
    const format = schema.rules === undefined ? 'int32' : 'int64';
    this.#number({ ...schema, type: 'integer', format }, value, path);
  }

  #wrongType(schema: Schema, value: Json, path: string): void {
    this.#add(fieldTypeInvalid(path, value, `must be ${typeText(schema)}`));
  }

  #add(error: FieldError): void {
    if (this.errors.length < this.#errorsMax) this.errors.push(error);
  }
}

/** The values of the keys by which an entry of a list is known: `8080/TCP`. */
function mapIdentity(schema: Schema, mapKeys: readonly string[], item: JsonObject): string {
  const values = mapKeys.map((key) => {
    const value = item[key] ?? schema.items?.properties?.[key]?.default ?? '';
    return typeof value === 'string' ? value : JSON.stringify(value);
  });
  return values.join('/');
}

function isBoolean(schema: Schema, value: Json): boolean {
  return schema.type === 'boolean' && typeof value === 'boolean';
}

function acceptsAnything(schema: Schema): boolean {
  return schema.type === undefined && schema['x-kubernetes-preserve-unknown-fields'] === true;
}

const typeTexts: Readonly<Record<NonNullable<Schema['type']>, string>> = {
  object: 'an object',
  array: 'a list',
  string: 'a string (put it in quotes)',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

function typeText(schema: Schema): string {
  if (schema['x-kubernetes-int-or-string'] === true) {
    return schema.format === 'quantity'
      ? "a quantity (such as '500m' or '1Gi')"
      : 'a whole number or a string';
  }
  return schema.type === undefined ? 'a value' : typeTexts[schema.type];
}
