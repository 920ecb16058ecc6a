/**
 * Content-addressed bytes: image manifests, configurations and layers.
 *
 * Invariants:
 * 1. A digest that `sizeBytes` knows had exactly those bytes, durable and verified, when
 *    it was stored; one that `intactSizeBytes` knows has them now.
 * 2. An upload becomes a blob only by `commit`, which checks the digest; a cut
 *    upload leaves nothing that `sizeBytes` knows.
 */

/** `sha256:` and 64 lower-case hexadecimal digits. */
export type Digest = `sha256:${string}`;

export interface BlobUpload {
  /** Names the upload over HTTP; unguessable. */
  readonly id: string;
  readonly sizeBytes: number;
  append(bytes: Uint8Array): Promise<void>;
  /** Rejects with BlobError BLOB_DIGEST_MISMATCH, and drops the upload, when the bytes differ. */
  commit(expected: Digest): Promise<void>;
  cancel(): Promise<void>;
}

export interface BlobStore {
  /** Undefined where there is no such blob. */
  sizeBytes(digest: Digest): Promise<number | undefined>;
  /** The same, after all of it was read and compared with the digest: for who would not store it again. */
  intactSizeBytes(digest: Digest): Promise<number | undefined>;
  /** In chunks of at most 64 KiB, from `offset`. Rejects with BLOB_NOT_FOUND, or at its end with BLOB_DAMAGED. */
  read(digest: Digest, offset?: number): AsyncIterable<Uint8Array>;
  /** The whole of a small blob; rejects with BLOB_TOO_LARGE above `maxBytes`. */
  readAll(digest: Digest, maxBytes: number): Promise<Uint8Array>;
  begin(): Promise<BlobUpload>;
  /** An upload begun earlier in this process; undefined when it ended. */
  upload(id: string): BlobUpload | undefined;
  /** Durable when it resolves; the digest of the bytes. */
  put(bytes: Uint8Array): Promise<Digest>;
  remove(digest: Digest): Promise<void>;
}

/** What one reference of a pod stands for now. */
export interface ResolvedImage {
  /** Of the image index, or of the manifest where there is no index. */
  readonly digest: Digest;
  readonly mediaType: string;
  /** What its entries need: `os/architecture`, e.g. `linux/amd64`, `script/javascript`. */
  readonly platforms: readonly string[];
  /** The manifest for each of them. */
  readonly byPlatform: Readonly<Record<string, Digest>>;
}

/** Names to digests: the tags of the built-in registry. */
export interface ImageCatalog {
  /**
   * `edge-service-image:latest`, `team/app@sha256:…`; undefined where nothing has that name.
   * Rejects with BlobError IMAGE_REFERENCE_INVALID where it is no name, and with others
   * where what it names is no image that can be read.
   */
  resolve(reference: string): Promise<ResolvedImage | undefined>;
  /** Called when a name was added or moved, so that pods waiting for it are tried again. */
  onChange(listener: () => void): void;
}
