/**
 * Digests of a set of objects by ranges, for two sides to find out where they differ
 * without naming what is the same. Objects stand in the order of the hash of their key;
 * a range is a prefix of it, in hexadecimal digits.
 *
 * Invariants:
 * 1. The digest of a range depends on the objects in it alone, not on how the set came
 *    about: a range of at most `leafMax` objects has that of their list, a larger one that of its
 *    sixteen parts.
 * 2. A change costs the digests on its path, and only when they are asked for.
 */
import { hash } from 'node:crypto';
import { assert } from '#base/mod.ts';
import {
  keyText,
  objectDigest,
  objectDigestLength,
  type ObjectKey,
  type StoredObject,
} from '#platform/store/mod.ts';

/** Objects up to which a range is a list. */
export const leafMax = 16;
/** Digits of a position, and so how deep a range can lie. */
export const positionLength = 32;
/** Of a range with nothing in it. */
export const emptyDigest = '';
const digits = '0123456789abcdef';

interface Entry {
  readonly position: string;
  readonly object: StoredObject;
}

interface Node {
  count: number;
  /** Undefined since a change. */
  digest: string | undefined;
  /** Of a leaf, by position. Empty in an inner node. */
  entries: Map<string, Entry>;
  /** Sixteen in an inner node, none in a leaf. */
  children: Node[];
}

/** All versions of an object share the one key that the store made for it. */
const positions = new WeakMap<ObjectKey, string>();

/** Where an object stands: the same on both sides. */
export function positionOf(key: ObjectKey): string {
  let position = positions.get(key);
  if (position === undefined) {
    position = hash('sha256', keyText(key), 'hex').slice(0, positionLength);
    positions.set(key, position);
  }
  return position;
}

export class DigestTree {
  readonly #root: Node = leaf();

  static of(objects: Iterable<StoredObject>): DigestTree {
    const tree = new DigestTree();
    for (const object of objects) tree.put(object);
    return tree;
  }

  get count(): number {
    return this.#root.count;
  }

  put(object: StoredObject): void {
    const position = positionOf(object.key);
    const path = this.#pathTo(position);
    const end = lastOf(path);
    const isNew = !end.entries.has(position);
    end.entries.set(position, { position, object });
    for (const node of path) {
      node.digest = undefined;
      if (isNew) node.count += 1;
    }
    if (end.count > leafMax) split(end, path.length - 1);
  }

  remove(key: ObjectKey): void {
    const position = positionOf(key);
    const path = this.#pathTo(position);
    if (!lastOf(path).entries.delete(position)) return;
    for (const node of path) {
      node.digest = undefined;
      node.count -= 1;
    }
    for (const node of path) {
      if (node.count > leafMax || node.children.length === 0) continue;
      node.entries = new Map(entriesOf(node).map((entry) => [entry.position, entry]));
      node.children = [];
    }
  }

  /** How many objects the range has. */
  countOf(prefix: string): number {
    const { node, depth } = this.#find(prefix);
    return depth === prefix.length ? node.count : this.objectsIn(prefix).length;
  }

  digestOf(prefix: string): string {
    const { node, depth } = this.#find(prefix);
    if (depth === prefix.length) return digestOfNode(node);
    const found = [...node.entries.values()].filter(({ position }) => position.startsWith(prefix));
    return digestOfEntries(found);
  }

  /** The digests of the sixteen parts of a range. */
  partsOf(prefix: string): string[] {
    return Array.from(digits, (digit) => this.digestOf(prefix + digit));
  }

  /** By position. */
  objectsIn(prefix: string): StoredObject[] {
    const { node, depth } = this.#find(prefix);
    const found = entriesOf(node).map(({ object }) => object);
    if (depth === prefix.length) return found;
    return found.filter(({ key }) => positionOf(key).startsWith(prefix));
  }

  /** The node of the range, or the leaf above it. */
  #find(prefix: string): { node: Node; depth: number } {
    let node = this.#root;
    let depth = 0;
    while (depth < prefix.length && node.children.length > 0) {
      node = childAt(node, prefix, depth);
      depth += 1;
    }
    return { node, depth };
  }

  #pathTo(position: string): Node[] {
    const path = [this.#root];
    let node = this.#root;
    while (node.children.length > 0) {
      node = childAt(node, position, path.length - 1);
      path.push(node);
    }
    return path;
  }
}

function leaf(): Node {
  return { count: 0, digest: undefined, entries: new Map(), children: [] };
}

function childAt(node: Node, position: string, depth: number): Node {
  const child = node.children[Number.parseInt(position[depth] ?? '', 16)];
  assert(child !== undefined, 'a position is of hexadecimal digits');
  return child;
}

function lastOf(path: readonly Node[]): Node {
  const last = path.at(-1);
  assert(last !== undefined, 'a path has a node');
  return last;
}

function split(node: Node, depth: number): void {
  assert(depth < positionLength, 'positions differ: two keys do not have one hash');
  node.children = Array.from(digits, leaf);
  for (const entry of node.entries.values()) {
    const child = childAt(node, entry.position, depth);
    child.entries.set(entry.position, entry);
    child.count += 1;
  }
  node.entries = new Map();
  for (const child of node.children) if (child.count > leafMax) split(child, depth + 1);
}

function entriesOf(node: Node): Entry[] {
  if (node.children.length > 0) return node.children.flatMap((child) => entriesOf(child));
  return [...node.entries.values()].sort((left, right) =>
    left.position < right.position ? -1 : 1,
  );
}

function digestOfNode(node: Node): string {
  if (node.digest !== undefined) return node.digest;
  if (node.children.length === 0) node.digest = digestOfEntries([...node.entries.values()]);
  else node.digest = digestOfText(`parts ${node.children.map(digestOfNode).join(' ')}`);
  return node.digest;
}

function digestOfEntries(entries: readonly Entry[]): string {
  if (entries.length === 0) return emptyDigest;
  const lines = entries.map(({ position, object }) => `${position} ${objectDigest(object)}`);
  return digestOfText(`list ${lines.sort().join(' ')}`);
}

function digestOfText(text: string): string {
  return hash('sha256', text, 'hex').slice(0, objectDigestLength);
}
