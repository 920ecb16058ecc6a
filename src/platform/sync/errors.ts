/** Why a sync stream or a durable copy stopped. Codes are stable. */
import { SelvageError } from '#base/mod.ts';

/**
 * - `SYNC_MALFORMED`, `SYNC_OUT_OF_SEQUENCE`, `SYNC_TOO_LARGE`, `SYNC_OUTBOX_FULL`, `SYNC_CLOSED`
 * - `SYNC_NOT_KEPT`: the follower's disk did not take it; nothing of it is shown.
 * - `SYNC_INCOMPLETE`: a reconcile does not come to what it says; nothing of it was taken.
 * - `SYNC_DIVERGED`: the owner does not have the history that the follower has.
 * - `SYNC_SUPERSEDED`: the follower obeys a later epoch than the owner's.
 * - `SYNC_INCARNATION`: the owner has begun a new incarnation.
 */
export class SyncError extends SelvageError {
  override readonly name = 'SyncError';
}

export function malformed(what: string): SyncError {
  return new SyncError('SYNC_MALFORMED', `a slice message cannot be read: ${what} is wrong`);
}
