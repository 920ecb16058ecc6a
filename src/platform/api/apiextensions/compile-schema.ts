/**
 * A structural schema as the `Schema` that the rest of the server works with: what that
 * can say goes into its fields, the rest into its rules.
 *
 * Invariant: the schema given has passed `structuralErrors`.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { text } from '../meta/build.ts';
import { metadataSchema } from '../meta/metadata.ts';
import type { Schema, SchemaRules } from '../schema.ts';
import { propertiesOf, textsOf } from './structural-schema.ts';
import { allChecks, checksOf } from './value-rules.ts';

/** Said by `Schema` itself; everything else is served from the rules. */
const ownKeywords = new Set([
  ...['type', 'description', 'properties', 'items', 'required', 'default', 'nullable'],
  ...['minItems', 'maxItems', 'maxProperties'],
  ...['x-kubernetes-int-or-string', 'x-kubernetes-preserve-unknown-fields'],
  ...['x-kubernetes-list-type', 'x-kubernetes-list-map-keys', 'x-kubernetes-map-type'],
]);

const apiVersionSchema = text('Group and version of the schema that this object follows.');
const kindSchema = text('The kind of this object.');
const numberFormats = ['int32', 'int64', 'double'] as const;

/** Any value, kept as it is. */
const anything: Schema = {
  'x-kubernetes-preserve-unknown-fields': true,
  rules: { served: {}, keepsNull: true, check: undefined },
};

/** The schema of whole objects. */
export function compileRootSchema(schema: JsonObject): Schema {
  const compiled = compileSchema(schema);
  return {
    ...compiled,
    properties: {
      ...compiled.properties,
      apiVersion: apiVersionSchema,
      kind: kindSchema,
      metadata: metadataSchema,
    },
    ...(compiled.required === undefined
      ? {}
      : {
          required: compiled.required.filter(
            (name) => !['apiVersion', 'kind', 'metadata'].includes(name),
          ),
        }),
  };
}

export function compileSchema(schema: JsonObject): Schema {
  const isEmbedded = schema['x-kubernetes-embedded-resource'] === true;
  const { type, description, nullable, items, additionalProperties: rest } = schema;
  const required = [
    ...new Set([...textsOf(schema['required']), ...(isEmbedded ? ['apiVersion', 'kind'] : [])]),
  ];
  const format = numberFormats.find((known) => known === schema['format']);
  const isNumber = type === 'integer' || type === 'number';
  return {
    ...(typeof type === 'string' && type !== ''
      ? { type: type as NonNullable<Schema['type']> }
      : {}),
    ...(typeof description === 'string' ? { description } : {}),
    ...fieldsOf(schema, isEmbedded),
    ...(required.length > 0 ? { required } : {}),
    ...(isJsonObject(rest) ? { additionalProperties: compileSchema(rest) } : {}),
    ...(rest === true ? { additionalProperties: anything } : {}),
    ...(isJsonObject(items) ? { items: compileSchema(items) } : {}),
    ...(Object.hasOwn(schema, 'default') ? { default: schema['default'] as Json } : {}),
    ...(nullable === true ? { nullable } : {}),
    ...(isNumber && format !== undefined ? { format } : {}),
    ...boundsOf(schema),
    ...extensionsOf(schema),
    rules: rulesOf(schema),
  };
}

function fieldsOf(schema: JsonObject, isEmbedded: boolean): Partial<Schema> {
  if (schema['properties'] === undefined && !isEmbedded) return {};
  const properties: Record<string, Schema> = {};
  for (const [name, child] of Object.entries(propertiesOf(schema))) {
    if (isJsonObject(child)) properties[name] = compileSchema(child);
  }
  if (isEmbedded) {
    Object.assign(properties, {
      apiVersion: apiVersionSchema,
      kind: kindSchema,
      metadata: metadataSchema,
    });
  }
  return { properties };
}

function boundsOf(schema: JsonObject): Partial<Schema> {
  const { minimum, maximum, minItems, maxItems, maxProperties } = schema;
  return {
    ...(typeof minimum === 'number' && schema['exclusiveMinimum'] !== true ? { minimum } : {}),
    ...(typeof maximum === 'number' && schema['exclusiveMaximum'] !== true ? { maximum } : {}),
    ...(typeof minItems === 'number' ? { minItems } : {}),
    ...(typeof maxItems === 'number' ? { maxItems } : {}),
    ...(typeof maxProperties === 'number' ? { maxProperties } : {}),
  };
}

function extensionsOf(schema: JsonObject): Partial<Schema> {
  const listType = schema['x-kubernetes-list-type'];
  const keys = textsOf(schema['x-kubernetes-list-map-keys']);
  const mapType = schema['x-kubernetes-map-type'];
  return {
    ...(schema['x-kubernetes-int-or-string'] === true
      ? { 'x-kubernetes-int-or-string': true }
      : {}),
    ...(schema['x-kubernetes-preserve-unknown-fields'] === true
      ? { 'x-kubernetes-preserve-unknown-fields': true }
      : {}),
    ...(listType === 'atomic' || listType === 'set' || listType === 'map'
      ? { 'x-kubernetes-list-type': listType }
      : {}),
    ...(listType === 'map' ? { 'x-kubernetes-list-map-keys': keys } : {}),
    ...(mapType === 'atomic' || mapType === 'granular' ? { 'x-kubernetes-map-type': mapType } : {}),
  };
}

function rulesOf(schema: JsonObject): SchemaRules {
  const served: JsonObject = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (ownKeywords.has(keyword) || value === undefined) continue;
    if (keyword === 'additionalProperties' && value !== true) continue;
    served[keyword] = value;
  }
  return {
    served,
    keepsNull: schema['nullable'] === true,
    check: allChecks(checksOf(schema)),
  };
}
