/**
 * From a parsed body to an object that may be stored.
 *
 * Invariants:
 * 1. An object that comes out satisfies its schema, but for declared kinds, which judge
 *    themselves when the object is validated; fields the schema does not know
 *    are gone, and were refused or warned about as the client asked.
 * 2. Validation sees the object as it will be stored, defaults included.
 */
import { isJsonObject, type Json, type JsonObject, utf8 } from '#base/mod.ts';
import {
  type ApiObject,
  apiVersionOf,
  applySchemaDefaults,
  conforms,
  dropNullFields,
  type FieldError,
  findUnknownFields,
  pruneUnknownFields,
  refuseInvalid,
  requireTypeOf,
  type ResourceDefinition,
  StatusError,
  validateAgainstSchema,
  validateMetadata,
  type ValidationContext,
} from '#platform/api/mod.ts';
import { warningLengthMax, warningsMax } from './limits.ts';
import type { FieldValidation } from './query.ts';

export interface Decoded {
  readonly object: ApiObject;
  /** For `Warning` headers. */
  readonly warnings: readonly string[];
}

/**
 * Throws 400 for another kind or, under Strict, unknown and repeated fields; 422 by the
 * schema. The result may share structure with `value`.
 */
export function decodeObject(
  definition: ResourceDefinition,
  value: Json,
  duplicates: readonly string[],
  fieldValidation: FieldValidation,
): Decoded {
  const given = requireObject(definition, typed(definition, value));
  const isPlain = given['metadata'] !== undefined && conforms(definition.schema, given);
  const found = foundIn(definition, given, duplicates, isPlain);
  refuseStrictly(definition, found, fieldValidation);
  const object = (isPlain ? given : settled(definition, given)) as unknown as ApiObject;
  const shown = fieldValidation === 'Warn' ? found : [];
  const warnings = shown.concat(definition.warnings?.(object) ?? []);
  return { object, warnings: warnings.slice(0, warningsMax) };
}

/**
 * The body of an apply: what is named there and nothing else, so without defaults, and
 * judged by the schema only once it is merged. Throws 400 as `decodeObject` does.
 */
export function decodeApplied(
  definition: ResourceDefinition,
  value: Json,
  duplicates: readonly string[],
  fieldValidation: FieldValidation,
): { readonly object: JsonObject; readonly warnings: readonly string[] } {
  const object = requireObject(definition, value);
  const { schema } = definition;
  const found = foundIn(definition, object, duplicates, false);
  refuseStrictly(definition, found, fieldValidation);
  const named = dropNullFields(schema, pruneUnknownFields(schema, object));
  return { object: { ...named }, warnings: fieldValidation === 'Warn' ? found : [] };
}

/** The endpoint says what a body is that does not say so itself: typed clients leave it out. */
function typed(definition: ResourceDefinition, value: Json): Json {
  if (!isJsonObject(value)) return value;
  const { apiVersion = '', kind = '' } = value;
  if (apiVersion !== '' && kind !== '') return value;
  return {
    ...value,
    apiVersion: apiVersion === '' ? apiVersionOf(definition) : apiVersion,
    kind: kind === '' ? definition.kind : kind,
  };
}

function requireObject(definition: ResourceDefinition, value: Json): JsonObject {
  if (!isJsonObject(value)) {
    throw new StatusError('BadRequest', 'the body must be one object, with apiVersion and kind');
  }
  requireTypeOf(definition, value as unknown as ApiObject);
  return value;
}

function foundIn(
  definition: ResourceDefinition,
  value: JsonObject,
  duplicates: readonly string[],
  isPlain: boolean,
): readonly string[] {
  return [
    ...(isPlain ? [] : unknownFieldsOf(definition, value)),
    ...duplicates.map((field) => `duplicate field "${field}"`),
  ];
}

function refuseStrictly(
  definition: ResourceDefinition,
  found: readonly string[],
  fieldValidation: FieldValidation,
): void {
  if (fieldValidation !== 'Strict' || found.length === 0) return;
  throw new StatusError(
    'BadRequest',
    `${definition.kind} in version ${JSON.stringify(definition.version)} cannot be handled as a ` +
      `${definition.kind}: strict decoding error: ${found.slice(0, warningsMax).join(', ')}`,
  );
}

