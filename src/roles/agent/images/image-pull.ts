/** One pull: index, the best entry for this node, manifest, configuration, layers, plain files. */
import { hash } from 'node:crypto';
import { equalBytes, errorText, isJsonObject, textOf } from '#base/mod.ts';
import {
  BlobError,
  choosePlatform,
  digestOf,
  isDigest,
  manifestBytesMax,
  mediaTypes,
  parseManifest,
  platformText,
  type BlobStore,
  type Digest,
  type OciImageConfig,
  type OciManifest,
} from '#platform/blobs/mod.ts';
import { DiskError, type Disk, type Logger } from '#platform/io/mod.ts';
import {
  archiveLimits,
  flattenLayers,
  ImageLayoutError,
  layerArchive,
  type ArchiveFile,
} from '#engines/image-layout/mod.ts';
import { AgentError } from '../errors.ts';
import { setAside } from '../set-aside.ts';
import type { BlobFetcher } from './blob-fetch.ts';
import type { UnpackedImage } from './image-cache.ts';

/** How far a pull is. Index and manifest, which say how much there is, are not counted. */
export interface PullProgress {
  readonly receivedBytes: number;
  readonly totalBytes: number;
}

export interface ImageSource {
  readonly blobs: BlobStore;
  readonly fetcher: BlobFetcher;
  readonly logger: Logger;
}

const configBytesMax = 1024 * 1024;
const layerBytesMax = 64 * 1024 * 1024;
const layersMax = 64;
const gzipLayers = [
  mediaTypes.layerTarGzip,
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
] as readonly string[];
const plainLayers = [
  mediaTypes.layerTar,
  'application/vnd.docker.image.rootfs.diff.tar',
] as readonly string[];

/** Rejects with AgentError: IMAGE_UNREACHABLE is worth another try soon, the others hardly. */
export async function pullImage(
  source: ImageSource,
  disk: Disk,
  digest: string,
  platforms: readonly string[],
  onProgress: (progress: PullProgress) => void = () => {},
): Promise<UnpackedImage> {
  if (!isDigest(digest)) throw invalid(`${digest} is no digest`);
  try {
    const manifest = await manifestOf(source, digest, platforms);
    const counted = counting(source, manifest.value, onProgress);
    const config = await configOf(counted, manifest.value, platforms);
    const folder = `images/${manifest.digest.slice('sha256:'.length)}`;
    const files = await filesOf(counted, manifest.value, config);
    const isThere = (await disk.list('images')).some((entry) => `images/${entry.name}` === folder);
    const isWhole = isThere && (await isIntact(disk, folder, files));
    // What runs from it keeps what it has: the folder is renamed, not emptied.
    if (isThere && !isWhole) await setAside(disk, folder, source.logger, 'not as it was unpacked');
    if (!isWhole) await unpack(disk, folder, files);
    const { Entrypoint, Cmd, Env } = config.config ?? {};
    return {
      digest,
      platform: platformText(config),
      bundle: disk.absolute(folder),
      entrypoint: Entrypoint ?? [],
      arguments: Cmd ?? [],
      environment: Object.fromEntries(
        (Env ?? []).map((pair) => {
          const at = pair.indexOf('=');
          return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
        }),
      ),
    };
  } catch (error) {
    if (error instanceof BlobError && !error.retryable) throw invalid(error.message, error);
    if (error instanceof ImageLayoutError) throw invalid(error.message, error);
    throw error;
  }
}

/** The same source, which tells how much of the image's parts has come through it. */
function counting(
  source: ImageSource,
  { config, layers }: OciManifest,
  onProgress: (progress: PullProgress) => void,
): ImageSource {
  const totalBytes = [config, ...layers].reduce((sum, { size }) => sum + size, 0);
  const received = new Map<Digest, number>();
  const tell = (): void => {
    const receivedBytes = [...received.values()].reduce((sum, bytes) => sum + bytes, 0);
    onProgress({ receivedBytes: Math.min(receivedBytes, totalBytes), totalBytes });
  };
  const sizeOf = (digest: Digest): number =>
    [config, ...layers].find((part) => part.digest === digest)?.size ?? 0;
  const ensure: BlobFetcher['ensure'] = async (digest, maxBytes) => {
    await source.fetcher.ensure(digest, maxBytes, (bytes) => {
      received.set(digest, bytes);
      tell();
    });
    received.set(digest, sizeOf(digest));
    tell();
  };
  return { ...source, fetcher: { ensure } };
}

/** What the node has of it may have been damaged since it came: then it is fetched anew. */
async function bytesOf(
  { blobs, fetcher, logger }: ImageSource,
  digest: Digest,
  maxBytes: number,
): Promise<Uint8Array> {
  await fetcher.ensure(digest, maxBytes);
  try {
    return await blobs.readAll(digest, maxBytes);
  } catch (error) {
    if (!(error instanceof BlobError) || error.code !== 'BLOB_DAMAGED') throw error;
  }
  logger.log('error', 'a blob on disk was damaged and is fetched anew', { digest });
  await fetcher.ensure(digest, maxBytes);
  return blobs.readAll(digest, maxBytes);
}

