/** What can go wrong with an expression, before it runs and while it does. */
import { SelvageError } from '#base/mod.ts';

type CelErrorCode =
  /** The text is no expression, or one that can never be evaluated. */
  | 'CEL_COMPILE'
  /** This value cannot be evaluated: a missing key, a division by zero. */
  | 'CEL_EVALUATION'
  /** It would take more steps than are allowed. */
  | 'CEL_BUDGET';

export class CelError extends SelvageError {
  override readonly name = 'CelError';
  declare readonly code: CelErrorCode;
}

/** Position in the text: line and column count from one, as people count. */
export function compileError(text: string, at: number, what: string): CelError {
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  const column = at - before.lastIndexOf('\n');
  return new CelError('CEL_COMPILE', `${line}:${column}: ${what}`);
}

export function evaluationError(what: string): CelError {
  return new CelError('CEL_EVALUATION', what);
}
