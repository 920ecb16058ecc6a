/** Splits a byte stream into the JSON values on its lines. */
import { concatBytes, errorText, strictTextOf } from '#base/mod.ts';
import { ClientError } from './errors.ts';

/** A watch event is one object; objects are limited to far less. */
export const lineBytesMax = 8 * 1024 * 1024;

const newline = 0x0a;

/**
 * Yields one value per line as the bytes come in. Throws ClientError for a line
 * that is longer than `bytesMax`, is not JSON, or is cut off by the end.
 */
export async function* jsonLines(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number = lineBytesMax,
): AsyncGenerator<unknown, void> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const chunk of body) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      checkLength(restBytes + end - start, bytesMax);
      const line = concatBytes([...rest, chunk.subarray(start, end)]);
      rest = [];
      restBytes = 0;
      start = end + 1;
      if (line.length > 0) yield valueOf(line);
    }
    if (start < chunk.length) {
      rest.push(chunk.subarray(start));
      restBytes += chunk.length - start;
      checkLength(restBytes, bytesMax);
    }
  }
  if (restBytes > 0) {
    throw new ClientError('CLIENT_ANSWER_CUT', 'the stream ended in the middle of a line');
  }
}

function checkLength(lineBytes: number, bytesMax: number): void {
  if (lineBytes <= bytesMax) return;
  throw new ClientError('CLIENT_LINE_TOO_LONG', `a line is longer than ${bytesMax} bytes`);
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
