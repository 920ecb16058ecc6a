/**
 * What goes over `slice.follow` from owner to follower, and, byte for byte, what
 * the follower keeps on disk. A message is one byte of type, four bytes of
 * length of a JSON header, the header, then the facets' bytes verbatim in the
 * order in which the header names them. `progress` is binary throughout, since it is
 * the one that costs most often. What is asked and answered while the two sides
 * compare is in range-messages.ts.
 */
import { bytesOfHex, concatBytes, hexOf, isJsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import type { Revision, Uid } from '#base/mod.ts';
import {
  type Facet,
  type FacetValue,
  objectDigestLength,
  type ObjectKey,
  type StoredObject,
} from '#platform/store/mod.ts';
import { malformed } from './errors.ts';

export type SliceChange =
  | {
      readonly type: 'put';
      readonly object: StoredObject;
      /** `changed`: only the facets that have changed are there; the others stand. */
      readonly extent: 'whole' | 'changed';
    }
  | {
      readonly type: 'delete' | 'leave';
      readonly key: ObjectKey;
      readonly uid: Uid;
      readonly revision: Revision;
    };

/** What all of the slice comes to at the sequence of the batch that says so. */
export interface Completeness {
  readonly count: number;
  readonly digest: string;
}

export interface SliceBatch {
  readonly type: 'batch';
  /** True in the first part of the whole slice: everything not named until its end is gone. */
  readonly isReset: boolean;
  /** Of the messages of this batch, from 0; `unnumbered` in what version 0.1 wrote to disk. */
  readonly part: number;
  /** More messages belong to this batch; it counts only when the last one is there. */
  readonly hasMore: boolean;
  readonly incarnation: string;
  readonly epoch: number;
  /** The sequence this batch follows; 0 where it is `complete`. */
  readonly after: number;
  readonly sequence: number;
  readonly chainHash: string;
  /**
   * In the first part of a reconcile: with it the follower has the slice, whatever it
   * had before. It is not to be taken where it comes to anything else.
   */
  readonly complete?: Completeness;
  readonly changes: readonly SliceChange[];
}

export interface SliceProgress {
  readonly type: 'progress';
  readonly epoch: number;
  readonly after: number;
  readonly sequence: number;
  readonly chainHash: string;
}

export type SliceMessage = SliceBatch | SliceProgress;

export const unnumbered = -1;
/** Of sequences, and of everything that is counted: they have 48 bits on the wire. */
const placeMax = 2 ** 48 - 1;
/** An epoch rises with decisions of people: what is above this is none. */
export const epochMax = 2 ** 47;
const batchType = 1;
const progressType = 2;
const chainHashBytes = 32;
const incarnationLengthMax = 128;
const progressBytes = 19 + chainHashBytes;
/** Without an epoch: as version 0.1 wrote it to disk. */
const olderProgressBytes = 13 + chainHashBytes;
const changeTypes = ['put', 'delete', 'leave'] as const;
/** Of a part of a key, and of a uid. */
const keyPartLengthMax = 1024;
const facets: readonly Facet[] = ['intent', 'assignment', 'report', 'verdict'];

export function encodeSliceMessage(message: SliceMessage): Uint8Array {
  if (message.type === 'progress') {
    const bytes = new Uint8Array(progressBytes);
    bytes[0] = progressType;
    writeUint48(bytes, 1, message.after);
    writeUint48(bytes, 7, message.sequence);
    writeUint48(bytes, 13, message.epoch);
    bytes.set(bytesOfHex(message.chainHash), 19);
    return bytes;
  }
  const { isReset, part, hasMore, incarnation, epoch, after, sequence, chainHash } = message;
  const bodies: Uint8Array[] = [];
  const changes = message.changes.map((change) => {
    if (change.type !== 'put') {
      const { resource, namespace, name } = change.key;
      return [change.type, resource, namespace, name, change.uid, change.revision];
    }
    const { key, uid, createdRevision, revision } = change.object;
    const values: unknown[] = [];
    for (const facet of facets) {
      const value = change.object.facets[facet];
      if (value === undefined) continue;
      values.push(facet, value.revision, value.bytes.length);
      bodies.push(value.bytes);
    }
    const { resource, namespace, name } = key;
    return [
      'put',
      resource,
      namespace,
      name,
      uid,
      revision,
      createdRevision,
      change.extent,
      values,
    ];
  });
  const header = utf8(
    JSON.stringify({
      ...{ isReset, part, hasMore, incarnation, epoch, after, sequence, chainHash },
      complete: message.complete,
      changes,
    }),
  );
  const prefix = new Uint8Array(5);
  prefix[0] = batchType;
  new DataView(prefix.buffer).setUint32(1, header.length);
  return concatBytes([prefix, header, ...bodies]);
}

/** Throws SyncError SYNC_MALFORMED. Facets are copies. */
export function decodeSliceMessage(bytes: Uint8Array): SliceMessage {
  if (bytes[0] === progressType && bytes.length === olderProgressBytes) {
    return {
      type: 'progress',
      epoch: 0,
      after: readUint48(bytes, 1),
      sequence: readUint48(bytes, 7),
      chainHash: hexOf(bytes.subarray(13)),
    };
  }
  if (bytes[0] === progressType && bytes.length === progressBytes) {
    return {
      type: 'progress',
      after: readUint48(bytes, 1),
      sequence: readUint48(bytes, 7),
      epoch: readUint48(bytes, 13),
      chainHash: hexOf(bytes.subarray(19)),
    };
  }
  if (bytes[0] !== batchType || bytes.length < 5) throw malformed('its type');
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  if (5 + headerBytes > bytes.length) throw malformed('its length');
  const header = parseHeader(bytes.subarray(5, 5 + headerBytes));
  const { isReset, hasMore, incarnation, chainHash, changes, complete } = header;
  if (typeof isReset !== 'boolean' || typeof hasMore !== 'boolean') throw malformed('its flags');
  if (!Array.isArray(changes)) throw malformed('its changes');
  let offset = 5 + headerBytes;
  const take = (sizeBytes: number): Uint8Array => {
    if (offset + sizeBytes > bytes.length) throw malformed('a facet');
    offset += sizeBytes;
    return bytes.slice(offset - sizeBytes, offset);
  };
  const decoded = changes.map((change) => decodeChange(change, take));
  if (offset !== bytes.length) throw malformed('its end');
  return {
    type: 'batch',
    isReset,
    hasMore,
    part: header['part'] === undefined ? unnumbered : countIn(header['part']),
    incarnation: textIn(incarnation, incarnationLengthMax),
    epoch: header['epoch'] === undefined ? 0 : countIn(header['epoch'], epochMax),
    after: countIn(header['after']),
    sequence: countIn(header['sequence']),
    chainHash: hexIn(chainHash, chainHashBytes * 2),
    ...(complete === undefined ? {} : { complete: completenessIn(complete) }),
    changes: decoded,
  };
}

function decodeChange(value: unknown, take: (sizeBytes: number) => Uint8Array): SliceChange {
  if (!Array.isArray(value)) throw malformed('a change');
  const type = changeTypes.find((known) => known === value[0]);
  if (type === undefined) throw malformed('the type of a change');
  const key = { resource: textIn(value[1]), namespace: textIn(value[2]), name: textIn(value[3]) };
  const uid = textIn(value[4]) as Uid;
  const revision = countIn(value[5]) as Revision;
  if (type !== 'put') return { type, key, uid, revision };
  const extent = value[7] === 'changed' ? 'changed' : 'whole';
  const list: unknown = value[8];
  if (!Array.isArray(list) || list.length % 3 !== 0) throw malformed('the facets of a change');
  const values: Partial<Record<Facet, FacetValue>> = {};
  for (let index = 0; index < list.length; index += 3) {
    const facet = facets.find((known) => known === list[index]);
    if (facet === undefined) throw malformed('the name of a facet');
    values[facet] = {
      revision: countIn(list[index + 1]) as Revision,
      bytes: take(countIn(list[index + 2])),
    };
  }
  const createdRevision = countIn(value[6]) as Revision;
  return { type, extent, object: { key, uid, createdRevision, revision, facets: values } };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(strictTextOf(bytes));
  } catch {
    throw malformed('its header');
  }
  if (!isJsonObject(value)) throw malformed('its header');
  return value;
}

function completenessIn(value: unknown): Completeness {
  if (!isJsonObject(value)) throw malformed('what it comes to');
  const { count, digest } = value;
  return { count: countIn(count), digest: digest === '' ? '' : hexIn(digest, objectDigestLength) };
}

function textIn(value: unknown, lengthMax = keyPartLengthMax): string {
  if (typeof value !== 'string' || value.length > lengthMax) throw malformed('a text');
  return value;
}

function hexIn(value: unknown, length: number): string {
  const text = textIn(value, length);
  if (text.length !== length || !/^[0-9a-f]*$/.test(text)) throw malformed('a digest');
  return text;
}

function countIn(value: unknown, max = placeMax): number {
  const isCount = typeof value === 'number' && Number.isSafeInteger(value);
  if (!isCount || value < 0 || value > max) throw malformed('a number');
  return value;
}

function writeUint48(bytes: Uint8Array, offset: number, value: number): void {
  const view = new DataView(bytes.buffer);
  view.setUint16(offset, Math.floor(value / 2 ** 32));
  view.setUint32(offset + 2, value % 2 ** 32);
}

function readUint48(bytes: Uint8Array, offset: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return view.getUint16(offset) * 2 ** 32 + view.getUint32(offset + 2);
}
