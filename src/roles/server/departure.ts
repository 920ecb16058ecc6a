/** When an object that is being deleted may really go. */
import { isJsonObject } from '#base/mod.ts';
import {
  type ApiObject,
  decodeFacet,
  type PodReport,
  type PodVerdict,
  type ResourceDefinition,
  stopAfterMsOf,
} from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';

/**
 * True where deletion was asked for and nobody has anything left to do: no
 * finalizers, and of a pod no container that may still run.
 */
export function isReadyToGo(
  definition: ResourceDefinition,
  object: ApiObject,
  stored: StoredObject,
): boolean {
  const { deletionTimestamp, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || finalizers.length > 0) return false;
  if (definition.subresources.includes('finalize')) {
    const remaining = object.spec?.['finalizers'];
    if (Array.isArray(remaining) && remaining.length > 0) return false;
  }
  return !isPod(definition) || !mayRun(stored);
}

export function isPod(definition: ResourceDefinition): boolean {
  return definition.group === '' && definition.plural === 'pods';
}

/**
 * A pod that was given to a node may run until that node says that it is gone for good.
 * One that stops by itself when it is cut off has done so before it is given up.
 */
export function mayRun(stored: StoredObject): boolean {
  const { assignment, report } = stored.facets;
  if (assignment === undefined || decodeFacet(assignment)['nodeName'] === undefined) {
    return false;
  }
  if (hasStoppedByItself(stored)) return false;
  if (report === undefined) return true;
  return (decodeFacet(report) as Partial<PodReport>).terminated !== true;
}

function hasStoppedByItself({ facets }: StoredObject): boolean {
  const { intent, verdict } = facets;
  if (intent === undefined || verdict === undefined) return false;
  if ((decodeFacet(verdict) as PodVerdict).lost === undefined) return false;
  const { metadata } = decodeFacet(intent);
  const annotations = isJsonObject(metadata) ? metadata['annotations'] : undefined;
  return isJsonObject(annotations) && stopAfterMsOf(annotations) !== undefined;
}
