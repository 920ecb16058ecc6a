/**
 * The trace: one hash over every event in the order it ran. Two runs of a seed
 * that differ anywhere end with different digits; a sink sees the lines
 * themselves, to find where two runs part.
 *
 * An event is five numbers: its instant (two), its owner and its kind (each numbered
 * in the order of their first appearance, where the name itself is hashed), and its
 * detail, as a number or as a text that is hashed beside.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { utf8 } from '#base/mod.ts';

const wordsPerEvent = 5;
/** Events are hashed in batches of this many. */
const batchEventsMax = 2048;
/** And no more text than this waits beside them. */
const batchTextMax = 65_536;
const twoTo32 = 2 ** 32;

/** What an event is attributed to. */
export interface TraceOwner {
  readonly name: string;
  /** The trace's own; absent until it first sees the owner. */
  traceNumber?: number | undefined;
}

export interface Trace {
  /** `ticks` is the instant, a whole number. A detail that is a number has 32 bits. */
  record(ticks: number, owner: TraceOwner, kind: string, detail: string | number): void;
  /** 64 hexadecimal digits over all that was recorded until now. */
  digest(): string;
}

export function createTrace(sink: ((line: string) => void) | undefined): Trace {
  const hash = createHash('sha256');
  const batch = new Uint32Array(batchEventsMax * wordsPerEvent);
  const batchBytes = new Uint8Array(batch.buffer);
  const kinds = new Map<string, number>();
  let numbered = 0;
  let used = 0;
  let text = '';

  const flush = (): void => {
    // Little-endian on every machine that Node runs on that we build for.
    hash.update(batchBytes.subarray(0, used * 4));
    hash.update(utf8(text));
    used = 0;
    text = '';
  };
  const number = (name: string): number => {
    text += `${name}\n`;
    return (numbered += 1);
  };
  const kindNumber = (kind: string): number => {
    let known = kinds.get(kind);
    if (known === undefined) {
      known = number(kind);
      kinds.set(kind, known);
    }
    return known;
  };

  return {
    record: (ticks, owner, kind, detail) => {
      batch[used] = ticks;
      batch[used + 1] = ticks / twoTo32;
      batch[used + 2] = owner.traceNumber ??= number(owner.name);
      batch[used + 3] = kindNumber(kind);
      if (typeof detail === 'number') {
        batch[used + 4] = detail;
      } else {
        batch[used + 4] = detail.length;
        if (detail !== '') text += `${detail}\n`;
      }
      used += wordsPerEvent;
      if (used === batch.length || text.length >= batchTextMax) flush();
      if (sink !== undefined) {
        const shown = typeof detail === 'number' ? detail.toString(16) : detail;
        sink(`${ticks} ${owner.name} ${kind} ${shown}`);
      }
    },
    digest: () => {
      flush();
      return hash.copy().digest('hex');
    },
  };
}

/** So short that calling the host's CRC takes longer than this loop. */
const shortBytesMax = 64;

/** 32 bits over the bytes and their number, for an event's detail. */
export function bytesDigest(bytes: Uint8Array): number {
  const { length } = bytes;
  if (length > shortBytesMax) return (crc32(bytes) ^ length) >>> 0;
  let digest = 0x811c9dc5 ^ length;
  for (let index = 0; index < length; index += 1) {
    digest = Math.imul(digest ^ (bytes[index] ?? 0), 0x01000193);
  }
  return digest >>> 0;
}
