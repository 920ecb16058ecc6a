/**
 * What a copy holds at one moment: objects, their digests, the place in the owner's
 * history, and the epoch of the owner that it obeys. Nothing here touches a disk.
 *
 * Invariant: `digests` is always that of `objects`.
 */
import { assert, type Uid } from '#base/mod.ts';
import { type Cursor, keyText, type StoredObject } from '#platform/store/mod.ts';
import { DigestTree } from './digest-tree.ts';
import {
  type SliceBatch,
  type SliceChange,
  type SliceProgress,
  unnumbered,
} from './slice-messages.ts';
import type { ReplicaChange } from './types.ts';

export class ReplicaState {
  #objects = new Map<string, StoredObject>();
  #digests = new DigestTree();
  #cursor: Cursor | undefined;
  #epoch = 0;

  get cursor(): Cursor | undefined {
    return this.#cursor;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get digests(): DigestTree {
    return this.#digests;
  }

  get(text: string): StoredObject | undefined {
    return this.#objects.get(text);
  }

  objects(): Iterable<StoredObject> {
    return this.#objects.values();
  }

  /** Another one with the same in it. */
  copy(): ReplicaState {
    const copy = new ReplicaState();
    copy.#objects = new Map(this.#objects);
    copy.#digests = DigestTree.of(this.#objects.values());
    copy.#cursor = this.#cursor;
    copy.#epoch = this.#epoch;
    return copy;
  }

  /**
   * A change of an object that is not here, which means that the two sides differ;
   * undefined where the batch can be applied.
   */
  foreignIn(parts: readonly SliceBatch[]): string | undefined {
    const isReset = parts[0]?.isReset === true;
    const uids = new Map<string, Uid | undefined>();
    for (const change of parts.flatMap((part) => part.changes)) {
      const text = keyText(change.type === 'put' ? change.object.key : change.key);
      const uid = change.type === 'put' ? change.object.uid : change.uid;
      const held = uids.has(text) || isReset ? uids.get(text) : this.#objects.get(text)?.uid;
      if (change.type === 'put' && change.extent === 'changed' && held !== uid) return text;
      if (change.type === 'put') uids.set(text, uid);
      else if (held === uid) uids.set(text, undefined);
    }
    return undefined;
  }

  move({ epoch, sequence, chainHash }: SliceProgress): void {
    assert(this.#cursor !== undefined, 'only a copy that has a place moves on from it');
    const { incarnation } = this.#cursor;
    this.#cursor = { incarnation, sequence: sequence as Cursor['sequence'], chainHash };
    this.#epoch = Math.max(this.#epoch, epoch);
  }

  /** Takes a whole batch; answers what is different now. */
  apply(parts: readonly SliceBatch[]): ReplicaChange[] {
    const last = parts.at(-1);
    assert(last !== undefined, 'a batch has a message');
    const before = this.#objects;
    const isReset = parts[0]?.isReset === true;
    if (isReset) {
      this.#objects = new Map();
      this.#digests = new DigestTree();
    }
    // Revisions of another incarnation say nothing about those of this one.
    const isOther = this.#cursor !== undefined && this.#cursor.incarnation !== last.incarnation;
    const changes: ReplicaChange[] = [];
    for (const part of parts) {
      for (const change of part.changes) this.#applyOne(change, before, isOther, changes);
    }
    if (isReset) {
      for (const [text, object] of before) {
        if (this.#objects.get(text)?.uid !== object.uid) changes.push({ type: 'leave', object });
      }
    }
    const { incarnation, chainHash, epoch } = last;
    this.#cursor = { incarnation, sequence: last.sequence as Cursor['sequence'], chainHash };
    this.#epoch = Math.max(this.#epoch, epoch);
    return changes;
  }

  #applyOne(
    change: SliceChange,
    before: ReadonlyMap<string, StoredObject>,
    isOther: boolean,
    changes: ReplicaChange[],
  ): void {
    if (change.type !== 'put') {
      const text = keyText(change.key);
      const object = this.#objects.get(text);
      // The uid decides: a younger object of the same name stays.
      if (object === undefined || object.uid !== change.uid) return;
      this.#objects.delete(text);
      this.#digests.remove(object.key);
      changes.push({ type: change.type, object });
      return;
    }
    const { object: sent, extent } = change;
    const text = keyText(sent.key);
    const present = before.get(text);
    let object = sent;
    if (extent === 'changed') {
      const held = this.#objects.get(text);
      assert(held?.uid === sent.uid, 'a change of an object that is held here');
      object = { ...sent, facets: { ...held.facets, ...sent.facets } };
    }
    this.#objects.set(text, object);
    this.#digests.put(object);
    const isSame = !isOther && present?.uid === object.uid && present.revision === object.revision;
    if (!isSame) changes.push({ type: 'put', object });
  }
}

/** Whether this part begins a batch, after those of one that was perhaps never finished. */
export function beginsBatch(message: SliceBatch, parts: readonly SliceBatch[]): boolean {
  if (message.part !== unnumbered) return message.part === 0;
  return message.isReset || parts[0]?.sequence !== message.sequence;
}
