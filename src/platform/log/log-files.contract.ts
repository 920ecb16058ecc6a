/**
 * What the tests of the log share: making logs, copying them byte by byte, reading
 * them back, and where the files of a log lie.
 */
import { textOf, utf8 } from '#base/mod.ts';
import {
  type Disk,
  type Logger,
  type Random,
  silentLogger,
  type Timers,
} from '#platform/io/mod.ts';
import { openLog } from './log.ts';
import type { Log, LogOptions } from './types.ts';

/** What a log needs of the machine that it runs on. */
export interface LogMachine {
  readonly disk: Disk;
  readonly random: Random;
  readonly timers: Timers;
}

const fileBytesMax = 16 * 1024 * 1024;

/** Small segments: a few records fill one. */
export const smallSegments: LogOptions = { segmentBytesMax: 400 };

export function openOn(
  machine: LogMachine,
  disk: Disk,
  options: LogOptions = {},
  logger: Logger = silentLogger,
): Promise<Log> {
  return openLog({ disk, random: machine.random, timers: machine.timers, logger }, options);
}

/** Records of different lengths, the first one empty, each with its number in it. */
export function payloadOf(number: number): Uint8Array {
  return utf8(number === 1 ? '' : `record ${number} ${'x'.repeat((number * 7) % 50)}`);
}

/** Appends these records one after the other: each is a batch of its own. */
export async function appendEach(log: Log, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) await log.appendDurably(payloadOf(number));
}

export async function textsOf(log: Log, from = log.oldestSequence()): Promise<string[]> {
  const texts: string[] = [];
  for await (const record of log.read(from)) texts.push(textOf(record.payload));
  return texts;
}

export function textsUpTo(count: number): string[] {
  return Array.from({ length: count }, (_, index) => textOf(payloadOf(index + 1)));
}

export type Files = ReadonlyMap<string, Uint8Array>;

/** The files of a log as they are now, also while it is open; sorted by name. */
export async function filesOf(disk: Disk): Promise<Files> {
  const files = new Map<string, Uint8Array>();
  for (const entry of await disk.list('log')) {
    const bytes = await disk.readFile(`log/${entry.name}`, fileBytesMax);
    if (bytes !== undefined) files.set(entry.name, bytes);
  }
  return files;
}

/** The files in a folder that is emptied before; nothing is synced. */
export async function putFiles(disk: Disk, files: Files): Promise<void> {
  await disk.remove('log');
  await disk.makeDirectory('log');
  for (const [name, bytes] of files) {
    const file = await disk.open(`log/${name}`, 'create');
    await file.writeAt(0, [bytes]);
    await file.close();
  }
}

/** The same files, with one of them replaced. */
export function withFile(files: Files, name: string, bytes: Uint8Array): Files {
  return new Map([...files, [name, bytes]]);
}

/** The same bytes with one bit of one of them turned round. */
export function withDamage(bytes: Uint8Array, offset: number): Uint8Array {
  const damaged = bytes.slice();
  damaged[offset] = (damaged[offset] ?? 0) ^ (1 << (offset % 8));
  return damaged;
}

export function bytesOf(files: Files, name: string): Uint8Array {
  const bytes = files.get(name);
  if (bytes === undefined) throw new Error(`the log has no file ${name}`);
  return bytes;
}
