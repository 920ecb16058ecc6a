/**
 * What an image's layers amount to, laid over each other in order, as plain
 * files. Links become copies of what they lead to, so that an unpacked image
 * holds nothing but folders and files.
 */
import { gunzipSync } from 'node:zlib';
import { ImageLayoutError } from './errors.ts';
import { archiveLimits, readTar, type ArchiveEntry, type ArchiveLimits } from './tar-reader.ts';
import type { ArchiveFile } from './tar-writer.ts';

const linkDepthMax = 8;
const removalMark = '.wh.';
const removeAllMark = '.wh..wh..opq';

/** The bytes of a layer archive, unpacked where `isGzip`. Throws IMAGE_ARCHIVE_REFUSED. */
export function layerArchive(
  bytes: Uint8Array,
  isGzip: boolean,
  limits: ArchiveLimits = archiveLimits,
): Uint8Array {
  if (!isGzip) return bytes;
  const maxOutputLength = limits.totalBytesMax + limits.entriesMax * 1536 + 1024;
  try {
    return gunzipSync(bytes, { maxOutputLength });
  } catch (cause) {
    throw refused(`a layer is not gzip or unpacks to more than ${maxOutputLength} bytes`, cause);
  }
}

/** Files sorted by path. Throws IMAGE_ARCHIVE_REFUSED. */
export function flattenLayers(
  archives: readonly Uint8Array[],
  limits: ArchiveLimits = archiveLimits,
): readonly ArchiveFile[] {
  const tree = new Map<string, ArchiveEntry>();
  for (const archive of archives) {
    for (const entry of readTar(archive, limits)) lay(entry, tree);
  }
  const files: ArchiveFile[] = [];
  let totalBytes = 0;
  for (const entry of tree.values()) {
    if (entry.type === 'directory') continue;
    for (const parent of parentsOf(entry.path)) {
      const above = tree.get(parent);
      if (above !== undefined && above.type !== 'directory') {
        throw refused(`${entry.path} lies below ${parent}, which is not a folder`);
      }
    }
    const file = fileOf(entry, tree);
    totalBytes += file.bytes.length;
    if (totalBytes > limits.totalBytesMax) {
      throw refused(`its files have more than ${limits.totalBytesMax} bytes`);
    }
    files.push({ path: entry.path, bytes: file.bytes, mode: file.mode });
  }
  return files.sort((left, right) => (left.path < right.path ? -1 : 1));
}

function lay(entry: ArchiveEntry, tree: Map<string, ArchiveEntry>): void {
  const slash = entry.path.lastIndexOf('/') + 1;
  const folder = entry.path.slice(0, slash);
  const name = entry.path.slice(slash);
  if (name === removeAllMark) {
    removeBelow(tree, folder);
  } else if (name.startsWith(removalMark)) {
    const hidden = `${folder}${name.slice(removalMark.length)}`;
    tree.delete(hidden);
    removeBelow(tree, `${hidden}/`);
  } else {
    const before = tree.get(entry.path);
    if (before?.type === 'directory' && entry.type !== 'directory') {
      removeBelow(tree, `${entry.path}/`);
    }
    tree.set(entry.path, entry);
  }
}

function removeBelow(tree: Map<string, ArchiveEntry>, prefix: string): void {
  for (const path of tree.keys()) if (path.startsWith(prefix)) tree.delete(path);
}

function parentsOf(path: string): readonly string[] {
  const names = path.split('/');
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join('/'));
}

function fileOf(entry: ArchiveEntry, tree: ReadonlyMap<string, ArchiveEntry>): ArchiveFile {
  let at: ArchiveEntry | undefined = entry;
  for (let depth = 0; depth <= linkDepthMax && at !== undefined; depth += 1) {
    if (at.type === 'file') return at;
    if (at.type === 'directory') throw refused(`link ${entry.path} leads to a folder`);
    at = tree.get(at.target);
  }
  throw refused(`link ${entry.path} leads to nothing`);
}

function refused(message: string, cause?: unknown): ImageLayoutError {
  return new ImageLayoutError('IMAGE_ARCHIVE_REFUSED', `the image is refused: ${message}`, {
    cause,
  });
}
