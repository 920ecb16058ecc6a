/**
 * Which incarnations the history in this folder has had. The first is the one that
 * its files are sealed with (recovery.ts); each later one begins where an operator
 * decided that this history counts although followers knew another one.
 *
 * Invariant: the file is written whole before anybody is told of a new incarnation.
 */
import { crc32 } from 'node:zlib';
import { strictTextOf, utf8 } from '#base/mod.ts';
import type { Disk } from '../io/mod.ts';
import { LogDamagedError } from './errors.ts';
import { logFolder } from './segment.ts';

export const incarnationsPath = `${logFolder}/incarnations`;
export const incarnationsMax = 256;
const fileBytesMax = 64 * 1024;
const first = 'selvage incarnations 1';

/** Oldest first; `[sealed]` where no later one was begun. Throws LogDamagedError. */
export async function readIncarnations(disk: Disk, sealed: string): Promise<readonly string[]> {
  const bytes = await disk.readFile(incarnationsPath, fileBytesMax);
  if (bytes === undefined) return [sealed];
  const words = wordsOf(bytes);
  if (words === undefined || words[0] !== sealed) {
    throw new LogDamagedError(incarnationsPath, 0, 'it does not list the incarnations of this log');
  }
  return words;
}

export async function writeIncarnations(disk: Disk, list: readonly string[]): Promise<void> {
  await disk.writeFileAtomic(incarnationsPath, incarnationsFile(list));
}

export function incarnationsFile(list: readonly string[]): Uint8Array {
  const text = `${first} ${list.join(' ')}`;
  return utf8(`${text} ${crc32(text).toString(16).padStart(8, '0')}\n`);
}

function wordsOf(bytes: Uint8Array): string[] | undefined {
  let text: string;
  try {
    text = strictTextOf(bytes);
  } catch {
    return undefined;
  }
  const match = /^selvage incarnations 1((?: [0-9a-f]{32})+) ([0-9a-f]{8})\n$/.exec(text);
  const body = `${first}${match?.[1] ?? ''}`;
  if (match === null || crc32(body).toString(16).padStart(8, '0') !== match[2]) return undefined;
  return (match[1] ?? '').slice(1).split(' ');
}
