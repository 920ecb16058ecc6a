/** What the identity of the fleet or of a node can fail with. Codes are stable. */
import { SelvageError } from '#base/mod.ts';

export type IdentityErrorCode =
  /** What is on disk is not an authority that this program wrote. */
  | 'IDENTITY_AUTHORITY_BROKEN'
  /** The authority's own certificate has ended: nothing can be issued any more. */
  | 'IDENTITY_AUTHORITY_EXPIRED'
  /** A certificate request for the name of a part of the system. */
  | 'IDENTITY_NAME_RESERVED'
  /** A text that is no join token at all. */
  | 'IDENTITY_TOKEN_FORM';

export class IdentityError extends SelvageError {
  override readonly name = 'IdentityError';
  declare readonly code: IdentityErrorCode;
}
