/**
 * The durable objects: by key, in order per namespace, and by index value. All of
 * it is rebuilt from the log; nothing here decides anything.
 */
import { assert } from '#base/mod.ts';
import { compareKeys, keyText } from './key.ts';
import { SortedList } from './sorted-list.ts';
import type { IndexFunction, StoredObject } from './types.ts';

/** One version of an object with what the indexes took from it. */
export interface Entry {
  readonly object: StoredObject;
  /** One list per index, in the order of the index names. */
  readonly values: readonly (readonly string[])[];
}

/** The index functions, by name, applied once to each version of an object. */
export class Indexes {
  readonly #names: readonly string[];
  readonly #functions: readonly IndexFunction[];
  /** Shared by all objects that no index finds, which are most. */
  readonly #noValues: (readonly string[])[];

  constructor(functions: Readonly<Record<string, IndexFunction>>) {
    this.#names = Object.keys(functions);
    this.#functions = Object.values(functions);
    this.#noValues = this.#names.map(() => []);
  }

  get count(): number {
    return this.#names.length;
  }

  entryOf(object: StoredObject): Entry {
    let values = this.#noValues;
    for (const [position, extract] of this.#functions.entries()) {
      const found = extract(object);
      if (found.length === 0) continue;
      if (values === this.#noValues) values = [...this.#noValues];
      values[position] = found.length > 1 ? [...new Set(found)] : found;
    }
    return { object, values };
  }

  positionOf(name: string): number {
    const position = this.#names.indexOf(name);
    assert(position !== -1, `there is an index named ${name}`);
    return position;
  }
}

interface ResourceTable {
  /** By namespace; sorted by it. */
  namespaces: Map<string, SortedList>;
  /** All of them in order, where somebody asked since the last change. */
  all: readonly StoredObject[] | undefined;
}

const nothing: readonly StoredObject[] = Object.freeze([]);

export class Tables {
  readonly #entries = new Map<string, Entry>();
  readonly #resources = new Map<string, ResourceTable>();
  readonly #indexed: readonly Map<string, SortedList>[];
  readonly #indexes: Indexes;

  constructor(indexes: Indexes) {
    this.#indexes = indexes;
    this.#indexed = Array.from({ length: indexes.count }, () => new Map<string, SortedList>());
  }

  get size(): number {
    return this.#entries.size;
  }

  entry(text: string): Entry | undefined {
    return this.#entries.get(text);
  }

  list(resource: string, namespace?: string): readonly StoredObject[] {
    const table = this.#resources.get(resource);
    if (table === undefined) return nothing;
    if (namespace !== undefined) return table.namespaces.get(namespace)?.read() ?? nothing;
    table.all ??= joined(table);
    return table.all;
  }

  lookup(index: string, value: string): readonly StoredObject[] {
    return this.#indexed[this.#indexes.positionOf(index)]?.get(value)?.read() ?? nothing;
  }

  /** Every object, by resource, namespace and name. */
  *all(): Generator<StoredObject> {
    const resources = [...this.#resources.keys()].sort();
    for (const resource of resources) yield* this.list(resource);
  }

  put(text: string, entry: Entry): void {
    const { key } = entry.object;
    const before = this.#entries.get(text);
    this.#entries.set(text, entry);
    let table = this.#resources.get(key.resource);
    if (table === undefined) {
      table = { namespaces: new Map(), all: undefined };
      this.#resources.set(key.resource, table);
    }
    let list = table.namespaces.get(key.namespace);
    if (list === undefined) {
      list = new SortedList();
      table.namespaces.set(key.namespace, list);
      table.namespaces = new Map([...table.namespaces].sort(([a], [b]) => (a < b ? -1 : 1)));
    }
    list.put(entry.object);
    table.all = undefined;
    this.#indexPut(before, entry);
  }

  remove(text: string): void {
    const before = this.#entries.get(text);
    assert(before !== undefined, 'only what is there is removed');
    const { key } = before.object;
    this.#entries.delete(text);
    const table = this.#resources.get(key.resource);
    const list = table?.namespaces.get(key.namespace);
    assert(table !== undefined && list !== undefined, 'every object is in a table');
    list.remove(key);
    table.all = undefined;
    if (list.length === 0) table.namespaces.delete(key.namespace);
    if (table.namespaces.size === 0) this.#resources.delete(key.resource);
    this.#indexDrop(before, undefined);
  }

  #indexPut(before: Entry | undefined, entry: Entry): void {
    if (before !== undefined) this.#indexDrop(before, entry);
    for (const [position, values] of entry.values.entries()) {
      const lists = this.#indexed[position];
      assert(lists !== undefined, 'every index has lists');
      for (const value of values) {
        let list = lists.get(value);
        if (list === undefined) lists.set(value, (list = new SortedList()));
        list.put(entry.object);
      }
    }
  }

  /** Takes `before` out of the values that `after` no longer has. */
  #indexDrop(before: Entry, after: Entry | undefined): void {
    for (const [position, values] of before.values.entries()) {
      const lists = this.#indexed[position];
      const kept = after?.values[position] ?? [];
      for (const value of values) {
        if (kept.includes(value)) continue;
        const list = lists?.get(value);
        assert(list !== undefined, 'an indexed object is in its lists');
        list.remove(before.object.key);
        if (list.length === 0) lists?.delete(value);
      }
    }
  }
}

function joined(table: ResourceTable): readonly StoredObject[] {
  const lists = [...table.namespaces.values()];
  return lists.length === 1 && lists[0] !== undefined
    ? lists[0].read()
    : lists.flatMap((list) => list.read());
}

/** `base` without the keys of `changed`, and with those of their new objects that pass. */
export function overlaid(
  base: readonly StoredObject[],
  changed: Iterable<readonly [text: string, object: StoredObject | undefined]>,
  passes: (object: StoredObject) => boolean,
): readonly StoredObject[] {
  const hidden = new Set<string>();
  const added: StoredObject[] = [];
  for (const [text, object] of changed) {
    hidden.add(text);
    if (object !== undefined && passes(object)) added.push(object);
  }
  if (hidden.size === 0) return base;
  const kept = base.filter((object) => !hidden.has(keyText(object.key)));
  return [...kept, ...added].sort((left, right) => compareKeys(left.key, right.key));
}
