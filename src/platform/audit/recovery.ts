/**
 * What is found when an audit log is opened.
 *
 * Invariants:
 * 1. Only the end of the newest segment that was never a whole line is cut. Lines that
 *    do not fit are evidence: they stay, and what follows begins a segment of its own.
 * 2. What the anchor knows of and the segments have not is said to be missing; the
 *    numbers go on behind it, so that it stays visible for as long as lines are kept.
 */
import { hexOf } from '#base/mod.ts';
import type { Disk, Random } from '#platform/io/mod.ts';
import { type Anchor, readAnchor, writeAnchor } from './anchor.ts';
import { type AuditPlace, firstPlace, followsChain, placeOf } from './line.ts';
import { listSegments, readFirstLine, readSegment, type SegmentFile } from './segments.ts';

export interface KeptSegment {
  readonly name: string;
  /** The line that its first one follows. */
  readonly before: AuditPlace;
  sizeBytes: number;
}

export interface Recovered {
  readonly anchor: Anchor;
  /** Oldest first. */
  readonly segments: KeptSegment[];
  /** What the next line follows. */
  readonly place: AuditPlace;
  /** The next line may go into the newest segment. */
  readonly isContinued: boolean;
  readonly cutBytes: number;
  /** The last line says that the log was closed in order. */
  readonly isClosedInOrder: boolean;
  /** What did not fit, for people. */
  readonly damage: readonly string[];
}

const idBytes = 16;

export async function recoverAudit(disk: Disk, random: Random): Promise<Recovered> {
  const damage: string[] = [];
  const found = await readAnchor(disk);
  let files = await listSegments(disk);
  if (typeof found === 'object') files = await removeReleased(disk, files, found);
  const end = await findEnd(disk, files);
  const anchor = typeof found === 'object' ? found : await newAnchor(disk, random, files, end);
  if (found === 'damaged') damage.push('the anchor could not be read and was made anew');
  if (found === 'none' && files.length > 0) damage.push('the anchor was gone and was made anew');
  damage.push(...end.damage);
  const segments: KeptSegment[] = [];
  for (const { name, firstSequence, sizeBytes } of files) {
    if (end.emptied.includes(name)) continue;
    const chain = followedBy(await readFirstLine(disk, name)) ?? '';
    const size = name === end.name ? end.sizeBytes : sizeBytes;
    segments.push({ name, before: { sequence: firstSequence - 1, chain }, sizeBytes: size });
  }
  const { head } = anchor;
  const place = end.place ?? (files.length === 0 ? anchor.first : head);
  const parts = { anchor, segments, cutBytes: end.cutBytes };
  if (place.sequence < head.sequence) {
    damage.push(`the lines ${place.sequence + 1} to ${head.sequence} are missing`);
    return { ...parts, place: head, isContinued: false, isClosedInOrder: false, damage };
  }
  if (place.sequence === head.sequence && place.chain !== head.chain) {
    damage.push(`the line ${head.sequence} is not the one that was written`);
    return { ...parts, place: head, isContinued: false, isClosedInOrder: false, damage };
  }
  const isContinued = end.place !== undefined && end.damage.length === 0;
  return { ...parts, place, isContinued, isClosedInOrder: end.isClosedInOrder, damage };
}

/** A crash may have come between an anchor that lets go of segments and their removal. */
async function removeReleased(
  disk: Disk,
  files: readonly SegmentFile[],
  anchor: Anchor,
): Promise<readonly SegmentFile[]> {
  const isReleased = (position: number): boolean => {
    const next = files[position + 1];
    return next !== undefined && next.firstSequence <= anchor.first.sequence + 1;
  };
  for (const [position, { name }] of files.entries()) {
    if (isReleased(position)) await disk.remove(name);
  }
  return files.filter((_, position) => !isReleased(position));
}

async function newAnchor(
  disk: Disk,
  random: Random,
  files: readonly SegmentFile[],
  end: End,
): Promise<Anchor> {
  const id = hexOf(random.bytes(idBytes));
  const [oldest] = files;
  const chain =
    oldest === undefined ? undefined : followedBy(await readFirstLine(disk, oldest.name));
  const first =
    oldest === undefined || chain === undefined
      ? firstPlace(id)
      : { sequence: oldest.firstSequence - 1, chain };
  const anchor = { id, first, head: end.place ?? first };
  await writeAnchor(disk, anchor);
  return anchor;
}

interface End {
  /** The newest segment with a line in it; undefined where there is none. */
  readonly name: string | undefined;
  readonly sizeBytes: number;
  readonly place: AuditPlace | undefined;
  readonly cutBytes: number;
  readonly isClosedInOrder: boolean;
  readonly damage: readonly string[];
  /** Segments that never had a whole line; they are removed. */
  readonly emptied: readonly string[];
}

async function findEnd(disk: Disk, files: readonly SegmentFile[]): Promise<End> {
  const emptied: string[] = [];
  let cutBytes = 0;
  for (const { name } of files.toReversed()) {
    const segment = await readSegment(disk, name);
    const lines = segment?.lines ?? [];
    const { goodLines, goodBytes, last } = goodStart(lines);
    const sizeBytes = (segment?.wholeBytes ?? 0) + (segment?.unfinishedBytes ?? 0);
    const later = lines.slice(goodLines).findLast((line) => placeOf(line) !== undefined);
    const parts = { name, emptied, isClosedInOrder: false };
    if (later !== undefined) {
      // Something behind it was written by us: this is no torn end.
      const place = placeOf(later);
      const damage = [`line ${goodLines + 1} of ${name} does not fit; it is left as it is`];
      return { ...parts, sizeBytes, place, cutBytes, damage };
    }
    cutBytes += sizeBytes - goodBytes;
    if (last === undefined) {
      emptied.push(name);
      await disk.remove(name);
      continue;
    }
    if (sizeBytes > goodBytes) await cut(disk, name, goodBytes);
    const isClosedInOrder = lines[goodLines - 1]?.includes('"mark":"stop"') === true;
    return { ...parts, sizeBytes: goodBytes, place: last, cutBytes, isClosedInOrder, damage: [] };
  }
  return {
    ...{ name: undefined, sizeBytes: 0, place: undefined, cutBytes, damage: [] },
    ...{ isClosedInOrder: false, emptied },
  };
}

/** The lines from the start that follow each other, and the last of them. */
function goodStart(lines: readonly string[]): {
  readonly goodLines: number;
  readonly goodBytes: number;
  readonly last: AuditPlace | undefined;
} {
  let last: AuditPlace | undefined;
  let goodLines = 0;
  let goodBytes = 0;
  for (const line of lines) {
    const place = placeOf(line);
    const chain = last?.chain ?? followedBy(line);
    if (place === undefined || chain === undefined) break;
    if (last !== undefined && place.sequence !== last.sequence + 1) break;
    if (!followsChain(line, place, chain)) break;
    last = place;
    goodLines += 1;
    goodBytes += line.length + 1;
  }
  return { goodLines, goodBytes, last };
}

/** The chain that the first line of a segment says it follows. */
export function followedBy(firstLine: string): string | undefined {
  return /"mark":"segment",.*"follows":"([0-9a-f]{64})"/.exec(firstLine)?.[1];
}

async function cut(disk: Disk, name: string, lengthBytes: number): Promise<void> {
  const file = await disk.open(name, 'write');
  try {
    await file.truncate(lengthBytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
