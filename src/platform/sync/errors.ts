/** Why a sync stream or a durable copy stopped. Codes are stable. */
import { SelvageError } from '#base/mod.ts';

/** `SYNC_MALFORMED`, `SYNC_OUT_OF_SEQUENCE`, `SYNC_TOO_LARGE`, `SYNC_OUTBOX_FULL`, `SYNC_CLOSED`. */
export class SyncError extends SelvageError {
  override readonly name = 'SyncError';
}
