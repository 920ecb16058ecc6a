/**
 * Packs bundles as an OCI image: an index with an entry for each variant, such as
 * `script/javascript` and `wasi/wasm`, and its manifest, its configuration and one
 * layer. Nothing but the input goes into the bytes, so the same input has the same
 * digests everywhere.
 */
import { createHash, hash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { utf8 } from '#base/mod.ts';
import { ImageLayoutError } from './errors.ts';
import { archiveLimits } from './tar-reader.ts';
import { writeTar, type ArchiveFile } from './tar-writer.ts';

export type ImageDigest = `sha256:${string}`;

export interface ImageDescriptor {
  readonly mediaType: string;
  readonly digest: ImageDigest;
  readonly size: number;
}

/** What is run on one kind of platform. */
export interface ImageVariant {
  readonly platform: { readonly os: string; readonly architecture: string };
  readonly files: readonly ArchiveFile[];
  /** The module to run, as a path in the bundle, then its fixed arguments. */
  readonly entrypoint: readonly string[];
}

export interface ImageInput {
  /** The order is kept; a node takes the one that it prefers itself. */
  readonly variants: readonly ImageVariant[];
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ScriptImageInput {
  readonly files: readonly ArchiveFile[];
  /** The module to run, as a path in the bundle, then its fixed arguments. */
  readonly entrypoint: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface PackedImage {
  /** All blobs, the index among them. */
  readonly blobs: ReadonlyMap<ImageDigest, Uint8Array>;
  readonly index: ImageDescriptor;
  readonly indexBytes: Uint8Array;
  /** Of the first variant. */
  readonly manifest: ImageDescriptor;
}

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;
export const scriptPlatform = { architecture: 'javascript', os: 'script' } as const;
export const wasmPlatform = { architecture: 'wasm', os: 'wasi' } as const;
/** Byte of the gzip header that tells the packing system; 255 means unknown. */
const gzipSystemAt = 9;

/** Throws IMAGE_PACK_INVALID where the input cannot make an image that a node would run. */
export function packImage(input: ImageInput): PackedImage {
  const blobs = new Map<ImageDigest, Uint8Array>();
  const keep = (mediaType: string, bytes: Uint8Array): ImageDescriptor => {
    const digest: ImageDigest = `sha256:${hash('sha256', bytes, 'hex')}`;
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const packed = input.variants.map((variant) => {
    checkVariant(variant);
    return { manifest: packVariant(input, variant, keep), platform: variant.platform };
  });
  const [first] = packed;
  if (first === undefined) throw invalid('it has nothing to run');
  const manifests = packed.map(({ manifest, platform }) => ({ ...manifest, platform }));
  const indexBytes = jsonBytes({ schemaVersion: 2, mediaType: types.index, manifests });
  return { blobs, index: keep(types.index, indexBytes), indexBytes, manifest: first.manifest };
}

/** An image with the one variant `script/javascript`. */
export function packScriptImage({ files, entrypoint, env, labels }: ScriptImageInput): PackedImage {
  return packImage({ variants: [{ platform: scriptPlatform, files, entrypoint }], env, labels });
}

function packVariant(
  { env, labels }: ImageInput,
  { files, entrypoint, platform }: ImageVariant,
  keep: (mediaType: string, bytes: Uint8Array) => ImageDescriptor,
): ImageDescriptor {
  const archive = writeTar(files);
  const packed = gzipSync(archive, { level: 9 });
  packed[gzipSystemAt] = 255;
  const layer = keep(types.layer, packed);
  const config = keep(
    types.config,
    jsonBytes({
      ...platform,
      config: {
        Entrypoint: entrypoint,
        Env: sortedEntries(env).map(([name, value]) => `${name}=${value}`),
        WorkingDir: '/app',
        Labels: Object.fromEntries(sortedEntries(labels)),
      },
      rootfs: {
        type: 'layers',
        diff_ids: [`sha256:${createHash('sha256').update(archive).digest('hex')}`],
      },
    }),
  );
  const manifest = { schemaVersion: 2, mediaType: types.manifest, config, layers: [layer] };
  return keep(types.manifest, jsonBytes(manifest));
}

function checkVariant(input: ImageVariant): void {
  const [module] = input.entrypoint;
  if (module === undefined) throw invalid('the entrypoint names no module');
  if (!input.files.some((file) => file.path === module)) {
    throw invalid(`the entrypoint ${module} is not among the files`);
  }
  if (input.files.length > archiveLimits.entriesMax / 2) {
    throw invalid(`more than ${archiveLimits.entriesMax / 2} files`);
  }
  let totalBytes = 0;
  for (const file of input.files) {
    totalBytes += file.bytes.length;
    if (file.bytes.length > archiveLimits.fileBytesMax) {
      throw invalid(`${file.path} has more than ${archiveLimits.fileBytesMax} bytes`);
    }
  }
  if (totalBytes > archiveLimits.totalBytesMax) {
    throw invalid(`the files have more than ${archiveLimits.totalBytesMax} bytes together`);
  }
}

function sortedEntries(record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).sort(([left], [right]) => (left < right ? -1 : 1));
}

function jsonBytes(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value));
}

function invalid(message: string): ImageLayoutError {
  return new ImageLayoutError('IMAGE_PACK_INVALID', `cannot pack the image: ${message}`);
}
