/**
 * What to do about one object because of its owners, or because it is an owner
 * itself that is being deleted.
 *
 * Invariants:
 * 1. An object goes only when every one of its owners is known to be gone.
 * 2. An owner that waits for its dependents goes only when none that blocks it is left.
 */
import { type ApiObject, type OwnerReference, StatusError } from '#platform/api/mod.ts';

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

/** `waiting`: it is being deleted and waits for its dependents to go first. */
export type OwnerState = 'present' | 'waiting' | 'gone' | 'unknown';

export type GarbagePlan =
  | { readonly type: 'keep' }
  | { readonly type: 'delete'; readonly policy: 'Background' | 'Foreground' }
  | { readonly type: 'dropOwners'; readonly ownerReferences: readonly OwnerReference[] }
  /** Its dependents are to forget it; then it may go. */
  | { readonly type: 'orphanDependents' }
  /** Its dependents are to go; when none blocks, `finalizers` is what it keeps. */
  | { readonly type: 'deleteDependents' };

export function planGarbage(
  object: ApiObject,
  stateOf: (owner: OwnerReference) => OwnerState,
  hasDependents: boolean,
): GarbagePlan {
  const { deletionTimestamp, finalizers = [], ownerReferences = [] } = object.metadata;
  if (deletionTimestamp !== undefined) {
    if (finalizers.includes(orphanFinalizer)) return { type: 'orphanDependents' };
    if (finalizers.includes(foregroundFinalizer)) return { type: 'deleteDependents' };
    return { type: 'keep' };
  }
  if (ownerReferences.length === 0) return { type: 'keep' };
  const states = ownerReferences.map((owner) => ({ owner, state: stateOf(owner) }));
  const solid = states.filter(({ state }) => state === 'present' || state === 'unknown');
  const waiting = states.filter(({ state }) => state === 'waiting');
  if (solid.length > 0) {
    // Another owner holds it: only the references that no longer mean anything go.
    if (solid.length === states.length) return { type: 'keep' };
    return { type: 'dropOwners', ownerReferences: solid.map(({ owner }) => owner) };
  }
  // The owner waits for this one; this one in turn for what it owns.
  if (waiting.length > 0) {
    return { type: 'delete', policy: hasDependents ? 'Foreground' : 'Background' };
  }
  return { type: 'delete', policy: 'Background' };
}

/** Whether a dependent keeps its owner from going in a foreground deletion. */
export function blocksOwner(dependent: ApiObject, ownerUid: string): boolean {
  return (dependent.metadata.ownerReferences ?? []).some(
    (owner) => owner.uid === ownerUid && owner.blockOwnerDeletion === true,
  );
}

/**
 * Whether the answer to a question for an owner is that there is none of that name. One
 * that names nothing is about the path: its kind has just gone, or is yet to come.
 */
export function saysOwnerIsGone(answer: unknown, owner: OwnerReference): boolean {
  return (
    answer instanceof StatusError &&
    answer.reason === 'NotFound' &&
    answer.options.name === owner.name
  );
}
