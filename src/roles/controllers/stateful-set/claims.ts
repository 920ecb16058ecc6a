/**
 * The claims of a stateful set's pods: there before the pod is, and owned as the
 * retention policy says, so that the garbage collector takes them when their time has
 * come. Whatever the policy, a claim is never deleted here.
 */
import type { JsonObject } from '#base/mod.ts';
import {
  type OwnerReference,
  type PersistentVolumeClaim,
  type Pod,
  resources,
  type StatefulSet,
  StatusError,
} from '#platform/api/mod.ts';
import type { ControllerContext } from '../shared/context.ts';
import { isDeleting } from '../shared/ownership.ts';
import { claimsOfPod, ordinalOf, podNameOf } from './pod-identity.ts';

/**
 * Makes the claims of a pod that is to be made. False where one is on its way out: the
 * pod waits until it is gone, and begins with a new one.
 */
export async function ensureClaims(
  { client, events, informers }: ControllerContext,
  set: StatefulSet,
  ordinal: number,
): Promise<boolean> {
  for (const wanted of claimsOfPod(set, ordinal)) {
    const { namespace = '', name } = wanted.metadata;
    const present = informers.persistentVolumeClaims.get(`${namespace}/${name}`);
    if (present !== undefined) {
      if (isDeleting(present)) return false;
      continue;
    }
    try {
      const created = await client.create(resources.persistentVolumeClaims, wanted);
      informers.persistentVolumeClaims.observe(created);
    } catch (error) {
      // Somebody made it meanwhile: the pod uses that one.
      if (error instanceof StatusError && error.reason === 'AlreadyExists') continue;
      throw error;
    }
    events.record({
      regarding: set,
      severity: 'Normal',
      reason: 'SuccessfulCreate',
      message: `Created claim ${name} of pod ${podNameOf(set, ordinal)}`,
    });
  }
  return true;
}

/** The wanted numbers for which a claim is there, lowest first. */
export function ordinalsWithClaims(
  { informers }: ControllerContext,
  set: StatefulSet,
): readonly number[] {
  const { ordinals, replicas = 1, volumeClaimTemplates = [] } = set.spec;
  if (volumeClaimTemplates.length === 0) return [];
  const first = ordinals?.start ?? 0;
  const found = new Set<number>();
  // Of the claims that there are, not of the numbers: of those there may be very many.
  const { namespace = '' } = set.metadata;
  for (const claim of informers.persistentVolumeClaims.lookup('namespace', namespace)) {
    for (const template of volumeClaimTemplates) {
      const ordinal = ordinalOf(`${template.metadata.name}-${set.metadata.name}`, claim);
      if (ordinal === undefined || ordinal < first || ordinal >= first + replicas) continue;
      found.add(ordinal);
    }
  }
  return [...found].toSorted((left, right) => left - right);
}

/** Brings the owners of one pod's claims to what the policy says; `pod` where it is being scaled away. */
export async function ownClaims(
  { client, informers }: ControllerContext,
  set: StatefulSet,
  ordinal: number,
  condemned: Pod | undefined,
): Promise<void> {
  for (const { metadata } of claimsOfPod(set, ordinal)) {
    const { namespace = '', name } = metadata;
    const claim = informers.persistentVolumeClaims.get(`${namespace}/${name}`);
    if (claim === undefined || isDeleting(claim)) continue;
    const before = claim.metadata.ownerReferences ?? [];
    const owners = ownersOf(set, ordinal, condemned, before);
    if (JSON.stringify(owners) === JSON.stringify(before)) continue;
    const { resourceVersion = '' } = claim.metadata;
    const patched = await client.mergePatch(resources.persistentVolumeClaims, namespace, name, {
      metadata: { resourceVersion, ownerReferences: owners as unknown as JsonObject[] },
    });
    informers.persistentVolumeClaims.observe(patched);
  }
}

/** The set's part of the owners anew, those of others as they were. */
function ownersOf(
  set: StatefulSet,
  ordinal: number,
  condemned: Pod | undefined,
  before: readonly OwnerReference[],
): readonly OwnerReference[] {
  const { whenDeleted, whenScaled } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const podName = podNameOf(set, ordinal);
  const isOurs = ({ kind, name, uid }: OwnerReference): boolean =>
    (kind === 'StatefulSet' && uid === set.metadata.uid) || (kind === 'Pod' && name === podName);
  const others = before.filter((owner) => !isOurs(owner));
  if (whenScaled === 'Delete' && condemned !== undefined) {
    const { uid = '' } = condemned.metadata;
    return [...others, { apiVersion: 'v1', kind: 'Pod', name: podName, uid }];
  }
  if (whenDeleted !== 'Delete') return others;
  const { name, uid = '' } = set.metadata;
  return [...others, { apiVersion: 'apps/v1', kind: 'StatefulSet', name, uid }];
}

/** Whether the claim is one that a pod of the set may wait for. */
export function mayBeClaimOf(set: StatefulSet, { metadata }: PersistentVolumeClaim): boolean {
  return (set.spec.volumeClaimTemplates ?? []).some((template) =>
    metadata.name.startsWith(`${template.metadata.name}-${set.metadata.name}-`),
  );
}
