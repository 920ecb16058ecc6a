/**
 * What a log finds when it opens.
 *
 * How a torn tail is told from damage. One batch at a time is written and synced,
 * and the next begins only when that sync has answered. So at a power cut every
 * byte is on disk but those of the last batch, which may be missing, torn at any
 * byte, or have holes. Nothing of that batch was acknowledged, so it may be cut.
 *
 * 1. Each frame names the highest sequence that was on disk when it was written.
 *    A bad record is damage, not a tail, when a frame behind it says that the
 *    record had been on disk; frames behind it that do not say so belong to the
 *    same batch and are cut with it.
 * 2. A segment begins only when everything before it is on disk, and its header is
 *    on disk before its first frame: anything bad in a segment that is not the
 *    last, and a bad header before a good frame, is damage.
 * 3. A frame whose crc is right but whose sequence or chain is wrong was never
 *    written by us at that place: damage.
 * 4. An orderly close ends with a seal, which says that all before it was on disk;
 *    after one, every bad record is damage.
 * What cannot be told apart: a bad record in the very last batch of a log that was
 * not closed in order, when nothing behind it is whole, may have been
 * acknowledged and have rotted since. It is cut, with a warning in our own log.
 *
 * What is found is synced before it is believed, since the bytes that were read
 * may be in memory only when the last process died without the machine.
 */
import { assert, bytesOfHex, equalBytes, hexOf, textOf, utf8 } from '#base/mod.ts';
import type { Disk, DiskFile, Logger, Random } from '../io/mod.ts';
import { crc32 } from 'node:zlib';
import { LogDamagedError } from './errors.ts';
import {
  chainOf,
  decodeHeader,
  encodeHeader,
  findFrame,
  firstChain,
  headerBytes,
  incarnationBytes,
  parseFrame,
  segmentMagic,
  sequenceOfName,
  viewOf,
} from './format.ts';
import { logFolder, Segment } from './segment.ts';

export const identityPath = `${logFolder}/incarnation`;
const identityBytesMax = 256;

interface Found {
  readonly bytes: Uint8Array;
  readonly incarnation: Uint8Array;
  readonly seed: number;
  readonly isLast: boolean;
}

/** The incarnation of the log in this folder; a new log begins where there is none. */
export async function openIncarnation(disk: Disk, random: Random): Promise<Uint8Array> {
  const bytes = await disk.readFile(identityPath, identityBytesMax);
  if (bytes !== undefined) return parseIdentity(bytes);
  // Segments come before the incarnation is on disk, so one that holds no more than
  // its header is what a power cut left of the very first open.
  for (const entry of await disk.list(logFolder)) {
    const isSegment = sequenceOfName(entry.name, 'segment') !== undefined;
    const isSnapshot = sequenceOfName(entry.name, 'snapshot') !== undefined;
    if (isSnapshot || (isSegment && entry.sizeBytes > headerBytes)) {
      throw new LogDamagedError(identityPath, 0, 'it is missing beside the data of a log');
    }
    if (isSegment) await disk.remove(`${logFolder}/${entry.name}`);
  }
  const incarnation = random.bytes(incarnationBytes);
  const file = await createSegment(disk, incarnation, new Segment(1, firstChain(incarnation)));
  await file.close();
  await disk.writeFileAtomic(identityPath, utf8(identityText(incarnation)));
  return incarnation;
}

export function identityText(incarnation: Uint8Array): string {
  const hex = hexOf(incarnation);
  return `selvage log 1 ${hex} ${crc32(hex).toString(16).padStart(8, '0')}\n`;
}

function parseIdentity(bytes: Uint8Array): Uint8Array {
  const hex = /^selvage log 1 ([0-9a-f]{32}) [0-9a-f]{8}\n$/.exec(textOf(bytes))?.[1];
  const incarnation = hex === undefined ? undefined : bytesOfHex(hex);
  if (incarnation === undefined || !equalBytes(utf8(identityText(incarnation)), bytes)) {
    throw new LogDamagedError(identityPath, 0, 'it does not name an incarnation');
  }
  return incarnation;
}

