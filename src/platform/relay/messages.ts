/**
 * What the two ends of a relay say to each other on their one common stream. A message:
 * type 1 byte, number 4, length of the head 4, the head as JSON, then the body's bytes.
 *
 * Invariant: both ends are of one program and one start of it; there is no other version
 * to understand, and what cannot be read is a fault that ends the relay.
 */
import { assert, strictTextOf, utf8 } from '#base/mod.ts';

export const messageTypes = {
  /** Front to owner: a request with its whole body, or with a body that follows as a stream. */
  request: 1,
  /** Front to owner: whoever asked has gone away. */
  abort: 2,
  /** Owner to front: an answer with its whole body. */
  answer: 3,
  /** Either way: a question that is answered under its number, and what needs no answer. */
  ask: 4,
  reply: 5,
  tell: 6,
} as const;

export type MessageType = (typeof messageTypes)[keyof typeof messageTypes];

/** A body beyond this goes as a stream of its own. */
export const wholeBodyBytesMax = 512 * 1024;

export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON of the PeerIdentity: the same text for each request of one connection. */
  readonly peer?: string;
  readonly remoteAddress: string;
  /** The body comes in a stream of the same number. */
  readonly isStreamed?: true;
}

export interface AnswerHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Message {
  readonly type: MessageType;
  readonly number: number;
  readonly head: unknown;
  readonly body: Uint8Array;
}

const fixedBytes = 9;
const nothing = new Uint8Array(0);

export function encodeMessage(
  type: MessageType,
  number: number,
  head: unknown,
  body: Uint8Array = nothing,
): Uint8Array {
  const headBytes = utf8(JSON.stringify(head));
  const bytes = new Uint8Array(fixedBytes + headBytes.length + body.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = type;
  view.setUint32(1, number);
  view.setUint32(5, headBytes.length);
  bytes.set(headBytes, fixedBytes);
  bytes.set(body, fixedBytes + headBytes.length);
  return bytes;
}

export function decodeMessage(bytes: Uint8Array): Message {
  assert(bytes.length >= fixedBytes, 'a message of a relay is whole');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const headEnd = fixedBytes + view.getUint32(5);
  assert(headEnd <= bytes.length, 'the head of a message is in it');
  const type = bytes[0] as MessageType;
  const head: unknown = JSON.parse(strictTextOf(bytes.subarray(fixedBytes, headEnd)));
  return { type, number: view.getUint32(1), head, body: bytes.subarray(headEnd) };
}
