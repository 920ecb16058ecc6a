/**
 * Writes ustar archives that depend on nothing but their files: sorted by path,
 * all times zero, all owners root. The same files give the same bytes on every machine.
 */
import { concatBytes, utf8 } from '#base/mod.ts';
import { ImageLayoutError } from './errors.ts';
import { pathFault } from './paths.ts';

export interface ArchiveFile {
  /** Relative to the image's root. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Permission bits, e.g. 0o644. */
  readonly mode: number;
}

const blockBytes = 512;
const nameBytesMax = 100;
const prefixBytesMax = 155;

/** Throws IMAGE_PACK_INVALID for a path that is unsafe, too long for the format, or there twice. */
export function writeTar(files: readonly ArchiveFile[]): Uint8Array {
  const sorted = [...files].sort((left, right) => (left.path < right.path ? -1 : 1));
  const directories = new Set<string>();
  const seen = new Set<string>();
  const parts: Uint8Array[] = [];
  for (const file of sorted) {
    const fault = pathFault(file.path);
    if (fault !== undefined) throw refused(`path ${JSON.stringify(file.path)} ${fault}`);
    if (seen.has(file.path)) throw refused(`path ${file.path} is there twice`);
    seen.add(file.path);
    const names = file.path.split('/');
    for (let depth = 1; depth < names.length; depth += 1) {
      const directory = names.slice(0, depth).join('/');
      if (seen.has(directory)) throw refused(`${directory} is both a file and a folder`);
      if (directories.has(directory)) continue;
      directories.add(directory);
      parts.push(header(`${directory}/`, 0, 0o755, '5'));
    }
    if (directories.has(file.path)) throw refused(`${file.path} is both a file and a folder`);
    parts.push(header(file.path, file.bytes.length, file.mode & 0o777, '0'), file.bytes);
    parts.push(new Uint8Array((blockBytes - (file.bytes.length % blockBytes)) % blockBytes));
  }
  parts.push(new Uint8Array(2 * blockBytes));
  return concatBytes(parts);
}

function header(path: string, sizeBytes: number, mode: number, type: '0' | '5'): Uint8Array {
  const block = new Uint8Array(blockBytes);
  const { name, prefix } = splitPath(path);
  block.set(name, 0);
  block.set(octal(mode, 8), 100);
  block.set(octal(0, 8), 108);
  block.set(octal(0, 8), 116);
  block.set(octal(sizeBytes, 12), 124);
  block.set(octal(0, 12), 136);
  block.set(utf8('        '), 148);
  block.set(utf8(type), 156);
  block.set(utf8('ustar\u000000'), 257);
  block.set(octal(0, 8), 329);
  block.set(octal(0, 8), 337);
  block.set(prefix, 345);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.set(utf8(`${sum.toString(8).padStart(6, '0')}\0 `), 148);
  return block;
}

/** The format keeps a long path in two fields, cut at a slash. */
function splitPath(path: string): { name: Uint8Array; prefix: Uint8Array } {
  const whole = utf8(path);
  if (whole.length <= nameBytesMax) return { name: whole, prefix: new Uint8Array(0) };
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    const prefix = utf8(path.slice(0, at));
    const name = utf8(path.slice(at + 1));
    if (name.length > 0 && name.length <= nameBytesMax && prefix.length <= prefixBytesMax) {
      return { name, prefix };
    }
  }
  throw refused(`path ${path} is too long: a name may have ${nameBytesMax} bytes`);
}

function octal(value: number, fieldBytes: number): Uint8Array {
  const text = value.toString(8).padStart(fieldBytes - 1, '0');
  if (text.length >= fieldBytes) throw refused(`a file of ${value} bytes is too large to archive`);
  return utf8(`${text}\0`);
}

function refused(message: string): ImageLayoutError {
  return new ImageLayoutError('IMAGE_PACK_INVALID', message);
}
