/**
 * An object seen through its schema as fields that can belong to somebody: which
 * there are, which differ between two versions, how what somebody applies is merged
 * in, and how fields are taken out again.
 *
 * What counts as one field: a scalar, and what the schema calls atomic. Maps and
 * objects are looked into unless they are atomic; lists only where they are sets or
 * are keyed. Where the schema says nothing, objects are looked into and lists are not.
 *
 * Invariants: arguments are never changed; results share structure with them.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { equalJson } from '../field-errors.ts';
import type { Schema } from '../schema.ts';
import {
  emptySet,
  fieldElement,
  type FieldSet,
  isEmptySet,
  keyElement,
  leafSet,
  setOf,
  union,
  valueElement,
  withMember,
} from './field-set.ts';

/**
 * The fields of a value. As applied: what the value itself names. `withMaps` counts a
 * map that somebody made as a field of its own, beside what is in it.
 */
export function fieldsOf(schema: Schema | undefined, value: Json, withMaps = false): FieldSet {
  if (isGranularObject(schema, value)) {
    const names = Object.keys(value);
    if (names.length === 0) return leafSet;
    const children = new Map<string, FieldSet>();
    for (const name of names) {
      const field = value[name];
      if (field === undefined) continue;
      const inner = fieldsOf(fieldSchema(schema, name), field, withMaps);
      children.set(fieldElement(name), isNamed(schema, name) ? inner : withMember(inner));
    }
    return setOf(withMaps && isMap(schema), children);
  }
  const elements = elementsOf(schema, value);
  if (elements === undefined) return leafSet;
  const children = new Map<string, FieldSet>();
  for (const [element, item] of elements) {
    children.set(element, withMember(itemFields(schema, item, withMaps)));
  }
  return setOf(false, children);
}

/**
 * What `fieldsOf` with maps says, as the text of its FieldsV1 and without the sets
 * between: nothing but reading needs it.
 */
export function fieldsText(schema: Schema | undefined, value: Json): string {
  if (isGranularObject(schema, value)) {
    const parts: string[] = [];
    for (const name of Object.keys(value)) {
      const field = value[name];
      if (field === undefined) continue;
      const inner = fieldSchema(schema, name);
      const text = fieldsText(inner, field);
      const key = JSON.stringify(fieldElement(name));
      if (!isNamed(schema, name)) parts.push(`${key}:${asMember(text)}`);
      else if (text !== leafText || isLeaf(inner, field)) parts.push(`${key}:${text}`);
    }
    if (parts.length > 0 && isMap(schema)) parts.unshift(selfText);
    return `{${parts.join(',')}}`;
  }
  const elements = elementsOf(schema, value);
  if (elements === undefined) return leafText;
  const parts: string[] = [];
  for (const [element, item] of elements) {
    const text = isJsonObject(item) ? fieldsText(schema?.items, item) : leafText;
    parts.push(`${JSON.stringify(element)}:${asMember(text)}`);
  }
  return `{${parts.join(',')}}`;
}

const leafText = '{}';
const selfText = '".":{}';

/** The text of a place that is a field itself, beside what is below it. */
function asMember(text: string): string {
  const isAlready = text === leafText || text.startsWith(`{${selfText}`);
  return isAlready ? text : `{${selfText},${text.slice(1)}`;
}

/** Whether a value with nothing below it is a field. A list of no entries, or of such, is none. */
function isLeaf(schema: Schema | undefined, value: Json): boolean {
  if (isGranularObject(schema, value)) return Object.keys(value).length === 0;
  return elementsOf(schema, value) === undefined;
}

