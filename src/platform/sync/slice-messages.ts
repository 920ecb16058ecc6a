/**
 * What goes over `slice.follow` from owner to follower, and, byte for byte, what
 * the follower keeps on disk. A message is one byte of type, four bytes of
 * length of a JSON header, the header, then the facets' bytes verbatim in the
 * order in which the header names them. `progress` is binary throughout, since it is
 * the one that costs most often.
 */
import { bytesOfHex, concatBytes, hexOf, isJsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import type { Revision, Uid } from '#base/mod.ts';
import type { Facet, FacetValue, ObjectKey, StoredObject } from '#platform/store/mod.ts';
import { SyncError } from './errors.ts';

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

export interface SliceBatch {
  readonly type: 'batch';
  /** True in the first message of a reconcile: everything not named until its end is gone. */
  readonly isReset: boolean;
  /** More messages belong to this batch; it counts only when the last one is there. */
  readonly hasMore: boolean;
  readonly incarnation: string;
  /** The sequence this batch follows; 0 in a reconcile. */
  readonly after: number;
  readonly sequence: number;
  readonly chainHash: string;
  readonly changes: readonly SliceChange[];
}

export interface SliceProgress {
  readonly type: 'progress';
  readonly after: number;
  readonly sequence: number;
  readonly chainHash: string;
}

export type SliceMessage = SliceBatch | SliceProgress;

const batchType = 1;
const progressType = 2;
const chainHashBytes = 32;
const progressBytes = 13 + chainHashBytes;
const changeTypes = ['put', 'delete', 'leave'] as const;
const facets: readonly Facet[] = ['intent', 'assignment', 'report', 'verdict'];

export function encodeSliceMessage(message: SliceMessage): Uint8Array {
  if (message.type === 'progress') {
    const bytes = new Uint8Array(progressBytes);
    bytes[0] = progressType;
    writeUint48(bytes, 1, message.after);
    writeUint48(bytes, 7, message.sequence);
    bytes.set(bytesOfHex(message.chainHash), 13);
    return bytes;
  }
  const { isReset, hasMore, incarnation, after, sequence, chainHash } = message;
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
    JSON.stringify({ isReset, hasMore, incarnation, after, sequence, chainHash, changes }),
  );
  const prefix = new Uint8Array(5);
  prefix[0] = batchType;
  new DataView(prefix.buffer).setUint32(1, header.length);
  return concatBytes([prefix, header, ...bodies]);
}

/** Throws SyncError SYNC_MALFORMED. Facets are copies. */
export function decodeSliceMessage(bytes: Uint8Array): SliceMessage {
  if (bytes[0] === progressType && bytes.length === progressBytes) {
    return {
      type: 'progress',
      after: readUint48(bytes, 1),
      sequence: readUint48(bytes, 7),
      chainHash: hexOf(bytes.subarray(13)),
    };
  }
  if (bytes[0] !== batchType || bytes.length < 5) throw malformed('its type');
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  if (5 + headerBytes > bytes.length) throw malformed('its length');
  const header = parseHeader(bytes.subarray(5, 5 + headerBytes));
  const { isReset, hasMore, incarnation, chainHash, changes } = header;
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
    incarnation: textIn(incarnation),
    after: countIn(header['after']),
    sequence: countIn(header['sequence']),
    chainHash: textIn(chainHash),
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

function textIn(value: unknown): string {
  if (typeof value !== 'string') throw malformed('a text');
  return value;
}

function countIn(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw malformed('a number');
  }
  return value;
}

function malformed(what: string): SyncError {
  return new SyncError('SYNC_MALFORMED', `a slice message cannot be read: ${what} is wrong`);
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
