/**
 * A transaction as one record of the log, and an object as part of a snapshot.
 * Lengths are LEB128; strings are UTF-8; facet bytes are verbatim.
 *
 * Transaction: version 1, wall time in milliseconds (48 bits), number of changes,
 * then per change: code (0 delete, 1..4 put of a facet, 5..8 put of a facet with its
 * note), resource, namespace, name, uid, and for a put the facet's bytes and the note.
 * Object: resource, namespace, name, uid, created revision, created wall time,
 * number of facets, then per facet: code (1..4, 5..8 with a note), revision, bytes
 * and the note.
 */
import { assert, strictTextOf, type Revision, type Uid } from '#base/mod.ts';
import { TransactionTooLargeError } from './errors.ts';
import {
  changesMax,
  facetBytesMax,
  keyPartBytesMax,
  noteBytesMax,
  transactionBytesMax,
} from './limits.ts';
import type { Change, Facet, FacetValue, StoredObject } from './types.ts';

export const facetOrder: readonly Facet[] = ['intent', 'assignment', 'report', 'verdict'];
const recordVersion = 1;
/** Added to the code of a facet that is followed by its note. */
const withNote = facetOrder.length;
const encoder = new TextEncoder();

/** Writes into memory that grows and is used again. */
export class Writer {
  #bytes = new Uint8Array(4096);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A view, valid until the next use of the writer. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
    if (this.#bytes.length > 1024 * 1024) this.#bytes = new Uint8Array(4096);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  /** An integer from 0 to 2^53 - 1. */
  number(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'an encoded number is a natural one');
    this.#reserve(8);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length] = (rest % 0x80) + 0x80;
      this.#length += 1;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length] = rest;
    this.#length += 1;
  }

  text(value: string): void {
    if (value.length < 0x80 && this.#ascii(value)) return;
    const bytes = encoder.encode(value);
    if (bytes.length > keyPartBytesMax) {
      throw new TransactionTooLargeError('a part of a key', bytes.length, keyPartBytesMax);
    }
    this.bytes(bytes);
  }

  /** Names are nearly always short and ASCII: no call to an encoder, no view. */
  #ascii(value: string): boolean {
    this.#reserve(value.length + 1);
    const bytes = this.#bytes;
    const start = this.#length + 1;
    for (let index = 0; index < value.length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) return false;
      bytes[start + index] = code;
    }
    bytes[start - 1] = value.length;
    this.#length = start + value.length;
    return true;
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    let size = this.#bytes.length * 2;
    while (size < this.#length + count) size *= 2;
    const grown = new Uint8Array(size);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Reads what Writer wrote. Anything else is a RangeError or TypeError. */
export class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.#offset];
    if (value === undefined) throw new RangeError('the record ends early');
    this.#offset += 1;
    return value;
  }

  number(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (!Number.isSafeInteger(value)) throw new RangeError('a number is too large');
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
  }

  text(): string {
    return strictTextOf(this.#take());
  }

  /** A copy, so that an object does not keep the whole record in memory. */
  bytes(): Uint8Array {
    return this.#take().slice();
  }

  #take(): Uint8Array {
    const length = this.number();
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw new RangeError('the record ends early');
    const taken = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return taken;
  }
}

/** Throws TransactionTooLargeError. */
export function encodeTransaction(
  writer: Writer,
  wallMs: number,
  changes: readonly Change[],
): Uint8Array {
  if (changes.length > changesMax) {
    throw new TransactionTooLargeError('the number of changes', changes.length, changesMax);
  }
  writer.reset();
  writer.byte(recordVersion);
  writer.number(Math.max(0, Math.floor(wallMs)));
  writer.number(changes.length);
  for (const change of changes) {
    writer.byte(change.type === 'delete' ? 0 : codeOf(change.facet, change.note));
    writer.text(change.key.resource);
    writer.text(change.key.namespace);
    writer.text(change.key.name);
    writer.text(change.uid);
    if (change.type === 'delete') continue;
    if (change.bytes.length > facetBytesMax) {
      throw new TransactionTooLargeError('a facet', change.bytes.length, facetBytesMax);
    }
    writer.bytes(change.bytes);
    if (change.note !== undefined) writeNote(writer, change.note);
    if (writer.length > transactionBytesMax) break;
  }
  if (writer.length > transactionBytesMax) {
    throw new TransactionTooLargeError('the transaction', writer.length, transactionBytesMax);
  }
  return writer.written();
}

