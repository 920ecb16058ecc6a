/**
 * Facets of stored objects as the hub reads them, and the indexes that it looks
 * objects up by.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import { decodeFacet, encodeFacet } from '#platform/api/mod.ts';
import type { Change, Facet, IndexFunction, ObjectKey, StoredObject } from '#platform/store/mod.ts';

/** The facet as an object; undefined where it has none. Not to be changed. */
export function readFacet(object: StoredObject, facet: Facet): JsonObject | undefined {
  const stored = object.facets[facet];
  return stored === undefined ? undefined : decodeFacet(stored);
}

/** A change of one facet of an object that exists. */
export function putFacet(
  object: Pick<StoredObject, 'key' | 'uid'>,
  facet: Facet,
  value: JsonObject,
): Change & { readonly type: 'put' } {
  return {
    type: 'put',
    key: object.key,
    uid: object.uid,
    facet,
    bytes: encodeFacet(value),
    decoded: value,
  };
}

export function nodeKey(name: string): ObjectKey {
  return { resource: 'nodes', namespace: '', name };
}

/** The node that a pod is assigned to, or that keeps the data of a claim. */
export function nodeNameOf(pod: StoredObject): string | undefined {
  const name = readFacet(pod, 'assignment')?.['nodeName'];
  return typeof name === 'string' ? name : undefined;
}

export function metadataOf(object: StoredObject): JsonObject {
  const metadata = readFacet(object, 'intent')?.['metadata'];
  return isJsonObject(metadata) ? metadata : {};
}

export function isBeingDeleted(object: StoredObject): boolean {
  return metadataOf(object)['deletionTimestamp'] !== undefined;
}

/** Image references of all containers, those that run first before the others. */
export function imagesOf(pod: StoredObject): readonly string[] {
  const all = [...containersOf(pod, 'initContainers'), ...containersOf(pod)];
  return all.flatMap((container) => {
    const { image } = container;
    return typeof image === 'string' ? [image] : [];
  });
}

export function containersOf(
  pod: StoredObject,
  list: 'containers' | 'initContainers' = 'containers',
): readonly JsonObject[] {
  const spec = readFacet(pod, 'intent')?.['spec'];
  const containers = isJsonObject(spec) ? spec[list] : undefined;
  return Array.isArray(containers) ? containers.filter(isJsonObject) : [];
}

/** Whether the hub has something left to decide: a node, or what its images are. */
export function isUnplaced(pod: StoredObject): boolean {
  const assignment = readFacet(pod, 'assignment');
  if (assignment === undefined) return true;
  const images = isJsonObject(assignment['images']) ? assignment['images'] : {};
  return imagesOf(pod).some((image) => !Object.hasOwn(images, image));
}

/** It was placed with images: where it asks for others since, its node tells of that. */
export function hasResolvedImages(pod: StoredObject): boolean {
  const images = readFacet(pod, 'assignment')?.['images'];
  return isJsonObject(images) && Object.keys(images).length > 0;
}

export const claimsResource = 'persistentvolumeclaims';
export const claimsByNode = 'claimsByNode';
export const podsByNode = 'podsByNode';
export const podsUnplaced = 'podsUnplaced';

/** For `openStore`: the hub finds pods and claims by node, and pods that wait for a decision. */
export const hubIndexes: Readonly<Record<string, IndexFunction>> = {
  [podsByNode](object) {
    if (object.key.resource !== 'pods') return [];
    const nodeName = nodeNameOf(object);
    return nodeName === undefined ? [] : [nodeName];
  },
  [claimsByNode](object) {
    if (object.key.resource !== claimsResource) return [];
    const nodeName = nodeNameOf(object);
    return nodeName === undefined ? [] : [nodeName];
  },
  [podsUnplaced](object) {
    return object.key.resource === 'pods' && isUnplaced(object) ? ['all'] : [];
  },
};
