/**
 * Objects of one kind as they were last seen, with indexes.
 *
 * Invariants:
 * 1. An object is never replaced by an older version of itself.
 * 2. What was seen to be deleted does not come back by an answer that is older
 *    than what the watch has already delivered.
 */
import type { ApiObject } from '#platform/api/mod.ts';

export type Change<Kind extends ApiObject = ApiObject> =
  | { readonly type: 'added'; readonly object: Kind; readonly previous: undefined }
  | { readonly type: 'updated'; readonly object: Kind; readonly previous: Kind }
  | { readonly type: 'deleted'; readonly object: Kind; readonly previous: Kind };

/** The values under which an object is found. Must depend on the object alone. */
export type IndexOf = (object: ApiObject) => readonly string[];

/** `namespace/name`, or the name alone for objects outside all namespaces. */
export function keyOf(object: ApiObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

function revisionOf(object: ApiObject): number {
  return Number(object.metadata.resourceVersion ?? '0');
}

const builtInIndexes: Readonly<Record<string, IndexOf>> = {
  uid: (object) => (object.metadata.uid === undefined ? [] : [object.metadata.uid]),
  owner: (object) => (object.metadata.ownerReferences ?? []).map((owner) => owner.uid),
  namespace: (object) => [object.metadata.namespace ?? ''],
};

/** The keys of a value: as a rule one, as of a uid, which then takes no set of its own. */
type Keys = Map<string, string | Set<string>>;

export class ObjectCache<Kind extends ApiObject> {
  readonly #objects = new Map<string, Kind>();
  readonly #indexes = new Map<string, { of: IndexOf; keys: Keys }>();
  readonly #onChange: (change: Change<Kind>) => void;
  /** Everything up to this revision has been seen. */
  #seenRevision = 0;

  constructor(
    indexes: Readonly<Record<string, IndexOf>>,
    onChange: (change: Change<Kind>) => void,
  ) {
    this.#onChange = onChange;
    for (const [name, of] of Object.entries({ ...builtInIndexes, ...indexes })) {
      this.#indexes.set(name, { of, keys: new Map() });
    }
  }

  get(key: string): Kind | undefined {
    return this.#objects.get(key);
  }

  list(): Kind[] {
    return [...this.#objects.values()];
  }

  lookup(index: string, value: string): Kind[] {
    const found = this.#indexes.get(index)?.keys.get(value) ?? [];
    const keys = typeof found === 'string' ? [found] : [...found];
    return keys.flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** The watch delivered this version. */
  put(object: Kind): void {
    this.#seenRevision = Math.max(this.#seenRevision, revisionOf(object));
    this.#store(object);
  }

  /** A write was answered with this version; the watch may or may not have delivered it. */
  observe(object: Kind): void {
    if (revisionOf(object) > this.#seenRevision) this.#store(object);
  }

  /** The watch delivered the deletion; `object` is its last state. */
  delete(object: Kind): void {
    this.#seenRevision = Math.max(this.#seenRevision, revisionOf(object));
    const known = this.#objects.get(keyOf(object));
    if (known !== undefined && known.metadata.uid === object.metadata.uid) this.#remove(known);
  }

  seen(revision: number): void {
    this.#seenRevision = Math.max(this.#seenRevision, revision);
  }

  /** A whole list as of `revision`: what is known, not newer than that and not in it, is gone. */
  replace(objects: readonly Kind[], revision: number): void {
    const listed = new Map(objects.map((object) => [keyOf(object), object]));
    const missing = this.list().filter((known) => !listed.has(keyOf(known)));
    for (const known of missing) {
      if (revisionOf(known) <= revision) this.#remove(known);
    }
    for (const object of objects) this.#store(object);
    this.seen(revision);
  }

  #store(object: Kind): void {
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    if (previous !== undefined) {
      if (revisionOf(object) <= revisionOf(previous)) return;
      if (previous.metadata.uid !== object.metadata.uid) {
        this.#remove(previous);
        return this.#store(object);
      }
    }
    this.#objects.set(key, object);
    this.#index(previous, object, key);
    this.#onChange(
      previous === undefined
        ? { type: 'added', object, previous }
        : { type: 'updated', object, previous },
    );
  }

  #remove(known: Kind): void {
    const key = keyOf(known);
    this.#objects.delete(key);
    this.#index(known, undefined, key);
    this.#onChange({ type: 'deleted', object: known, previous: known });
  }

  /** Most changes leave what an object is found by as it was. */
  #index(before: Kind | undefined, after: Kind | undefined, key: string): void {
    for (const { of, keys } of this.#indexes.values()) {
      const old = before === undefined ? nothing : of(before);
      const values = after === undefined ? nothing : of(after);
      if (isSame(old, values)) continue;
      for (const value of old) removeKey(keys, value, key);
      for (const value of values) addKey(keys, value, key);
    }
  }
}

const nothing: readonly string[] = [];

function isSame(left: readonly string[], right: readonly string[]): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}

function addKey(keys: Keys, value: string, key: string): void {
  const known = keys.get(value);
  if (known === undefined) keys.set(value, key);
  else if (typeof known !== 'string') known.add(key);
  else if (known !== key) keys.set(value, new Set([known, key]));
}

function removeKey(keys: Keys, value: string, key: string): void {
  const known = keys.get(value);
  if (known === key) keys.delete(value);
  else if (known instanceof Set && known.delete(key) && known.size === 0) keys.delete(value);
}
