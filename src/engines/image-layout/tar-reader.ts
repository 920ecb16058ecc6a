/**
 * Reads archives that somebody else made, and believes none of them.
 *
 * Invariants:
 * 1. Every path it gives is relative, in its simplest form and inside the root;
 *    so is what every link leads to. Anything else fails the whole archive.
 * 2. Devices, pipes and unknown entry types fail the archive.
 * 3. No path is given twice; sizes and counts stay within the limits.
 */
import { strictTextOf } from '#base/mod.ts';
import { ImageLayoutError } from './errors.ts';
import { linkTarget, pathFault } from './paths.ts';

export type ArchiveEntry =
  | {
      readonly type: 'file';
      readonly path: string;
      /** A view of the archive's bytes. */
      readonly bytes: Uint8Array;
      readonly mode: number;
    }
  | { readonly type: 'directory'; readonly path: string; readonly mode: number }
  /** `target` is resolved: relative to the root, like `path`. */
  | { readonly type: 'symlink' | 'hardlink'; readonly path: string; readonly target: string };

export interface ArchiveLimits {
  readonly entriesMax: number;
  readonly fileBytesMax: number;
  readonly totalBytesMax: number;
}

export const archiveLimits: ArchiveLimits = {
  entriesMax: 20_000,
  fileBytesMax: 64 * 1024 * 1024,
  totalBytesMax: 256 * 1024 * 1024,
};

const blockBytes = 512;
const extensionBytesMax = 64 * 1024;

/** Throws IMAGE_ARCHIVE_REFUSED, naming the entry, where an invariant would not hold. */
export function readTar(
  archive: Uint8Array,
  limits: ArchiveLimits = archiveLimits,
): readonly ArchiveEntry[] {
  const entries: ArchiveEntry[] = [];
  const seen = new Set<string>();
  let totalBytes = 0;
  let offset = 0;
  let next: { path?: string; linkPath?: string } = {};
  while (offset < archive.length) {
    const block = archive.subarray(offset, offset + blockBytes);
    if (block.length < blockBytes) throw refused('it ends within a header');
    if (block.every((byte) => byte === 0)) return entries;
    checkSum(block);
    const sizeBytes = numberOf(block, 124, 12, 'size');
    const typeFlag = String.fromCharCode(block[156] ?? 0);
    const dataAt = offset + blockBytes;
    if (dataAt + sizeBytes > archive.length) throw refused('it ends within a file');
    const data = archive.subarray(dataAt, dataAt + sizeBytes);
    offset = dataAt + Math.ceil(sizeBytes / blockBytes) * blockBytes;

    if (typeFlag === 'g') continue;
    if (typeFlag === 'x' || typeFlag === 'L' || typeFlag === 'K') {
      if (sizeBytes > extensionBytesMax) throw refused('an extended header is too large');
      if (typeFlag === 'x') next = { ...next, ...extendedHeader(data) };
      else if (typeFlag === 'L') next = { ...next, path: textField(data, 0, data.length) };
      else next = { ...next, linkPath: textField(data, 0, data.length) };
      continue;
    }
    const path = plainPath(next.path ?? headerPath(block));
    const linkPath = next.linkPath ?? textField(block, 157, 100);
    next = {};
    if (path === '') continue;
    if (seen.has(path)) throw refused(`${path} is there twice`);
    seen.add(path);
    if (seen.size > limits.entriesMax) {
      throw refused(`it has more than ${limits.entriesMax} entries`);
    }
    const mode = numberOf(block, 100, 8, 'mode') & 0o777;
    switch (typeFlag) {
      case '0':
      case '\0':
      case '7':
        if (sizeBytes > limits.fileBytesMax) {
          throw refused(`${path} has more than ${limits.fileBytesMax} bytes`);
        }
        totalBytes += sizeBytes;
        if (totalBytes > limits.totalBytesMax) {
          throw refused(`its files have more than ${limits.totalBytesMax} bytes`);
        }
        entries.push({ type: 'file', path, bytes: data, mode });
        break;
      case '5':
        entries.push({ type: 'directory', path, mode });
        break;
      case '2': {
        const target = linkTarget(path, linkPath);
        if (target === undefined) throw refused(`link ${path} leads out of the image`);
        entries.push({ type: 'symlink', path, target });
        break;
      }
      case '1': {
        const fault = pathFault(linkPath.replace(/^\.\//, ''));
        if (fault !== undefined) throw refused(`link ${path}: its target ${fault}`);
        entries.push({ type: 'hardlink', path, target: linkPath.replace(/^\.\//, '') });
        break;
      }
      case '3':
      case '4':
      case '6':
        throw refused(`${path} is a device or a pipe`);
      default:
        throw refused(`${path} is of the unknown type ${JSON.stringify(typeFlag)}`);
    }
  }
  throw refused('its end mark is missing');
}

/** Without a leading `./` and a trailing `/`; empty for the root itself. */
function plainPath(raw: string): string {
  const path = raw.replace(/^(\.\/)+/, '').replace(/\/$/, '');
  if (path === '' || path === '.') return '';
  const fault = pathFault(path);
  if (fault !== undefined) throw refused(`path ${JSON.stringify(raw)} ${fault}`);
  return path;
}

function headerPath(block: Uint8Array): string {
  const name = textField(block, 0, 100);
  const isUstar = textField(block, 257, 5) === 'ustar';
  const prefix = isUstar && block[263] === 0x30 ? textField(block, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function extendedHeader(data: Uint8Array): { path?: string; linkPath?: string } {
  const found: { path?: string; linkPath?: string } = {};
  let offset = 0;
  while (offset < data.length) {
    let space = offset;
    while (space < data.length && data[space] !== 0x20) space += 1;
    const lengthText = textField(data, offset, space - offset);
    const length = Number(lengthText);
    if (!/^[0-9]{1,6}$/.test(lengthText) || length < 5 || offset + length > data.length) {
      throw refused('an extended header is damaged');
    }
    const record = text(data.subarray(space + 1, offset + length - 1));
    const at = record.indexOf('=');
    const key = record.slice(0, at);
    if (key === 'path') found.path = record.slice(at + 1);
    if (key === 'linkpath') found.linkPath = record.slice(at + 1);
    if (key === 'size' || key.startsWith('GNU.sparse')) {
      throw refused(`an extended header sets ${key}, which is not supported`);
    }
    offset += length;
  }
  return found;
}

function checkSum(block: Uint8Array): void {
  let sum = 0;
  for (let at = 0; at < blockBytes; at += 1) sum += at >= 148 && at < 156 ? 32 : (block[at] ?? 0);
  if (sum !== numberOf(block, 148, 8, 'checksum')) throw refused('a header is damaged');
}

function numberOf(block: Uint8Array, at: number, length: number, what: string): number {
  const digits = textField(block, at, length).trim();
  if (!/^[0-7]{0,12}$/.test(digits)) throw refused(`a header's ${what} is not an octal number`);
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function textField(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  return text(end < 0 ? field : field.subarray(0, end));
}

function text(bytes: Uint8Array): string {
  try {
    return strictTextOf(bytes);
  } catch (cause) {
    throw new ImageLayoutError('IMAGE_ARCHIVE_REFUSED', 'the archive: a name is not UTF-8', {
      cause,
    });
  }
}

function refused(message: string): ImageLayoutError {
  return new ImageLayoutError('IMAGE_ARCHIVE_REFUSED', `the archive is refused: ${message}`);
}
