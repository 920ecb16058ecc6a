/**
 * Objects in key order. Reading hands out the array itself, so that a list costs
 * nothing; the next change after that works on a copy, so that nobody sees a list
 * change under their hands. A change is a binary search and one move of memory.
 */
import { assert } from '#base/mod.ts';
import { compareKeys } from './key.ts';
import type { ObjectKey, StoredObject } from './types.ts';

export class SortedList {
  #objects: StoredObject[] = [];
  #isShared = false;

  get length(): number {
    return this.#objects.length;
  }

  /** A snapshot: it never changes. */
  read(): readonly StoredObject[] {
    this.#isShared = true;
    return this.#objects;
  }

  /** Adds the object, or takes the place of the one with the same key. */
  put(object: StoredObject): void {
    const objects = this.#own();
    const last = objects.at(-1);
    if (last === undefined || compareKeys(last.key, object.key) < 0) {
      objects.push(object);
      return;
    }
    const index = placeOf(objects, object.key);
    const found = objects[index];
    const isReplacement = found !== undefined && compareKeys(found.key, object.key) === 0;
    if (isReplacement) objects[index] = object;
    else objects.splice(index, 0, object);
  }

  remove(key: ObjectKey): void {
    const objects = this.#own();
    const index = placeOf(objects, key);
    const found = objects[index];
    assert(found !== undefined && compareKeys(found.key, key) === 0, 'the list has the key');
    objects.splice(index, 1);
  }

  #own(): StoredObject[] {
    if (this.#isShared) {
      this.#objects = this.#objects.slice();
      this.#isShared = false;
    }
    return this.#objects;
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
