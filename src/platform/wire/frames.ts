/**
 * Frames: 8 bytes of header (kind and lane, payload length, stream), then the
 * payload.
 *
 * Invariants:
 * 1. The reader never holds more than one frame's bytes beyond what it was given.
 * 2. A header is judged before its payload is waited for.
 */
import { concatBytes } from '#base/mod.ts';
import { LinkError } from './errors.ts';
import { dataFrameBytesMax, openFrameBytesMax, textFrameBytesMax } from './limits.ts';
import type { Lane } from './types.ts';

/** In order of priority. */
export const lanes: readonly Lane[] = ['control', 'status', 'telemetry', 'bulk'];

/** `data` is part of a message that goes on; `message` is the last or only part. */
export type FrameKind =
  | 'hello'
  | 'open'
  | 'data'
  | 'message'
  | 'credit'
  | 'end'
  | 'fail'
  | 'close'
  | 'acknowledge'
  | 'alive';

const kinds: readonly { readonly kind: FrameKind; readonly payloadBytesMax: number }[] = [
  { kind: 'hello', payloadBytesMax: textFrameBytesMax },
  { kind: 'open', payloadBytesMax: openFrameBytesMax },
  { kind: 'data', payloadBytesMax: dataFrameBytesMax },
  { kind: 'message', payloadBytesMax: dataFrameBytesMax },
  { kind: 'credit', payloadBytesMax: 4 },
  { kind: 'end', payloadBytesMax: 0 },
  { kind: 'fail', payloadBytesMax: textFrameBytesMax },
  { kind: 'close', payloadBytesMax: textFrameBytesMax },
  { kind: 'acknowledge', payloadBytesMax: 4 },
  { kind: 'alive', payloadBytesMax: 0 },
];

export interface Frame {
  readonly kind: FrameKind;
  readonly lane: Lane;
  /** 0 for frames about the link itself. */
  readonly streamId: number;
  readonly payload: Uint8Array;
}

export const frameHeaderBytes = 8;
const nothing = new Uint8Array(0);

/** The header for a payload of `length` bytes; throws where the payload is too large. */
export function encodeFrame(
  kind: FrameKind,
  lane: Lane,
  streamId: number,
  payload: Uint8Array = nothing,
): Uint8Array {
  const index = kinds.findIndex((entry) => entry.kind === kind);
  const limit = kinds[index]?.payloadBytesMax ?? 0;
  if (payload.length > limit) {
    throw new LinkError('LINK_MESSAGE_TOO_LARGE', `a ${kind} frame carries at most ${limit} bytes`);
  }
  const bytes = new Uint8Array(frameHeaderBytes + payload.length);
  bytes[0] = index | (lanes.indexOf(lane) << 4);
  bytes[1] = payload.length >>> 16;
  bytes[2] = payload.length >>> 8;
  bytes[3] = payload.length;
  writeUint32(bytes, 4, streamId);
  bytes.set(payload, frameHeaderBytes);
  return bytes;
}

export function uint32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

/** Of the four bytes from `offset`; undefined where there are fewer. */
export function readUint32(bytes: Uint8Array, offset: number): number | undefined {
  if (bytes.length < offset + 4) return undefined;
  return (
    (bytes[offset] ?? 0) * 0x1000000 +
    (((bytes[offset + 1] ?? 0) << 16) | ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0))
  );
}

function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  /** Calls `onFrame` for every frame now complete. Throws LinkError LINK_PROTOCOL. */
  push(bytes: Uint8Array, onFrame: (frame: Frame) => void): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes < frameHeaderBytes) return;
    // Joining once a header is there, and again only when the frame is complete, keeps this linear.
    if ((this.#pending[0]?.length ?? 0) < frameHeaderBytes) this.#join();
    if (this.#pendingBytes < this.#neededBytes()) return;
    this.#join();
    let rest = this.#pending[0] ?? nothing;
    while (rest.length >= frameHeaderBytes) {
      const header = readHeader(rest);
      const end = frameHeaderBytes + header.payloadBytes;
      if (rest.length < end) break;
      const payload = rest.subarray(frameHeaderBytes, end);
      rest = rest.subarray(end);
      onFrame({ kind: header.kind, lane: header.lane, streamId: header.streamId, payload });
    }
    this.#pending = rest.length === 0 ? [] : [rest];
    this.#pendingBytes = rest.length;
    if (rest.length >= frameHeaderBytes) readHeader(rest);
  }

  #join(): void {
    if (this.#pending.length > 1) this.#pending = [concatBytes(this.#pending)];
  }

  #neededBytes(): number {
    return frameHeaderBytes + readHeader(this.#pending[0] ?? nothing).payloadBytes;
  }
}

function readHeader(bytes: Uint8Array): {
  kind: FrameKind;
  lane: Lane;
  streamId: number;
  payloadBytes: number;
} {
  const first = bytes[0] ?? 0;
  const entry = kinds[first & 15];
  const lane = lanes[first >>> 4];
  if (entry === undefined || lane === undefined) {
    throw new LinkError('LINK_PROTOCOL', `a frame begins with 0x${first.toString(16)}`);
  }
  const payloadBytes = ((bytes[1] ?? 0) << 16) | ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  if (payloadBytes > entry.payloadBytesMax) {
    throw new LinkError(
      'LINK_PROTOCOL',
      `a ${entry.kind} frame announces ${payloadBytes} bytes, more than ${entry.payloadBytesMax}`,
    );
  }
  return { kind: entry.kind, lane, streamId: readUint32(bytes, 4) ?? 0, payloadBytes };
}
