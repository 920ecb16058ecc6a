/**
 * Whether a schema is structural: whether it says of each field of an object what type
 * it has, so that unknown fields can be told from known ones. Every rule that is broken
 * is an error at the field that breaks it.
 *
 * Invariant: a schema without errors can be compiled.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import type { FieldError } from '../definition.ts';
import {
  childPath,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  fieldTooLong,
  fieldTypeInvalid,
  indexPath,
  keyPath,
} from '../field-errors.ts';
import { alternativesMax, enumValuesMax, schemaDepthMax, schemaNodesMax } from './limits.ts';
import { parseSafePattern } from './safe-pattern.ts';

type Form = 'text' | 'number' | 'count' | 'flag' | 'schema' | 'schemas' | 'list' | 'any';

/** What each keyword takes. `value` keywords may also stand in allOf, anyOf, oneOf and not. */
const keywords: Readonly<Record<string, readonly [form: Form, where: 'value' | 'node']>> = {
  type: ['text', 'node'],
  title: ['text', 'node'],
  description: ['text', 'node'],
  default: ['any', 'node'],
  example: ['any', 'node'],
  externalDocs: ['any', 'node'],
  nullable: ['flag', 'node'],
  additionalProperties: ['any', 'node'],
  format: ['text', 'value'],
  pattern: ['text', 'value'],
  minimum: ['number', 'value'],
  maximum: ['number', 'value'],
  exclusiveMinimum: ['flag', 'value'],
  exclusiveMaximum: ['flag', 'value'],
  multipleOf: ['number', 'value'],
  minLength: ['count', 'value'],
  maxLength: ['count', 'value'],
  minItems: ['count', 'value'],
  maxItems: ['count', 'value'],
  uniqueItems: ['flag', 'value'],
  minProperties: ['count', 'value'],
  maxProperties: ['count', 'value'],
  required: ['list', 'value'],
  enum: ['list', 'value'],
  properties: ['any', 'value'],
  items: ['schema', 'value'],
  not: ['schema', 'value'],
  allOf: ['schemas', 'value'],
  anyOf: ['schemas', 'value'],
  oneOf: ['schemas', 'value'],
  'x-kubernetes-preserve-unknown-fields': ['flag', 'node'],
  'x-kubernetes-embedded-resource': ['flag', 'node'],
  'x-kubernetes-int-or-string': ['flag', 'node'],
  'x-kubernetes-list-type': ['text', 'node'],
  'x-kubernetes-list-map-keys': ['list', 'node'],
  'x-kubernetes-map-type': ['text', 'node'],
  'x-kubernetes-validations': ['list', 'node'],
};
const types = ['object', 'array', 'string', 'integer', 'number', 'boolean'];
const scalarTypes = ['string', 'integer', 'number', 'boolean'];
const errorsMax = 50;

/** `field` is where the schema stands in its CustomResourceDefinition. */
export function structuralErrors(schema: Json | undefined, field: string): readonly FieldError[] {
  const review = new Review();
  if (!isJsonObject(schema)) {
    return [fieldRequired(field, 'a schema of the kind must be given, of the type object')];
  }
  review.root(schema, field);
  return review.errors.slice(0, errorsMax);
}

class Review {
  readonly errors: FieldError[] = [];
  #nodes = 0;

  root(schema: JsonObject, path: string): void {
    if (schema['type'] !== 'object') {
      this.#add(fieldInvalid(`${path}.type`, schema['type'] ?? '', 'must be object at the root'));
    }
    if (schema['nullable'] === true) {
      this.#add(fieldForbidden(`${path}.nullable`, 'the object itself cannot be null'));
    }
    const metadata = propertiesOf(schema)['metadata'];
    if (isJsonObject(metadata)) this.#rootMetadata(metadata, `${path}.properties[metadata]`);
    this.#node(schema, path, 0);
  }

