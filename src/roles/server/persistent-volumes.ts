/** PersistentVolumes, made on read from the claims that have a node: each is one claim's data. */
import { type ApiObject, type PersistentVolumeClaim, volumeOfClaim } from '#platform/api/mod.ts';
import type { ServerParts } from './dependencies.ts';

export function persistentVolumeOf(
  parts: ServerParts,
  _namespace: string,
  name: string,
): ApiObject | undefined {
  return listPersistentVolumes(parts).find(({ metadata }) => metadata.name === name);
}

/** Sorted by name. */
export function listPersistentVolumes(parts: ServerParts): readonly ApiObject[] {
  const definition = parts.registry.byResource('', 'v1', 'persistentvolumeclaims');
  if (definition === undefined) return [];
  return parts.store
    .list('persistentvolumeclaims')
    .flatMap((stored) => {
      const claim = parts.served.of(definition, stored).object as PersistentVolumeClaim;
      return volumeOfClaim(claim) ?? [];
    })
    .toSorted((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1));
}
