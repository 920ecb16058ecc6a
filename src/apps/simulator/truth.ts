/**
 * What the store has committed, as an observer outside of it has seen it from the
 * beginning: the yardstick of the checkers. It goes on over restarts of the server.
 *
 * Invariant: it knows a transaction as soon as anybody else can, so whatever a
 * reader, a watch or a replica shows has been here before.
 */
import { isJsonObject, textOf, type JsonObject } from '#base/mod.ts';
import type { CommittedBatch, Facet, ObjectKey, Store, StoredObject } from '#platform/store/mod.ts';

const insideName = /[a-z0-9-]/;

/** Whether a text has that name in it, and not as a part of a longer one. */
export function hasWord(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const ends = [text[at - 1] ?? ' ', text[at + name.length] ?? ' '];
    if (!ends.some((character) => insideName.test(character))) return true;
  }
  return false;
}

export interface TruthEvent {
  readonly revision: number;
  readonly type: 'put' | 'delete';
  readonly name: string;
  readonly uid: string;
}

export class Truth {
  /** Of the newest transaction that was visible, and its chained hash. */
  revision = 0;
  chainHash = '';
  readonly #objects = new Map<string, StoredObject>();
  readonly #uids = new Map<string, StoredObject>();
  readonly #events = new Map<string, TruthEvent[]>();
  readonly #listeners: ((batch: CommittedBatch) => void)[] = [];

  onBatch(listener: (batch: CommittedBatch) => void): void {
    this.#listeners.push(listener);
  }

  /** Begins anew with the store of a server that was restored: what came after is not so. */
  adopt(store: Store, storedResources: readonly string[]): void {
    this.#objects.clear();
    this.#events.clear();
    for (const object of storedResources.flatMap((name) => [...store.list(name)])) {
      this.#objects.set(keyText(object.key), object);
      this.#uids.set(object.uid, object);
    }
    const { sequence, chainHash } = store.head();
    this.revision = sequence;
    this.chainHash = chainHash;
  }

  /** Lets go of all that was seen, where nothing is to be compared any more. */
  forget(): void {
    this.#objects.clear();
    this.#uids.clear();
    this.#events.clear();
  }

  /** Goes on with the store of a server that has just started. */
  attach(store: Store): void {
    store.watch(this.revision as Store['revision'], (batch) => this.#take(batch));
  }

  get(key: ObjectKey): StoredObject | undefined {
    return this.#objects.get(keyText(key));
  }

  /** The newest version of that object, also where it has been deleted since. */
  ofUid(uid: string): { readonly object: StoredObject; readonly isDeleted: boolean } | undefined {
    const object = this.#uids.get(uid);
    if (object === undefined) return undefined;
    return { object, isDeleted: this.get(object.key)?.uid !== uid };
  }

  objects(): IterableIterator<StoredObject> {
    return this.#objects.values();
  }

  /** Names and uids of the objects that a text speaks of, and the nodes where they are. */
  namesIn(text: string): readonly string[] {
    const found = new Set<string>();
    for (const [uid, object] of this.#uids) {
      const { name, resource } = object.key;
      if (resource === 'namespaces' || (!hasWord(text, uid) && !hasWord(text, name))) continue;
      found.add(name).add(uid);
      const nodeName = facetOf(object, 'assignment')?.['nodeName'];
      if (typeof nodeName === 'string') found.add(nodeName);
    }
    return [...found];
  }

  get objectCount(): number {
    return this.#objects.size;
  }

  /** Everything that happened to objects of a kind, in order. */
  eventsOf(resource: string): readonly TruthEvent[] {
    return this.#events.get(resource) ?? [];
  }

  #take(batch: CommittedBatch): void {
    for (const listener of this.#listeners) listener(batch);
    for (const { type, object } of batch.events) {
      const { resource, name } = object.key;
      if (type === 'put') this.#objects.set(keyText(object.key), object);
      else this.#objects.delete(keyText(object.key));
      this.#uids.set(object.uid, object);
      const events = this.#events.get(resource) ?? [];
      events.push({ revision: batch.revision, type, name, uid: object.uid });
      this.#events.set(resource, events);
    }
    this.revision = batch.revision;
    this.chainHash = batch.chainHash;
  }
}

export function keyText({ resource, namespace, name }: ObjectKey): string {
  return `${resource}/${namespace}/${name}`;
}

export function facetOf(object: StoredObject, facet: Facet): JsonObject | undefined {
  const stored = object.facets[facet];
  if (stored === undefined) return undefined;
  const value: unknown = JSON.parse(textOf(stored.bytes));
  return isJsonObject(value) ? value : undefined;
}