/** Whether every file of the image is in the folder as the image has it. */
async function isIntact(
  disk: Disk,
  folder: string,
  files: readonly ArchiveFile[],
): Promise<boolean> {
  for (const { path, bytes } of files) {
    try {
      const found = await disk.readFile(`${folder}/${path}`, bytes.length);
      if (found === undefined || !equalBytes(found, bytes)) return false;
    } catch (error) {
      if (error instanceof DiskError && error.code === 'DISK_IO') return false;
      throw error;
    }
  }
  return true;
}

async function manifestOf(
  source: ImageSource,
  digest: Digest,
  platforms: readonly string[],
): Promise<{ digest: Digest; value: OciManifest }> {
  const top = parseManifest(await bytesOf(source, digest, manifestBytesMax));
  if (top.type === 'manifest') return { digest, value: top.manifest };
  const entry = choosePlatform(top.index, platforms);
  if (entry === undefined) {
    const offered = top.index.manifests.flatMap(({ platform }) =>
      platform === undefined ? [] : [platformText(platform)],
    );
    throw noPlatform(offered, platforms);
  }
  const chosen = parseManifest(await bytesOf(source, entry.digest, manifestBytesMax));
  if (chosen.type !== 'manifest') throw invalid('an index leads to another index');
  return { digest: entry.digest, value: chosen.manifest };
}

async function configOf(
  source: ImageSource,
  manifest: OciManifest,
  platforms: readonly string[],
): Promise<OciImageConfig> {
  let config: unknown;
  try {
    config = JSON.parse(textOf(await bytesOf(source, manifest.config.digest, configBytesMax)));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw invalid(`its configuration is not JSON: ${errorText(error)}`, error);
  }
  if (!isJsonObject(config) || !isShaped(config['config'] ?? {})) {
    throw invalid('its configuration has not the shape of one');
  }
  const platform = platformText(config as unknown as OciImageConfig);
  if (!platforms.includes(platform)) throw noPlatform([platform], platforms);
  return config as unknown as OciImageConfig;
}

function isShaped(config: unknown): boolean {
  return (
    isJsonObject(config) &&
    ['Entrypoint', 'Cmd', 'Env'].every((field) => {
      const value = config[field];
      return (
        value === undefined ||
        value === null ||
        (Array.isArray(value) && value.every((item) => typeof item === 'string'))
      );
    })
  );
}

async function filesOf(
  source: ImageSource,
  manifest: OciManifest,
  config: OciImageConfig,
): Promise<readonly ArchiveFile[]> {
  if (manifest.layers.length > layersMax) throw invalid(`it has more than ${layersMax} layers`);
  const expected = config.rootfs?.diff_ids ?? [];
  if (expected.length !== manifest.layers.length) {
    throw invalid('its configuration and its manifest differ in the number of layers');
  }
  const archives: Uint8Array[] = [];
  let totalBytes = 0;
  for (const [index, layer] of manifest.layers.entries()) {
    const isGzip = gzipLayers.includes(layer.mediaType);
    if (!isGzip && !plainLayers.includes(layer.mediaType)) {
      throw invalid(`layers of type ${layer.mediaType} are not supported`);
    }
    const archive = layerArchive(await bytesOf(source, layer.digest, layerBytesMax), isGzip);
    totalBytes += archive.length;
    if (totalBytes > archiveLimits.totalBytesMax * 1.25) throw invalid('its layers are too large');
    if (`sha256:${hash('sha256', archive, 'hex')}` !== expected[index]) {
      throw invalid(`layer ${digestOf(archive)} is not the one that its configuration names`);
    }
    archives.push(archive);
  }
  return flattenLayers(archives);
}

/** Readable by the users that containers run as; owned, and written, by root alone. */
async function unpack(disk: Disk, folder: string, files: readonly ArchiveFile[]): Promise<void> {
  const partial = folder.replace('images/', 'images/partial-');
  await disk.remove(partial);
  await disk.makeDirectory(partial, 0o755);
  const folders = new Set<string>();
  for (const file of files) {
    const parent = `${partial}/${file.path}`.replace(/\/[^/]*$/, '');
    if (!folders.has(parent)) await disk.makeDirectory(parent, 0o755);
    folders.add(parent);
    const mode = (file.mode & 0o111) === 0 ? 0o644 : 0o755;
    const opened = await disk.open(`${partial}/${file.path}`, 'create', mode);
    try {
      await opened.writeAt(0, [file.bytes]);
      await opened.sync();
    } finally {
      await opened.close();
    }
  }
  for (const parent of folders) await disk.syncDirectory(parent);
  await disk.rename(partial, folder);
  await disk.syncDirectory('images');
}

function noPlatform(offered: readonly string[], platforms: readonly string[]): AgentError {
  return new AgentError(
    'IMAGE_NO_PLATFORM',
    `the image is for ${offered.join(', ') || 'nothing named'}; this node runs ${platforms.join(', ')}`,
  );
}

function invalid(message: string, cause?: unknown): AgentError {
  return new AgentError('IMAGE_INVALID', message, { cause });
}
