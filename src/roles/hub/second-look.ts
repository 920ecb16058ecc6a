/**
 * One more look after what the store has refused, as it does for want of space or while it
 * has too much to do: the event that asked for the write does not come again.
 *
 * Invariant: one timer for all that was refused, and none once this is closed.
 */
import type { Timer, Timers } from '#platform/io/mod.ts';

const lookAgainAfterMs = 5_000;

export class SecondLook {
  readonly #timers: Timers;
  readonly #look: () => void;
  #timer: Timer | undefined;
  #isClosed = false;

  /** `look` finds what is to be done by itself, whatever was refused. */
  constructor(timers: Timers, look: () => void) {
    this.#timers = timers;
    this.#look = look;
  }

  /** True for the first refusal since the last look: one word about all of them is enough. */
  request(): boolean {
    if (this.#isClosed || this.#timer !== undefined) return false;
    this.#timer = this.#timers.after(lookAgainAfterMs, () => {
      this.#timer = undefined;
      this.#look();
    });
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }
}
