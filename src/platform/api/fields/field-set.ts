/**
 * Sets of fields of an object, and the form in which the API shows them (FieldsV1):
 * nested objects whose keys are path elements: `f:name` a field, `k:{…}` an entry of
 * a list by its keys, `v:…` a value of a set, `.` the place itself.
 *
 * Invariants:
 * 1. A set is never changed; an operation shares what it leaves alone.
 * 2. No branch is empty: every child is a member or leads to one.
 * 3. Keys are canonical, so that the same place always has the same text.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';

export interface FieldSet {
  /** Whether the place itself belongs to the set. */
  readonly isMember: boolean;
  /** By path element. */
  readonly children: ReadonlyMap<string, FieldSet>;
}

/** A field set that is read has at most so many places, and so many levels. */
const placesMax = 100_000;
const levelsMax = 100;
const elementLengthMax = 4096;

const noChildren: ReadonlyMap<string, FieldSet> = new Map();
export const emptySet: FieldSet = { isMember: false, children: noChildren };
/** A place with nothing below it. */
export const leafSet: FieldSet = { isMember: true, children: noChildren };

export function isEmptySet(set: FieldSet): boolean {
  return !set.isMember && set.children.size === 0;
}

/** Drops children that lead to nothing. */
export function setOf(isMember: boolean, children: ReadonlyMap<string, FieldSet>): FieldSet {
  let kept = children;
  for (const child of children.values()) {
    if (!isEmptySet(child)) continue;
    kept = new Map([...children].filter(([, one]) => !isEmptySet(one)));
    break;
  }
  if (kept.size === 0) return isMember ? leafSet : emptySet;
  return { isMember, children: kept };
}

export function withMember(set: FieldSet): FieldSet {
  return set.isMember ? set : { isMember: true, children: set.children };
}

export function union(left: FieldSet, right: FieldSet): FieldSet {
  if (left === right || isEmptySet(right)) return left;
  if (isEmptySet(left)) return right;
  const children = new Map(left.children);
  for (const [element, child] of right.children) {
    const known = children.get(element);
    children.set(element, known === undefined ? child : union(known, child));
  }
  return { isMember: left.isMember || right.isMember, children };
}

export function difference(left: FieldSet, right: FieldSet): FieldSet {
  if (isEmptySet(right)) return left;
  const children = new Map<string, FieldSet>();
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    children.set(element, other === undefined ? child : difference(child, other));
  }
  return setOf(left.isMember && !right.isMember, children);
}

export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  const children = new Map<string, FieldSet>();
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    if (other !== undefined) children.set(element, intersection(child, other));
  }
  return setOf(left.isMember && right.isMember, children);
}

export function equalSets(left: FieldSet, right: FieldSet): boolean {
  if (left === right) return true;
  if (left.isMember !== right.isMember || left.children.size !== right.children.size) return false;
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    if (other === undefined || !equalSets(child, other)) return false;
  }
  return true;
}

export function fieldElement(name: string): string {
  return `f:${name}`;
}

/** An entry of a list by the values of its keys. */
export function keyElement(keys: JsonObject): string {
  const sorted: JsonObject = {};
  for (const name of Object.keys(keys).sort()) sorted[name] = keys[name] ?? null;
  return `k:${JSON.stringify(sorted)}`;
}

/** A value of a set. */
export function valueElement(value: Json): string {
  return `v:${JSON.stringify(value)}`;
}

/** Every member, in the order of the set: `.spec.containers[name="web"].image`. */
export function pathsOf(set: FieldSet): string[] {
  const paths: string[] = [];
  const visit = ({ isMember, children }: FieldSet, path: string): void => {
    if (isMember) paths.push(path);
    for (const [element, child] of children) visit(child, path + pathText(element));
  };
  visit(set, '');
  return paths;
}

function pathText(element: string): string {
  const rest = element.slice(2);
  switch (element.slice(0, 2)) {
    case 'f:':
      return `.${rest}`;
    case 'k:': {
      const keys = JSON.parse(rest) as JsonObject;
      const shown = Object.keys(keys).map((name) => `${name}=${JSON.stringify(keys[name])}`);
      return `[${shown.join(',')}]`;
    }
    case 'v:':
      return `[=${rest}]`;
    default:
      return `[${rest}]`;
  }
}

export function fieldsV1Of(set: FieldSet): JsonObject {
  const fields: JsonObject = {};
  for (const [element, child] of set.children) {
    const inner = fieldsV1Of(child);
    fields[element] = child.isMember && child.children.size > 0 ? { '.': {}, ...inner } : inner;
  }
  return fields;
}

/** Undefined where the value is not FieldsV1, or is too large. */
export function readFieldsV1(value: Json | undefined): FieldSet | undefined {
  const budget = { places: placesMax };
  return isJsonObject(value) ? readSet(value, false, budget, levelsMax) : undefined;
}

function readSet(
  fields: JsonObject,
  isMember: boolean,
  budget: { places: number },
  levels: number,
): FieldSet | undefined {
  if (levels === 0) return undefined;
  const children = new Map<string, FieldSet>();
  for (const name of Object.keys(fields)) {
    if (name === '.') continue;
    budget.places -= 1;
    const element = canonicalElement(name);
    const inner = fields[name];
    if (budget.places < 0 || element === undefined || !isJsonObject(inner)) return undefined;
    const isLeaf = Object.keys(inner).length === 0;
    const child = isLeaf ? leafSet : readSet(inner, Object.hasOwn(inner, '.'), budget, levels - 1);
    if (child === undefined) return undefined;
    children.set(element, child);
  }
  return setOf(isMember, children);
}

function canonicalElement(text: string): string | undefined {
  if (text.length > elementLengthMax) return undefined;
  const rest = text.slice(2);
  switch (text.slice(0, 2)) {
    case 'f:':
      return text;
    case 'i:':
      return /^\d{1,9}$/.test(rest) ? text : undefined;
    case 'k:': {
      const keys = parsed(rest);
      return isJsonObject(keys) ? keyElement(keys) : undefined;
    }
    case 'v:': {
      const value = parsed(rest);
      return value === undefined ? undefined : valueElement(value);
    }
    default:
      return undefined;
  }
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
