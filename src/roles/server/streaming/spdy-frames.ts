/** Frames of SPDY/3.1, as far as streams to a pod need them. Pure. */
import { assert, concatBytes } from '#base/mod.ts';
import { StreamingError } from './errors.ts';
import { uint32 } from './spdy-headers.ts';

export const frameTypes = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

export const flagFin = 0x01;

export type SpdyFrame =
  | {
      readonly kind: 'data';
      readonly streamId: number;
      readonly isLast: boolean;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'control';
      readonly type: number;
      readonly flags: number;
      readonly bytes: Uint8Array;
    };

const headBytes = 8;
const controlBytesMax = 32 * 1024;

export class SpdyDecoder {
  readonly #dataBytesMax: number;
  #pending: Uint8Array = new Uint8Array(0);

  constructor(dataBytesMax: number) {
    this.#dataBytesMax = dataBytesMax;
  }

  /** All frames that are whole with these bytes. Throws StreamingError SPDY_PROTOCOL or SPDY_TOO_LARGE. */
  push(bytes: Uint8Array): readonly SpdyFrame[] {
    this.#pending = this.#pending.length === 0 ? bytes : concatBytes([this.#pending, bytes]);
    const frames: SpdyFrame[] = [];
    for (;;) {
      const pending = this.#pending;
      if (pending.length < headBytes) return frames;
      const isControl = ((pending[0] ?? 0) & 0x80) !== 0;
      const size = numberAt(pending, 5, 3);
      const sizeMax = isControl ? controlBytesMax : this.#dataBytesMax;
      if (size > sizeMax) {
        throw new StreamingError('SPDY_TOO_LARGE', `a frame is longer than ${sizeMax} bytes`);
      }
      const end = headBytes + size;
      if (pending.length < end) return frames;
      frames.push(frameOf(pending, isControl, pending.subarray(headBytes, end)));
      this.#pending = pending.subarray(end);
    }
  }
}

function frameOf(head: Uint8Array, isControl: boolean, bytes: Uint8Array): SpdyFrame {
  const flags = head[4] ?? 0;
  if (!isControl) {
    const streamId = numberAt(head, 0, 4);
    if (streamId === 0) throw new StreamingError('SPDY_PROTOCOL', 'data of no stream');
    return { kind: 'data', streamId, isLast: (flags & flagFin) !== 0, bytes };
  }
  if (numberAt(head, 0, 2) !== 0x8003) {
    throw new StreamingError('SPDY_PROTOCOL', 'a frame of another version');
  }
  return { kind: 'control', type: numberAt(head, 2, 2), flags, bytes };
}

/** Big end first. Bytes that are not there count as 0. */
export function numberAt(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let position = at; position < at + count; position += 1) {
    value = value * 256 + (bytes[position] ?? 0);
  }
  return value;
}

export function encodeData(streamId: number, bytes: Uint8Array, isLast: boolean): Uint8Array {
  assert(streamId > 0 && bytes.length < 2 ** 24, 'data of a stream, in one frame');
  const head = concatBytes([uint32(streamId), uint32(bytes.length)]);
  head[4] = isLast ? flagFin : 0;
  return concatBytes([head, bytes]);
}

export function encodeControl(type: number, bytes: Uint8Array, flags = 0): Uint8Array {
  assert(bytes.length < 2 ** 24, 'a control frame is short');
  const size = uint32(bytes.length);
  size[0] = flags;
  return concatBytes([Uint8Array.of(0x80, 3, 0, type), size, bytes]);
}
