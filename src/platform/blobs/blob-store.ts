/**
 * Blobs as files over the disk port: `blobs/<first two digits>/<64 digits>`, with
 * uploads in `uploads/<id>` until they are whole.
 *
 * Invariants:
 * 1. A file reaches `blobs/` only by a rename after its digest was checked and its
 *    bytes were synced; it is known to readers only once the rename is durable too.
 * 2. What is in `uploads/` when the store opens belongs to nobody and is removed.
 * 3. What is read from its beginning is hashed on the way: damaged bytes end in an error
 *    and never in an end. They are set aside in `damaged/`, and the digest is not known
 *    any more, so that whoever has the bytes is not told that they are here.
 * 4. At most `uploadsMax` uploads are open. A new one beyond that ends the upload
 *    that has been idle longest, or is refused when all of them are busy.
 */
import { createHash, type Hash } from 'node:crypto';
import { assert, concatBytes } from '#base/mod.ts';
import {
  DiskError,
  silentLogger,
  type Disk,
  type DiskFile,
  type Logger,
  type Random,
} from '#platform/io/mod.ts';
import { digestOf, isDigest, parseDigest } from './digest.ts';
import { BlobError } from './errors.ts';
import type { BlobStore, BlobUpload, Digest } from './types.ts';

export interface BlobStoreOptions {
  /** Of one blob; 2 GiB where absent. */
  readonly blobBytesMax?: number;
  /** Open at one time; 64 where absent. */
  readonly uploadsMax?: number;
}

const blobBytesMaxDefault = 2 * 1024 * 1024 * 1024;
const uploadsMaxDefault = 64;
const readChunkBytes = 64 * 1024;
const ownerOnly = 0o600;

interface Shared {
  readonly disk: Disk;
  readonly logger: Logger;
  readonly blobBytesMax: number;
  readonly uploads: Map<string, Upload>;
  /** Renamed, but the rename is not yet durable. */
  readonly settling: Set<Digest>;
  /** Tail of the commits: one at a time, so that two of one digest do not race. */
  commits: Promise<void>;
}

/** Opens the store in the folder that `disk` is rooted at; drops what was half uploaded. */
export async function openBlobStore(
  dependencies: {
    readonly disk: Disk;
    readonly random: Random;
    /** Hears of blobs that are damaged. */
    readonly logger?: Logger;
  },
  options: BlobStoreOptions = {},
): Promise<BlobStore> {
  const { disk, random, logger = silentLogger } = dependencies;
  const uploadsMax = options.uploadsMax ?? uploadsMaxDefault;
  assert(uploadsMax > 0, 'a blob store takes at least one upload');
  await disk.remove('uploads');
  await disk.makeDirectory('uploads');
  await disk.makeDirectory('blobs');
  const shared: Shared = {
    disk,
    logger,
    blobBytesMax: options.blobBytesMax ?? blobBytesMaxDefault,
    uploads: new Map(),
    settling: new Set(),
    commits: Promise.resolve(),
  };

  async function begin(): Promise<BlobUpload> {
    if (shared.uploads.size >= uploadsMax) await endIdlest(shared, uploadsMax);
    const upload = new Upload(shared, random.uuid());
    shared.uploads.set(upload.id, upload);
    return upload;
  }

  return {
    sizeBytes: (digest) => sizeOf(shared, digest),
    intactSizeBytes: (digest) => intactSizeOf(shared, digest),
    read: (digest, offset = 0) => readChunks(shared, digest, offset),
    async readAll(digest, maxBytes) {
      const size = await sizeOf(shared, digest);
      if (size === undefined) throw notFound(digest);
      if (size > maxBytes) {
        throw new BlobError(
          'BLOB_TOO_LARGE',
          `blob ${digest} has ${size} bytes, more than the ${maxBytes} that are read at once`,
        );
      }
      const parts: Uint8Array[] = [];
      for await (const part of readChunks(shared, digest, 0)) parts.push(part);
      return concatBytes(parts);
    },
    begin,
    upload: (id) => shared.uploads.get(id),
    async put(bytes) {
      const digest = digestOf(bytes);
      if ((await intactSizeOf(shared, digest)) !== undefined) return digest;
      const upload = await begin();
      await upload.append(bytes);
      await upload.commit(digest);
      return digest;
    },
    async remove(digest) {
      await disk.remove(pathOf(digest));
      await disk.syncDirectory(folderOf(digest)).catch((error: unknown) => {
        if (!isDiskError(error, 'DISK_NOT_FOUND')) throw error;
      });
    },
  };
}

