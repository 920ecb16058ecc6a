/**
 * What one follower has of its slice, and what it is to have.
 *
 * Invariants:
 * 1. `held` is what the follower has once everything that was collected has reached it.
 * 2. An object that members bring with them is in the slice exactly as long as a
 *    member names it: it enters whole, also when it comes into being later, and leaves
 *    with the last one that names it.
 * 3. What waits is one entry an object, however often it changed: no more than the
 *    follower holds and is to hold.
 */
import type { Revision } from '#base/mod.ts';
import {
  type Facet,
  type FacetValue,
  keyText,
  type ObjectEvent,
  type ObjectKey,
  type Store,
  type StoredObject,
} from '#platform/store/mod.ts';
import type { SliceChange } from './slice-messages.ts';
import type { SliceRules } from './types.ts';

/** Objects by the text of their key. */
export type Contents = ReadonlyMap<string, StoredObject>;

const noKeys: ReadonlyMap<string, ObjectKey> = new Map();

export class SliceContents {
  readonly #store: Store;
  readonly #rules: SliceRules;
  readonly #slice: string;
  readonly #onReferenced: (text: string, isReferenced: boolean) => void;
  #held = new Map<string, StoredObject>();
  /** What has changed since it was collected; undefined for what is no more. */
  #changed = new Map<string, StoredObject | undefined>();
  /** What each member that names others names. */
  readonly #namedBy = new Map<string, ReadonlyMap<string, ObjectKey>>();
  readonly #namedCounts = new Map<string, number>();

  /** `onReferenced` is told which keys members begin and cease to name. */
  constructor(
    store: Store,
    rules: SliceRules,
    slice: string,
    onReferenced: (text: string, isReferenced: boolean) => void,
  ) {
    this.#store = store;
    this.#rules = rules;
    this.#slice = slice;
    this.#onReferenced = onReferenced;
  }

