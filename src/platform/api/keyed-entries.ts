/**
 * The elements of a list of objects while a strategic patch is merged into it.
 *
 * A patch knows an element by one field, the merge key. Where the list has more keys,
 * several elements may share it: the ports 53/UDP and 53/TCP of a service.
 *
 * Invariants:
 * 1. What the patch does not name stays, whoever shares its merge key.
 * 2. What one patch says with different keys is of different elements.
 * 3. A look-up takes the same time however many elements there are.
 */
import type { Json, JsonObject } from '#base/mod.ts';

/** One element of a merged list. */
export interface Entry {
  /** What the patch knows it by, as text. */
  readonly identity: string;
  /** Where the original has it; -1: nowhere. */
  readonly place: number;
  item: Json;
}

export class KeyedEntries {
  /** All keys of the list, the merge key among them. */
  readonly #keys: readonly string[];
  readonly #entries = new Set<Entry>();
  /** By the merge key, and by all keys together. */
  readonly #sharers = new Map<string, Set<Entry>>();
  readonly #exact = new Map<string, Set<Entry>>();
  readonly #patched = new Set<Entry>();

  constructor(keys: readonly string[]) {
    this.#keys = keys;
  }

  /** In the order of the original; what the patch added comes after. */
  all(): Entry[] {
    return [...this.#entries];
  }

  /** An element of the original. */
  keep(identity: string, place: number, item: JsonObject): void {
    this.#add({ identity, place, item });
  }

  /**
   * The element that an item of the patch is about: the one with all its keys. Where there
   * is none it has changed a key of the first that shares the merge key, unless that was
   * another item's: then it is new, and undefined comes back.
   */
  find(identity: string, item: JsonObject): Entry | undefined {
    const first = firstOf(this.#sharers.get(identity));
    const keysText = this.#keysText(item);
    if (keysText === undefined) return first;
    const exact = firstOf(this.#exact.get(keysText));
    if (exact !== undefined) return exact;
    return first !== undefined && this.#patched.has(first) ? undefined : first;
  }

  /** What became of an element that was found; a new one where `found` is undefined. */
  patch(found: Entry | undefined, identity: string, item: JsonObject): void {
    const entry = found ?? { identity, place: -1, item };
    if (found !== undefined) {
      const before = this.#keysText(found.item as JsonObject);
      if (before !== undefined) this.#exact.get(before)?.delete(found);
    }
    entry.item = item;
    this.#add(entry);
    this.#patched.add(entry);
  }

  /** All with the keys that the item names: with the merge key alone, whoever shares it. */
  remove(identity: string, item: JsonObject): void {
    const keysText = this.#keysText(item);
    const gone = keysText === undefined ? this.#sharers.get(identity) : this.#exact.get(keysText);
    for (const entry of [...(gone ?? [])]) {
      const itsKeysText = this.#keysText(entry.item as JsonObject);
      this.#entries.delete(entry);
      this.#sharers.get(identity)?.delete(entry);
      if (itsKeysText !== undefined) this.#exact.get(itsKeysText)?.delete(entry);
    }
  }

  #add(entry: Entry): void {
    this.#entries.add(entry);
    addTo(this.#sharers, entry.identity, entry);
    const keysText = this.#keysText(entry.item as JsonObject);
    if (keysText !== undefined) addTo(this.#exact, keysText, entry);
  }

  /** Undefined where the item leaves a key out. */
  #keysText(item: JsonObject): string | undefined {
    const values: Json[] = [];
    for (const key of this.#keys) {
      const value = Object.hasOwn(item, key) ? item[key] : undefined;
      if (value === undefined || value === null) return undefined;
      values.push(value);
    }
    return JSON.stringify(values);
  }
}

function addTo(index: Map<string, Set<Entry>>, text: string, entry: Entry): void {
  const entries = index.get(text);
  if (entries === undefined) index.set(text, new Set([entry]));
  else entries.add(entry);
}

function firstOf(entries: ReadonlySet<Entry> | undefined): Entry | undefined {
  return entries?.values().next().value;
}