export interface Comparison {
  /** Fields that are new, or have another value. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

const noDifference: Comparison = { changed: emptySet, removed: emptySet };

/** What is different in `after`. The order of entries of sets and keyed lists is not. */
export function compareFields(
  schema: Schema | undefined,
  before: Json | undefined,
  after: Json | undefined,
): Comparison {
  if (before === after) return noDifference;
  if (after === undefined) {
    const removed = before === undefined ? emptySet : withMember(fieldsOf(schema, before, true));
    return { changed: emptySet, removed };
  }
  if (before === undefined) {
    return { changed: withMember(fieldsOf(schema, after, true)), removed: emptySet };
  }
  if (isGranularObject(schema, before) && isGranularObject(schema, after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return compareAll(
      Array.from(names, (name) => [
        fieldElement(name),
        compareFields(fieldSchema(schema, name), before[name], after[name]),
      ]),
    );
  }
  const elementsBefore = elementsOf(schema, before);
  const elementsAfter = elementsOf(schema, after);
  if (elementsBefore !== undefined && elementsAfter !== undefined) {
    const names = new Set([...elementsBefore.keys(), ...elementsAfter.keys()]);
    return compareAll(
      Array.from(names, (element) => [
        element,
        compareFields(schema?.items, elementsBefore.get(element), elementsAfter.get(element)),
      ]),
    );
  }
  return equalJson(before, after) ? noDifference : { changed: leafSet, removed: emptySet };
}

function compareAll(parts: readonly (readonly [string, Comparison])[]): Comparison {
  const changed = new Map<string, FieldSet>();
  const removed = new Map<string, FieldSet>();
  for (const [element, part] of parts) {
    if (!isEmptySet(part.changed)) changed.set(element, part.changed);
    if (!isEmptySet(part.removed)) removed.set(element, part.removed);
  }
  return { changed: setOf(false, changed), removed: setOf(false, removed) };
}

/**
 * `live` with everything that `applied` says. Entries that both have stand in the order
 * of `applied`; others keep their place among those before them.
 */
export function mergeApplied(
  schema: Schema | undefined,
  live: Json | undefined,
  applied: Json,
): Json {
  if (live === undefined) return applied;
  if (isGranularObject(schema, live) && isGranularObject(schema, applied)) {
    const merged: JsonObject = { ...live };
    for (const name of Object.keys(applied)) {
      const field = applied[name];
      if (field !== undefined) {
        merged[name] = mergeApplied(fieldSchema(schema, name), live[name], field);
      }
    }
    return merged;
  }
  const before = elementsOf(schema, live);
  const added = elementsOf(schema, applied);
  if (before === undefined || added === undefined) return applied;
  const merged: Json[] = [];
  const taken = new Set<string>();
  const take = (element: string): void => {
    const item = added.get(element);
    const known = before.get(element);
    taken.add(element);
    if (item !== undefined) merged.push(mergeApplied(schema?.items, known, item));
    else if (known !== undefined) merged.push(known);
  };
  const rest = [...before.keys()];
  let next = 0;
  const takeUntilShared = (): void => {
    for (let element = rest[next]; element !== undefined; element = rest[next]) {
      if (added.has(element) && !taken.has(element)) return;
      if (!added.has(element)) take(element);
      next += 1;
    }
  };
  for (const element of added.keys()) {
    takeUntilShared();
    take(element);
  }
  takeUntilShared();
  return merged;
}

/** The value without these fields; what holds nothing any more because of that goes too. */
export function withoutFields(
  schema: Schema | undefined,
  value: Json,
  gone: FieldSet,
): Json | undefined {
  if (gone.isMember) return undefined;
  if (gone.children.size === 0) return value;
  if (isGranularObject(schema, value)) {
    const kept: JsonObject = { ...value };
    for (const [element, inner] of gone.children) {
      const name = element.slice(2);
      const field = Object.hasOwn(value, name) ? value[name] : undefined;
      if (field === undefined || !element.startsWith('f:')) continue;
      const left = withoutFields(fieldSchema(schema, name), field, inner);
      if (left === undefined) delete kept[name];
      else kept[name] = left;
    }
    return Object.keys(kept).length === 0 && Object.keys(value).length > 0 ? undefined : kept;
  }
  const elements = elementsOf(schema, value);
  if (elements === undefined) return value;
  const kept: Json[] = [];
  for (const [element, item] of elements) {
    const inner = gone.children.get(element);
    const left = inner === undefined ? item : withoutFields(schema?.items, item, inner);
    if (left !== undefined) kept.push(left);
  }
  return kept.length === 0 && elements.size > 0 ? undefined : kept;
}

/**
 * The set with every named field that leads to a member: who owns `spec.strategy.type`
 * keeps `spec.strategy`. Keys of maps and entries of lists are not named by a schema.
 */
export function withNamedParents(schema: Schema | undefined, set: FieldSet): FieldSet {
  if (set.children.size === 0) return set;
  const children = new Map<string, FieldSet>();
  for (const [element, child] of set.children) {
    const name = element.slice(2);
    const isField = element.startsWith('f:');
    const inner = withNamedParents(isField ? fieldSchema(schema, name) : schema?.items, child);
    children.set(element, isField && isNamed(schema, name) ? withMember(inner) : inner);
  }
  return setOf(set.isMember, children);
}

/** The set as the schema divides objects now: what lies inside an atomic field is that field. */
export function alongSchema(schema: Schema | undefined, set: FieldSet): FieldSet {
  if (set.children.size === 0) return set;
  if (isAtomic(schema)) return leafSet;
  const children = new Map<string, FieldSet>();
  for (const [element, child] of set.children) {
    const isField = element.startsWith('f:');
    const inner = isField ? fieldSchema(schema, element.slice(2)) : schema?.items;
    children.set(element, alongSchema(inner, child));
  }
  return setOf(set.isMember, children);
}

/** Fields of both, for sets made of several parts. */
export function unionOf(sets: Iterable<FieldSet>): FieldSet {
  let all = emptySet;
  for (const set of sets) all = union(all, set);
  return all;
}

function itemFields(schema: Schema | undefined, item: Json, withMaps: boolean): FieldSet {
  return isJsonObject(item) ? fieldsOf(schema?.items, item, withMaps) : leafSet;
}

function isAtomic(schema: Schema | undefined): boolean {
  if (schema === undefined) return false;
  if (schema['x-kubernetes-map-type'] === 'atomic') return true;
  return schema.type === 'array' && listTypeOf(schema) === 'atomic';
}

function isGranularObject(schema: Schema | undefined, value: Json): value is JsonObject {
  return isJsonObject(value) && schema?.['x-kubernetes-map-type'] !== 'atomic';
}

function isMap(schema: Schema | undefined): boolean {
  return schema === undefined || schema.properties === undefined;
}

/** Whether the schema gives the field its name, rather than the user. */
function isNamed(schema: Schema | undefined, name: string): boolean {
  return schema?.properties !== undefined && Object.hasOwn(schema.properties, name);
}

function fieldSchema(schema: Schema | undefined, name: string): Schema | undefined {
  return isNamed(schema, name) ? schema?.properties?.[name] : schema?.additionalProperties;
}

function listTypeOf(schema: Schema): 'atomic' | 'set' | 'map' {
  const declared = schema['x-kubernetes-list-type'];
  if (declared !== undefined) return declared;
  if (schema['x-kubernetes-patch-strategy'] !== 'merge') return 'atomic';
  return schema['x-kubernetes-patch-merge-key'] === undefined ? 'set' : 'map';
}

/** Entries by their path element; undefined where the list is one field. The first of equals counts. */
function elementsOf(schema: Schema | undefined, value: Json): Map<string, Json> | undefined {
  if (!Array.isArray(value) || schema === undefined) return undefined;
  const listType = listTypeOf(schema);
  if (listType === 'atomic') return undefined;
  const elements = new Map<string, Json>();
  for (const item of value) {
    const element = listType === 'set' ? valueElement(item) : keyedElement(schema, item);
    if (!elements.has(element)) elements.set(element, item);
  }
  return elements;
}

function keyedElement(schema: Schema, item: Json): string {
  const names = schema['x-kubernetes-list-map-keys'] ?? [
    schema['x-kubernetes-patch-merge-key'] ?? '',
  ];
  const keys: JsonObject = {};
  for (const name of names) {
    const value = isJsonObject(item) ? item[name] : undefined;
    const key = value ?? schema.items?.properties?.[name]?.default;
    if (key !== undefined) keys[name] = key;
  }
  return keyElement(keys);
}
