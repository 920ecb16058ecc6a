/**
 * What the server knows of followers that have seen another history than its own,
 * as after a restore: until an operator decides, it takes no changes.
 *
 * Invariants:
 * 1. It is noted on disk, so that a restart does not forget it before the follower
 *    is back; and it stands in memory even where the note cannot be written.
 * 2. It ends only by a new incarnation of the store.
 */
import { errorText, isJsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import { type Clock, type Disk, type Logger, type Random, timestampOf } from '#platform/io/mod.ts';
import type { OwnedStore } from '#platform/store/mod.ts';
import { raiseEpoch } from '#roles/hub/mod.ts';

const noteFile = 'divergence.json';
const noteBytesMax = 64 * 1024;
const namesShownMax = 5;
const followersMax = 10_000;

interface Note {
  /** The store's when it was found; one of another incarnation is settled. */
  readonly incarnation: string;
  readonly since: string;
  readonly follower: string;
  readonly reason: string;
  /** The highest that a follower obeys. */
  readonly epoch: number;
}

export interface Divergence {
  /** For people: what was found and what to do; undefined while all agree. */
  words(): string | undefined;
  found(follower: string, reason: string, epoch: number): void;
  /** This store counts: begins a new incarnation, which every follower takes whole. */
  impose(): Promise<{ readonly incarnation: string }>;
  /** Waits for what is being written. */
  close(): Promise<void>;
}

export async function openDivergence(dependencies: {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly store: OwnedStore;
}): Promise<Divergence> {
  const { disk, clock, random, logger, store } = dependencies;
  let note = await readNote(disk, store.incarnation);
  const followers = new Set<string>(note === undefined ? [] : [note.follower]);
  let tail: Promise<void> = Promise.resolve();

  const write = (written: Note): void => {
    tail = tail
      .then(() => disk.writeFileAtomic(noteFile, utf8(`${JSON.stringify(written)}\n`)))
      .catch((error: unknown) => {
        logger.log('error', 'the divergence of a follower could not be noted', {
          error: errorText(error),
        });
      });
  };

  return {
    words() {
      if (note === undefined) return undefined;
      const shown = [...followers].slice(0, namesShownMax).join(', ');
      const more =
        followers.size > namesShownMax ? ` and ${followers.size - namesShownMax} more` : '';
      return (
        `the server takes no changes since ${note.since}: ${shown}${more} followed a history that this server does not have ` +
        `(${note.reason}), as after a restore. Their pods go on. Run 'selvage restore impose' to have this server's ` +
        'state count, which stops what only they know of; or stop this server and restore a newer backup'
      );
    },
    found(follower, reason, epoch) {
      if (followers.size < followersMax) followers.add(follower);
      if (note !== undefined) {
        if (epoch > note.epoch) write((note = { ...note, epoch }));
        return;
      }
      const { incarnation } = store;
      note = { incarnation, since: timestampOf(clock.wallMs()), follower, reason, epoch };
      logger.log('error', 'a follower has another history: no changes are taken', {
        follower,
        reason,
      });
      write(note);
    },
    async impose() {
      await tail;
      await raiseEpoch(store, random, note?.epoch ?? 0);
      await store.beginIncarnation();
      note = undefined;
      followers.clear();
      const { incarnation } = store;
      logger.log('info', 'a new incarnation was imposed', { incarnation });
      // What is left of the note names the incarnation before: it is settled either way.
      await disk.remove(noteFile);
      return { incarnation };
    },
    close: () => tail,
  };
}

async function readNote(disk: Disk, incarnation: string): Promise<Note | undefined> {
  const bytes = await disk.readFile(noteFile, noteBytesMax);
  if (bytes === undefined) return undefined;
  const note: unknown = JSON.parse(strictTextOf(bytes));
  if (!isJsonObject(note) || note['incarnation'] !== incarnation) return undefined;
  return { epoch: 0, ...note } as unknown as Note;
}