/** Creates the file with its header, both durable, and leaves it open for writing. */
export async function createSegment(
  disk: Disk,
  incarnation: Uint8Array,
  segment: Segment,
): Promise<DiskFile> {
  const file = await disk.open(segment.path, 'write');
  try {
    await file.truncate(0);
    const header = { sequence: segment.firstSequence, chain: segment.previousChain };
    await file.writeAt(0, [encodeHeader(segmentMagic, incarnation, header)]);
    await file.sync();
    await disk.syncDirectory(logFolder);
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}

/** Reads and verifies every segment; cuts a torn tail; throws LogDamagedError on damage. */
export async function recoverSegments(
  disk: Disk,
  logger: Logger,
  incarnation: Uint8Array,
  seed: number,
): Promise<{ segments: Segment[]; active: DiskFile }> {
  const names = (await disk.list(logFolder)).filter(
    (entry) => sequenceOfName(entry.name, 'segment') !== undefined,
  );
  const segments: Segment[] = [];
  for (const [index, entry] of names.entries()) {
    const path = `${logFolder}/${entry.name}`;
    const bytes = await disk.readFile(path, entry.sizeBytes);
    assert(bytes !== undefined, 'a listed segment can be read');
    const isLast = index === names.length - 1;
    const previous = segments.at(-1);
    const segment = scanSegment(path, previous, { bytes, incarnation, seed, isLast });
    if (segment === undefined) {
      // The header of the last segment never reached the disk whole.
      logger.log('warn', 'log: a torn new segment was removed', { path });
      await disk.remove(path);
      await disk.syncDirectory(logFolder);
      continue;
    }
    segments.push(segment);
  }
  const last = segments.at(-1);
  if (last === undefined) throw new LogDamagedError(logFolder, 0, 'there is no segment');
  return { segments, active: await openLast(disk, logger, last) };
}

async function openLast(disk: Disk, logger: Logger, last: Segment): Promise<DiskFile> {
  const active = await disk.open(last.path, 'write');
  const sizeBytes = await active.sizeBytes();
  if (sizeBytes > last.sizeBytes) {
    logger.log('warn', 'log: a torn tail was cut', {
      path: disk.absolute(last.path),
      offset: last.sizeBytes,
      cutBytes: sizeBytes - last.sizeBytes,
      head: last.lastSequence,
    });
    await active.truncate(last.sizeBytes);
  }
  // A sync that failed before the restart has left bytes in memory that read well, count as
  // clean and are not on the disk: only what is written again is certain to be synced.
  await active.writeAt(0, [await active.readAt(0, last.sizeBytes)]);
  await active.sync();
  return active;
}

/** Undefined for a last segment without a header that may be removed. */
function scanSegment(
  path: string,
  previous: Segment | undefined,
  found: Found,
): Segment | undefined {
  const { bytes, incarnation, seed, isLast } = found;
  const header = decodeHeader(bytes, segmentMagic, incarnation);
  if (header === undefined) {
    const isTorn = isLast && previous !== undefined && findFrame(bytes, 0, seed) === undefined;
    if (isTorn) return undefined;
    throw new LogDamagedError(path, 0, 'the header is not one of this log');
  }
  const segment = new Segment(header.sequence, header.chain);
  if (segment.path !== path) throw new LogDamagedError(path, 24, 'it names another segment');
  if (previous !== undefined) {
    const follows =
      previous.lastSequence + 1 === header.sequence &&
      equalBytes(previous.chainAt(previous.lastSequence), header.chain);
    if (!follows) throw new LogDamagedError(path, 0, 'it does not follow the segment before it');
  } else if (header.sequence === 1 && !equalBytes(header.chain, firstChain(incarnation))) {
    throw new LogDamagedError(path, 32, 'it does not begin the chain of this log');
  }
  scanFrames(segment, found);
  return segment;
}

function scanFrames(segment: Segment, found: Found): void {
  const { bytes, seed } = found;
  const view = viewOf(bytes);
  let chain = segment.previousChain;
  let sequence = segment.firstSequence;
  let offset = headerBytes;
  while (offset < bytes.length) {
    const frame = parseFrame(bytes, view, offset, seed);
    if (frame === undefined) {
      refuseUnlessTorn(segment, found, offset, sequence);
      break;
    }
    const isSeal = frame.kind === 'seal';
    const sequenceIsRight = frame.sequence === (isSeal ? sequence - 1 : sequence);
    const chainIsRight =
      sequenceIsRight && equalBytes(frame.chain, isSeal ? chain : chainOf(frame, chain));
    if (!chainIsRight || frame.durableThrough >= sequence) {
      throw new LogDamagedError(segment.path, offset, 'the record is not the one that follows');
    }
    if (!isSeal) {
      chain = frame.chain;
      segment.add(offset, chain);
      sequence += 1;
    }
    offset += frame.sizeBytes;
    segment.sizeBytes = offset;
  }
}

/** `sequence` is that of the record that should be at `offset`. */
function refuseUnlessTorn(segment: Segment, found: Found, offset: number, sequence: number): void {
  if (!found.isLast) {
    throw new LogDamagedError(segment.path, offset, 'a later segment follows the bad record');
  }
  let next = findFrame(found.bytes, offset + 1, found.seed);
  while (next !== undefined) {
    if (next.frame.durableThrough >= sequence) {
      throw new LogDamagedError(
        segment.path,
        offset,
        `the record at byte ${next.offset} says that this one had been on disk`,
      );
    }
    next = findFrame(found.bytes, next.offset + next.frame.sizeBytes, found.seed);
  }
}
