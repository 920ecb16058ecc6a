/**
 * Bytes of a log on disk. All integers are big-endian.
 *
 * Header of a segment or snapshot (68 bytes): magic 8, incarnation 16, sequence 8,
 * chain 32, crc 4. A segment's sequence is that of its first record and its chain
 * the one before it; a snapshot's are those of the last record it contains.
 *
 * Frame (60 bytes, then the payload): magic 4, crc 4, durableThrough 8, length 4,
 * sequence 8, chain 32. The crc covers everything behind it. The chain is the
 * sha256 over length, sequence, the previous chain and the payload, which is the
 * frame from `length` on before its chain was put in: nothing is copied to hash it.
 * The first chain of a log is the sha256 of its incarnation.
 *
 * `durableThrough` is the highest sequence that was on disk when the frame was
 * written; it is what tells a torn tail from damage (see recovery.ts). A seal is a
 * frame without a record, written by an orderly close.
 *
 * Every crc starts from the incarnation, so that bytes of another log never pass.
 */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert, equalBytes, utf8 } from '#base/mod.ts';

export const headerBytes = 68;
export const frameHeaderBytes = 60;
export const chainBytes = 32;
export const incarnationBytes = 16;

export const segmentMagic = utf8('SELVLOG1');
export const snapshotMagic = utf8('SELVSNP1');
const recordMagic = 0x9e53_4c52;
const sealMagic = 0x9e53_4c53;

const crcAt = 4;
const durableThroughAt = 8;
const lengthAt = 16;
const sequenceAt = 20;
const chainAt = 28;

export interface Header {
  readonly sequence: number;
  readonly chain: Uint8Array;
}

export interface Frame {
  readonly kind: 'record' | 'seal';
  readonly durableThrough: number;
  readonly sequence: number;
  readonly chain: Uint8Array;
  /** A view of the bytes that were parsed, not a copy. */
  readonly payload: Uint8Array;
  readonly sizeBytes: number;
}

export function firstChain(incarnation: Uint8Array): Uint8Array {
  return hash('sha256', incarnation, 'buffer');
}

export function crcSeed(incarnation: Uint8Array): number {
  return crc32(incarnation);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function writeUint64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, Math.floor(value / 0x1_0000_0000));
  view.setUint32(offset + 4, value >>> 0);
}

/** Values above 2^53 come back inexact; they never match an expected sequence. */
export function readUint64(view: DataView, offset: number): number {
  return view.getUint32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4);
}

export function encodeHeader(
  magic: Uint8Array,
  incarnation: Uint8Array,
  header: Header,
): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  const view = viewOf(bytes);
  bytes.set(magic, 0);
  bytes.set(incarnation, 8);
  writeUint64(view, 24, header.sequence);
  bytes.set(header.chain, 32);
  view.setUint32(64, crc32(bytes.subarray(0, 64), crcSeed(incarnation)));
  return bytes;
}

/** Undefined where the bytes are not a whole, believable header of that kind and log. */
export function decodeHeader(
  bytes: Uint8Array,
  magic: Uint8Array,
  incarnation: Uint8Array,
): Header | undefined {
  if (bytes.length < headerBytes) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(64) !== crc32(bytes.subarray(0, 64), crcSeed(incarnation))) return undefined;
  if (!equalBytes(bytes.subarray(0, 8), magic)) return undefined;
  if (!equalBytes(bytes.subarray(8, 24), incarnation)) return undefined;
  return { sequence: readUint64(view, 24), chain: bytes.slice(32, 64) };
}

/**
 * Fills the frame header in front of a payload that is already in place and
 * returns its chain, in hexadecimal as it was given. Everything but `durableThrough`
 * and the crc, which `stampFrame` adds at the moment of writing.
 */
export function beginFrame(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  record: {
    readonly payloadBytes: number;
    readonly sequence: number;
    readonly previousChainHash: string;
  },
): string {
  view.setUint32(offset, recordMagic);
  view.setUint32(offset + lengthAt, record.payloadBytes);
  writeUint64(view, offset + sequenceAt, record.sequence);
  setChain(bytes, offset + chainAt, record.previousChainHash);
  const end = offset + frameHeaderBytes + record.payloadBytes;
  const chainHash = hash('sha256', bytes.subarray(offset + lengthAt, end), 'hex');
  setChain(bytes, offset + chainAt, chainHash);
  return chainHash;
}

