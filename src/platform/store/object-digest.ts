/**
 * The digest of one version of an object: over its key, its uid, its revisions and the
 * stored bytes of its facets. Computed once for each version, and once for each version
 * of a facet, when somebody asks; it goes when the version does.
 */
import { hash } from 'node:crypto';
import { keyText } from './key.ts';
import type { Facet, FacetValue, StoredObject } from './types.ts';

/** Hexadecimal: 128 bits, the beginning of a sha256. */
export const objectDigestLength = 32;
const facets: readonly Facet[] = ['intent', 'assignment', 'report', 'verdict'];
const ofObjects = new WeakMap<StoredObject, string>();
const ofFacets = new WeakMap<FacetValue, string>();

export function objectDigest(object: StoredObject): string {
  const known = ofObjects.get(object);
  if (known !== undefined) return known;
  const { key, uid, createdRevision, revision } = object;
  const parts: (string | number)[] = [keyText(key), uid, createdRevision, revision];
  for (const facet of facets) {
    const value = object.facets[facet];
    if (value !== undefined) parts.push(facet, value.revision, facetDigest(value));
  }
  const digest = hash('sha256', JSON.stringify(parts), 'hex').slice(0, objectDigestLength);
  ofObjects.set(object, digest);
  return digest;
}

function facetDigest(value: FacetValue): string {
  let digest = ofFacets.get(value);
  if (digest === undefined) {
    digest = hash('sha256', value.bytes, 'hex').slice(0, objectDigestLength);
    ofFacets.set(value, digest);
  }
  return digest;
}
