/**
 * Files and folders with two states each: what processes see, and what would be
 * found after a power cut.
 *
 * Invariants:
 * 1. Bytes become durable by the sync of their file, names by the sync of their
 *    folder, and nothing else.
 * 2. After a power cut each unsynced write is there, gone or torn at some byte,
 *    independently of the others; of the unsynced changes of names a first part
 *    is there and the rest is gone, as with a journal.
 */
import { DiskError, type DiskEntry } from '#platform/io/mod.ts';
import type { SeededRandom } from './seeded-random.ts';

const minimumBufferBytes = 256;

/** Bytes that grow as they are written to. */
class ByteBuffer {
  #bytes = new Uint8Array(0);
  sizeBytes = 0;

  read(offset: number, lengthBytes: number): Uint8Array {
    return this.#bytes.slice(
      offset,
      Math.max(offset, Math.min(offset + lengthBytes, this.sizeBytes)),
    );
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#reserve(offset + bytes.length);
    this.#bytes.set(bytes, offset);
    this.sizeBytes = Math.max(this.sizeBytes, offset + bytes.length);
  }

  truncate(lengthBytes: number): void {
    this.#reserve(lengthBytes);
    if (lengthBytes < this.sizeBytes) this.#bytes.fill(0, lengthBytes, this.sizeBytes);
    this.sizeBytes = lengthBytes;
  }

  replaceBy(other: ByteBuffer): void {
    this.#bytes = other.#bytes.slice();
    this.sizeBytes = other.sizeBytes;
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(minimumBufferBytes, sizeBytes, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

type PendingChange =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly lengthBytes: number };

export class FileNode {
  readonly kind = 'file';
  readonly #seen = new ByteBuffer();
  readonly #durable = new ByteBuffer();
  #pending: PendingChange[] = [];
  #lostBelowBytes = 0;

  /** Whether a failed sync has left bytes that read well and will not be there after a power cut. */
  get hasLost(): boolean {
    return this.#lostBelowBytes > 0;
  }

  get sizeBytes(): number {
    return this.#seen.sizeBytes;
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    return this.#seen.read(offset, lengthBytes);
  }

  /** Keeps `bytes`: the caller gives them away. */
  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#seen.write(offset, bytes);
    this.#pending.push({ kind: 'write', offset, bytes });
  }

  truncate(lengthBytes: number): void {
    this.#seen.truncate(lengthBytes);
    this.#pending.push({ kind: 'truncate', lengthBytes });
  }

  sync(): void {
    for (const change of this.#pending) {
      this.#keep(change);
      if (change.kind === 'truncate') {
        this.#lostBelowBytes = Math.min(this.#lostBelowBytes, change.lengthBytes);
      } else if (change.offset === 0 && change.bytes.length >= this.#lostBelowBytes) {
        this.#lostBelowBytes = 0;
      }
    }
    this.#pending = [];
  }

  /** The page cache forgets what it could not write: some of it is durable, some never will be. */
  failSync(random: SeededRandom): void {
    for (const change of this.#pending) {
      if (random.chance(0.5)) this.#keep(change);
      else this.#lostBelowBytes = this.sizeBytes;
    }
    this.#pending = [];
  }

  /** Falls back to what is durable, with what the seed leaves of the rest. */
  cutPower(random: SeededRandom): { lostWrites: number; tornWrites: number } {
    let lostWrites = 0;
    let tornWrites = 0;
    for (const change of this.#pending) {
      const fate = random.below(3);
      if (fate === 0) {
        this.#keep(change);
      } else if (fate === 1 && change.kind === 'write') {
        tornWrites += 1;
        const kept = change.bytes.subarray(0, random.below(change.bytes.length));
        if (kept.length > 0) this.#keep({ ...change, bytes: kept });
      } else {
        lostWrites += 1;
      }
    }
    this.#pending = [];
    this.#lostBelowBytes = 0;
    this.#seen.replaceBy(this.#durable);
    return { lostWrites, tornWrites };
  }

  #keep(change: PendingChange): void {
    if (change.kind === 'write') this.#durable.write(change.offset, change.bytes);
    else this.#durable.truncate(change.lengthBytes);
  }
}

class FolderNode {
  readonly kind = 'directory';
  readonly seen = new Map<string, TreeNode>();
  readonly durable = new Map<string, TreeNode>();
}

type TreeNode = FileNode | FolderNode;

/** One change of names, in one or (a rename) two folders; not durable yet. */
interface NameChange {
  readonly sets: readonly {
    readonly folder: FolderNode;
    readonly name: string;
    readonly node: TreeNode | undefined;
  }[];
}

function setName(names: Map<string, TreeNode>, name: string, node: TreeNode | undefined): void {
  if (node === undefined) names.delete(name);
  else names.set(name, node);
}

/** Paths whose node is remembered until a name changes. */
const rememberedPathsMax = 1_000;

/** Paths are `/`-separated and already checked; the empty one is the root. */
export class FileTree {
  readonly #root = new FolderNode();
  #pending: NameChange[] = [];
  readonly #found = new Map<string, TreeNode>();

  find(path: string): FileNode | FolderNode | undefined {
    const known = this.#found.get(path);
    if (known !== undefined) return known;
    const node = this.#walk(path);
    if (node === undefined) return undefined;
    if (this.#found.size === rememberedPathsMax) this.#found.clear();
    this.#found.set(path, node);
    return node;
  }

  #walk(path: string): TreeNode | undefined {
    let node: TreeNode | undefined = this.#root;
    if (path === '') return node;
    for (const segment of path.split('/')) {
      if (node?.kind !== 'directory') return undefined;
      node = node.seen.get(segment);
    }
    return node;
  }

