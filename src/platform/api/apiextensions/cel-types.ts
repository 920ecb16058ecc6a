/** What expressions know of a value from its schema. */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import {
  bool,
  bytes,
  type CelType,
  double,
  duration,
  dyn,
  int,
  listOf,
  mapOf,
  type ObjectField,
  string,
  timestamp,
} from './cel/types.ts';
import { propertiesOf } from './structural-schema.ts';

const textTypes: Readonly<Record<string, CelType>> = {
  'date-time': timestamp,
  date: timestamp,
  duration,
  byte: bytes,
};

const metadataType: CelType = {
  kind: 'object',
  fields: new Map([
    ['name', { name: 'name', type: string }],
    ['generateName', { name: 'generateName', type: string }],
  ]),
};

/** `isRoot`: of a whole object, which has an envelope that its schema need not mention. */
export function celTypeOf(schema: JsonObject, isRoot = false): CelType {
  if (schema['x-kubernetes-int-or-string'] === true) return dyn;
  const { items, format, additionalProperties: rest } = schema;
  const { type } = schema;
  if (type === 'object') {
    if (isJsonObject(rest)) return mapOf(string, celTypeOf(rest));
    if (rest === true) return mapOf(string, dyn);
    const isWhole = isRoot || schema['x-kubernetes-embedded-resource'] === true;
    return objectType(schema, isWhole);
  }
  if (type === 'array') return listOf(isJsonObject(items) ? celTypeOf(items) : dyn);
  if (type === 'integer') return int;
  if (type === 'number') return double;
  if (type === 'boolean') return bool;
  if (type !== 'string') return dyn;
  const known = typeof format === 'string' && Object.hasOwn(textTypes, format);
  return known ? (textTypes[format] ?? string) : string;
}

function objectType(schema: JsonObject, isWhole: boolean): CelType {
  const fields = new Map<string, ObjectField>();
  const properties = Object.entries(propertiesOf(schema));
  if (properties.length === 0 && !isWhole) {
    return schema['x-kubernetes-preserve-unknown-fields'] === true
      ? mapOf(string, dyn)
      : { kind: 'object', fields };
  }
  for (const [name, child] of properties) {
    const key = celNameOf(name);
    if (key !== undefined && isJsonObject(child)) fields.set(key, { name, type: celTypeOf(child) });
  }
  if (isWhole) {
    fields.set('apiVersion', { name: 'apiVersion', type: string });
    fields.set('kind', { name: 'kind', type: string });
    fields.set('metadata', { name: 'metadata', type: metadataType });
  }
  return { kind: 'object', fields };
}

const accessible = /^[A-Za-z_.\-/][A-Za-z0-9_.\-/]*$/;
const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return'.split(
    ' ',
  ),
);
const escapes: Readonly<Record<string, string>> = {
  __: '__underscores__',
  '.': '__dot__',
  '-': '__dash__',
  '/': '__slash__',
};

/** The name by which expressions call a field; undefined for what they cannot name. */
function celNameOf(name: string): string | undefined {
  if (!accessible.test(name)) return undefined;
  if (reserved.has(name)) return `__${name}__`;
  return name.replace(/__|[.\-/]/g, (sign) => escapes[sign] ?? sign);
}
