/**
 * Blocks of headers, compressed as SPDY/3.1 asks: all blocks of one direction are
 * one stream of zlib, cut where it is flushed.
 *
 * Invariants:
 * 1. A reader sees all blocks of its direction, in order: each may refer to the text before it.
 * 2. No block becomes larger than `blockBytesMax`, whatever it is made from.
 */
import { inflateRawSync } from 'node:zlib';
import { assert, concatBytes, errorText, strictTextOf, utf8 } from '#base/mod.ts';
import { StreamingError } from './errors.ts';
import { spdyDictionary } from './spdy-dictionary.ts';

const blockBytesMax = 16 * 1024;
const headersMax = 64;
/** As far as deflate can refer back. */
const windowBytes = 32 * 1024;
/** Z_SYNC_FLUSH: the stream goes on behind the block. */
const syncFlush = 2;
/** Of zlib: its dictionary is named behind the first two bytes. */
const flagDictionary = 0x20;

export class SpdyHeaderReader {
  #window: Uint8Array | undefined;

  /** Names in lower case. Throws StreamingError SPDY_PROTOCOL. */
  read(block: Uint8Array): Readonly<Record<string, string>> {
    let body = block;
    let window = this.#window;
    if (window === undefined) {
      const flags = block[1] ?? 0;
      const hasDictionary = (flags & flagDictionary) !== 0;
      if (((block[0] ?? 0) & 0x0f) !== 8) throw malformed('no zlib stream');
      body = block.subarray(hasDictionary ? 6 : 2);
      window = hasDictionary ? spdyDictionary : new Uint8Array(0);
    }
    let text: Uint8Array;
    try {
      text = inflateRawSync(body, {
        dictionary: window,
        finishFlush: syncFlush,
        maxOutputLength: blockBytesMax,
      });
    } catch (error) {
      throw malformed(errorText(error));
    }
    const all = concatBytes([window, text]);
    this.#window = all.subarray(Math.max(0, all.length - windowBytes));
    return pairsOf(text);
  }
}

function pairsOf(text: Uint8Array): Readonly<Record<string, string>> {
  let at = 0;
  const number = (): number => {
    if (at + 4 > text.length) throw malformed('a block of headers is cut short');
    let value = 0;
    for (const byte of text.subarray(at, at + 4)) value = value * 256 + byte;
    at += 4;
    return value;
  };
  const word = (): string => {
    const size = number();
    if (at + size > text.length) throw malformed('a block of headers is cut short');
    at += size;
    try {
      return strictTextOf(text.subarray(at - size, at));
    } catch (error) {
      throw malformed(errorText(error));
    }
  };
  const count = number();
  if (count > headersMax) throw malformed(`more than ${headersMax} headers`);
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let read = 0; read < count; read += 1) {
    const name = word().toLowerCase();
    headers[name] = word();
  }
  return headers;
}

/** Writes what any inflater reads, without making it smaller: such blocks are short and few. */
export class SpdyHeaderWriter {
  #hasBegun = false;

  write(headers: Readonly<Record<string, string>>): Uint8Array {
    const pairs = Object.entries(headers);
    const text = concatBytes([
      uint32(pairs.length),
      ...pairs.flatMap(([name, value]) =>
        [name, value].flatMap((word) => {
          const bytes = utf8(word);
          return [uint32(bytes.length), bytes];
        }),
      ),
    ]);
    assert(text.length <= blockBytesMax, 'what a server says of a stream is short');
    const [low, high] = [text.length & 0xff, text.length >>> 8];
    const stored = Uint8Array.of(0, low, high, ~low & 0xff, ~high & 0xff);
    // An empty block tells the reader to give out what it has.
    const flush = Uint8Array.of(0, 0, 0, 0xff, 0xff);
    const head = this.#hasBegun ? new Uint8Array(0) : zlibHead;
    this.#hasBegun = true;
    return concatBytes([head, stored, text, flush]);
  }
}

export function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** Adler-32, by which zlib names a dictionary. */
function checksum(bytes: Uint8Array): number {
  let [first, second] = [1, 0];
  for (const byte of bytes) {
    first = (first + byte) % 65_521;
    second = (second + first) % 65_521;
  }
  return second * 65_536 + first;
}

const zlibHead = concatBytes([
  Uint8Array.of(0x78, flagDictionary),
  uint32(checksum(spdyDictionary)),
]);

function malformed(why: string): StreamingError {
  return new StreamingError('SPDY_PROTOCOL', why);
}
