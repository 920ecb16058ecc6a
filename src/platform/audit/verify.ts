/** Holds an audit log against itself: the first line that does not fit, by name. */
import type { Disk } from '#platform/io/mod.ts';
import { readAnchor } from './anchor.ts';
import { type AuditPlace, followsChain, placeOf } from './line.ts';
import { listSegments, readSegment } from './segments.ts';

export interface AuditFault {
  readonly file: string;
  /** From 1; 0 where it is about the file as a whole. */
  readonly line: number;
  readonly what: string;
}

export interface AuditVerdict {
  readonly fault: AuditFault | undefined;
  /** Of the last line that fits: to keep elsewhere, and to verify against later. */
  readonly head: AuditPlace | undefined;
  readonly lines: number;
  readonly segments: number;
  /** Gaps and damage that the log declares of itself. */
  readonly declared: readonly string[];
}

const releasesMax = 3;

/** `expected`: a head that was kept elsewhere, which must be one of the lines. */
export async function verifyAudit(disk: Disk, expected?: AuditPlace): Promise<AuditVerdict> {
  for (let attempt = 1; ; attempt += 1) {
    const verdict = await verifyOnce(disk, expected);
    // The oldest segment may be let go of while it is being read.
    if (verdict !== 'released') return verdict;
    if (attempt === releasesMax) return faultAlone('', 'segments go away while they are read');
  }
}

function faultAlone(file: string, what: string): AuditVerdict {
  const fault = { file, line: 0, what };
  return { fault, head: undefined, lines: 0, segments: 0, declared: [] };
}

async function verifyOnce(
  disk: Disk,
  expected: AuditPlace | undefined,
): Promise<AuditVerdict | 'released'> {
  const files = await listSegments(disk);
  const anchor = await readAnchor(disk);
  if (anchor === 'none') return faultAlone('anchor.json', 'it is missing');
  if (anchor === 'damaged') return faultAlone('anchor.json', 'it cannot be read');
  const kept = files.filter((_, position) => {
    const next = files[position + 1];
    return next === undefined || next.firstSequence > anchor.first.sequence + 1;
  });
  const declared: string[] = [];
  let place = anchor.first;
  let lines = 0;
  const places = [anchor.head, ...(expected === undefined ? [] : [expected])];
  const verdict = (fault: AuditFault | undefined): AuditVerdict => ({
    ...{ fault, head: place, lines, segments: kept.length, declared },
  });
  for (const [position, { name }] of kept.entries()) {
    const segment = await readSegment(disk, name);
    if (segment === undefined) return 'released';
    const next = kept[position + 1];
    for (const [index, text] of segment.lines.entries()) {
      // Behind a failed sync: the next segment has these lines again.
      if (next !== undefined && place.sequence + 1 === next.firstSequence) break;
      const fault = faultOf(text, place, places);
      if (fault !== undefined) return verdict({ file: name, line: index + 1, what: fault });
      place = placeOf(text) ?? place;
      lines += 1;
      if (text.includes('"kind":"Mark"')) declared.push(...declaredBy(text, name, index + 1));
    }
    if (next !== undefined && place.sequence + 1 !== next.firstSequence) {
      const missing = `lines ${place.sequence + 1} to ${next.firstSequence - 1} are missing before it`;
      return verdict({ file: next.name, line: 1, what: missing });
    }
  }
  for (const wanted of places) {
    if (wanted.sequence <= place.sequence) continue;
    const what = `lines ${place.sequence + 1} to ${wanted.sequence} are missing: they had been written`;
    return verdict({ file: kept.at(-1)?.name ?? 'anchor.json', line: 0, what });
  }
  return verdict(undefined);
}

function faultOf(
  text: string,
  before: AuditPlace,
  places: readonly AuditPlace[],
): string | undefined {
  const place = placeOf(text);
  if (place === undefined) return 'it is no line of an audit log';
  if (place.sequence > before.sequence + 1) {
    return `lines ${before.sequence + 1} to ${place.sequence - 1} are missing before it`;
  }
  if (place.sequence <= before.sequence) {
    return `it is line ${place.sequence} of the log, where line ${before.sequence + 1} belongs`;
  }
  if (!followsChain(text, place, before.chain)) {
    return `line ${place.sequence} of the log was changed, or is not the one that followed the line before`;
  }
  const known = places.find(({ sequence }) => sequence === place.sequence);
  if (known !== undefined && known.chain !== place.chain) {
    return `line ${place.sequence} of the log is not the one that was written: it and what is before it were made anew`;
  }
  return undefined;
}

function declaredBy(text: string, name: string, line: number): readonly string[] {
  const { mark, message, lostEvents, timestamp } = JSON.parse(text) as Record<string, unknown>;
  if (mark !== 'gap' && mark !== 'damage') return [];
  const lost = typeof lostEvents === 'number' ? `${lostEvents} ` : '';
  return [`${name}:${line} at ${String(timestamp)}: ${lost}${String(message)}`];
}
