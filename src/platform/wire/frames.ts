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
  | 'alive'
  | 'beat'
  | 'beat-answer';

interface KindEntry {
  readonly kind: FrameKind;
  readonly payloadBytesMax: number;
}

/** A frame's first byte has the kind's place here. */
const kinds: readonly KindEntry[] = [
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
  { kind: 'beat', payloadBytesMax: 4 },
  { kind: 'beat-answer', payloadBytesMax: 4 },
];

const kindNumbers = Object.fromEntries(kinds.map(({ kind }, index) => [kind, index])) as Readonly<
  Record<FrameKind, number>
>;
const laneNumbers: Readonly<Record<Lane, number>> = {
  control: 0,
  status: 1,
  telemetry: 2,
  bulk: 3,
};

export const frameHeaderBytes = 8;
const nothing = new Uint8Array(0);

/** One frame that has arrived. It shares the bytes of what it arrived in. */
export class Frame {
  readonly kind: FrameKind;
  readonly lane: Lane;
  /** 0 for frames about the link itself. */
  readonly streamId: number;
  readonly #bytes: Uint8Array;
  readonly #begin: number;
  readonly #end: number;

  constructor(
    kind: FrameKind,
    lane: Lane,
    streamId: number,
    bytes: Uint8Array,
    begin: number,
    end: number,
  ) {
    this.kind = kind;
    this.lane = lane;
    this.streamId = streamId;
    this.#bytes = bytes;
    this.#begin = begin;
    this.#end = end;
  }

  get payload(): Uint8Array {
    return this.#bytes.subarray(this.#begin, this.#end);
  }

  /** The payload as a number of four bytes. Throws LinkError LINK_PROTOCOL where it is none. */
  get number(): number {
    if (this.#end - this.#begin !== 4) {
      throw new LinkError('LINK_PROTOCOL', `a ${this.kind} frame carries no number`);
    }
    return uint32At(this.#bytes, this.#begin);
  }
}

/** The frame with its header; throws where the payload is too large. */
export function encodeFrame(
  kind: FrameKind,
  lane: Lane,
  streamId: number,
  payload: Uint8Array = nothing,
): Uint8Array {
  const limit = kinds[kindNumbers[kind]]?.payloadBytesMax ?? 0;
  if (payload.length > limit) {
    throw new LinkError('LINK_MESSAGE_TOO_LARGE', `a ${kind} frame carries at most ${limit} bytes`);
  }
  const bytes = new Uint8Array(frameHeaderBytes + payload.length);
  writeHeader(bytes, kind, lane, streamId, payload.length);
  bytes.set(payload, frameHeaderBytes);
  return bytes;
}

/** A frame whose payload is one number below 2^32. */
export function encodeNumberFrame(
  kind: 'credit' | 'acknowledge' | 'beat' | 'beat-answer',
  lane: Lane,
  streamId: number,
  value: number,
): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes + 4);
  writeHeader(bytes, kind, lane, streamId, 4);
  writeUint32(bytes, frameHeaderBytes, value);
  return bytes;
}

function writeHeader(
  bytes: Uint8Array,
  kind: FrameKind,
  lane: Lane,
  streamId: number,
  length: number,
): void {
  bytes[0] = kindNumbers[kind] | (laneNumbers[lane] << 4);
  bytes[1] = length >>> 16;
  bytes[2] = length >>> 8;
  bytes[3] = length;
  writeUint32(bytes, 4, streamId);
}

function uint32At(bytes: Uint8Array, offset: number): number {
  const high = bytes[offset] ?? 0;
  const low =
    ((bytes[offset + 1] ?? 0) << 16) | ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
  return high * 0x1000000 + low;
}

function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  /** What came of a frame that is not complete. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  /** Calls `onFrame` for every frame now complete. Throws LinkError LINK_PROTOCOL. */
  push(bytes: Uint8Array, onFrame: (frame: Frame) => void): void {
    if (this.#pendingBytes === 0) {
      this.#keep(this.#cut(bytes, onFrame));
      return;
    }
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes < frameHeaderBytes) return;
    // Joining once a header is there, and again only when the frame is complete, keeps this linear.
    if ((this.#pending[0]?.length ?? 0) < frameHeaderBytes) this.#join();
    if (this.#pendingBytes < this.#neededBytes()) return;
    this.#join();
    this.#keep(this.#cut(this.#pending[0] ?? nothing, onFrame));
  }

  /** Gives what is left behind the last whole frame. */
  #cut(bytes: Uint8Array, onFrame: (frame: Frame) => void): Uint8Array {
    let begin = 0;
    while (bytes.length - begin >= frameHeaderBytes) {
      const entry = entryAt(bytes, begin);
      const lane = laneAt(bytes, begin);
      const payloadBegin = begin + frameHeaderBytes;
      const end = payloadBegin + payloadBytesAt(bytes, begin, entry);
      if (bytes.length < end) break;
      begin = end;
      onFrame(
        new Frame(entry.kind, lane, uint32At(bytes, payloadBegin - 4), bytes, payloadBegin, end),
      );
    }
    return begin === bytes.length ? nothing : bytes.subarray(begin);
  }

  #keep(rest: Uint8Array): void {
    this.#pendingBytes = rest.length;
    if (rest.length > 0) this.#pending = [rest];
    else if (this.#pending.length > 0) this.#pending = [];
  }

  #join(): void {
    if (this.#pending.length > 1) this.#pending = [concatBytes(this.#pending)];
  }

  #neededBytes(): number {
    const first = this.#pending[0] ?? nothing;
    laneAt(first, 0);
    return frameHeaderBytes + payloadBytesAt(first, 0, entryAt(first, 0));
  }
}

function entryAt(bytes: Uint8Array, offset: number): KindEntry {
  const first = bytes[offset] ?? 0;
  const entry = kinds[first & 15];
  if (entry === undefined) throw malformed(first);
  return entry;
}

function laneAt(bytes: Uint8Array, offset: number): Lane {
  const first = bytes[offset] ?? 0;
  const lane = lanes[first >>> 4];
  if (lane === undefined) throw malformed(first);
  return lane;
}

function payloadBytesAt(bytes: Uint8Array, offset: number, entry: KindEntry): number {
  const payloadBytes =
    ((bytes[offset + 1] ?? 0) << 16) | ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
  if (payloadBytes > entry.payloadBytesMax) {
    throw new LinkError(
      'LINK_PROTOCOL',
      `a ${entry.kind} frame announces ${payloadBytes} bytes, more than ${entry.payloadBytesMax}`,
    );
  }
  return payloadBytes;
}

function malformed(first: number): LinkError {
  return new LinkError('LINK_PROTOCOL', `a frame begins with 0x${first.toString(16)}`);
}