export function decodeTransaction(payload: Uint8Array): {
  readonly wallMs: number;
  readonly changes: readonly Change[];
} {
  const reader = new Reader(payload);
  const version = reader.byte();
  if (version !== recordVersion) throw new RangeError(`record version ${version} is not known`);
  const wallMs = reader.number();
  const count = reader.number();
  if (count > changesMax) throw new RangeError('too many changes');
  const changes: Change[] = [];
  for (let index = 0; index < count; index += 1) {
    const code = reader.byte();
    const key = { resource: reader.text(), namespace: reader.text(), name: reader.text() };
    const uid = reader.text() as Uid;
    if (code === 0) changes.push({ type: 'delete', key, uid });
    else {
      const put = { type: 'put' as const, key, uid, facet: facetOf(code), bytes: reader.bytes() };
      changes.push(code > withNote ? { ...put, note: reader.text() } : put);
    }
  }
  if (!reader.isAtEnd) throw new RangeError('the record is longer than its changes');
  return { wallMs, changes };
}

export function encodeObject(writer: Writer, object: StoredObject, createdWallMs: number): void {
  writer.text(object.key.resource);
  writer.text(object.key.namespace);
  writer.text(object.key.name);
  writer.text(object.uid);
  writer.number(object.createdRevision);
  writer.number(createdWallMs);
  const facets = facetOrder.filter((facet) => object.facets[facet] !== undefined);
  writer.number(facets.length);
  for (const facet of facets) {
    const value = object.facets[facet];
    assert(value !== undefined, 'a listed facet has a value');
    writer.byte(codeOf(facet, value.note));
    writer.number(value.revision);
    writer.bytes(value.bytes);
    if (value.note !== undefined) writeNote(writer, value.note);
  }
}

export function decodeObject(reader: Reader): {
  readonly object: StoredObject;
  readonly createdWallMs: number;
} {
  const key = { resource: reader.text(), namespace: reader.text(), name: reader.text() };
  const uid = reader.text() as Uid;
  const createdRevision = reader.number() as Revision;
  const createdWallMs = reader.number();
  const facets: Partial<Record<Facet, FacetValue>> = {};
  let revision = createdRevision;
  for (let count = reader.number(); count > 0; count -= 1) {
    const code = reader.byte();
    const value = { revision: reader.number() as Revision, bytes: reader.bytes() };
    facets[facetOf(code)] = code > withNote ? { ...value, note: reader.text() } : value;
    if (value.revision > revision) revision = value.revision;
  }
  return { object: { key, uid, createdRevision, revision, facets }, createdWallMs };
}

function codeOf(facet: Facet, note: string | undefined): number {
  return facetOrder.indexOf(facet) + 1 + (note === undefined ? 0 : withNote);
}

function writeNote(writer: Writer, note: string): void {
  if (note.length < 0x80) {
    writer.text(note);
    return;
  }
  const bytes = encoder.encode(note);
  if (bytes.length > noteBytesMax) {
    throw new TransactionTooLargeError('the note of a facet', bytes.length, noteBytesMax);
  }
  writer.bytes(bytes);
}

function facetOf(code: number): Facet {
  const facet = facetOrder[code > withNote ? code - withNote - 1 : code - 1];
  if (facet === undefined) throw new RangeError(`facet ${code} is not known`);
  return facet;
}
