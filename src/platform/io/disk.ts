/**
 * A folder on durable storage. Every role gets one rooted at its own state
 * folder; paths are relative, `/`-separated, and never leave the root.
 *
 * Invariants that every driver keeps (see disk.contract.ts):
 * 1. Nothing is durable before `sync` (a file's bytes) or `syncDirectory` (names:
 *    create, rename, remove) resolves; after that it survives a power cut.
 * 2. Unsynced writes may be lost, or torn at any byte, independently of each other.
 * 3. A failed `sync` leaves the file's durable content unknown: the caller must
 *    stop trusting it, never retry.
 * 4. `list` is sorted by name, so that no caller depends on the file system's order.
 */
import { SelvageError } from '#base/mod.ts';

export type DiskErrorCode =
  | 'DISK_NOT_FOUND'
  | 'DISK_EXISTS'
  | 'DISK_NO_SPACE'
  | 'DISK_IO'
  | 'DISK_PATH';

export class DiskError extends SelvageError {
  override readonly name = 'DiskError';
  declare readonly code: DiskErrorCode;
}

export interface DiskEntry {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'other';
  readonly sizeBytes: number;
}

export interface DiskFile {
  sizeBytes(): Promise<number>;
  /** Fewer bytes than asked for come back only at the end of the file. */
  readAt(offset: number, lengthBytes: number): Promise<Uint8Array>;
  /** Writes all parts in a row from `offset`, in as few calls to the system as it can. */
  writeAt(offset: number, parts: readonly Uint8Array[]): Promise<void>;
  sync(): Promise<void>;
  truncate(lengthBytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** `read`: must exist. `write`: created when absent, never truncated. `create`: must not exist. */
  open(path: string, mode: 'read' | 'write' | 'create', permissions?: number): Promise<DiskFile>;
  /** The whole file, or undefined where there is none. Throws DISK_IO above `maxBytes`. */
  readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** All or nothing, durable when it resolves: temporary file, sync, rename, directory sync. */
  writeFileAtomic(path: string, bytes: Uint8Array, permissions?: number): Promise<void>;
  /** Sorted by name; empty where the folder does not exist. */
  list(path: string): Promise<readonly DiskEntry[]>;
  /** With all parents; durable when it resolves. No error where it exists. */
  makeDirectory(path: string, permissions?: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Files, or folders with all they hold. No error where there is nothing. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  freeBytes(): Promise<number>;
  /** The path as another process on this machine would open it (for Spawn). */
  absolute(path: string): string;
  /** A view of a folder inside this one. */
  within(path: string): Disk;
}
