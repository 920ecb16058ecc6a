/**
 * Lists that are read in pieces. The store keeps only the present, so the rest of
 * a list is held here as of the revision of its first piece.
 *
 * Invariants:
 * 1. All pieces of one list are of one revision; a list that is no longer held is
 *    answered with 410, never continued from another revision.
 * 2. At most `listSessionsMax` are held, none beyond `listSessionAgeMaxMs`, and of one user
 *    at most `listSessionsOfUserMax`: who begins one too many loses the oldest of their own.
 * 3. Where all together are too many, the oldest of the user who holds most is let go.
 * Nobody is refused for it: most lists that are begun in pieces are never read to their
 * end, so that a client who asks for one piece again and again must not wait for the old
 * ones to expire. Parts of the server itself have no share and lose none to others.
 */
import { StatusError } from '#platform/api/mod.ts';
import type { Clock, Random } from '#platform/io/mod.ts';
import type { Holder } from './authorship.ts';
import { listSessionAgeMaxMs, listSessionsMax, listSessionsOfUserMax } from './limits.ts';
import type { ServedObject } from './served-objects.ts';

export interface ListSession {
  /** The request that began the list; a piece must ask for the same. */
  readonly fingerprint: string;
  readonly resourceVersion: string;
  /** All of the list. Each is folded when its turn comes. */
  readonly items: readonly (() => ServedObject)[];
}

export interface ListSessions {
  /** The text for `metadata.continue`. */
  keep(
    holder: Holder,
    session: ListSession,
    nextIndex: number,
    continued: string | undefined,
  ): string;
  /** Throws 410 Expired where the session is not held any more, 400 where the text is none. */
  resume(
    text: string,
    fingerprint: string,
  ): { readonly session: ListSession; readonly index: number };
  forget(text: string): void;
}

interface Held {
  readonly holder: Holder;
  readonly session: ListSession;
  readonly begunMs: number;
}

export function createListSessions(clock: Clock, random: Random): ListSessions {
  /** The oldest first. */
  const held = new Map<string, Held>();

  function dropExpired(): void {
    const nowMs = clock.monotonicMs();
    for (const [id, { begunMs }] of held) {
      if (nowMs - begunMs <= listSessionAgeMaxMs) return;
      held.delete(id);
    }
  }

  /** After one of the holder's was added. */
  function dropBeyond(holder: Holder): void {
    if (holder !== undefined && countOf(holder) > listSessionsOfUserMax) dropOldestOf(holder);
    if (held.size > listSessionsMax) dropOldestOf(holderOfMost());
  }

  function countOf(holder: Holder): number {
    let count = 0;
    for (const one of held.values()) if (one.holder === holder) count += 1;
    return count;
  }

  function dropOldestOf(holder: Holder): void {
    for (const [id, one] of held) {
      if (one.holder !== holder) continue;
      held.delete(id);
      return;
    }
  }

  /** Of several the one with the oldest; undefined where only parts of the server hold any. */
  function holderOfMost(): Holder {
    let most: Holder;
    let mostCount = 0;
    const holders = new Set([...held.values()].map(({ holder }) => holder));
    for (const holder of holders) {
      if (holder === undefined) continue;
      const count = countOf(holder);
      if (count > mostCount) [most, mostCount] = [holder, count];
    }
    return most;
  }

  return {
    keep(holder, session, nextIndex, continued) {
      const known = continued === undefined ? undefined : parse(continued).id;
      if (known !== undefined && held.has(known)) return `${known}.${nextIndex}`;
      const id = random.uuid();
      dropExpired();
      held.set(id, { holder, session, begunMs: clock.monotonicMs() });
      dropBeyond(holder);
      return `${id}.${nextIndex}`;
    },
    resume(text, fingerprint) {
      dropExpired();
      const { id, index } = parse(text);
      const found = held.get(id);
      if (found === undefined) {
        throw new StatusError(
          'Expired',
          'The provided continue parameter is too old: the list it belongs to is no longer held. ' +
            'Start the list again without the continue parameter.',
        );
      }
      if (found.session.fingerprint !== fingerprint || index > found.session.items.length) {
        throw new StatusError(
          'BadRequest',
          'the continue parameter belongs to a list with another address or other selectors',
        );
      }
      return { session: found.session, index };
    },
    forget(text) {
      held.delete(parse(text).id);
    },
  };
}

function parse(text: string): { readonly id: string; readonly index: number } {
  const match = /^([0-9a-f-]{36})\.(\d{1,9})$/.exec(text);
  if (match === null) throw new StatusError('BadRequest', 'the continue parameter is malformed');
  return { id: match[1] ?? '', index: Number(match[2]) };
}
