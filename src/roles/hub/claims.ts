/**
 * Where the data of claims is, and which claims a pod needs before it can be placed.
 *
 * A claim gets its node in the transaction that places its first pod, and keeps it: all
 * pods that use it later run there. Pure functions of a view.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import type { ClaimAssignment } from '#platform/api/mod.ts';
import type { Change, StoredObject, StoreView } from '#platform/store/mod.ts';
import {
  claimsResource,
  isBeingDeleted,
  nodeKey,
  nodeNameOf,
  podsByNode,
  putFacet,
  readFacet,
} from './stored-facets.ts';
import { isFinished } from './scheduler-input.ts';

const classesResource = 'storageclasses.storage.k8s.io';

/** What its claims mean for the place of a pod. */
export type ClaimsOfPod =
  | { readonly type: 'wait'; readonly message: string }
  | {
      readonly type: 'ready';
      /** Where the data is; undefined: on whichever node the pod is placed. */
      readonly nodeName: string | undefined;
      readonly claims: readonly StoredObject[];
    };

/** What earlier pods of the same transaction have decided and the view does not show yet. */
export interface ClaimsTaken {
  /** By uid of the claim. */
  readonly nodes: Map<string, string>;
  /** Claims for one pod only that have got theirs, by uid. */
  readonly single: Set<string>;
}

const nothing: ClaimsOfPod = { type: 'ready', nodeName: undefined, claims: [] };

export function claimsOfPod(view: StoreView, pod: StoredObject, taken?: ClaimsTaken): ClaimsOfPod {
  const names = claimNamesOf(pod);
  if (names.length === 0) return nothing;
  const claims: StoredObject[] = [];
  let place: { readonly claim: string; readonly nodeName: string } | undefined;
  for (const name of names) {
    const claim = view.get({ resource: claimsResource, namespace: pod.key.namespace, name });
    const shown = JSON.stringify(name);
    if (claim === undefined) return waits(`persistentvolumeclaim ${shown} not found`);
    if (isBeingDeleted(claim)) return waits(`persistentvolumeclaim ${shown} is being deleted`);
    claims.push(claim);
    const nodeName = taken?.nodes.get(claim.uid) ?? nodeNameOf(claim);
    const reason =
      nodeName === undefined ? whyNotMade(view, claim) : whyNotUsable(view, pod, claim, nodeName);
    if (reason !== undefined) return waits(reason);
    if (taken?.single.has(claim.uid) === true) return waits(inUse(claim));
    if (nodeName === undefined) continue;
    if (place !== undefined && place.nodeName !== nodeName) {
      return waits(
        `the data of persistentvolumeclaim ${JSON.stringify(place.claim)} is on node ${place.nodeName}, that of ${shown} on node ${nodeName}: no pod can have both`,
      );
    }
    place = { claim: name, nodeName };
  }
  return { type: 'ready', nodeName: place?.nodeName, claims };
}

/** Gives the claims that have none the node of their pod, and notes it in `taken`. */
export function bindClaims(
  claims: readonly StoredObject[],
  nodeName: string,
  taken: ClaimsTaken,
): readonly Change[] {
  const changes: Change[] = [];
  for (const claim of claims) {
    if (isForOnePod(claim)) taken.single.add(claim.uid);
    if (nodeNameOf(claim) !== undefined || taken.nodes.has(claim.uid)) continue;
    taken.nodes.set(claim.uid, nodeName);
    const assignment: ClaimAssignment = { nodeName };
    changes.push(putFacet(claim, 'assignment', assignment));
  }
  return changes;
}

function waits(message: string): ClaimsOfPod {
  return { type: 'wait', message };
}

function whyNotMade(view: StoreView, claim: StoredObject): string | undefined {
  const name = specOf(claim)['storageClassName'];
  if (typeof name !== 'string') return undefined;
  const storageClass = view.get({ resource: classesResource, namespace: '', name });
  return storageClass === undefined
    ? `persistentvolumeclaim ${JSON.stringify(claim.key.name)} is of storageclass.storage.k8s.io ${JSON.stringify(name)}, which is not found`
    : undefined;
}

function whyNotUsable(
  view: StoreView,
  pod: StoredObject,
  claim: StoredObject,
  nodeName: string,
): string | undefined {
  const shown = JSON.stringify(claim.key.name);
  if (view.get(nodeKey(nodeName)) === undefined) {
    return `the data of persistentvolumeclaim ${shown} is on node ${nodeName}, which is gone: delete the claim to begin without it`;
  }
  if (!isForOnePod(claim)) return undefined;
  const isTaken = view
    .lookup(podsByNode, nodeName)
    .some(
      (other) =>
        other.uid !== pod.uid &&
        other.key.namespace === claim.key.namespace &&
        !isFinished(other) &&
        claimNamesOf(other).includes(claim.key.name),
    );
  return isTaken ? inUse(claim) : undefined;
}

function inUse({ key }: StoredObject): string {
  return `persistentvolumeclaim ${JSON.stringify(key.name)} is ReadWriteOncePod, and another pod uses it`;
}

function isForOnePod(claim: StoredObject): boolean {
  const modes = specOf(claim)['accessModes'];
  return Array.isArray(modes) && modes.includes('ReadWriteOncePod');
}

/** Each once. */
function claimNamesOf(pod: StoredObject): readonly string[] {
  const { volumes } = specOf(pod);
  if (!Array.isArray(volumes)) return [];
  const names = volumes.flatMap((volume) => {
    const source = isJsonObject(volume) ? volume['persistentVolumeClaim'] : undefined;
    const name = isJsonObject(source) ? source['claimName'] : undefined;
    return typeof name === 'string' ? [name] : [];
  });
  return [...new Set(names)];
}

function specOf(object: StoredObject): JsonObject {
  const spec = readFacet(object, 'intent')?.['spec'];
  return isJsonObject(spec) ? spec : {};
}
