/**
 * Who is told of transactions: all that watch, or only those whose resource one touches.
 *
 * Invariants:
 * 1. A watch is told of each transaction once, in order, and of none that was there
 *    before it began.
 * 2. A watch that is closed is told nothing more, also within the same transaction.
 */
import type { Revision } from '#base/mod.ts';
import type { CommittedBatch, Watch } from './types.ts';

type Listener = (batch: CommittedBatch) => void;

interface Watching {
  /** The newest transaction that it was told of, or needs not be told of. */
  at: Revision;
  readonly listener: Listener;
}

const nobody: ReadonlySet<Watching> = new Set();

export class Watches {
  readonly #ofAll = new Set<Watching>();
  readonly #byResource = new Map<string, Set<Watching>>();

  /** Tells of `retained` at once; what comes after `head` is told as it commits. */
  begin(
    retained: readonly CommittedBatch[],
    head: Revision,
    listener: Listener,
    resource: string | undefined,
  ): Watch {
    const group = resource === undefined ? this.#ofAll : this.#groupOf(resource);
    const watching: Watching = { at: 0 as Revision, listener };
    group.add(watching);
    const close = (): void => {
      group.delete(watching);
      if (resource !== undefined && group.size === 0 && this.#byResource.get(resource) === group) {
        this.#byResource.delete(resource);
      }
    };
    try {
      for (const batch of retained) {
        if (!group.has(watching)) break;
        watching.at = batch.revision;
        listener(batch);
      }
    } catch (error) {
      close();
      throw error;
    }
    watching.at = head;
    return { close };
  }

  tell(batch: CommittedBatch): void {
    tellGroup(this.#ofAll, batch);
    if (this.#byResource.size === 0) return;
    let before: string | undefined;
    for (const { object } of batch.events) {
      const { resource } = object.key;
      // A group that was told already is passed over by what each watch was told.
      if (resource === before) continue;
      before = resource;
      tellGroup(this.#byResource.get(resource) ?? nobody, batch);
    }
  }

  clear(): void {
    this.#ofAll.clear();
    this.#byResource.clear();
  }

  #groupOf(resource: string): Set<Watching> {
    let group = this.#byResource.get(resource);
    if (group === undefined) {
      group = new Set();
      this.#byResource.set(resource, group);
    }
    return group;
  }
}

function tellGroup(group: ReadonlySet<Watching>, batch: CommittedBatch): void {
  for (const watching of group) {
    if (watching.at >= batch.revision) continue;
    watching.at = batch.revision;
    watching.listener(batch);
  }
}
