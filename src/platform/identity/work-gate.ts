/**
 * Lets a bounded number of signature checks and signings run at once. Those that
 * wait look again at the store when their turn comes, so that a thousand uses of
 * one token cost a few signatures and not a thousand.
 */
import { assert } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';

const runningMax = 8;
const waitingMax = 20_000;

export interface WorkGate {
  /** Runs `work` when there is room. Throws StatusError 429 where too many wait. */
  run<Result>(work: () => Promise<Result>): Promise<Result>;
}

export function createWorkGate(): WorkGate {
  const waiting: (() => void)[] = [];
  let running = 0;
  // The place goes from who is done to who waits longest, without being free between.
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
    assert(running >= 0, 'a place is left once');
  };
  return {
    async run(work) {
      if (waiting.length >= waitingMax) {
        throw new StatusError('TooManyRequests', 'too many machines ask for certificates', {
          retryAfterSeconds: 5,
        });
      }
      if (running < runningMax) running += 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
