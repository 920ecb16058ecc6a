/** What can go wrong on this side of the API. What the server refused is a StatusError. */
import { SelvageError } from '#base/mod.ts';

export type ClientErrorCode =
  | 'CLIENT_ANSWER_MALFORMED'
  | 'CLIENT_ANSWER_CUT'
  | 'CLIENT_LINE_TOO_LONG'
  | 'CLIENT_BUFFER_FULL';

export class ClientError extends SelvageError {
  override readonly name = 'ClientError';
  declare readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause, retryable: true });
  }
}
