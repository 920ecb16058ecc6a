/** Waiting longer after every failure in a row. */

export interface BackOffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
}

export const restartBackOff: BackOffOptions = { firstMs: 10_000, maxMs: 5 * 60_000 };
export const pullBackOff: BackOffOptions = { firstMs: 10_000, maxMs: 5 * 60_000 };
/** A container that ran this long has nothing more to do with earlier failures. */
export const restartForgivenAfterMs = 10 * 60_000;

/** Before attempt number `failuresInRow` + 1, from 1 on. */
export function backOffDelayMs(options: BackOffOptions, failuresInRow: number): number {
  return Math.min(options.maxMs, options.firstMs * 2 ** Math.min(failuresInRow - 1, 30));
}