function unknownFieldsOf({ schema }: ResourceDefinition, value: JsonObject): readonly string[] {
  return findUnknownFields(schema, value).map(({ path, isNotYet }) =>
    isNotYet ? `field "${path}" is not supported yet` : `unknown field "${path}"`,
  );
}

/**
 * A decoded object into which the server has put something: what that makes of it is what
 * decoding it again would. Shares structure with `object`, whose parts may get defaults.
 */
export function completed(definition: ResourceDefinition, object: ApiObject): ApiObject {
  const whole = { ...asSchemaHasIt(definition, object) };
  definition.applyDefaults?.(whole);
  return whole;
}

/** Pruned, without nulls and with its defaults. */
function asSchemaHasIt<Value>({ schema }: ResourceDefinition, value: Value): Value {
  return applySchemaDefaults(schema, dropNullFields(schema, pruneUnknownFields(schema, value)));
}

/** Pruned, with its defaults, and valid by the schema. Throws 422. */
function settled(definition: ResourceDefinition, value: JsonObject): JsonObject {
  const object = { ...asSchemaHasIt(definition, value) };
  object['metadata'] ??= {};
  refuseInvalid(definition, nameOf(object), schemaErrors(definition, object));
  return object;
}

/**
 * Declared kinds judge all but the metadata later, where they see what the object was: one
 * that says what it said before may stay, whatever their schema has become.
 */
function schemaErrors(
  { schema, declared }: ResourceDefinition,
  object: JsonObject,
): readonly FieldError[] {
  const { metadata } = schema.properties ?? {};
  return declared === undefined || metadata === undefined
    ? validateAgainstSchema(schema, object)
    : validateAgainstSchema(metadata, object['metadata'], { path: 'metadata' });
}

/** Throws 422 with one cause per thing that is wrong. */
export function validateObject(
  definition: ResourceDefinition,
  object: ApiObject,
  context: ValidationContext,
): void {
  const errors = validateMetadata(definition, object, context).concat(
    definition.validate?.(object, context) ?? [],
    sizeErrors(definition, object),
  );
  refuseInvalid(definition, object.metadata.name ?? '', errors);
}

/** One header for all warnings, as kubectl reads them. */
export function warningHeaders(warnings: readonly string[]): Record<string, string> {
  if (warnings.length === 0) return {};
  const texts = warnings.map((warning) => {
    // Header bytes: a name chosen by the client must not end the header or leave ASCII.
    const safe = warning.slice(0, warningLengthMax).replace(/[^\x20-\x7e]/g, '?');
    return `299 - "${safe.replace(/["\\]/g, '\\$&')}"`;
  });
  return { warning: texts.join(', ') };
}

function nameOf(object: { readonly [name: string]: unknown }): string {
  const metadata = object['metadata'];
  const name = isJsonObject(metadata) ? metadata['name'] : undefined;
  return typeof name === 'string' ? name : '';
}

function sizeErrors(definition: ResourceDefinition, object: ApiObject): readonly FieldError[] {
  const { intentBytesMax } = definition;
  if (intentBytesMax === undefined) return [];
  // Most are far below it, and need not be written out to know.
  if (jsonBytesAtMost(object) <= intentBytesMax) return [];
  const { status: _status, ...intent } = object;
  const sizeBytes = utf8(JSON.stringify(intent)).length;
  if (sizeBytes <= intentBytesMax) return [];
  return [
    {
      field: object.spec === undefined ? 'data' : 'spec',
      reason: 'FieldValueTooLong',
      message: `with all its fields it has ${sizeBytes} bytes as JSON, above the limit of ${intentBytesMax}: keep large values in files of the image`,
    },
  ];
}

/** At least as much as the JSON of the value has bytes: every character as an escape. */
function jsonBytesAtMost(value: unknown): number {
  if (typeof value === 'string') return escapeBytes * value.length + 2;
  if (typeof value !== 'object' || value === null) return otherValueBytesMax;
  let sizeBytes = 2;
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[]) sizeBytes += jsonBytesAtMost(item) + 1;
    return sizeBytes;
  }
  const fields = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(fields)) {
    sizeBytes += escapeBytes * name.length + 4 + jsonBytesAtMost(fields[name]);
  }
  return sizeBytes;
}

/** Of the form `\u0000`. */
const escapeBytes = 6;
/** Of a number, true, false or null. */
const otherValueBytesMax = 25;
