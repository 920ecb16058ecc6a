/**
 * Lines of the audit log: one JSON object each, whose last two annotations are its
 * place in the log.
 *
 *   …,"audit.selvage.dev/sequence":"7","audit.selvage.dev/chain":"<64 hex>"}}
 *
 * Invariants:
 * 1. A line's chain is the sha256 of the chain of the line before, a line feed, and the
 *    line up to its own chain. So it stands for all lines up to this one, and no other
 *    text has it.
 * 2. A line is printable ASCII: no two files read as the same text.
 */
import { hash } from 'node:crypto';
import { assert } from '#base/mod.ts';
import type { AuditEntry } from './types.ts';

const sequenceKey = 'audit.selvage.dev/sequence';
const chainKey = 'audit.selvage.dev/chain';
const chainHead = `,"${chainKey}":"`;
const chainLength = 64;
const lineTail = '"}}';
const suffixLength = chainHead.length + chainLength + lineTail.length;
export const lineLengthMax = 64 * 1024;

/** A place in the log: a line's number and its chain. */
export interface AuditPlace {
  readonly sequence: number;
  readonly chain: string;
}

export interface ChainedLine extends AuditPlace {
  /** Without the line feed. */
  readonly text: string;
}

/** What the first line of a log follows. */
export function firstPlace(logId: string): AuditPlace {
  return { sequence: 0, chain: hash('sha256', `audit log ${logId}`, 'hex') };
}

/** Undefined where the line would be longer than `lineLengthMax`. */
export function lineAfter(before: AuditPlace, entry: AuditEntry): ChainedLine | undefined {
  const sequence = before.sequence + 1;
  const annotations = 'annotations' in entry ? entry.annotations : {};
  const placed = JSON.stringify({ ...annotations, [sequenceKey]: String(sequence) });
  const rest = JSON.stringify({ ...entry, annotations: undefined });
  const body = ascii(`${rest.slice(0, -1)},"annotations":${placed.slice(0, -1)}`);
  const chain = chainAfter(before.chain, body);
  const text = `${body}${chainHead}${chain}${lineTail}`;
  assert(body.endsWith('"'), 'a line ends with its place');
  return text.length > lineLengthMax ? undefined : { sequence, chain, text };
}

/** The same JSON, with escapes for all that is not printable ASCII. */
function ascii(json: string): string {
  // Most lines are: looking is a fraction of replacing.
  if (json.search(notAscii) === -1) return json;
  return json.replaceAll(
    notAscii,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const notAscii = /[^ -~]/g;

function chainAfter(chain: string, body: string): string {
  return hash('sha256', `${chain}\n${body}`, 'hex');
}

/** Where a line says that it stands; undefined where it is no line of an audit log. */
export function placeOf(text: string): AuditPlace | undefined {
  if (text.length > lineLengthMax || text.length <= suffixLength) return undefined;
  if (text.search(notAscii) !== -1) return undefined;
  const match = placePattern.exec(text.slice(-(suffixLength + sequencePartLengthMax)));
  const [, sequence, chain] = match ?? [];
  if (sequence === undefined || chain === undefined) return undefined;
  return { sequence: Number(sequence), chain };
}

const sequencePartLengthMax = sequenceKey.length + 24;
const literal = (text: string): string => text.replaceAll('.', '\\.');
const placePattern = new RegExp(
  `"${literal(sequenceKey)}":"(\\d{1,15})"${literal(chainHead)}([0-9a-f]{64})"}}$`,
);

/** Whether the line's chain is that of its text after `chain`. */
export function followsChain(text: string, place: AuditPlace, chain: string): boolean {
  return chainAfter(chain, text.slice(0, -suffixLength)) === place.chain;
}
