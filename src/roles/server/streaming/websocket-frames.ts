/**
 * Frames of RFC 6455 as a server reads and writes them. Pure.
 *
 * Invariants:
 * 1. What a client sends is masked, as it has to be; anything else is refused.
 * 2. Control frames are whole and short, and may stand between the parts of a message.
 * 3. No more of a message is kept than `messageBytesMax`.
 */
import { assert, concatBytes } from '#base/mod.ts';
import { StreamingError } from './errors.ts';

export type WebSocketFrame =
  | { readonly type: 'message'; readonly isText: boolean; readonly bytes: Uint8Array }
  | { readonly type: 'ping' | 'pong'; readonly bytes: Uint8Array }
  | { readonly type: 'close'; readonly code: number | undefined };

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const controlBytesMax = 125;

export class WebSocketDecoder {
  readonly #messageBytesMax: number;
  #pending: Uint8Array = new Uint8Array(0);
  /** Parts of the message that is being received; undefined between two messages. */
  #parts: Uint8Array[] | undefined;
  #partsBytes = 0;
  #isText = false;

  constructor(messageBytesMax: number) {
    assert(messageBytesMax > 0, 'a message may have a byte');
    this.#messageBytesMax = messageBytesMax;
  }

  /** All that is complete with these bytes. Throws StreamingError WEBSOCKET_PROTOCOL or WEBSOCKET_TOO_LARGE. */
  push(bytes: Uint8Array): readonly WebSocketFrame[] {
    this.#pending = this.#pending.length === 0 ? bytes : concatBytes([this.#pending, bytes]);
    const frames: WebSocketFrame[] = [];
    for (;;) {
      const taken = this.#next();
      if (taken === undefined) return frames;
      if (taken !== 'part') frames.push(taken);
    }
  }

  /** Undefined: the next frame is not whole yet. */
  #next(): WebSocketFrame | 'part' | undefined {
    const pending = this.#pending;
    const [first, second] = pending;
    if (first === undefined || second === undefined) return undefined;
    if ((first & 0x70) !== 0) throw protocol('a reserved bit is set');
    if ((second & 0x80) === 0) throw protocol('a frame of a client is masked');
    const opcode = first & 0x0f;
    const isFinal = (first & 0x80) !== 0;
    const isControl = opcode >= 8;
    const length = lengthOf(pending);
    if (length === undefined) return undefined;
    const { sizeBytes, headBytes } = length;
    if (isControl && (sizeBytes > controlBytesMax || !isFinal)) {
      throw protocol('a control frame is whole and short');
    }
    if (!isControl && this.#partsBytes + sizeBytes > this.#messageBytesMax) {
      const message = `a message is longer than the limit of ${this.#messageBytesMax} bytes`;
      throw new StreamingError('WEBSOCKET_TOO_LARGE', message);
    }
    const end = headBytes + 4 + sizeBytes;
    if (pending.length < end) return undefined;
    const mask = pending.subarray(headBytes, headBytes + 4);
    const payload = unmasked(pending.subarray(headBytes + 4, end), mask);
    this.#pending = pending.subarray(end);
    return isControl ? control(opcode, payload) : this.#take(opcode, isFinal, payload);
  }

  #take(opcode: number, isFinal: boolean, payload: Uint8Array): WebSocketFrame | 'part' {
    if (opcode === opcodes.continuation) {
      if (this.#parts === undefined) throw protocol('a continuation without a beginning');
    } else if (opcode === opcodes.text || opcode === opcodes.binary) {
      if (this.#parts !== undefined) throw protocol('a message begins inside of another one');
      this.#parts = [];
      this.#isText = opcode === opcodes.text;
    } else {
      throw protocol(`opcode ${opcode} means nothing`);
    }
    this.#parts.push(payload);
    this.#partsBytes += payload.length;
    if (!isFinal) return 'part';
    const bytes = concatBytes(this.#parts);
    this.#parts = undefined;
    this.#partsBytes = 0;
    return { type: 'message', isText: this.#isText, bytes };
  }
}

/** Undefined: its bytes are not all there. */
function lengthOf(bytes: Uint8Array): { sizeBytes: number; headBytes: number } | undefined {
  const short = (bytes[1] ?? 0) & 0x7f;
  if (short < 126) return { sizeBytes: short, headBytes: 2 };
  const headBytes = short === 126 ? 4 : 10;
  if (bytes.length < headBytes) return undefined;
  let sizeBytes = 0;
  for (const byte of bytes.subarray(2, headBytes)) sizeBytes = sizeBytes * 256 + byte;
  if (!Number.isSafeInteger(sizeBytes)) throw protocol('a length that cannot be');
  const isShortest = short === 126 ? sizeBytes >= 126 : sizeBytes >= 65_536;
  if (!isShortest) throw protocol('a length is written as short as it can be');
  return { sizeBytes, headBytes };
}

function unmasked(payload: Uint8Array, mask: Uint8Array): Uint8Array {
  const clear = new Uint8Array(payload.length);
  for (let at = 0; at < payload.length; at += 1) {
    clear[at] = (payload[at] ?? 0) ^ (mask[at & 3] ?? 0);
  }
  return clear;
}

function control(opcode: number, payload: Uint8Array): WebSocketFrame {
  switch (opcode) {
    case opcodes.ping:
      return { type: 'ping', bytes: payload };
    case opcodes.pong:
      return { type: 'pong', bytes: payload };
    case opcodes.close: {
      if (payload.length === 1) throw protocol('a close code has two bytes');
      const [high, low] = payload;
      const code = high === undefined || low === undefined ? undefined : high * 256 + low;
      return { type: 'close', code };
    }
    default:
      throw protocol(`opcode ${opcode} means nothing`);
  }
}

/** Of a server: not masked, never in parts. */
export function encodeWebSocketFrame(
  type: 'binary' | 'ping' | 'pong' | 'close',
  payload: Uint8Array,
): Uint8Array {
  const isControl = type !== 'binary';
  assert(!isControl || payload.length <= controlBytesMax, 'a control frame is short');
  const size = payload.length;
  const headBytes = size < 126 ? 2 : size < 65_536 ? 4 : 10;
  const frame = new Uint8Array(headBytes + size);
  frame[0] = 0x80 | opcodes[type];
  frame[1] = size < 126 ? size : size < 65_536 ? 126 : 127;
  let rest = size;
  for (let at = headBytes - 1; at >= 2; at -= 1) {
    frame[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  frame.set(payload, headBytes);
  return frame;
}

export function closePayload(code: number): Uint8Array {
  return Uint8Array.of(code >>> 8, code & 0xff);
}

function protocol(message: string): StreamingError {
  return new StreamingError('WEBSOCKET_PROTOCOL', message);
}
