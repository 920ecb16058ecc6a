/**
 * Strategic merge patch: a merge patch that knows from the schema which lists
 * merge by key, which are sets, and which are replaced as a whole.
 *
 * Invariants:
 * 1. Neither argument is changed; the result shares structure with both.
 * 2. No directive (`$patch`, `$retainKeys`, `$setElementOrder/…`,
 *    `$deleteFromPrimitiveList/…`) reaches the result where a schema says that
 *    the part is understood; a directive that cannot be followed is refused (400).
 * 3. A null deletes, also inside parts that the patch adds.
 * 4. Work is bounded by the sizes of the documents: lists merge through maps.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { childPath, indexPath, shownValue } from './field-errors.ts';
import { type Entry, KeyedEntries } from './keyed-entries.ts';
import type { Schema } from './schema.ts';
import { StatusError } from './status-error.ts';

const patchDirective = '$patch';
const retainKeysDirective = '$retainKeys';
const orderPrefix = '$setElementOrder/';
const deletePrefix = '$deleteFromPrimitiveList/';

/** Throws StatusError 400 that names the field where the patch makes no sense. */
export function applyStrategicMergePatch(
  schema: Schema,
  original: JsonObject,
  patch: JsonObject,
): JsonObject {
  return mergeObjects(schema, original, patch, '');
}

function mergeObjects(
  schema: Schema | undefined,
  original: JsonObject,
  patch: JsonObject,
  path: string,
): JsonObject {
  const directive = patch[patchDirective];
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'replace' && directive !== 'merge') {
    throw refused(
      childPath(path, patchDirective),
      `must be replace, delete or merge, not ${shownValue(directive)}`,
    );
  }
  const base = directive === 'replace' ? {} : retained(original, patch, path);
  const merged: JsonObject = { ...base };
  for (const name of namesToPatch(patch)) {
    const at = childPath(path, name);
    const child = fieldSchema(schema, name);
    const previous = Object.hasOwn(base, name) ? base[name] : undefined;
    const change = Object.hasOwn(patch, name) ? patch[name] : undefined;
    if (change === null) {
      delete merged[name];
      continue;
    }
    const order = listDirective(patch, orderPrefix, name, path);
    const removals = listDirective(patch, deletePrefix, name, path);
    if (order === undefined && removals === undefined) {
      if (change !== undefined) merged[name] = mergeValues(child, previous, change, at);
      continue;
    }
    if (change !== undefined && !Array.isArray(change)) {
      throw refused(at, 'has a list directive but is not a list');
    }
    const list = Array.isArray(previous) ? previous : undefined;
    if (list === undefined && change === undefined) continue;
    merged[name] = mergeLists(child, list ?? [], change ?? [], { order, removals }, at);
  }
  return merged;
}

/** Field names of the patch in order, with those that only a list directive names. */
function namesToPatch(patch: JsonObject): Set<string> {
  const names = new Set<string>();
  for (const name of Object.keys(patch)) {
    if (name === patchDirective || name === retainKeysDirective) continue;
    if (name.startsWith(orderPrefix)) names.add(name.slice(orderPrefix.length));
    else if (name.startsWith(deletePrefix)) names.add(name.slice(deletePrefix.length));
    else names.add(name);
  }
  if (names.has('__proto__')) throw refused('__proto__', 'is not allowed as a field name');
  return names;
}

/** `original` with only the fields that `$retainKeys` names, where the patch has it. */
function retained(original: JsonObject, patch: JsonObject, path: string): JsonObject {
  const keys = patch[retainKeysDirective];
  if (keys === undefined) return original;
  const at = childPath(path, retainKeysDirective);
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) {
    throw refused(at, 'must be a list of field names');
  }
  const kept = new Set<string>(keys);
  for (const name of Object.keys(patch)) {
    if (!name.startsWith('$') && patch[name] !== null && !kept.has(name)) {
      throw refused(at, `must name ${name}, which the patch sets`);
    }
  }
  return Object.fromEntries(Object.entries(original).filter(([name]) => kept.has(name)));
}