  /** Of metadata a schema may say no more than what names are like. */
  #rootMetadata(metadata: JsonObject, path: string): void {
    for (const keyword of Object.keys(metadata)) {
      if (['type', 'properties', 'description'].includes(keyword)) continue;
      this.#add(fieldForbidden(`${path}.${keyword}`, 'cannot be said of metadata'));
    }
    for (const name of Object.keys(propertiesOf(metadata))) {
      if (name === 'name' || name === 'generateName') continue;
      const at = `${path}.properties[${name}]`;
      this.#add(fieldForbidden(at, 'of metadata only name and generateName can be described'));
    }
  }

  #node(schema: JsonObject, path: string, depth: number): void {
    if (!this.#enter(path, depth)) return;
    this.#keywords(schema, path, false);
    this.#type(schema, path);
    this.#limits(schema, path);
    this.#object(schema, path, depth);
    this.#list(schema, path, depth);
    this.#extensions(schema, path);
    this.#alternatives(schema, path, depth);
  }

  /** Counts; false where there is already too much of it. */
  #enter(path: string, depth: number): boolean {
    this.#nodes += 1;
    if (this.errors.length >= errorsMax) return false;
    if (this.#nodes === schemaNodesMax + 1) {
      this.#add(fieldTooLong(path, `a schema has at most ${schemaNodesMax} parts`));
    }
    if (depth > schemaDepthMax) {
      this.#add(fieldTooLong(path, `schemas are nested at most ${schemaDepthMax} deep`));
      return false;
    }
    return this.#nodes <= schemaNodesMax;
  }

  #keywords(schema: JsonObject, path: string, isAlternative: boolean): void {
    for (const [keyword, value] of Object.entries(schema)) {
      const at = childPath(path, keyword);
      const known = Object.hasOwn(keywords, keyword) ? keywords[keyword] : undefined;
      if (known === undefined) {
        this.#add(fieldForbidden(at, 'is no keyword of structural schemas'));
        continue;
      }
      const [form, where] = known;
      const problem = value === undefined ? undefined : formProblem(form, value);
      if (problem !== undefined) this.#add(fieldTypeInvalid(at, value, problem));
      if (isAlternative && where === 'node') {
        this.#add(fieldForbidden(at, 'must stand beside allOf, anyOf, oneOf and not, not in them'));
      }
    }
    const { pattern } = schema;
    if (typeof pattern === 'string') {
      const parsed = parseSafePattern(pattern);
      if ('problem' in parsed) {
        this.#add(fieldInvalid(`${path}.pattern`, pattern, parsed.problem));
      }
    }
    if (schema['uniqueItems'] === true) {
      const mend = 'use x-kubernetes-list-type: set, which says the same and is cheap to check';
      this.#add(fieldForbidden(`${path}.uniqueItems`, mend));
    }
    const values = schema['enum'];
    if (Array.isArray(values) && (values.length === 0 || values.length > enumValuesMax)) {
      const what = `must have between 1 and ${enumValuesMax} values`;
      this.#add(fieldInvalid(`${path}.enum`, values, what));
    }
    if (schema['multipleOf'] === 0) {
      this.#add(fieldInvalid(`${path}.multipleOf`, 0, 'must be greater than 0'));
    }
  }

  #type(schema: JsonObject, path: string): void {
    const { type } = schema;
    const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
    const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true;
    if (type === undefined || type === '') {
      if (isIntOrString || isOpen) return;
      this.#add(fieldRequired(`${path}.type`, 'must not be empty for specified object fields'));
    } else if (typeof type === 'string' && !types.includes(type)) {
      this.#add(fieldNotSupported(`${path}.type`, type, types));
    }
    if (isIntOrString && type !== undefined && type !== '') {
      this.#add(fieldForbidden(`${path}.type`, 'x-kubernetes-int-or-string takes its place'));
    }
    if (isIntOrString && isOpen) {
      const at = `${path}.x-kubernetes-preserve-unknown-fields`;
      this.#add(fieldForbidden(at, 'a number or a string has no fields'));
    }
    if (isOpen && type !== undefined && type !== '' && type !== 'object') {
      const at = `${path}.x-kubernetes-preserve-unknown-fields`;
      this.#add(fieldForbidden(at, 'only objects have fields'));
    }
  }

  #limits(schema: JsonObject, path: string): void {
    const pairs = ['Length', 'Items', 'Properties'].map((of) => [`min${of}`, `max${of}`]);
    for (const [low = '', high = ''] of [...pairs, ['minimum', 'maximum']]) {
      const [least, most] = [schema[low], schema[high]];
      if (typeof least === 'number' && typeof most === 'number' && least > most) {
        this.#add(fieldInvalid(`${path}.${low}`, least, `must not be above ${high}`));
      }
    }
    if (Object.hasOwn(schema, 'default') && schema['default'] === null) {
      if (schema['nullable'] === true) return;
      const what = 'must not be null unless nullable is true';
      this.#add(fieldInvalid(`${path}.default`, null, what));
    }
  }

  #object(schema: JsonObject, path: string, depth: number): void {
    const { properties, additionalProperties: rest, type } = schema;
    if (properties !== undefined && !isJsonObject(properties)) {
      this.#add(fieldTypeInvalid(`${path}.properties`, properties, 'must be an object'));
    }
    if (properties !== undefined && rest !== undefined) {
      const why = 'additionalProperties and properties are mutual exclusive';
      this.#add(fieldForbidden(`${path}.additionalProperties`, why));
    }
    if (rest === false) {
      const why = 'unknown fields are removed anyhow: leave it out';
      this.#add(fieldForbidden(`${path}.additionalProperties`, why));
    }
    const isObject = type === 'object' || type === undefined;
    if (!isObject && (properties !== undefined || rest !== undefined)) {
      const name = properties === undefined ? 'additionalProperties' : 'properties';
      this.#add(fieldForbidden(`${path}.${name}`, 'only objects have fields'));
    }
    for (const [name, child] of Object.entries(propertiesOf(schema))) {
      this.#child(child, keyPath(`${path}.properties`, name), depth);
    }
    if (isJsonObject(rest)) this.#child(rest, `${path}.additionalProperties`, depth);
    else if (rest !== undefined && typeof rest !== 'boolean') {
      const what = 'must be true or a schema';
      this.#add(fieldTypeInvalid(`${path}.additionalProperties`, rest, what));
    }
  }

  #child(child: Json | undefined, path: string, depth: number): void {
    if (isJsonObject(child)) this.#node(child, path, depth + 1);
    else this.#add(fieldTypeInvalid(path, child, 'must be a schema'));
  }

  #list(schema: JsonObject, path: string, depth: number): void {
    const { items, type } = schema;
    if (type === 'array' && items === undefined) {
      this.#add(fieldRequired(`${path}.items`, 'must say what the entries are'));
    }
    if (isJsonObject(items)) {
      if (type !== 'array') this.#add(fieldForbidden(`${path}.items`, 'only arrays have items'));
      this.#node(items, `${path}.items`, depth + 1);
    }
    const listType = schema['x-kubernetes-list-type'];
    const keys = schema['x-kubernetes-list-map-keys'];
    const at = `${path}.x-kubernetes-list-type`;
    if (listType === undefined) {
      if (keys !== undefined) {
        this.#add(
          fieldForbidden(
            `${path}.x-kubernetes-list-map-keys`,
            'only lists of the type map have keys',
          ),
        );
      }
      return;
    }
    if (type !== 'array') this.#add(fieldForbidden(at, 'only arrays have it'));
    if (!isOneOf(listType, ['atomic', 'set', 'map'])) {
      this.#add(fieldNotSupported(at, listType, ['atomic', 'set', 'map']));
    }
    if (listType === 'map') this.#mapKeys(schema, path);
    else if (keys !== undefined) {
      this.#add(
        fieldForbidden(
          `${path}.x-kubernetes-list-map-keys`,
          'only lists of the type map have keys',
        ),
      );
    }
    if (listType === 'set' && isJsonObject(items) && !isAtomicItem(items)) {
      const mend = 'entries of a set are scalars, or objects and lists of the type atomic';
      this.#add(fieldForbidden(at, mend));
    }
  }

  #mapKeys(schema: JsonObject, path: string): void {
    const at = `${path}.x-kubernetes-list-map-keys`;
    const keys = textsOf(schema['x-kubernetes-list-map-keys']);
    const items = isJsonObject(schema['items']) ? schema['items'] : {};
    if (keys.length === 0) this.#add(fieldRequired(at, 'must name the keys of the entries'));
    if (items['type'] !== 'object') {
      this.#add(fieldInvalid(`${path}.items.type`, items['type'], 'must be object in a map list'));
    }
    if (new Set(keys).size < keys.length) {
      this.#add(fieldInvalid(at, keys, 'must name each key once'));
    }
    for (const [position, key] of keys.entries()) {
      const property = propertiesOf(items)[key];
      if (!isJsonObject(property)) {
        this.#add(fieldInvalid(indexPath(at, position), key, 'must be a property of the entries'));
        continue;
      }
      if (!isOneOf(property['type'], scalarTypes)) {
        const what = 'must be a property with the type of a scalar';
        this.#add(fieldInvalid(indexPath(at, position), key, what));
      }
      const isGiven =
        textsOf(items['required']).includes(key) || Object.hasOwn(property, 'default');
      if (!isGiven) {
        const field = `${path}.items.properties[${key}].default`;
        this.#add(fieldRequired(field, 'a key must be required or have a default'));
      }
    }
  }

  #extensions(schema: JsonObject, path: string): void {
    for (const name of ['preserve-unknown-fields', 'embedded-resource', 'int-or-string']) {
      const at = `${path}.x-kubernetes-${name}`;
      if (schema[`x-kubernetes-${name}`] !== false) continue;
      if (name === 'preserve-unknown-fields') {
        this.#add(fieldInvalid(at, false, 'must be true or left out'));
      }
    }
    const mapType = schema['x-kubernetes-map-type'];
    if (mapType !== undefined) {
      const at = `${path}.x-kubernetes-map-type`;
      if (schema['type'] !== 'object') this.#add(fieldForbidden(at, 'only objects have it'));
      if (mapType !== 'granular' && mapType !== 'atomic') {
        this.#add(fieldNotSupported(at, mapType, ['granular', 'atomic']));
      }
    }
    if (schema['x-kubernetes-embedded-resource'] !== true) return;
    const at = `${path}.x-kubernetes-embedded-resource`;
    if (schema['type'] !== 'object') this.#add(fieldForbidden(at, 'only objects have it'));
    const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true;
    if (!isOpen && schema['properties'] === undefined) {
      const mend = 'it needs properties, or x-kubernetes-preserve-unknown-fields: true';
      this.#add(fieldRequired(`${path}.properties`, mend));
    }
  }

  #alternatives(schema: JsonObject, path: string, depth: number): void {
    const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
    for (const [at, part] of partsOf(schema, path)) {
      const isSpelledOut =
        isIntOrString && /\.anyOf\[[01]\]$/.test(at) && isTypeOnly(part, ['integer', 'string']);
      if (!isSpelledOut) this.#alternative(part, schema, at, depth + 1, isIntOrString);
    }
    for (const name of ['allOf', 'anyOf', 'oneOf']) {
      const list = schema[name];
      if (Array.isArray(list) && list.length > alternativesMax) {
        this.#add(fieldTooLong(`${path}.${name}`, `must have at most ${alternativesMax} entries`));
      }
    }
  }

  /** A part of allOf, anyOf, oneOf or not: says of values, not of what fields there are. */
  #alternative(
    part: JsonObject,
    node: JsonObject,
    path: string,
    depth: number,
    isIntOrString: boolean,
  ): void {
    if (!this.#enter(path, depth)) return;
    const isTypeSpelledOut = isIntOrString && isTypeOnly(part, ['integer', 'string']);
    if (isTypeSpelledOut) return;
    this.#keywords(part, path, true);
    for (const [name, child] of Object.entries(propertiesOf(part))) {
      const at = keyPath(`${path}.properties`, name);
      if (!isJsonObject(child)) {
        this.#add(fieldTypeInvalid(at, child, 'must be a schema'));
        continue;
      }
      const own = propertiesOf(node)[name];
      const rest = node['additionalProperties'];
      const described = isJsonObject(own) ? own : isJsonObject(rest) ? rest : undefined;
      if (described !== undefined) {
        this.#alternative(child, described, at, depth + 1, isIntOrStringNode(described));
      } else {
        const whole = path.replace(/\.(?:allOf|anyOf|oneOf|not)\b.*$/, '');
        const what = `because it is defined in ${path.slice(whole.length + 1)}`;
        this.#add(fieldRequired(keyPath(`${whole}.properties`, name), what));
      }
    }
    const { items } = part;
    if (isJsonObject(items)) {
      const own = node['items'];
      if (isJsonObject(own)) {
        this.#alternative(items, own, `${path}.items`, depth + 1, isIntOrStringNode(own));
      } else this.#add(fieldRequired(`${path}.items`, 'must be described outside of it too'));
    }
    for (const [at, inner] of partsOf(part, path)) {
      this.#alternative(inner, node, at, depth + 1, isIntOrString);
    }
  }

  #add(error: FieldError): void {
    if (this.errors.length < errorsMax) this.errors.push(error);
  }
}

