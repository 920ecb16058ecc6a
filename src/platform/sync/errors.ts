/** Why a sync stream or a durable copy stopped. Codes are stable. */
import { SelvageError } from '#base/mod.ts';

/** `SYNC_MALFORMED`, `SYNC_OUT_OF_SEQUENCE`, `SYNC_TOO_LARGE`, `SYNC_OUTBOX_FULL`, `SYNC_CLOSED`,
 * `SYNC_DIVERGED` (the owner does not have the history that the follower has),
 * `SYNC_INCARNATION` (the owner has begun a new incarnation). */
export class SyncError extends SelvageError {
  override readonly name = 'SyncError';
}
