/**
 * Whether links are still alive, looked at for many of them by one timer: a parent of
 * thousands of children would otherwise re-arm thousands.
 *
 * Invariant: the timer runs only while there is a link to look at.
 */
import { assert } from '#base/mod.ts';
import type { Timer, Timers } from '#platform/io/mod.ts';

interface Watched {
  checkLiveness(): void;
}

export interface LivenessWatch {
  readonly stepMs: number;
  /** Has `link` looked at in every step until `remove`. */
  add(link: Watched): void;
  remove(link: Watched): void;
}

/** Looks every `stepMs`; a third of the shortest liveness timeout of its links or less. */
export function createLivenessWatch(timers: Timers, stepMs: number): LivenessWatch {
  assert(stepMs > 0, 'time passes between two looks');
  const links = new Set<Watched>();
  let timer: Timer | undefined;
  const plan = (): void => {
    timer = timers.after(stepMs, () => {
      for (const link of links) link.checkLiveness();
      timer = undefined;
      if (links.size > 0) plan();
    });
  };
  return {
    stepMs,
    add(link) {
      links.add(link);
      if (timer === undefined) plan();
    },
    remove(link) {
      links.delete(link);
      if (links.size > 0) return;
      timer?.cancel();
      timer = undefined;
    },
  };
}