function partsOf(schema: JsonObject, path: string): [at: string, part: JsonObject][] {
  const found: [string, JsonObject][] = [];
  for (const name of ['allOf', 'anyOf', 'oneOf']) {
    const list = schema[name];
    if (!Array.isArray(list)) continue;
    for (const [position, part] of list.slice(0, alternativesMax).entries()) {
      if (isJsonObject(part)) found.push([indexPath(`${path}.${name}`, position), part]);
    }
  }
  if (isJsonObject(schema['not'])) found.push([`${path}.not`, schema['not']]);
  return found;
}

function formProblem(form: Form, value: Json): string | undefined {
  switch (form) {
    case 'text':
      return typeof value === 'string' ? undefined : 'must be a string';
    case 'number':
      return typeof value === 'number' ? undefined : 'must be a number';
    case 'count':
      return Number.isSafeInteger(value) && Number(value) >= 0
        ? undefined
        : 'must be a whole number, 0 or more';
    case 'flag':
      return typeof value === 'boolean' ? undefined : 'must be true or false';
    case 'schema':
      return isJsonObject(value) ? undefined : 'must be a schema';
    case 'schemas':
      return Array.isArray(value) && value.every(isJsonObject)
        ? undefined
        : 'must be a list of schemas';
    case 'list':
      return Array.isArray(value) ? undefined : 'must be a list';
    case 'any':
      return undefined;
  }
}

function isAtomicItem(items: JsonObject): boolean {
  const { type } = items;
  if (isOneOf(type, scalarTypes)) return items['nullable'] !== true;
  return type === 'object'
    ? items['x-kubernetes-map-type'] === 'atomic'
    : (items['x-kubernetes-list-type'] ?? 'atomic') === 'atomic';
}

function isIntOrStringNode(schema: JsonObject): boolean {
  return schema['x-kubernetes-int-or-string'] === true;
}

function isTypeOnly(schema: JsonObject, allowed: readonly string[]): boolean {
  const names = Object.keys(schema);
  return names.length === 1 && names[0] === 'type' && isOneOf(schema['type'], allowed);
}

export function isOneOf(value: Json | undefined, choices: readonly string[]): boolean {
  return typeof value === 'string' && choices.includes(value);
}

export function propertiesOf(schema: JsonObject): JsonObject {
  const { properties } = schema;
  return isJsonObject(properties) ? properties : {};
}

export function textsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
