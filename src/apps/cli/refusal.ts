/** The words of an answer that refused something. */
import { isJsonObject, textOf } from '#base/mod.ts';

const wordsLengthMax = 2_000;

/** The message of a Status object, or the text itself where it is something else. */
export function refusalWords(bytes: Uint8Array): string {
  const text = textOf(bytes);
  try {
    const status: unknown = JSON.parse(text);
    const message = isJsonObject(status) ? status['message'] : undefined;
    if (typeof message === 'string') return message;
  } catch {
    // Something before the server has answered in its own way: its text says it best.
  }
  return text.slice(0, wordsLengthMax);
}
