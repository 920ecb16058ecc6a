/** The files of the audit log: `audit-<sequence of the first line>.jsonl`, oldest first. */
import { textOf } from '#base/mod.ts';
import type { Disk } from '#platform/io/mod.ts';
import { lineLengthMax } from './line.ts';

/** Whatever the options say, none is read that is larger. */
export const segmentBytesLimit = 256 * 1024 * 1024;
const nameDigits = 16;

export interface SegmentFile {
  readonly name: string;
  readonly firstSequence: number;
  readonly sizeBytes: number;
}

export function segmentName(firstSequence: number): string {
  return `audit-${String(firstSequence).padStart(nameDigits, '0')}.jsonl`;
}

export async function listSegments(disk: Disk): Promise<readonly SegmentFile[]> {
  const found: SegmentFile[] = [];
  for (const { name, kind, sizeBytes } of await disk.list('')) {
    const digits = /^audit-(\d{16})\.jsonl$/.exec(name)?.[1];
    if (kind === 'file' && digits !== undefined) {
      found.push({ name, firstSequence: Number(digits), sizeBytes });
    }
  }
  return found;
}

export interface SegmentText {
  /** Whole lines, without their line feeds. */
  readonly lines: readonly string[];
  /** Bytes of the whole lines. */
  readonly wholeBytes: number;
  /** What stands behind the last line feed. */
  readonly unfinishedBytes: number;
}

/** Undefined where the file is gone. */
export async function readSegment(disk: Disk, name: string): Promise<SegmentText | undefined> {
  const bytes = await disk.readFile(name, segmentBytesLimit);
  if (bytes === undefined) return undefined;
  const end = bytes.lastIndexOf(lineFeed) + 1;
  const text = textOf(bytes.subarray(0, end));
  const lines = text === '' ? [] : text.slice(0, -1).split('\n');
  return { lines, wholeBytes: end, unfinishedBytes: bytes.length - end };
}

/** The first line of a segment, without reading the rest. */
export async function readFirstLine(disk: Disk, name: string): Promise<string> {
  const file = await disk.open(name, 'read');
  try {
    const bytes = await file.readAt(0, lineLengthMax);
    const end = bytes.indexOf(lineFeed);
    return end === -1 ? '' : textOf(bytes.subarray(0, end));
  } finally {
    await file.close();
  }
}

const lineFeed = 0x0a;
