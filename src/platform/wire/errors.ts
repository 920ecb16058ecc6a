/** What a link or a stream ends with. Callers branch on `code`. */
import { SelvageError } from '#base/mod.ts';
import type { StreamFailure } from './types.ts';

/**
 * The link's own codes: `LINK_CLOSED` (the connection went away), `LINK_IDLE`,
 * `LINK_HEARTBEAT_LOST`, `LINK_PROTOCOL` (the other side broke the rules), `LINK_FAILED`
 * (an assertion of this side failed over what came from the other), `LINK_VERSION`,
 * `LINK_HANDSHAKE_TIMEOUT`, `LINK_REFUSED`, `LINK_TOO_MANY_STREAMS`,
 * `LINK_MESSAGE_TOO_LARGE`, `LINK_QUEUE_FULL`, `LINK_TIMEOUT`, `LINK_LISTENER_FAILED`.
 * A stream that its other side failed carries that side's code.
 */
export class LinkError extends SelvageError {
  override readonly name = 'LinkError';
  /** Set where an overloaded parent said when to come back. */
  readonly comeBackAfterMs: number | undefined;

  constructor(code: string, message: string, comeBackAfterMs?: number) {
    super(code, message, { retryable: code !== 'LINK_VERSION' });
    this.comeBackAfterMs = comeBackAfterMs;
  }
}

export function linkErrorOf(failure: StreamFailure): LinkError {
  return new LinkError(failure.code, failure.message);
}
