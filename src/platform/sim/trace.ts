/**
 * The trace: one hash over every event in the order it ran. Two runs of a seed
 * that differ anywhere end with different digits; a sink sees the lines
 * themselves, to find where two runs part.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Lines are hashed in batches of about this many characters. */
const batchCharactersMax = 16_384;

export interface Trace {
  record(line: string): void;
  /** 64 hexadecimal digits over all that was recorded until now. */
  digest(): string;
  lineCount(): number;
}

export function createTrace(sink: ((line: string) => void) | undefined): Trace {
  const hash = createHash('sha256');
  let batch = '';
  let count = 0;
  const flush = (): void => {
    hash.update(batch);
    batch = '';
  };
  return {
    record: (line) => {
      count += 1;
      batch += line;
      batch += '\n';
      if (batch.length >= batchCharactersMax) flush();
      sink?.(line);
    },
    digest: () => {
      flush();
      return hash.copy().digest('hex');
    },
    lineCount: () => count,
  };
}

/** A short digest of bytes for a line of the trace. */
export function bytesDigest(bytes: Uint8Array): string {
  return `${bytes.length}:${crc32(bytes).toString(16)}`;
}
