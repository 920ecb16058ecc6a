/**
 * A folder of this machine's file system as a Disk.
 *
 * Invariants:
 * 1. A path is checked as text: it has no empty part, no `..`, no NUL and does not
 *    begin with `/`. Symbolic links are followed; the state folder is our own.
 * 2. A write that comes back short is continued until it is whole or refused, so
 *    that a full disk is an error and never a hole.
 * 3. Names with the suffix of temporary files are never listed: one that a crash
 *    left behind is overwritten or removed with its folder.
 */
import * as fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { assert, errorText } from '#base/mod.ts';
import {
  DiskError,
  type Disk,
  type DiskEntry,
  type DiskErrorCode,
  type DiskFile,
} from '../disk.ts';
import { releaseMemory } from './file-tree.ts';

const close = promisify(fs.close);
const fchmod = promisify(fs.fchmod);
const fdatasync = promisify(fs.fdatasync);
const fstat = promisify(fs.fstat);
const fsync = promisify(fs.fsync);
const ftruncate = promisify(fs.ftruncate);
const lstat = promisify(fs.lstat);
const openFile = promisify(fs.open);
const readdir = promisify(fs.readdir);
const rename = promisify(fs.rename);
const rm = promisify(fs.rm);
const statfs = promisify(fs.statfs);

const fileMode = 0o600;
const folderMode = 0o700;
const pathMaxLength = 1_024;
const kernelFileBytesMax = 64 * 1024;
const temporarySuffix = '.selvage-tmp';
/** Of the whole process: several views of one folder may write the same file at once. */
let temporaryCount = 0;

const codeOfErrno: Readonly<Record<string, DiskErrorCode>> = {
  ENOENT: 'DISK_NOT_FOUND',
  ENOTDIR: 'DISK_NOT_FOUND',
  EEXIST: 'DISK_EXISTS',
  ENOTEMPTY: 'DISK_EXISTS',
  EISDIR: 'DISK_IO',
  ENOSPC: 'DISK_NO_SPACE',
  EDQUOT: 'DISK_NO_SPACE',
  EFBIG: 'DISK_NO_SPACE',
  ENAMETOOLONG: 'DISK_PATH',
};

function errnoOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

function diskErrorOf(thrown: unknown, path: string): DiskError {
  if (thrown instanceof DiskError) return thrown;
  const code = codeOfErrno[errnoOf(thrown)] ?? 'DISK_IO';
  return new DiskError(code, `${path}: ${errorText(thrown)}`, {
    cause: thrown,
    retryable: code === 'DISK_NO_SPACE',
  });
}

/** Runs a call to the system and gives its errors the form of the port. */
async function system<Result>(path: string, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (thrown) {
    throw diskErrorOf(thrown, path);
  }
}

/** The relative path in its one form; empty for the root. Throws DISK_PATH. */
function checkedPath(path: string): string {
  if (path === '' || path === '.') return '';
  const bad =
    path.length > pathMaxLength ||
    path.includes('\0') ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (bad)
    throw new DiskError('DISK_PATH', `not a path inside the folder: ${JSON.stringify(path)}`);
  return path;
}

async function syncFolder(absolute: string): Promise<void> {
  const descriptor = await openFile(absolute, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    await fsync(descriptor);
  } finally {
    await close(descriptor);
  }
}

/**
 * A write is a copy into the page cache, which takes less time than to hand it to
 * another thread and to be told; what waits for the disk is `sync`. This much is copied
 * in one turn of the event loop, so that a run of writes (a snapshot) lets others go in
 * between; what comes on top goes to the other thread.
 */
const copiedInTurnBytesMax = 128 * 1024;
let copiedInTurnBytes = 0;

/** Whether so much more may be copied in this turn, and if so, counts it. */
function mayCopy(sizeBytes: number): boolean {
  if (copiedInTurnBytes + sizeBytes > copiedInTurnBytesMax) return false;
  if (copiedInTurnBytes === 0 && sizeBytes > 0) {
    setImmediate(() => {
      copiedInTurnBytes = 0;
    });
  }
  copiedInTurnBytes += sizeBytes;
  return true;
}

/** Writes all parts from `offset`: as a rule one call to the system. */
async function writeAll(
  descriptor: number,
  offset: number,
  parts: readonly Uint8Array[],
): Promise<void> {
  const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
  if (!mayCopy(sizeBytes)) return writeInBackground(descriptor, offset, parts);
  let pending = parts.filter((part) => part.length > 0);
  let position = offset;
  while (pending.length > 0) {
    const writtenBytes = fs.writevSync(descriptor, pending, position);
    if (writtenBytes === 0) throw tookNothing();
    position += writtenBytes;
    pending = afterBytes(pending, writtenBytes);
  }
}

