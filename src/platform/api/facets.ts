/**
 * From stored facets to the served object and back.
 *
 * Invariants:
 * 1. Facet bytes are UTF-8 JSON objects; anything else is a damaged store and
 *    stops the process.
 * 2. metadata.uid and metadata.resourceVersion of a served object are always the
 *    store's, whatever the facets say.
 * 3. Nothing here changes its arguments. A folded object may share structure
 *    with its facets, so who changes it must copy it first.
 */
import { assert, isJsonObject, strictTextOf, utf8, type JsonObject } from '#base/mod.ts';
import type { Facet, FacetValue, StoredObject } from '#platform/store/mod.ts';
import type { FacetLayout, ResourceDefinition } from './definition.ts';
import type { ApiObject } from './object.ts';

const facetNames: readonly Facet[] = ['intent', 'assignment', 'report', 'verdict'];

/** `intent` holds everything but status and metadata.resourceVersion; `report` holds the status. */
export function defaultFacetLayout(): FacetLayout {
  return {
    split(object) {
      const { status, ...rest } = object;
      const intent = intentOf(rest as JsonObject);
      return isJsonObject(status) ? { intent, report: { status } } : { intent };
    },
    fold(facets) {
      const { intent, report } = facets;
      assert(intent !== undefined, 'an object has an intent');
      const status = report?.['status'];
      return (status === undefined ? { ...intent } : { ...intent, status }) as unknown as ApiObject;
    },
  };
}

/** The same object without metadata.resourceVersion, which belongs to the store. */
export function intentOf(object: JsonObject): JsonObject {
  const metadata = object['metadata'];
  if (!isJsonObject(metadata) || !Object.hasOwn(metadata, 'resourceVersion')) return { ...object };
  const { resourceVersion: _owned, ...kept } = metadata;
  return { ...object, metadata: kept };
}

/** Facet JSON to bytes; the same value in the same key order gives the same bytes. */
export function encodeFacet(json: JsonObject): Uint8Array<ArrayBuffer> {
  return utf8(JSON.stringify(json));
}

/** What a facet says, read once in its life. Shared: nobody changes it. */
export function decodeFacet(facet: FacetValue): JsonObject {
  const { decoded } = facet;
  if (decoded !== undefined) return decoded;
  const value: unknown = JSON.parse(strictTextOf(facet.bytes));
  assert(isJsonObject(value), 'a facet is a JSON object');
  facet.decoded = value;
  return value;
}

export function decodeFacets(stored: StoredObject): Partial<Record<Facet, JsonObject>> {
  const facets: Partial<Record<Facet, JsonObject>> = {};
  for (const facet of facetNames) {
    const value = stored.facets[facet];
    if (value !== undefined) facets[facet] = decodeFacet(value);
  }
  return facets;
}

/** The served object as of one stored version. */
export function foldObject(definition: ResourceDefinition, stored: StoredObject): ApiObject {
  const folded = definition.facets.fold(decodeFacets(stored));
  assert(folded.metadata.name === stored.key.name, 'a folded object has the name of its key');
  return {
    ...folded,
    metadata: { ...folded.metadata, uid: stored.uid, resourceVersion: String(stored.revision) },
  };
}

interface EncodedFacet {
  readonly facet: Facet;
  readonly json: JsonObject;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What a write of the whole object would put into each facet. */
export function facetsOf(definition: ResourceDefinition, object: ApiObject): EncodedFacet[] {
  const split = definition.facets.split(object);
  const encoded: EncodedFacet[] = [];
  for (const facet of facetNames) {
    const json = split[facet];
    if (json !== undefined) encoded.push({ facet, json, bytes: encodeFacet(json) });
  }
  return encoded;
}
