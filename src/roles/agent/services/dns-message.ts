/**
 * Messages of the name service (RFC 1035, RFC 2782 for SRV), as far as a node's own
 * server reads and writes them: one question, and answers by address, name or place.
 */
import { concatBytes } from '#base/mod.ts';

export const recordTypes = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33, ANY: 255 } as const;
export const responseCodes = {
  ok: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
} as const;

/** What is shorter is no message of the name service. */
export const dnsHeaderBytes = 12;
const nameLengthMax = 253;
const labelLengthMax = 63;
const classInternet = 1;
const opcodeMask = 0x78;

export interface DnsQuestion {
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly type: number;
}

export interface DnsQuery {
  readonly id: number;
  readonly wantsRecursion: boolean;
  readonly question: DnsQuestion;
  /** The question as it stood in the message, to be repeated in the answer. */
  readonly questionBytes: Uint8Array;
}

export type DnsRecord = { readonly name: string; readonly ttlSeconds: number } & (
  | { readonly type: 'A'; readonly address: string }
  | { readonly type: 'CNAME'; readonly target: string }
  | {
      readonly type: 'SRV';
      readonly target: string;
      readonly port: number;
      readonly priority: number;
      readonly weight: number;
    }
  | { readonly type: 'SOA'; readonly primary: string }
);

export interface DnsAnswer {
  readonly code: number;
  readonly isAuthoritative: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authority?: readonly DnsRecord[];
  readonly additional?: readonly DnsRecord[];
}

/** The query; its code where it is one that cannot be answered; undefined where it is none. */
export function decodeQuery(
  bytes: Uint8Array,
): DnsQuery | { readonly id: number; readonly code: number } | undefined {
  if (bytes.length < dnsHeaderBytes) return undefined;
  const id = uint16(bytes, 0);
  const flags = bytes[2] ?? 0;
  if ((flags & 0x80) !== 0) return undefined;
  if ((flags & opcodeMask) !== 0) return { id, code: responseCodes.notImplemented };
  if (uint16(bytes, 4) !== 1) return { id, code: responseCodes.formatError };
  const labels: string[] = [];
  let at = dnsHeaderBytes;
  let length = 0;
  for (;;) {
    const size = bytes[at];
    if (size === undefined || size > labelLengthMax) return { id, code: responseCodes.formatError };
    at += 1;
    if (size === 0) break;
    length += size + 1;
    if (length > nameLengthMax + 1 || at + size > bytes.length) {
      return { id, code: responseCodes.formatError };
    }
    labels.push(String.fromCharCode(...bytes.subarray(at, at + size)).toLowerCase());
    at += size;
  }
  if (at + 4 > bytes.length) return { id, code: responseCodes.formatError };
  if (uint16(bytes, at + 2) !== classInternet) return { id, code: responseCodes.refused };
  return {
    id,
    wantsRecursion: (flags & 0x01) !== 0,
    question: { name: labels.join('.'), type: uint16(bytes, at) },
    questionBytes: bytes.slice(dnsHeaderBytes, at + 4),
  };
}

/** With what does not fit into `bytesMax` left out, and said so. */
export function encodeAnswer(query: DnsQuery, answer: DnsAnswer, bytesMax: number): Uint8Array {
  const sections = [answer.answers, answer.authority ?? [], answer.additional ?? []];
  const counts = [0, 0, 0];
  const parts: Uint8Array[] = [];
  let sizeBytes = dnsHeaderBytes + query.questionBytes.length;
  let isTruncated = false;
  for (const [section, records] of sections.entries()) {
    for (const record of records) {
      const bytes = encodeRecord(record, query.question.name);
      if (isTruncated || sizeBytes + bytes.length > bytesMax) {
        // What only helps may be missing; an answer may not, without a word.
        if (section === 0) isTruncated = true;
        continue;
      }
      sizeBytes += bytes.length;
      counts[section] = (counts[section] ?? 0) + 1;
      parts.push(bytes);
    }
  }
  const first = 0x80 | (answer.isAuthoritative ? 0x04 : 0) | (isTruncated ? 0x02 : 0);
  const header = [
    ...words(query.id),
    first | (query.wantsRecursion ? 0x01 : 0),
    0x80 | answer.code,
    ...words(1, ...counts),
  ];
  return concatBytes([Uint8Array.from(header), query.questionBytes, ...parts]);
}

