/**
 * What the server knows of followers that have seen another history than its own,
 * as after a restore: until an operator decides, it takes no changes.
 *
 * Invariants:
 * 1. It is noted on disk, so that a restart does not forget it before the follower
 *    is back; and it stands in memory even where the note cannot be written.
 * 2. It ends only by a new incarnation of the store, of an epoch above every one that a
 *    follower is known to obey.
 */
import { errorText, isJsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { type Clock, type Disk, type Logger, type Random, timestampOf } from '#platform/io/mod.ts';
import type { OwnedStore } from '#platform/store/mod.ts';
import { epochOf, type Hub, raiseEpoch } from '#roles/hub/mod.ts';
import { type AdoptionDependencies, type AdoptionSummary, runAdoption } from './adoption.ts';

const noteFile = 'divergence.json';
const noteBytesMax = 2 * 1024 * 1024;
const namesShownMax = 5;
const followersMax = 10_000;
/** A follower that claims to obey an epoch so far above this server's is not believed. */
const epochLeapMax = 1_000_000;

interface Note {
  /** The store's when it was found; one of another incarnation is settled. */
  readonly incarnation: string;
  readonly since: string;
  /** The store's when it was found. */
  readonly revision: number;
  readonly reason: string;
  /** The highest that a follower obeys. */
  readonly epoch: number;
  /** Names of nodes. */
  readonly followers: readonly string[];
}

export interface Settlement extends AdoptionSummary {
  /** Absent where it was only tried. */
  readonly incarnation?: string;
  readonly epoch?: number;
  /** Nodes that are not connected: what they hold was not looked at. */
  readonly absent: readonly string[];
}

export interface Divergence {
  /** For people: what was found and what to do; undefined while all agree. */
  words(): string | undefined;
  found(nodeName: string, reason: string, epoch: number): void;
  /**
   * Begins a new incarnation, which every follower takes whole: with `adopt` after what nodes
   * hold was taken over. Throws StatusError 409 where nodes are away that must not be.
   */
  settle(options: {
    readonly choice: 'adopt' | 'impose';
    readonly dryRun: boolean;
    readonly withoutAbsent: boolean;
  }): Promise<Settlement>;
  /** Waits for what is being written. */
  close(): Promise<void>;
}

export async function openDivergence(
  dependencies: Omit<AdoptionDependencies, 'fetchCopy'> & {
    readonly disk: Disk;
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
    readonly store: OwnedStore;
    /** Made after this. */
    readonly copies: () => Hub['copies'];
  },
): Promise<Divergence> {
  const { disk, clock, random, logger, store, copies } = dependencies;
  let note = await readNote(disk, store.incarnation);
  const followers = new Set<string>(note?.followers);
  let tail: Promise<void> = Promise.resolve();
  let isSettling = false;

  const write = (): void => {
    if (note === undefined) return;
    note = { ...note, followers: [...followers] };
    const text = `${JSON.stringify(note)}\n`;
    tail = tail
      .then(() => disk.writeFileAtomic(noteFile, utf8(text)))
      .catch((error: unknown) => {
        logger.log('error', 'the divergence of a follower could not be noted', {
          error: errorText(error),
        });
      });
  };

  /** Every node that may hold something, and which of them are not here. */
  const nodesNow = (): { readonly all: readonly string[]; readonly absent: readonly string[] } => {
    const known = store.list('nodes').map(({ key }) => key.name);
    const all = [...new Set([...known, ...followers])].toSorted();
    return { all, absent: all.filter((name) => !copies().isConnected(name)) };
  };

  const settle: Divergence['settle'] = async ({ choice, dryRun, withoutAbsent }) => {
    const { all, absent } = nodesNow();
    if (choice === 'adopt' && absent.length > 0 && !withoutAbsent && !dryRun) {
      throw new StatusError(
        'Conflict',
        `nothing was changed: ${namesShown(absent)} not connected, and what only they hold would be lost. ` +
          'Wait for them, or add --without-absent',
      );
    }
    const present = all.filter((name) => !absent.includes(name));
    const mode = dryRun ? 'try' : choice === 'adopt' ? 'adopt' : 'keep';
    const known = note?.epoch ?? 0;
    // Where all agree the revisions of all copies are the server's own.
    const partedAtRevision = note?.revision ?? store.revision;
    const run = { mode, nodeNames: present, epoch: known, partedAtRevision } as const;
    const summary = await runAdoption(
      { ...dependencies, fetchCopy: (nodeName) => copies().fetch(nodeName) },
      run,
    );
    if (dryRun) return { ...summary, absent };
    const { failed } = summary;
    if (choice === 'adopt' && failed.length > 0 && !withoutAbsent) {
      const words = failed.map(({ nodeName, why }) => `${nodeName} (${why})`);
      throw new StatusError(
        'Conflict',
        `the histories are not settled yet: the copy of ${namesShown(words)} not to be had. Try again, or add --without-absent`,
      );
    }
    const epoch = await raiseEpoch(store, random, known);
    await tail;
    await store.beginIncarnation();
    note = undefined;
    followers.clear();
    const { incarnation } = store;
    logger.log('info', 'a new incarnation has begun', { choice, incarnation, epoch });
    // What is left of the note names the incarnation before: it is settled either way.
    await disk.remove(noteFile);
    copies().sendStrangersAway();
    return { ...summary, incarnation, epoch, absent };
  };

  return {
    words() {
      if (note === undefined) return undefined;
      return (
        `the server takes no changes since ${note.since}: ${namesShown([...followers].map((name) => `node ${name}`))} on a history that this server does not have ` +
        `(${note.reason}), as after a restore. Their pods go on. Run 'selvage restore adopt' to take over what the nodes hold; or ` +
        "'selvage restore impose' to have this server's state count, which stops what only they know of; or stop this server and restore a newer backup"
      );
    },
    found(nodeName, reason, claimedEpoch) {
      const epoch = claimedEpoch > epochOf(store) + epochLeapMax ? 0 : claimedEpoch;
      const isNew = !followers.has(nodeName) && followers.size < followersMax;
      if (isNew) followers.add(nodeName);
      if (note !== undefined) {
        if (!isNew && epoch <= note.epoch) return;
        note = { ...note, epoch: Math.max(epoch, note.epoch) };
      } else {
        const { incarnation, revision } = store;
        const since = timestampOf(clock.wallMs());
        const why = `${nodeName}: ${reason}`;
        note = { incarnation, since, revision, reason: why, epoch, followers: [] };
        logger.log('error', 'a follower has another history: no changes are taken', {
          node: nodeName,
          reason,
        });
      }
      write();
    },
    async settle(options) {
      if (isSettling) throw new StatusError('Conflict', 'another decision is being carried out');
      isSettling = true;
      try {
        return await settle(options);
      } finally {
        isSettling = false;
      }
    },
    close: () => tail,
  };
}

/** `a, b and 3 more are` */
function namesShown(names: readonly string[]): string {
  const shown = names.slice(0, namesShownMax).join(', ');
  const more = names.length - namesShownMax;
  const all = more > 0 ? `${shown} and ${more} more` : shown;
  return `${all} ${names.length === 1 ? 'is' : 'are'}`;
}

async function readNote(disk: Disk, incarnation: string): Promise<Note | undefined> {
  const bytes = await disk.readFile(noteFile, noteBytesMax);
  if (bytes === undefined) return undefined;
  const note: unknown = JSON.parse(strictTextOf(bytes));
  if (!isJsonObject(note) || note['incarnation'] !== incarnation) return undefined;
  const { since, revision, reason, epoch, followers } = note;
  return {
    incarnation,
    since: typeof since === 'string' ? since : 'a restart',
    // Where it does not say so, the server's reports stay: nodes say theirs again.
    revision: typeof revision === 'number' ? revision : 0,
    reason: typeof reason === 'string' ? reason : 'not known any more',
    epoch: typeof epoch === 'number' ? epoch : 0,
    followers: Array.isArray(followers) ? followers.filter((name) => typeof name === 'string') : [],
  };
}
