/**
 * Whether a value is already what its schema makes of it, in one pass: the usual
 * case, in which nothing is to be dropped, filled in or said.
 *
 * Invariant: true only where `findUnknownFields` and `validateAgainstSchema` report
 * nothing and pruning, dropping nulls and defaults would change nothing. False says
 * no more than that those have to look.
 */
import { isJsonObject, type Json, type JsonObject, unreachable } from '#base/mod.ts';
import { stringFormatProblem } from './formats.ts';
import { pruneUnknownFields } from './schema-fields.ts';
import type { Schema } from './schema.ts';
import { validateAgainstSchema } from './validate.ts';

type Check = (value: unknown) => boolean;

/** Schemas are made once and never changed, so each is read once. */
const checks = new WeakMap<Schema, Check>();

export function conforms(schema: Schema, value: unknown): boolean {
  return checkOf(schema)(value);
}

/**
 * What of a stored value is as its schema has it: parts that are not count as absent,
 * unknown fields too. For what somebody stored before, whom nobody can ask again.
 */
export function conformingPart(schema: Schema, value: JsonObject): JsonObject {
  if (conforms(schema, value)) return value;
  const part: Record<string, Json> = {};
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const field = Object.hasOwn(value, name) ? value[name] : undefined;
    if (field === undefined) continue;
    const sound =
      isJsonObject(field) && child.properties !== undefined ? conformingPart(child, field) : field;
    if (isFreeOfErrors(child, sound)) part[name] = pruneUnknownFields(child, sound);
  }
  return part;
}

function isFreeOfErrors(schema: Schema, value: unknown): boolean {
  return validateAgainstSchema(schema, value, { errorsMax: 1 }).length === 0;
}

function checkOf(schema: Schema): Check {
  let check = checks.get(schema);
  if (check === undefined) {
    check = makeCheck(schema);
    checks.set(schema, check);
  }
  return check;
}

/** Made when it is first needed: a schema may hold itself. */
function later(schema: Schema): Check {
  let check: Check | undefined;
  return (value) => (check ??= checkOf(schema))(value);
}

function makeCheck(schema: Schema): Check {
  const ofType = checkOfType(schema);
  const ofRules = schema.rules?.check;
  if (ofRules === undefined) return ofType;
  return (value) => ofType(value) && ofRules(value as Json, '').length === 0;
}

function checkOfType(schema: Schema): Check {
  const isValid: Check = (value) => isFreeOfErrors(schema, value);
  if (schema['x-kubernetes-int-or-string'] === true) {
    return (value) => (typeof value === 'string' || typeof value === 'number') && isValid(value);
  }
  switch (schema.type) {
    case 'object':
      return objectCheck(schema);
    case 'array':
      return listCheck(schema, isValid);
    case 'string':
      return stringCheck(schema);
    case 'integer':
    case 'number':
      return (value) => typeof value === 'number' && isValid(value);
    case 'boolean':
      return (value) => typeof value === 'boolean';
    case undefined:
      // Open: whatever is in it stays as it is.
      return schema.items === undefined ? (value) => value !== null && isValid(value) : () => false;
    default:
      return unreachable(schema.type);
  }
}

function objectCheck(schema: Schema): Check {
  const properties = new Map<string, Check>();
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    properties.set(name, later(child));
  }
  const filledIn = Object.entries(schema.properties ?? {})
    .filter(([, child]) => child.default !== undefined)
    .map(([name]) => name);
  const needed = [...new Set([...(schema.required ?? []), ...filledIn])];
  const { additionalProperties, maxProperties } = schema;
  const ofRest = additionalProperties === undefined ? undefined : later(additionalProperties);
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true;
  return (value) => {
    if (!isJsonObject(value)) return false;
    for (const name of needed) {
      if (!Object.hasOwn(value, name) || value[name] === undefined) return false;
    }
    let count = 0;
    for (const name of Object.keys(value)) {
      count += 1;
      const field = value[name];
      if (field === undefined) return false;
      const check = properties.get(name);
      if (check !== undefined) {
        if (!check(field)) return false;
      } else if (ofRest !== undefined) {
        if (!ofRest(field)) return false;
      } else if (!isOpen) {
        return false;
      }
    }
    return maxProperties === undefined || count <= maxProperties;
  };
}

function listCheck(schema: Schema, isValid: Check): Check {
  const { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema;
  const listType = schema['x-kubernetes-list-type'];
  const ofItem = items === undefined ? undefined : later(items);
  const mayRepeat = listType !== 'set' && listType !== 'map';
  return (value) => {
    if (!Array.isArray(value)) return false;
    const list: readonly unknown[] = value;
    if (list.length < minItems || list.length > maxItems) return false;
    if (ofItem !== undefined && !list.every(ofItem)) return false;
    return mayRepeat || list.length < 2 || isValid(list);
  };
}

function stringCheck(schema: Schema): Check {
  const { enum: choices, format, minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema;
  return (value) =>
    typeof value === 'string' &&
    value.length >= minLength &&
    value.length <= maxLength &&
    (choices === undefined || choices.includes(value)) &&
    (format === undefined || stringFormatProblem(format, value) === undefined);
}
