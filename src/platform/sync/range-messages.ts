/**
 * What owner and follower say while they compare: the owner asks about ranges at one
 * named sequence, the follower answers for each with the digests of its sixteen parts
 * or, where it has few objects there, with these. One byte of type, then JSON.
 */
import { concatBytes, isJsonObject, strictTextOf, type Uid, utf8 } from '#base/mod.ts';
import { objectDigestLength, type ObjectKey } from '#platform/store/mod.ts';
import { leafMax, positionLength, positionOf } from './digest-tree.ts';
import { malformed } from './errors.ts';

/** With `leafMax` objects each, an answer stays below what a link takes for one message. */
export const rangesPerMessageMax = 16;
const keyPartLengthMax = 1024;

export interface RangeQuestion {
  readonly sequence: number;
  readonly epoch: number;
  readonly prefixes: readonly string[];
}

export interface RangeEntry {
  readonly key: ObjectKey;
  readonly uid: Uid;
  readonly digest: string;
}

/** In the order of the question: the digests of the parts, or what is there. */
export type RangeAnswer =
  | { readonly parts: readonly string[] }
  | { readonly entries: readonly RangeEntry[] };

const questionType = 3;
const answerType = 4;

export function encodeRangeQuestion(question: RangeQuestion): Uint8Array {
  return encode(questionType, question);
}

/** Undefined for a message that is none; throws SyncError SYNC_MALFORMED for a bad one. */
export function decodeRangeQuestion(bytes: Uint8Array): RangeQuestion | undefined {
  if (bytes[0] !== questionType) return undefined;
  const value = parse(bytes);
  if (!isJsonObject(value)) throw malformed('a question');
  const { sequence, epoch, prefixes } = value;
  if (!isCount(sequence) || !isCount(epoch)) throw malformed('the place of a question');
  if (
    !Array.isArray(prefixes) ||
    prefixes.length > rangesPerMessageMax ||
    !prefixes.every(isPrefix)
  )
    throw malformed('a range');
  return { sequence, epoch, prefixes };
}

export function encodeRangeAnswers(answers: readonly RangeAnswer[]): Uint8Array {
  const list = answers.map((answer) =>
    'parts' in answer
      ? answer.parts.join()
      : answer.entries.map(({ key: { resource, namespace, name }, uid, digest }) => [
          ...[resource, namespace, name, uid, digest],
        ]),
  );
  return encode(answerType, list);
}

/** What was answered to `prefixes`. Throws SyncError SYNC_MALFORMED. */
export function decodeRangeAnswers(
  bytes: Uint8Array,
  prefixes: readonly string[],
): readonly RangeAnswer[] {
  const list = bytes[0] === answerType ? parse(bytes) : undefined;
  if (!Array.isArray(list) || list.length !== prefixes.length) throw malformed('an answer');
  return list.map((value: unknown, index) => {
    const prefix = prefixes[index] ?? '';
    if (typeof value === 'string') {
      const parts = value.split(',');
      const isWhole = parts.length === 16 && parts.every((part) => part === '' || isDigest(part));
      if (!isWhole || prefix.length >= positionLength) throw malformed('the parts of a range');
      return { parts };
    }
    if (!Array.isArray(value) || value.length > leafMax) throw malformed('the list of a range');
    return { entries: value.map((item: unknown) => entryIn(item, prefix)) };
  });
}

function entryIn(item: unknown, prefix: string): RangeEntry {
  if (!Array.isArray(item) || item.length !== 5) throw malformed('an object of a range');
  const [resource, namespace, name, uid, digest]: unknown[] = item;
  if (!isText(resource) || !isText(namespace) || !isText(name) || !isText(uid))
    throw malformed('a key');
  const key = { resource, namespace, name };
  if (!isDigest(digest) || !positionOf(key).startsWith(prefix)) throw malformed('a digest');
  return { key, uid: uid as Uid, digest };
}

function encode(type: number, value: unknown): Uint8Array {
  return concatBytes([Uint8Array.of(type), utf8(JSON.stringify(value))]);
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(strictTextOf(bytes.subarray(1)));
  } catch {
    throw malformed('its text');
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= keyPartLengthMax;
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isPrefix(value: unknown): value is string {
  return typeof value === 'string' && new RegExp(`^[0-9a-f]{0,${positionLength}}$`).test(value);
}

export function isDigest(value: unknown): value is string {
  return (
    typeof value === 'string' && /^[0-9a-f]+$/.test(value) && value.length === objectDigestLength
  );
}
