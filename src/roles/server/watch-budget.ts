/**
 * What the open watches of a server hold: how many there are, and how many objects wait
 * that were there when they began.
 *
 * Invariants:
 * 1. No user holds more than a share of it, so that none can keep the others from watching.
 * 2. Parts of the server itself are counted in the whole and never refused.
 */
import { assert } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { Holder } from './authorship.ts';
import {
  concurrentWatchesMax,
  concurrentWatchesOfUserMax,
  watchInitialEventsMax,
  watchInitialEventsOfUserMax,
} from './limits.ts';

export interface WatchLimits {
  readonly openMax: number;
  readonly openOfUserMax: number;
  readonly initialEventsMax: number;
  readonly initialEventsOfUserMax: number;
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

interface Held {
  open: number;
  initialEvents: number;
}

const limitsDefault: WatchLimits = {
  openMax: concurrentWatchesMax,
  openOfUserMax: concurrentWatchesOfUserMax,
  initialEventsMax: watchInitialEventsMax,
  initialEventsOfUserMax: watchInitialEventsOfUserMax,
};

const nothing: Readonly<Held> = { open: 0, initialEvents: 0 };

export function createWatchBudget(limits: WatchLimits = limitsDefault): WatchBudget {
  const all: Held = { ...nothing };
  /** Only of those who hold something. */
  const byUser = new Map<string, Held>();

  function add(holder: Holder, open: number, initialEvents: number): void {
    addTo(all, open, initialEvents);
    if (holder === undefined) return;
    const own = byUser.get(holder) ?? { ...nothing };
    addTo(own, open, initialEvents);
    if (own.open === 0 && own.initialEvents === 0) byUser.delete(holder);
    else byUser.set(holder, own);
  }

  return {
    requireRoom(holder, initialEvents) {
      if (holder === undefined) return;
      const { openMax, openOfUserMax, initialEventsMax, initialEventsOfUserMax } = limits;
      const own = byUser.get(holder) ?? nothing;
      const user = `the user ${JSON.stringify(holder)}`;
      if (own.open >= openOfUserMax) {
        throw tooMany(`${user} has ${openOfUserMax} watches open, which is the most for one user`);
      }
      if (all.open >= openMax) {
        throw tooMany(`the server has ${openMax} watches open, which is the most at one time`);
      }
      if (own.initialEvents + initialEvents > initialEventsOfUserMax) {
        throw tooMany(
          `more than ${initialEventsOfUserMax} objects would wait for watches of ${user} that read too slowly, which is the most for one user`,
        );
      }
      if (all.initialEvents + initialEvents > initialEventsMax) {
        throw tooMany(
          `more than ${initialEventsMax} objects would wait for watches that read too slowly, which is the most at one time`,
        );
      }
    },
    enter: (holder, initialEvents) => add(holder, 1, initialEvents),
    sent: (holder, initialEvents) => add(holder, 0, -initialEvents),
    leave: (holder) => add(holder, -1, 0),
  };
}

function addTo(held: Held, open: number, initialEvents: number): void {
  held.open += open;
  held.initialEvents += initialEvents;
  assert(held.open >= 0 && held.initialEvents >= 0, 'only what was counted is given back');
}

function tooMany(message: string): StatusError {
  return new StatusError('TooManyRequests', message, { retryAfterSeconds: 5 });
}
