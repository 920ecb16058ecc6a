/**
 * The one base of the errors that this program raises on purpose. Every module
 * has its own subclass in its `errors.ts`. A caller branches on `code`, which is
 * stable, and never on the text.
 */

export interface ErrorDetails {
  readonly cause?: unknown;
  /** True where the same call may succeed later with nothing else changed. */
  readonly retryable?: boolean;
}

export class SelvageError extends Error {
  override readonly name: string = 'SelvageError';
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = details.retryable ?? false;
  }
}

/** The text of anything that was thrown, for a log line or a message to people. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
