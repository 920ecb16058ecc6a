/**
 * Asks one probe of one run, again and again.
 *
 * Invariants:
 * 1. One question at a time: the next one waits until the one before has been
 *    answered or cut off.
 * 2. After `close` nothing is told any more.
 */
import { errorText } from '#base/mod.ts';
import type { Clock, Timer, Timers } from '#platform/io/mod.ts';
import type { ActionResult } from './actions.ts';
import { probeVerdict, type ProbeSettings, type ProbeState } from './verdict.ts';

export interface ProberDependencies {
  readonly clock: Clock;
  readonly timers: Timers;
}

export interface Prober {
  readonly state: ProbeState;
  close(): void;
}

/** `ask` gets the time it may take. `onResult` is told after `state` has taken it in. */
export function startProber(
  { clock, timers }: ProberDependencies,
  settings: ProbeSettings,
  options: {
    readonly first: ProbeState;
    readonly delayMs: number;
    readonly ask: (timeoutMs: number) => Promise<ActionResult>;
    readonly onResult: (before: ProbeState, result: ActionResult) => void;
  },
): Prober {
  let state = options.first;
  let isClosed = false;
  let timer: Timer | undefined = timers.after(Math.max(0, options.delayMs), begin);

  function begin(): void {
    const begunMs = clock.monotonicMs();
    options
      .ask(settings.timeoutMs)
      .catch((error: unknown): ActionResult => ({ isSuccess: false, message: errorText(error) }))
      .then((result) => {
        if (isClosed) return;
        const before = state;
        state = probeVerdict(state, result.isSuccess, settings);
        const tookMs = clock.monotonicMs() - begunMs;
        timer = timers.after(Math.max(0, settings.periodMs - tookMs), begin);
        options.onResult(before, result);
      })
      .catch((error: unknown) => {
        // A listener that throws is a mistake of this program: not to be lost in a promise.
        timers.after(0, () => {
          throw error;
        });
      });
  }

  return {
    get state() {
      return state;
    },
    close() {
      isClosed = true;
      timer?.cancel();
      timer = undefined;
    },
  };
}
