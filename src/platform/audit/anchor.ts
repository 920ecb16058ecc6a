/**
 * What the audit log says of itself beside its segments: where its first kept line
 * stands, and how far it is for certain. So that neither its beginning nor its end can
 * be taken away unseen.
 *
 *   anchor.json   {"formatVersion":1,"id":"…","first":{…},"head":{…}}
 *
 * Invariant: `head` names a line that was on disk before the anchor was written, and
 * `first` the one before the oldest segment that is kept.
 */
import { isJsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import type { Disk } from '#platform/io/mod.ts';
import type { AuditPlace } from './line.ts';

const anchorFile = 'anchor.json';
const anchorBytesMax = 4_096;
const formatVersion = 1;

export interface Anchor {
  /** Of this log, hexadecimal. */
  readonly id: string;
  /** The line before the oldest that is kept. */
  readonly first: AuditPlace;
  readonly head: AuditPlace;
}

/** `damaged` where there is a file that says nothing. */
export async function readAnchor(disk: Disk): Promise<Anchor | 'none' | 'damaged'> {
  const bytes = await disk.readFile(anchorFile, anchorBytesMax);
  if (bytes === undefined) return 'none';
  let value: unknown;
  try {
    value = JSON.parse(strictTextOf(bytes));
  } catch {
    return 'damaged';
  }
  if (!isJsonObject(value) || value['formatVersion'] !== formatVersion) return 'damaged';
  const { id, first, head } = value;
  if (typeof id !== 'string' || !isPlace(first) || !isPlace(head)) return 'damaged';
  return { id, first, head };
}

export async function writeAnchor(disk: Disk, anchor: Anchor): Promise<void> {
  const text = JSON.stringify({ formatVersion, ...anchor });
  await disk.writeFileAtomic(anchorFile, utf8(`${text}\n`), 0o600);
}

function isPlace(value: unknown): value is AuditPlace {
  if (!isJsonObject(value)) return false;
  const { sequence, chain } = value;
  return (
    Number.isSafeInteger(sequence) && typeof chain === 'string' && /^[0-9a-f]{64}$/.test(chain)
  );
}