/** Writes a chain that is given in hexadecimal. */
export function setChain(bytes: Uint8Array, offset: number, chainHash: string): void {
  assert(
    chainHash.length === 2 * chainBytes && offset + chainBytes <= bytes.length,
    'a chain has its length and its place',
  );
  for (let index = 0; index < chainBytes; index += 1) {
    const high = chainHash.charCodeAt(2 * index);
    const low = chainHash.charCodeAt(2 * index + 1);
    bytes[offset + index] = (digitOf(high) << 4) | digitOf(low);
  }
}

/** Of a character code of 0-9 or a-f. */
function digitOf(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}

export function stampFrame(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  stamp: { readonly sizeBytes: number; readonly durableThrough: number; readonly seed: number },
): void {
  writeUint64(view, offset + durableThroughAt, stamp.durableThrough);
  const covered = bytes.subarray(offset + durableThroughAt, offset + stamp.sizeBytes);
  view.setUint32(offset + crcAt, crc32(covered, stamp.seed));
}

export function encodeSeal(sequence: number, chain: Uint8Array, seed: number): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes);
  const view = viewOf(bytes);
  view.setUint32(0, sealMagic);
  writeUint64(view, sequenceAt, sequence);
  bytes.set(chain, chainAt);
  stampFrame(bytes, view, 0, { sizeBytes: frameHeaderBytes, durableThrough: sequence, seed });
  return bytes;
}

/** Undefined where no whole frame with a right crc starts at `offset`. The chain is not checked. */
export function parseFrame(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  seed: number,
): Frame | undefined {
  if (bytes.length - offset < frameHeaderBytes) return undefined;
  const magic = view.getUint32(offset);
  if (magic !== recordMagic && magic !== sealMagic) return undefined;
  const end = offset + frameHeaderBytes + view.getUint32(offset + lengthAt);
  if (end > bytes.length) return undefined;
  const crc = crc32(bytes.subarray(offset + durableThroughAt, end), seed);
  if (crc !== view.getUint32(offset + crcAt)) return undefined;
  return {
    kind: magic === sealMagic ? 'seal' : 'record',
    durableThrough: readUint64(view, offset + durableThroughAt),
    sequence: readUint64(view, offset + sequenceAt),
    chain: bytes.subarray(offset + chainAt, offset + chainAt + chainBytes),
    payload: bytes.subarray(offset + frameHeaderBytes, end),
    sizeBytes: end - offset,
  };
}

/** The chain that a record must carry when it follows `previousChain`. */
export function chainOf(frame: Frame, previousChain: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes - lengthAt + frame.payload.length);
  const view = viewOf(bytes);
  view.setUint32(0, frame.payload.length);
  writeUint64(view, sequenceAt - lengthAt, frame.sequence);
  bytes.set(previousChain, chainAt - lengthAt);
  bytes.set(frame.payload, frameHeaderBytes - lengthAt);
  return hash('sha256', bytes, 'buffer');
}

/** The next place at or after `from` where a whole frame with a right crc starts. */
export function findFrame(
  bytes: Uint8Array,
  from: number,
  seed: number,
): { readonly offset: number; readonly frame: Frame } | undefined {
  const view = viewOf(bytes);
  const first = recordMagic >>> 24;
  let offset = bytes.indexOf(first, from);
  while (offset !== -1 && bytes.length - offset >= frameHeaderBytes) {
    const frame = parseFrame(bytes, view, offset, seed);
    if (frame !== undefined) return { offset, frame };
    offset = bytes.indexOf(first, offset + 1);
  }
  return undefined;
}

const nameDigits = 16;

export function segmentName(firstSequence: number): string {
  return `segment-${String(firstSequence).padStart(nameDigits, '0')}.log`;
}

export function snapshotName(sequence: number): string {
  return `snapshot-${String(sequence).padStart(nameDigits, '0')}.snap`;
}

/** The number in a name that segmentName or snapshotName made; undefined for other names. */
export function sequenceOfName(name: string, kind: 'segment' | 'snapshot'): number | undefined {
  const pattern = kind === 'segment' ? /^segment-(\d{16})\.log$/ : /^snapshot-(\d{16})\.snap$/;
  const digits = pattern.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