/** An answer with nothing but its code, also to a message that could not be read. */
export function encodeRefusal(id: number, code: number): Uint8Array {
  return Uint8Array.from([...words(id), 0x80, 0x80 | code, ...words(0, 0, 0, 0)]);
}

/** The records of an answer that came from elsewhere: those that are addresses or other names. */
export function decodeAnswerRecords(bytes: Uint8Array): readonly DnsRecord[] {
  if (bytes.length < dnsHeaderBytes) return [];
  const records: DnsRecord[] = [];
  let at = dnsHeaderBytes;
  for (let count = uint16(bytes, 4); count > 0; count -= 1) at = nameAt(bytes, at).end + 4;
  for (let count = uint16(bytes, 6); count > 0 && at < bytes.length; count -= 1) {
    const { name, end } = nameAt(bytes, at);
    const type = uint16(bytes, end);
    const ttlSeconds = uint16(bytes, end + 4) * 65_536 + uint16(bytes, end + 6);
    const dataAt = end + 10;
    at = dataAt + uint16(bytes, end + 8);
    if (type === recordTypes.A && at === dataAt + 4) {
      const address = [...bytes.subarray(dataAt, at)].join('.');
      records.push({ type: 'A', name, ttlSeconds, address });
    } else if (type === recordTypes.CNAME) {
      records.push({ type: 'CNAME', name, ttlSeconds, target: nameAt(bytes, dataAt).name });
    }
  }
  return records;
}

/** A query of our own, with recursion desired. */
export function encodeQuery(id: number, { name, type }: DnsQuestion): Uint8Array {
  return concatBytes([
    Uint8Array.from([...words(id), 0x01, 0x00, ...words(1, 0, 0, 0)]),
    encodeName(name),
    Uint8Array.from(words(type, classInternet)),
  ]);
}

function encodeRecord(record: DnsRecord, questionName: string): Uint8Array {
  const data = dataOf(record);
  const { ttlSeconds } = record;
  // The name of the question stands right behind the header.
  const name =
    record.name === questionName ? Uint8Array.of(0xc0, dnsHeaderBytes) : encodeName(record.name);
  const fixed = words(
    recordTypes[record.type],
    classInternet,
    ttlSeconds >>> 16,
    ttlSeconds & 0xffff,
    data.length,
  );
  return concatBytes([name, Uint8Array.from(fixed), data]);
}

function dataOf(record: DnsRecord): Uint8Array {
  switch (record.type) {
    case 'A':
      return Uint8Array.from(record.address.split('.').map(Number));
    case 'CNAME':
      return encodeName(record.target);
    case 'SRV': {
      const { priority, weight, port, target } = record;
      return concatBytes([Uint8Array.from(words(priority, weight, port)), encodeName(target)]);
    }
    case 'SOA': {
      // Serial, refresh, retry, expire, and for how long "no" may be remembered.
      const numbers = [1, 7_200, 1_800, 86_400, record.ttlSeconds];
      return concatBytes([
        encodeName(record.primary),
        encodeName(`hostmaster.${record.primary}`),
        Uint8Array.from(numbers.flatMap((number) => words(number >>> 16, number & 0xffff))),
      ]);
    }
  }
}

function encodeName(name: string): Uint8Array {
  const bytes: number[] = [];
  for (const label of name.split('.')) {
    if (label === '') continue;
    bytes.push(label.length, ...Array.from(label, (letter) => letter.charCodeAt(0) & 0xff));
  }
  bytes.push(0);
  return Uint8Array.from(bytes);
}

/** Follows pointers, which only ever lead back. */
function nameAt(bytes: Uint8Array, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = start;
  let end: number | undefined;
  let lowest = start;
  for (;;) {
    const size = bytes[at] ?? 0;
    if ((size & 0xc0) === 0xc0) {
      end ??= at + 2;
      const target = uint16(bytes, at) & 0x3fff;
      if (target >= lowest) break;
      lowest = target;
      at = target;
      continue;
    }
    if (size === 0 || size > labelLengthMax) break;
    labels.push(String.fromCharCode(...bytes.subarray(at + 1, at + 1 + size)).toLowerCase());
    at += size + 1;
  }
  return { name: labels.join('.'), end: end ?? at + 1 };
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function words(...values: readonly number[]): number[] {
  return values.flatMap((value) => [(value >>> 8) & 0xff, value & 0xff]);
}
