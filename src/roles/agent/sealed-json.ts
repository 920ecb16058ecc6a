/**
 * Small files of the agent that know whether they are as they were written: JSON whose
 * last field is a checksum of all before it. Whoever reads it as JSON sees one field more.
 *
 * Invariants:
 * 1. A file in which any byte before the checksum has changed is not read as another
 *    truth: it is damaged, and whoever reads it hears so.
 * 2. What was written before there were checksums is read as it is.
 */
import { hash } from 'node:crypto';
import { assert, strictTextOf, utf8 } from '#base/mod.ts';

const checksum = /,"checksum":"([0-9a-f]{16})"\}\s*$/;

function checksumOf(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 16);
}

export function sealedJson(value: object): Uint8Array {
  const text = JSON.stringify(value);
  assert(
    text.length > 2 && !('checksum' in value),
    'what is sealed has fields, and no checksum yet',
  );
  return utf8(`${text.slice(0, -1)},"checksum":"${checksumOf(text)}"}\n`);
}

/** Throws SyntaxError for what is no JSON, or not what was written. */
export function parseSealed(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = strictTextOf(bytes);
  } catch (cause) {
    throw new SyntaxError('it is no text', { cause });
  }
  const sum = checksum.exec(text);
  if (sum === null) return JSON.parse(text);
  const sealed = `${text.slice(0, sum.index)}}`;
  if (checksumOf(sealed) !== sum[1]) throw new SyntaxError('its checksum does not match');
  return JSON.parse(sealed);
}