function listDirective(
  patch: JsonObject,
  prefix: string,
  name: string,
  path: string,
): readonly Json[] | undefined {
  const directive = patch[`${prefix}${name}`];
  if (directive === undefined || directive === null) return undefined;
  if (!Array.isArray(directive))
    throw refused(childPath(path, `${prefix}${name}`), 'must be a list');
  return directive;
}

function mergeValues(
  schema: Schema | undefined,
  previous: Json | undefined,
  change: Json,
  path: string,
): Json {
  if (isJsonObject(change)) {
    // That a map is one field to server-side apply (`x-kubernetes-map-type`) means nothing here:
    // kubectl sends of a changed nodeSelector the changed keys alone.
    const replaces = schema?.['x-kubernetes-patch-strategy'] === 'replace';
    const base = isJsonObject(previous) && !replaces ? previous : {};
    return mergeObjects(schema, base, change, path);
  }
  if (Array.isArray(change)) {
    return mergeLists(schema, Array.isArray(previous) ? previous : [], change, {}, path);
  }
  return change;
}

interface ListDirectives {
  readonly order?: readonly Json[] | undefined;
  readonly removals?: readonly Json[] | undefined;
}

function mergeLists(
  schema: Schema | undefined,
  original: readonly Json[],
  patch: readonly Json[],
  directives: ListDirectives,
  path: string,
): Json[] {
  if (!mergesByElement(schema)) {
    return patch.map((item, index) => cleaned(schema?.items, item, indexPath(path, index)));
  }
  const mergeKey = mergeKeyOf(schema);
  if (mergeKey === undefined) return mergeSets(original, patch, directives);
  return mergeKeyedLists(schema, mergeKey, original, patch, directives, path);
}

/** An element of a list that is replaced: its own nulls and directives still go. */
function cleaned(schema: Schema | undefined, item: Json, path: string): Json {
  return isJsonObject(item) ? mergeObjects(schema, {}, item, path) : item;
}

function mergesByElement(schema: Schema | undefined): boolean {
  const strategy = schema?.['x-kubernetes-patch-strategy'];
  if (strategy !== undefined) return strategy.split(',').includes('merge');
  const listType = schema?.['x-kubernetes-list-type'];
  return listType === 'set' || listType === 'map';
}

function mergeKeyOf(schema: Schema | undefined): string | undefined {
  return schema?.['x-kubernetes-patch-merge-key'] ?? schema?.['x-kubernetes-list-map-keys']?.[0];
}

function mergeSets(
  original: readonly Json[],
  patch: readonly Json[],
  { order, removals }: ListDirectives,
): Json[] {
  const removed = new Set((removals ?? []).map(identityText));
  const merged = new Map<string, Entry>();
  for (const [place, item] of original.entries()) {
    const identity = identityText(item);
    if (!removed.has(identity)) merged.set(identity, { identity, place, item });
  }
  for (const item of patch) {
    const identity = identityText(item);
    if (!merged.has(identity)) merged.set(identity, { identity, place: -1, item });
  }
  return arrange([...merged.values()], order?.map(identityText));
}

function mergeKeyedLists(
  schema: Schema | undefined,
  mergeKey: string,
  original: readonly Json[],
  patch: readonly Json[],
  { order, removals }: ListDirectives,
  path: string,
): Json[] {
  if (removals !== undefined) {
    throw refused(path, 'is a list of objects: $deleteFromPrimitiveList does not apply to it');
  }
  const replaces = patch.some(
    (item) =>
      isJsonObject(item) && item[patchDirective] === 'replace' && !Object.hasOwn(item, mergeKey),
  );
  const merged = new KeyedEntries(schema?.['x-kubernetes-list-map-keys'] ?? [mergeKey]);
  for (const [place, item] of replaces ? [] : original.entries()) {
    const at = indexPath(path, place);
    const identity = identityOf(item, mergeKey, at);
    merged.keep(identity, place, requireObject(item, mergeKey, at));
  }
  for (const [index, given] of patch.entries()) {
    const at = indexPath(path, index);
    const item = requireObject(given, mergeKey, at);
    const directive = item[patchDirective];
    // `{"$patch": "replace"}` alone is a mark for the whole list, seen above.
    if (directive === 'replace' && !Object.hasOwn(item, mergeKey)) continue;
    const identity = identityOf(item, mergeKey, at);
    if (directive === 'delete') {
      merged.remove(identity, item);
      continue;
    }
    const found = merged.find(identity, item);
    const before = isJsonObject(found?.item) ? found.item : {};
    merged.patch(found, identity, mergeObjects(schema?.items, before, item, at));
  }
  const patchOrder = order?.map((item, index) =>
    identityOf(item, mergeKey, indexPath(childPath(path, '$setElementOrder'), index)),
  );
  return arrange(merged.all(), patchOrder);
}