/** One upload: its operations run one after the other, however they are called. */
class Upload implements BlobUpload {
  readonly id: string;
  sizeBytes = 0;
  #shared: Shared;
  #hash: Hash = createHash('sha256');
  #file: DiskFile | undefined;
  #pending = 0;
  #tail: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(shared: Shared, id: string) {
    this.id = id;
    this.#shared = shared;
  }

  get busy(): boolean {
    return this.#pending > 0;
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      this.#assertOpen();
      // Map order is the order of last use, so that the first one is the idlest.
      this.#shared.uploads.delete(this.id);
      this.#shared.uploads.set(this.id, this);
      if (this.sizeBytes + bytes.length > this.#shared.blobBytesMax) {
        await this.#drop();
        throw new BlobError(
          'BLOB_TOO_LARGE',
          `a blob has at most ${this.#shared.blobBytesMax} bytes`,
        );
      }
      try {
        this.#file ??= await this.#shared.disk.open(this.#path(), 'create', ownerOnly);
        if (bytes.length > 0) await this.#file.writeAt(this.sizeBytes, [bytes]);
      } catch (error) {
        await this.#drop();
        throw spaceError(error);
      }
      this.#hash.update(bytes);
      this.sizeBytes += bytes.length;
    });
  }

  commit(expected: Digest): Promise<void> {
    return this.#inTurn(async () => {
      this.#assertOpen();
      const actual: Digest = `sha256:${this.#hash.copy().digest('hex')}`;
      if (actual !== expected) {
        await this.#drop();
        throw new BlobError(
          'BLOB_DIGEST_MISMATCH',
          `the bytes that arrived have the digest ${actual}, not ${expected}`,
        );
      }
      try {
        this.#file ??= await this.#shared.disk.open(this.#path(), 'create', ownerOnly);
        await this.#file.sync();
        await this.#file.close();
        this.#file = undefined;
        await settle(this.#shared, this.#path(), expected);
      } catch (error) {
        await this.#drop();
        throw spaceError(error);
      }
      this.#ended = true;
      this.#shared.uploads.delete(this.id);
    });
  }

  cancel(): Promise<void> {
    return this.#inTurn(() => this.#drop());
  }

  #path(): string {
    return `uploads/${this.id}`;
  }

  #assertOpen(): void {
    if (this.#ended) throw new BlobError('BLOB_UPLOAD_ENDED', 'this upload has ended');
  }

  async #drop(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#shared.uploads.delete(this.id);
    await this.#file?.close();
    this.#file = undefined;
    await this.#shared.disk.remove(this.#path());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#pending += 1;
    const run = this.#tail.then(work);
    this.#tail = run
      .catch(() => undefined)
      .then(() => {
        this.#pending -= 1;
      });
    return run;
  }
}

/** Moves a whole, synced upload to its place; resolves when that is durable. */
function settle(shared: Shared, path: string, digest: Digest): Promise<void> {
  const run = shared.commits.then(async () => {
    // In the place of what is there, which may have been damaged since: these bytes were just checked.
    shared.settling.add(digest);
    try {
      await shared.disk.makeDirectory(folderOf(digest));
      await shared.disk.rename(path, pathOf(digest));
      await syncName(shared, digest);
    } finally {
      shared.settling.delete(digest);
    }
  });
  shared.commits = run.catch(() => undefined);
  return run;
}

