/**
 * Lists that are read in pieces. The store keeps only the present, so the rest of
 * a list is held here as of the revision of its first piece.
 *
 * Invariants:
 * 1. All pieces of one list are of one revision; a list that is no longer held is
 *    answered with 410, never continued from another revision.
 * 2. At most `listSessionsMax` are held, none beyond `listSessionAgeMaxMs`.
 */
import { StatusError } from '#platform/api/mod.ts';
import type { Clock, Random } from '#platform/io/mod.ts';
import { listSessionAgeMaxMs, listSessionsMax } from './limits.ts';
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
  keep(session: ListSession, nextIndex: number, continued: string | undefined): string;
  /** Throws 410 Expired where the session is not held any more, 400 where the text is none. */
  resume(
    text: string,
    fingerprint: string,
  ): { readonly session: ListSession; readonly index: number };
  forget(text: string): void;
}

export function createListSessions(clock: Clock, random: Random): ListSessions {
  const held = new Map<string, { readonly session: ListSession; readonly begunMs: number }>();

  function dropOld(): void {
    const nowMs = clock.monotonicMs();
    for (const [id, { begunMs }] of held) {
      if (nowMs - begunMs <= listSessionAgeMaxMs && held.size <= listSessionsMax) return;
      held.delete(id);
    }
  }

  return {
    keep(session, nextIndex, continued) {
      const known = continued === undefined ? undefined : parse(continued).id;
      if (known !== undefined && held.has(known)) return `${known}.${nextIndex}`;
      const id = random.uuid();
      held.set(id, { session, begunMs: clock.monotonicMs() });
      dropOld();
      return `${id}.${nextIndex}`;
    },
    resume(text, fingerprint) {
      dropOld();
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
