/** What a client of a stream may do wrong. */
import { SelvageError } from '#base/mod.ts';

export type StreamingErrorCode =
  | 'WEBSOCKET_PROTOCOL'
  | 'WEBSOCKET_TOO_LARGE'
  | 'SPDY_PROTOCOL'
  | 'SPDY_TOO_LARGE';

export class StreamingError extends SelvageError {
  override readonly name = 'StreamingError';
  declare readonly code: StreamingErrorCode;
}