function tookNothing(): DiskError {
  return new DiskError('DISK_NO_SPACE', 'the system took no bytes', { retryable: true });
}

function writeInBackground(
  descriptor: number,
  offset: number,
  parts: readonly Uint8Array[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    let pending = parts.filter((part) => part.length > 0);
    let position = offset;
    const step = (): void => {
      if (pending.length === 0) {
        resolve();
        return;
      }
      fs.writev(descriptor, pending, position, (error, writtenBytes) => {
        if (error !== null) {
          reject(error);
          return;
        }
        if (writtenBytes === 0) {
          reject(tookNothing());
          return;
        }
        position += writtenBytes;
        pending = afterBytes(pending, writtenBytes);
        step();
      });
    };
    step();
  });
}

function afterBytes(parts: readonly Uint8Array[], countBytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skipBytes = countBytes;
  for (const part of parts) {
    if (skipBytes >= part.length) skipBytes -= part.length;
    else {
      rest.push(part.subarray(skipBytes));
      skipBytes = 0;
    }
  }
  return rest;
}

function readSome(
  descriptor: number,
  into: Uint8Array,
  filledBytes: number,
  offset: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(
      descriptor,
      into,
      filledBytes,
      into.length - filledBytes,
      offset + filledBytes,
      (error, readBytes) => {
        if (error === null) resolve(readBytes);
        else reject(error);
      },
    );
  });
}

async function readRange(
  descriptor: number,
  offset: number,
  lengthBytes: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(lengthBytes);
  let filledBytes = 0;
  while (filledBytes < lengthBytes) {
    const readBytes = await readSome(descriptor, bytes, filledBytes, offset);
    if (readBytes === 0) break;
    filledBytes += readBytes;
  }
  return filledBytes === lengthBytes ? bytes : bytes.slice(0, filledBytes);
}

class NodeDiskFile implements DiskFile {
  readonly #path: string;
  #descriptor: number | undefined;

  constructor(path: string, descriptor: number) {
    this.#path = path;
    this.#descriptor = descriptor;
  }

  #use<Result>(call: (descriptor: number) => Promise<Result>): Promise<Result> {
    const descriptor = this.#descriptor;
    assert(descriptor !== undefined, `the file is open: ${this.#path}`);
    return system(this.#path, () => call(descriptor));
  }

  sizeBytes(): Promise<number> {
    return this.#use(async (descriptor) => (await fstat(descriptor)).size);
  }

  readAt(offset: number, lengthBytes: number): Promise<Uint8Array> {
    assert(offset >= 0 && lengthBytes >= 0, 'a range of a file is not negative');
    return this.#use(async (descriptor) => {
      // Never more memory than there is file, whatever the caller asks for. A file that the
      // kernel makes up as it is read (/proc, /sys) says that it has none.
      const { size } = await fstat(descriptor);
      const restBytes = size === 0 ? kernelFileBytesMax : Math.max(0, size - offset);
      return readRange(descriptor, offset, Math.min(lengthBytes, restBytes));
    });
  }

  writeAt(offset: number, parts: readonly Uint8Array[]): Promise<void> {
    assert(offset >= 0, 'an offset is not negative');
    return this.#use((descriptor) => writeAll(descriptor, offset, parts));
  }

  sync(): Promise<void> {
    return this.#use((descriptor) => fdatasync(descriptor));
  }

  truncate(lengthBytes: number): Promise<void> {
    return this.#use((descriptor) => ftruncate(descriptor, lengthBytes));
  }

  async close(): Promise<void> {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) return;
    this.#descriptor = undefined;
    await system(this.#path, () => close(descriptor));
  }
}

class NodeDisk implements Disk {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  absolute(path: string): string {
    return join(this.#root, checkedPath(path));
  }

  within(path: string): Disk {
    return new NodeDisk(this.absolute(path));
  }

  async #file(path: string): Promise<string> {
    if (checkedPath(path) === '') throw new DiskError('DISK_PATH', 'the folder itself is no file');
    return this.absolute(path);
  }

  async open(
    path: string,
    mode: 'read' | 'write' | 'create',
    permissions?: number,
  ): Promise<DiskFile> {
    const absolute = await this.#file(path);
    const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
    const flags = {
      read: O_RDONLY,
      write: O_RDWR | O_CREAT,
      create: O_RDWR | O_CREAT | O_EXCL,
    }[mode];
    return system(path, async () => {
      const descriptor = await openFile(absolute, flags, permissions ?? fileMode);
      // The umask must not narrow what the caller asked for by name.
      if (permissions !== undefined && mode !== 'read') await fchmod(descriptor, permissions);
      return new NodeDiskFile(path, descriptor);
    });
  }

