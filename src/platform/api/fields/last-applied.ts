/**
 * What `kubectl apply` last applied from the client: an annotation with the whole
 * manifest. `kubectl apply --server-side` takes those fields over without a conflict
 * as long as nobody has changed them since.
 */
import { isJsonObject, type JsonObject, utf8 } from '#base/mod.ts';
import type { Schema } from '../schema.ts';
import { StatusError } from '../status-error.ts';
import { parseStrictJson } from '../strict-json.ts';
import { difference, emptySet, type FieldSet } from './field-set.ts';
import { ownable } from './owners.ts';
import { compareFields, fieldsOf } from './typed-fields.ts';

export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** The fields of that manifest that still have the value that it gives them. */
export function fieldsUnchangedSince(schema: Schema, live: JsonObject): FieldSet {
  const applied = lastAppliedOf(live);
  if (applied === undefined) return emptySet;
  const { changed } = compareFields(schema, live, applied);
  return difference(ownable(fieldsOf(schema, applied)), changed);
}

export function lastAppliedOf(live: JsonObject): JsonObject | undefined {
  const { metadata } = live;
  const annotations = isJsonObject(metadata) ? metadata['annotations'] : undefined;
  const text = isJsonObject(annotations) ? annotations[lastAppliedAnnotation] : undefined;
  if (typeof text !== 'string') return undefined;
  try {
    const { value } = parseStrictJson(utf8(text));
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    // Somebody has written something else there: nothing is known to be unchanged.
    return undefined;
  }
}