  createFile(path: string): FileNode {
    const { folder, name } = this.#place(path);
    const node = new FileNode();
    this.#change({ sets: [{ folder, name, node }] });
    return node;
  }

  /** All or nothing, and durable. */
  replaceFile(path: string, bytes: Uint8Array): void {
    const { folder, name } = this.#place(path);
    if (folder.seen.get(name)?.kind === 'directory') {
      throw new DiskError('DISK_IO', `${path} is a folder`);
    }
    const node = new FileNode();
    node.write(0, bytes);
    node.sync();
    this.#change({ sets: [{ folder, name, node }] });
    this.#commit(folder);
  }

  list(path: string): DiskEntry[] {
    const node = this.find(path);
    if (node === undefined) return [];
    if (node.kind !== 'directory') throw new DiskError('DISK_IO', `${path} is not a folder`);
    return [...node.seen]
      .map(([name, child]): DiskEntry => ({
        name,
        kind: child.kind,
        sizeBytes: child.kind === 'file' ? child.sizeBytes : 0,
      }))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** With all parents; durable. */
  makeDirectory(path: string): void {
    let folder = this.#root;
    for (const name of path.split('/').filter((segment) => segment !== '')) {
      const found = folder.seen.get(name);
      if (found?.kind === 'file') throw new DiskError('DISK_EXISTS', `${path}: ${name} is a file`);
      const next = found ?? new FolderNode();
      if (found === undefined) this.#change({ sets: [{ folder, name, node: next }] });
      this.#commit(folder);
      folder = next;
    }
  }

  rename(from: string, to: string): void {
    const source = this.#place(from);
    const node = source.folder.seen.get(source.name);
    if (node === undefined) throw new DiskError('DISK_NOT_FOUND', `${from} does not exist`);
    const target = this.#place(to);
    if (from === to) return;
    const replaced = target.folder.seen.get(target.name);
    if (replaced !== undefined && (replaced.kind !== 'file' || node.kind !== 'file')) {
      if (
        replaced.kind !== node.kind ||
        (replaced.kind === 'directory' && replaced.seen.size > 0)
      ) {
        throw new DiskError('DISK_IO', `${to} cannot be replaced`);
      }
    }
    this.#change({
      sets: [
        { folder: source.folder, name: source.name, node: undefined },
        { folder: target.folder, name: target.name, node },
      ],
    });
  }

  remove(path: string): void {
    const folder = this.find(path.split('/').slice(0, -1).join('/'));
    const name = path.split('/').at(-1) ?? '';
    if (folder?.kind !== 'directory' || !folder.seen.has(name)) return;
    this.#change({ sets: [{ folder, name, node: undefined }] });
  }

  syncDirectory(path: string): void {
    const folder = this.find(path);
    if (folder?.kind !== 'directory') {
      throw new DiskError('DISK_NOT_FOUND', `the folder ${path} does not exist`);
    }
    this.#commit(folder);
  }

  usedBytes(): number {
    const sum = (folder: FolderNode): number => {
      let used = 0;
      for (const node of folder.seen.values()) {
        used += node.kind === 'file' ? node.sizeBytes : sum(node);
      }
      return used;
    };
    return sum(this.#root);
  }

  cutPower(random: SeededRandom): { lostWrites: number; tornWrites: number } {
    const kept = random.below(this.#pending.length + 1);
    for (const change of this.#pending.slice(0, kept)) this.#keep(change);
    this.#pending = [];
    let lostWrites = 0;
    let tornWrites = 0;
    // A file may be seen under two names where half a rename was kept: once is enough.
    const visited = new Set<FileNode>();
    this.#found.clear();
    const restore = (folder: FolderNode): void => {
      folder.seen.clear();
      for (const [name, node] of folder.durable) {
        folder.seen.set(name, node);
        if (node.kind === 'directory') {
          restore(node);
        } else if (!visited.has(node)) {
          visited.add(node);
          const fate = node.cutPower(random);
          lostWrites += fate.lostWrites;
          tornWrites += fate.tornWrites;
        }
      }
    };
    restore(this.#root);
    return { lostWrites, tornWrites };
  }

  #place(path: string): { folder: FolderNode; name: string } {
    const segments = path.split('/');
    const name = segments.pop() ?? '';
    const folder = this.find(segments.join('/'));
    if (name === '') throw new DiskError('DISK_IO', 'the root is a folder');
    if (folder?.kind !== 'directory') {
      throw new DiskError('DISK_NOT_FOUND', `the folder of ${path} does not exist`);
    }
    return { folder, name };
  }

  #change(change: NameChange): void {
    this.#found.clear();
    for (const { folder, name, node } of change.sets) setName(folder.seen, name, node);
    this.#pending.push(change);
  }

  #keep(change: NameChange): void {
    for (const { folder, name, node } of change.sets) setName(folder.durable, name, node);
  }

  /** Makes a folder's names durable, with every earlier change that they rest on. */
  #commit(folder: FolderNode): void {
    if (this.#pending.length === 0) return;
    const folders = new Set([folder]);
    const committed = new Set<NameChange>();
    for (const change of this.#pending.toReversed()) {
      if (!change.sets.some((set) => folders.has(set.folder))) continue;
      committed.add(change);
      for (const set of change.sets) folders.add(set.folder);
    }
    for (const change of this.#pending) if (committed.has(change)) this.#keep(change);
    this.#pending = this.#pending.filter((change) => !committed.has(change));
  }
}