/**
 * Puts merged elements in order. Without `patchOrder`: the original's elements
 * first, new ones after. With it: elements that it names stand in its order;
 * those that only the original has keep their place before the named elements
 * that they stood before.
 */
function arrange(merged: readonly Entry[], patchOrder: readonly string[] | undefined): Json[] {
  if (patchOrder === undefined) return merged.map(({ item }) => item);
  const named = new Set(patchOrder);
  // What the patch brings but its order does not name comes after all it names.
  const patched = inOrder(merged, patchOrder).concat(
    merged.filter(({ identity, place }) => !named.has(identity) && place < 0),
  );
  const kept = merged.filter(({ identity, place }) => !named.has(identity) && place >= 0);
  const arranged: Json[] = [];
  let keptIndex = 0;
  for (const { place, item } of patched) {
    // Elements that the original did not have stand before no kept one.
    for (let next = kept[keptIndex]; next !== undefined; next = kept[keptIndex]) {
      if (next.place > place) break;
      arranged.push(next.item);
      keptIndex += 1;
    }
    arranged.push(item);
  }
  return arranged.concat(kept.slice(keptIndex).map(({ item }) => item));
}

/** Those that the order names, each time one; of those that share a name, all the rest the last time. */
function inOrder(merged: readonly Entry[], order: readonly string[]): Entry[] {
  const waiting = new Map<string, Entry[]>(order.map((identity) => [identity, []]));
  for (const entry of merged) waiting.get(entry.identity)?.push(entry);
  const times = new Map<string, number>();
  for (const identity of order) times.set(identity, (times.get(identity) ?? 0) + 1);
  const taken = new Map<string, number>();
  return order.flatMap((identity) => {
    const entries = waiting.get(identity) ?? [];
    const before = taken.get(identity) ?? 0;
    taken.set(identity, before + 1);
    const isLast = before + 1 === times.get(identity);
    return entries.slice(before, isLast ? undefined : before + 1);
  });
}

function requireObject(item: Json, mergeKey: string, path: string): JsonObject {
  if (isJsonObject(item)) return item;
  throw refused(path, `must be an object with ${mergeKey}`);
}

function identityOf(item: Json, mergeKey: string, path: string): string {
  const value = isJsonObject(item) && Object.hasOwn(item, mergeKey) ? item[mergeKey] : undefined;
  if (value === undefined || value === null) {
    throw refused(path, `must have ${mergeKey}, by which this list is merged`);
  }
  return identityText(value);
}

/** Keeps 1 and "1" apart. */
function identityText(value: Json): string {
  return JSON.stringify(value);
}

function fieldSchema(schema: Schema | undefined, name: string): Schema | undefined {
  if (schema?.properties !== undefined && Object.hasOwn(schema.properties, name)) {
    return schema.properties[name];
  }
  return schema?.additionalProperties;
}

function refused(field: string, what: string): StatusError {
  const at = field === '' ? 'the patch' : field;
  return new StatusError(
    'BadRequest',
    `the strategic merge patch cannot be applied: ${at} ${what}`,
    {
      causes: [{ reason: 'FieldValueInvalid', message: what, field }],
    },
  );
}
