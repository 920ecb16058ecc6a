/**
 * How a simulation shares the thread with its host. Real programs have no use for
 * this: their host runs microtasks by itself.
 */
export interface HostTurns {
  /** Runs `run` in a turn of its own, after whatever else the host has to do now. */
  later(run: () => void): void;
  /**
   * Runs every microtask that waits and every one that they cause, then returns.
   * Works only within a turn of `later`, outside of any microtask.
   */
  runMicrotasks(): void;
}
