/**
 * The wire format of Protocol Buffers, as far as bodies of requests need it: varints and
 * length-delimited fields. Reads untrusted bytes: every length is checked against what
 * is there.
 */
import { strictTextOf } from '#base/mod.ts';
import { StatusError } from '../status-error.ts';

export interface WireField {
  readonly number: number;
  /** A varint, or the bytes of a length-delimited field; fixed-width fields as their bytes. */
  readonly value: bigint | Uint8Array;
}

const varintBytesMax = 10;
const wireTypeBits = 3n;

export function malformed(reason: string): StatusError {
  return new StatusError('BadRequest', `the protobuf body cannot be read: ${reason}`);
}

/** The fields of a message in their order. Throws BadRequest. */
export function* wireFields(bytes: Uint8Array): Generator<WireField> {
  let at = 0;

  function varint(): bigint {
    let value = 0n;
    for (let index = 0; index < varintBytesMax; index += 1) {
      const byte = bytes[at];
      if (byte === undefined) throw malformed('it breaks off');
      at += 1;
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw malformed('a number is too long');
  }

  function take(length: number): Uint8Array {
    if (length > bytes.length - at) throw malformed('it breaks off');
    const part = bytes.subarray(at, at + length);
    at += length;
    return part;
  }

  while (at < bytes.length) {
    const key = varint();
    const number = Number(key >> wireTypeBits);
    if (number < 1 || number > 0x1fff_ffff) throw malformed('a field has no number');
    switch (Number(key & 7n)) {
      case 0:
        yield { number, value: varint() };
        break;
      case 1:
        yield { number, value: take(8) };
        break;
      case 2: {
        const length = varint();
        if (length > BigInt(bytes.length)) throw malformed('it breaks off');
        yield { number, value: take(Number(length)) };
        break;
      }
      case 5:
        yield { number, value: take(4) };
        break;
      default:
        throw malformed('a field has a type that is not used any more');
    }
  }
}

export function textIn(value: bigint | Uint8Array): string {
  if (typeof value === 'bigint') throw malformed('a number stands where a text should');
  try {
    return strictTextOf(value);
  } catch {
    throw malformed('a text is not UTF-8');
  }
}

export function bytesIn(value: bigint | Uint8Array): Uint8Array {
  if (typeof value === 'bigint') throw malformed('a number stands where a message should');
  return value;
}

/** int32 and int64 are both written as 64 bits in two's complement. */
export function integerIn(value: bigint | Uint8Array): number {
  if (typeof value !== 'bigint') throw malformed('a message stands where a number should');
  const number = Number(BigInt.asIntN(64, value));
  if (!Number.isSafeInteger(number)) throw malformed('a number is larger than can be kept');
  return number;
}
