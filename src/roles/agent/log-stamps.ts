/**
 * Puts before each line of a log when it was written. The log itself has no times:
 * they are those of the looks at its length (log-times.ts), so that a line says when it
 * was first seen, up to a second after it was written, and longer after for old ones.
 */
import { concatBytes, utf8 } from '#base/mod.ts';
import { microTimestampOf } from '#platform/io/mod.ts';
import { writtenBy, type LogTimes } from './log-times.ts';

const lineFeed = 0x0a;

/** Pieces come in order; each begins where the one before has ended. */
export class LineStamper {
  #isAtLineStart = true;

  /** `offset`: where the piece begins, from the first byte of the run; `laterMs` as in `writtenBy`. */
  stamp(bytes: Uint8Array, offset: number, times: LogTimes, laterMs: number): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      if (this.#isAtLineStart) {
        const wallMs = writtenBy(times, offset + at, laterMs);
        parts.push(utf8(`${microTimestampOf(wallMs)} `));
      }
      const feed = bytes.indexOf(lineFeed, at);
      const end = feed === -1 ? bytes.length : feed + 1;
      parts.push(bytes.subarray(at, end));
      this.#isAtLineStart = feed !== -1;
      at = end;
    }
    return concatBytes(parts);
  }
}
