/**
 * Files and folders of this machine that containers are shown: with owners, links
 * and mounts, which a Disk does not have. Paths are absolute.
 *
 * Invariants (see node/file-tree.test.ts):
 * 1. No call follows a link in the last part of a path; removing and measuring look
 *    below none. That the parts before it are no links is for the caller to know.
 * 2. Nothing is durable: what is made here can be made again.
 */

import { SelvageError } from '#base/mod.ts';

export type FileTreeErrorCode = 'FILE_TREE_NO_SPACE' | 'FILE_TREE_IO';

export class FileTreeError extends SelvageError {
  override readonly name = 'FileTreeError';
  declare readonly code: FileTreeErrorCode;
}

export type FileKind = 'file' | 'directory' | 'link' | 'other';

export interface FileAccess {
  /** As POSIX has it, e.g. 0o644. */
  readonly mode: number;
  /** User and group; those of this process where absent. */
  readonly ownerId?: number;
}

export interface FileTree {
  /** Undefined where there is nothing. */
  kindOf(path: string): Promise<FileKind | undefined>;
  /** Sorted; empty where there is no folder. */
  names(path: string): Promise<readonly string[]>;
  /** Undefined where there is no file, or one above `maxBytes`. */
  readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** What the link says; undefined where there is none. */
  readLink(path: string): Promise<string | undefined>;
  /** Rejects with FileTreeError where something of that name is there. */
  createFile(path: string, bytes: Uint8Array, access: FileAccess): Promise<void>;
  /** One folder in one that exists; where it is there it only gets the access. */
  makeFolder(path: string, access: FileAccess): Promise<void>;
  /**
   * Gives a folder and all that it holds to a user and its group, links themselves and not
   * what they name. Nothing is done where the folder is that user's already.
   */
  giveTo(path: string, ownerId: number): Promise<void>;
  makeLink(path: string, target: string): Promise<void>;
  /** Replaces what `to` names, unless it is a folder. */
  rename(from: string, to: string): Promise<void>;
  /** With all that it holds, however deep; memory that is mounted there is given back. */
  remove(path: string): Promise<void>;
  /** What each takes on its own disk, in bytes, without what is mounted in it; 0 where there is nothing. */
  diskBytes(paths: readonly string[]): Promise<readonly number[]>;
  /** Whether `mountMemory` was done there since the machine booted. */
  isMemory(path: string): Promise<boolean>;
  /** Puts a file system in memory of at most `sizeBytes` over a folder. */
  mountMemory(path: string, sizeBytes: number, access: FileAccess): Promise<void>;
  /** Gives back all such memory at or below a folder, with what is in it. */
  releaseMemory(path: string): Promise<void>;
}
