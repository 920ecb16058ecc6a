/**
 * Objects in key order, in chunks, so that a change moves little memory however
 * long the list is. Reading joins the chunks once and hands out that array until
 * the next change, so that a list costs nothing while nothing changes.
 *
 * Invariants:
 * 1. No chunk is empty; the keys rise within a chunk and from one to the next.
 * 2. What was read never changes.
 */
import { assert } from '#base/mod.ts';
import { compareKeys } from './key.ts';
import type { ObjectKey, StoredObject } from './types.ts';

/** A chunk that has grown to this is cut in two. */
const chunkObjectsMax = 512;

export class SortedList {
  readonly #chunks: StoredObject[][] = [];
  #length = 0;
  #joined: readonly StoredObject[] | undefined;

  get length(): number {
    return this.#length;
  }

  /** A snapshot: it never changes. */
  read(): readonly StoredObject[] {
    this.#joined ??= this.#chunks.flat();
    return this.#joined;
  }

  /** Adds the object, or takes the place of the one with the same key. */
  put(object: StoredObject): void {
    this.#joined = undefined;
    const at = this.#chunkOf(object.key);
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([object]);
      this.#length += 1;
      return;
    }
    const index = placeOf(chunk, object.key);
    const found = chunk[index];
    if (found !== undefined && compareKeys(found.key, object.key) === 0) {
      chunk[index] = object;
      return;
    }
    if (index === chunk.length) chunk.push(object);
    else chunk.splice(index, 0, object);
    this.#length += 1;
    if (chunk.length >= chunkObjectsMax) {
      this.#chunks.splice(at + 1, 0, chunk.splice(chunkObjectsMax / 2));
    }
  }

  remove(key: ObjectKey): void {
    this.#joined = undefined;
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at];
    assert(chunk !== undefined, 'the list has the key');
    const index = placeOf(chunk, key);
    const found = chunk[index];
    assert(found !== undefined && compareKeys(found.key, key) === 0, 'the list has the key');
    chunk.splice(index, 1);
    this.#length -= 1;
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** The last chunk that does not begin behind the key, or the first one. */
  #chunkOf(key: ObjectKey): number {
    let low = 0;
    let high = this.#chunks.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      const first = this.#chunks[middle]?.[0];
      assert(first !== undefined, 'a chunk is not empty');
      if (compareKeys(first.key, key) <= 0) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** Of the key, or of the first object behind where it would be. */
function placeOf(objects: readonly StoredObject[], key: ObjectKey): number {
  let low = 0;
  let high = objects.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const object = objects[middle];
    assert(object !== undefined, 'the place is inside the list');
    if (compareKeys(object.key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