  get held(): Contents {
    return this.#held;
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** Begins with a follower that has `then`; answers what takes it to `now`, the slice of this moment. */
  begin(then: Contents, now: Contents): SliceChange[] {
    this.#held = new Map(then);
    for (const [text, { key }] of then) this.#changed.set(text, this.#store.get(key));
    for (const [text, object] of now) this.#changed.set(text, object);
    return this.collect();
  }

  /** Everything that members name is let go. */
  close(): void {
    for (const text of this.#namedCounts.keys()) this.#onReferenced(text, false);
    this.#namedCounts.clear();
    this.#namedBy.clear();
    this.#held.clear();
    this.#changed.clear();
  }

  /** Notes an event of an object that is, was or may come to be in the slice. */
  note(text: string, { type, object }: ObjectEvent): void {
    if (type === 'put') this.#changed.set(text, object);
    // What came and went while nobody looked needs no word.
    else if (this.#held.has(text) || this.#namedBy.has(text)) this.#changed.set(text, undefined);
    else this.#changed.delete(text);
  }

  /** What takes the follower from `held` to the slice as it is noted now; `held` is then that. */
  collect(): SliceChange[] {
    const changed = this.#changed;
    this.#changed = new Map();
    // Grows while it is walked: by what members begin and cease to name.
    for (const [text, object] of changed) {
      for (const [namedText, key] of this.#recount(text, object)) {
        if (!changed.has(namedText)) changed.set(namedText, this.#store.get(key));
      }
    }
    const changes: SliceChange[] = [];
    for (const [text, object] of changed) this.#collectOne(text, object, changes);
    return changes;
  }

  #isMember(object: StoredObject): boolean {
    const slices = this.#rules.slicesOf(object);
    return slices === 'every' || slices.includes(this.#slice);
  }

  /** Counts anew what the object names; answers the keys that are named from now on, or no more. */
  #recount(text: string, object: StoredObject | undefined): Iterable<readonly [string, ObjectKey]> {
    const { related } = this.#rules;
    if (related === undefined) return noKeys;
    const before = this.#namedBy.get(text) ?? noKeys;
    const isMember = object !== undefined && this.#isMember(object);
    const keys = isMember ? related(object) : [];
    if (keys.length === 0 && before.size === 0) return noKeys;
    const after = new Map(keys.map((key) => [keyText(key), key]));
    const turned: [string, ObjectKey][] = [];
    for (const [named, key] of after) {
      if (before.has(named)) continue;
      const count = (this.#namedCounts.get(named) ?? 0) + 1;
      this.#namedCounts.set(named, count);
      if (count > 1) continue;
      this.#onReferenced(named, true);
      turned.push([named, key]);
    }
    for (const [named, key] of before) {
      if (after.has(named)) continue;
      const count = (this.#namedCounts.get(named) ?? 0) - 1;
      if (count > 0) {
        this.#namedCounts.set(named, count);
        continue;
      }
      this.#namedCounts.delete(named);
      this.#onReferenced(named, false);
      turned.push([named, key]);
    }
    if (after.size === 0) this.#namedBy.delete(text);
    else this.#namedBy.set(text, after);
    return turned;
  }

  #collectOne(text: string, object: StoredObject | undefined, changes: SliceChange[]): void {
    const held = this.#held.get(text);
    const isIn = object !== undefined && (this.#namedCounts.has(text) || this.#isMember(object));
    if (held !== undefined && (!isIn || held.uid !== object.uid)) {
      // Another uid under the name means that the one before it was deleted.
      const isThere = object !== undefined && object.uid === held.uid;
      const { key, uid } = held;
      const revision = object?.revision ?? this.#store.revision;
      changes.push({ type: isThere ? 'leave' : 'delete', key, uid, revision });
      this.#held.delete(text);
    }
    if (!isIn) return;
    this.#held.set(text, object);
    if (held === undefined || held.uid !== object.uid) {
      changes.push({ type: 'put', extent: 'whole', object });
      return;
    }
    if (held.revision === object.revision) return;
    changes.push({ type: 'put', extent: 'changed', object: withChangedFacets(held, object) });
  }
}

/** The slice as the store has it now. */
export function contentsNow(store: Store, rules: SliceRules, slice: string): Contents {
  return contentsOf(rules, [...rules.membersOf(slice)], (key) => store.get(key));
}

/** The slice as it was at `sequence`, which watches must still reach. */
export function contentsAt(
  store: Store,
  rules: SliceRules,
  slice: string,
  sequence: Revision,
): Contents {
  const events: ObjectEvent[] = [];
  const watch = store.watch(sequence, (batch) => {
    for (const event of batch.events) events.push(event);
  });
  watch.close();
  const isMember = (object: StoredObject | undefined): boolean => {
    if (object === undefined) return false;
    const slices = rules.slicesOf(object);
    return slices === 'every' || slices.includes(slice);
  };
  const members = new Map<string, StoredObject>();
  for (const member of rules.membersOf(slice)) members.set(keyText(member.key), member);
  /** Of what has changed since: as it was. */
  const before = new Map<string, StoredObject | undefined>();
  for (const { object, previous } of events) {
    if (!isMember(object) && !isMember(previous)) continue;
    const text = keyText(object.key);
    if (!before.has(text)) before.set(text, previous);
  }
  for (const [text, previous] of before) {
    if (previous !== undefined && isMember(previous)) members.set(text, previous);
    else members.delete(text);
  }
  const { related } = rules;
  const named = new Set<string>();
  if (related !== undefined) {
    for (const member of members.values()) {
      for (const key of related(member)) named.add(keyText(key));
    }
  }
  if (named.size > 0) {
    for (const { object, previous } of events) {
      const text = keyText(object.key);
      if (named.has(text) && !before.has(text)) before.set(text, previous);
    }
  }
  return contentsOf(rules, [...members.values()], (key) => {
    const text = keyText(key);
    return before.has(text) ? before.get(text) : store.get(key);
  });
}

function contentsOf(
  rules: SliceRules,
  members: readonly StoredObject[],
  get: (key: ObjectKey) => StoredObject | undefined,
): Contents {
  const contents = new Map<string, StoredObject>();
  for (const member of members) contents.set(keyText(member.key), member);
  const { related } = rules;
  if (related === undefined) return contents;
  for (const member of members) {
    for (const key of related(member)) {
      const text = keyText(key);
      if (contents.has(text)) continue;
      const object = get(key);
      if (object !== undefined) contents.set(text, object);
    }
  }
  return contents;
}

function withChangedFacets(held: StoredObject, object: StoredObject): StoredObject {
  const facets: Partial<Record<Facet, FacetValue>> = {};
  for (const [name, value] of Object.entries(object.facets) as [Facet, FacetValue][]) {
    if (held.facets[name]?.revision !== value.revision) facets[name] = value;
  }
  return { ...object, facets };
}
