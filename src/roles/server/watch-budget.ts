/**
 * What the open watches of a server hold: how many there are, and how many objects wait
 * that were there when they began.
 *
 * Invariant: parts of the server itself are counted and never refused, so that no client
 * can keep them from watching.
 */
import { assert } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { Holder } from './authorship.ts';
import { concurrentWatchesMax, watchInitialEventsMax } from './limits.ts';

export interface WatchLimits {
  readonly openMax: number;
  readonly initialEventsMax: number;
}

export interface WatchBudget {
  /** Throws StatusError 429 where a watch with so many objects to begin with is one too many. */
  requireRoom(holder: Holder, initialEvents: number): void;
  /** Counts a watch that `requireRoom` has let pass. */
  enter(holder: Holder, initialEvents: number): void;
  /** Of those that a watch began with, so many wait no more. */
  sent(holder: Holder, initialEvents: number): void;
  leave(holder: Holder): void;
}

const limitsDefault: WatchLimits = {
  openMax: concurrentWatchesMax,
  initialEventsMax: watchInitialEventsMax,
};

export function createWatchBudget(limits: WatchLimits = limitsDefault): WatchBudget {
  const held = { open: 0, initialEvents: 0 };
  return {
    requireRoom(holder, initialEvents) {
      if (holder === undefined) return;
      const { openMax, initialEventsMax } = limits;
      if (held.open >= openMax) {
        throw tooMany(`the server has ${openMax} watches open, which is the most at one time`);
      }
      if (held.initialEvents + initialEvents > initialEventsMax) {
        throw tooMany(
          `${initialEventsMax} objects wait for watches that read too slowly, which is the most at one time`,
        );
      }
    },
    enter(_holder, initialEvents) {
      held.open += 1;
      held.initialEvents += initialEvents;
    },
    sent(_holder, initialEvents) {
      held.initialEvents -= initialEvents;
      assert(held.initialEvents >= 0, 'only what was counted is sent');
    },
    leave() {
      held.open -= 1;
      assert(held.open >= 0, 'only a watch that was counted leaves');
    },
  };
}

function tooMany(message: string): StatusError {
  return new StatusError('TooManyRequests', message, { retryAfterSeconds: 5 });
}