  async readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    let file: DiskFile;
    try {
      file = await this.open(path, 'read');
    } catch (thrown) {
      if (thrown instanceof DiskError && thrown.code === 'DISK_NOT_FOUND') return undefined;
      throw thrown;
    }
    try {
      const bytes = await file.readAt(0, maxBytes + 1);
      if (bytes.length <= maxBytes) return bytes;
      throw new DiskError('DISK_IO', `${path}: larger than the limit of ${maxBytes} bytes`);
    } finally {
      await file.close();
    }
  }

  async writeFileAtomic(path: string, bytes: Uint8Array, permissions?: number): Promise<void> {
    const absolute = await this.#file(path);
    temporaryCount += 1;
    const temporary = `${absolute}.${temporaryCount}${temporarySuffix}`;
    await system(path, async () => {
      const { O_WRONLY, O_CREAT, O_TRUNC } = fs.constants;
      const mode = permissions ?? fileMode;
      try {
        const descriptor = await openFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
        try {
          // Also where a crash left a file of that name with other permissions.
          await fchmod(descriptor, mode);
          await writeAll(descriptor, 0, [bytes]);
          await fsync(descriptor);
        } finally {
          await close(descriptor);
        }
        await rename(temporary, absolute);
      } catch (thrown) {
        await rm(temporary, { force: true });
        throw thrown;
      }
      await syncFolder(dirname(absolute));
    });
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    const absolute = this.absolute(path);
    return system(path, async () => {
      const entries: DiskEntry[] = [];
      for (const name of await namesOf(absolute)) {
        const entry = name.endsWith(temporarySuffix) ? undefined : await entryOf(absolute, name);
        if (entry !== undefined) entries.push(entry);
      }
      return entries;
    });
  }

  async makeDirectory(path: string, permissions?: number): Promise<void> {
    const absolute = this.absolute(path);
    await system(path, async () => {
      makeFolders(absolute, permissions);
    });
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [await this.#file(from), await this.#file(to)];
    await system(from, () => rename(source, target));
  }

  async remove(path: string): Promise<void> {
    const absolute = await this.#file(path);
    await system(path, async () => {
      const removeAll = (): Promise<void> => rm(absolute, { recursive: true, force: true });
      await removeAll().catch(async (thrown: unknown) => {
        // Memory that was mounted there for pods whose agent is no more.
        if (errnoOf(thrown) !== 'EBUSY') throw thrown;
        await releaseMemory(absolute);
        await removeAll();
      });
    });
  }

  async syncDirectory(path: string): Promise<void> {
    const absolute = this.absolute(path);
    await system(path, () => syncFolder(absolute));
  }

  async freeBytes(): Promise<number> {
    return system('', async () => {
      const { bavail, bsize } = await statfs(this.#root);
      return bavail * bsize;
    });
  }
}

/** Sorted by code unit, as every driver does; empty where there is no folder. */
async function namesOf(absolute: string): Promise<string[]> {
  try {
    return (await readdir(absolute)).toSorted((left, right) => (left < right ? -1 : 1));
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

/** Undefined where it was removed since the folder was read. */
async function entryOf(folder: string, name: string): Promise<DiskEntry | undefined> {
  try {
    const facts = await lstat(join(folder, name));
    const kind = facts.isFile() ? 'file' : facts.isDirectory() ? 'directory' : 'other';
    return { name, kind, sizeBytes: facts.size };
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** Makes a folder and its parents, and makes each new name durable. Folders are made rarely. */
function makeFolders(absolute: string, permissions: number | undefined): void {
  const first = fs.mkdirSync(absolute, { recursive: true, mode: permissions ?? folderMode });
  if (first === undefined) return;
  if (permissions !== undefined) fs.chmodSync(absolute, permissions);
  for (let folder = absolute; folder.length >= first.length; folder = dirname(folder)) {
    const descriptor = fs.openSync(dirname(folder), fs.constants.O_RDONLY);
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  }
}

/** The folder `rootPath` (made where it is absent, for this user alone) as a Disk. */
export function createNodeDisk(rootPath: string): Disk {
  const root = resolve(rootPath);
  try {
    makeFolders(root, undefined);
  } catch (thrown) {
    throw diskErrorOf(thrown, root);
  }
  return new NodeDisk(root);
}
