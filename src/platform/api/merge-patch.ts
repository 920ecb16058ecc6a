/**
 * JSON Merge Patch (RFC 7386): objects merge, null deletes, anything else replaces.
 *
 * Invariants: neither argument is changed; the result shares structure with both.
 * Depth is bounded by the documents, which the parser bounded.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { equalJson } from './field-errors.ts';

export function applyMergePatch(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return patch;
  const merged: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const name of Object.keys(patch)) {
    const change = patch[name];
    if (change === undefined) continue;
    if (change === null) delete merged[name];
    else
      merged[name] = applyMergePatch(
        Object.hasOwn(merged, name) ? merged[name] : undefined,
        change,
      );
  }
  return merged;
}

/**
 * A patch that turns `before` into `after`. A merge patch cannot set null: where
 * `after` holds null in an object, applying the patch leaves that field out.
 */
export function createMergePatch(before: JsonObject, after: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) patch[name] = null;
  }
  for (const name of Object.keys(after)) {
    const next = after[name];
    if (next === undefined) continue;
    const previous = Object.hasOwn(before, name) ? before[name] : undefined;
    if (equalJson(previous, next)) continue;
    patch[name] =
      isJsonObject(previous) && isJsonObject(next) ? createMergePatch(previous, next) : next;
  }
  return patch;
}