/** A name whose sync failed is taken back: it must not pass for durable later. */
async function syncName(shared: Shared, digest: Digest): Promise<void> {
  try {
    await shared.disk.syncDirectory(folderOf(digest));
  } catch (error) {
    await shared.disk.remove(pathOf(digest));
    throw error;
  }
}

async function endIdlest(shared: Shared, uploadsMax: number): Promise<void> {
  for (const upload of shared.uploads.values()) {
    if (upload.busy) continue;
    await upload.cancel();
    return;
  }
  throw new BlobError(
    'BLOB_TOO_MANY_UPLOADS',
    `${uploadsMax} uploads are being written, which is the most at one time`,
  );
}

async function openBlob(shared: Shared, digest: Digest): Promise<DiskFile | undefined> {
  if (!isDigest(digest) || shared.settling.has(digest)) return undefined;
  try {
    return await shared.disk.open(pathOf(digest), 'read');
  } catch (error) {
    if (isDiskError(error, 'DISK_NOT_FOUND')) return undefined;
    throw error;
  }
}

async function sizeOf(shared: Shared, digest: Digest): Promise<number | undefined> {
  const file = await openBlob(shared, digest);
  if (file === undefined) return undefined;
  try {
    return await file.sizeBytes();
  } finally {
    await file.close();
  }
}

/** Reads all of it; what is not as its digest says is set aside, and not known any more. */
async function intactSizeOf(shared: Shared, digest: Digest): Promise<number | undefined> {
  let size = 0;
  try {
    for await (const chunk of readChunks(shared, digest, 0)) size += chunk.length;
  } catch (error) {
    const isGone =
      error instanceof BlobError && ['BLOB_NOT_FOUND', 'BLOB_DAMAGED'].includes(error.code);
    if (isGone) return undefined;
    throw error;
  }
  return size;
}

async function setDamagedAside(shared: Shared, digest: Digest): Promise<void> {
  const { disk, logger } = shared;
  const aside = `damaged/${digest.slice(7)}`;
  await disk.makeDirectory('damaged');
  await disk.rename(pathOf(digest), aside).catch((error: unknown) => {
    // Two readers have found it.
    if (!isDiskError(error, 'DISK_NOT_FOUND')) throw error;
  });
  logger.log('error', 'a blob is damaged and was set aside; push its image again', {
    digest,
    aside: disk.absolute(aside),
  });
}

async function* readChunks(
  shared: Shared,
  digest: Digest,
  offset: number,
): AsyncIterable<Uint8Array> {
  // From the middle on nothing can be told: the whole is looked at first.
  if (offset > 0 && (await intactSizeOf(shared, digest)) === undefined) throw notFound(digest);
  const hash = createHash('sha256');
  const file = await openBlob(shared, digest);
  if (file === undefined) throw notFound(digest);
  try {
    for (let at = offset; ;) {
      const chunk = await file.readAt(at, readChunkBytes);
      at += chunk.length;
      hash.update(chunk);
      if (chunk.length > 0) yield chunk;
      if (chunk.length < readChunkBytes) break;
    }
    if (offset > 0 || `sha256:${hash.digest('hex')}` === digest) return;
    // It may have been replaced by a push meanwhile; then that one is looked at next time.
    await setDamagedAside(shared, digest);
    throw new BlobError(
      'BLOB_DAMAGED',
      `the bytes of ${digest} are damaged on the disk and were set aside`,
    );
  } finally {
    await file.close();
  }
}

function folderOf(digest: Digest): string {
  return `blobs/${parseDigest(digest).slice(7, 9)}`;
}

function pathOf(digest: Digest): string {
  return `${folderOf(digest)}/${digest.slice(7)}`;
}

function notFound(digest: Digest): BlobError {
  return new BlobError('BLOB_NOT_FOUND', `there is no blob ${digest}`);
}

function isDiskError(error: unknown, code: string): boolean {
  return error instanceof DiskError && error.code === code;
}

function spaceError(error: unknown): unknown {
  return isDiskError(error, 'DISK_NO_SPACE')
    ? new BlobError('BLOB_NO_SPACE', 'no space is left for blobs on the server', error)
    : error;
}
