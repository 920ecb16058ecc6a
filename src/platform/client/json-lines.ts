/** Splits a byte stream into the JSON values on its lines. */
import { concatBytes, errorText, strictTextOf } from '#base/mod.ts';
import { ClientError } from './errors.ts';

/** A watch event is one object; objects are limited to far less. */
export const lineBytesMax = 8 * 1024 * 1024;

const newline = 0x0a;

/** Throws ClientError for a line that is longer than `bytesMax`, is not JSON, or is cut off. */
export class JsonLines {
  readonly #bytesMax: number;
  #rest: Uint8Array[] = [];
  #restBytes = 0;

  constructor(bytesMax: number = lineBytesMax) {
    this.#bytesMax = bytesMax;
  }

  /** The values of the lines that `chunk` ends, as they are taken. */
  *take(chunk: Uint8Array): Generator<unknown, void> {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#checkLength(this.#restBytes + end - start);
      const ending = chunk.subarray(start, end);
      const line = this.#rest.length === 0 ? ending : concatBytes([...this.#rest, ending]);
      this.#rest = [];
      this.#restBytes = 0;
      start = end + 1;
      if (line.length > 0) yield valueOf(line);
    }
    if (start < chunk.length) {
      this.#rest.push(chunk.subarray(start));
      this.#restBytes += chunk.length - start;
      this.#checkLength(this.#restBytes);
    }
  }

  /** Between two lines: where the stream may end, and where values may come in another way. */
  requireWhole(): void {
    if (this.#restBytes === 0) return;
    throw new ClientError('CLIENT_ANSWER_CUT', 'the stream ended in the middle of a line');
  }

  #checkLength(lineBytes: number): void {
    if (lineBytes <= this.#bytesMax) return;
    throw new ClientError('CLIENT_LINE_TOO_LONG', `a line is longer than ${this.#bytesMax} bytes`);
  }
}

function valueOf(line: Uint8Array): unknown {
  try {
    return JSON.parse(strictTextOf(line));
  } catch (error) {
    throw new ClientError(
      'CLIENT_ANSWER_MALFORMED',
      `a line of the stream is not JSON: ${errorText(error)}`,
      error,
    );
  }
}
