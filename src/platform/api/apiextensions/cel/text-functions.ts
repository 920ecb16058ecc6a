/** Functions of strings: those of CEL, of its strings extension, and regular expressions. */
import { parseSafePattern, type SafePattern } from '../safe-pattern.ts';
import { evaluationError } from './errors.ts';
import { spendForSize } from './operators.ts';
import { method, type Overload, type Overloads, plain } from './overloads.ts';
import { bool, dyn, int, listOf, string } from './types.ts';
import { type Budget, type CelList, kindOf, listFrom, textOfValue, type Value } from './values.ts';

const texts = listOf(string);
/** Compiling costs more than matching, and a large pattern matches more slowly. */
const stepsPerPatternCharacter = 1;

function patternOf(source: string, budget: Budget): SafePattern {
  budget.spend(source.length * stepsPerPatternCharacter);
  const made = parseSafePattern(source);
  if ('problem' in made) throw evaluationError(`the pattern ${made.problem}`);
  return made;
}

function spendForMatch(text: string, source: string, budget: Budget): void {
  budget.spend(((text.length + 1) * (source.length + 10)) / 100);
}

function matches(text: string, source: string, budget: Budget): boolean {
  spendForMatch(text, source, budget);
  return patternOf(source, budget).test(text);
}

function findAll(text: string, source: string, limit: bigint, budget: Budget): CelList {
  spendForMatch(text, source, budget);
  const count = limit < 0n ? text.length + 1 : Number(limit);
  return listFrom(patternOf(source, budget).findAll(text, count));
}

/** Positions count code points, as people count characters. */
function charactersOf(text: string, budget: Budget): readonly string[] {
  budget.spend(text.length / 10);
  return Array.from(text);
}

function part(text: string, from: bigint, to: bigint | undefined, budget: Budget): string {
  const characters = charactersOf(text, budget);
  const end = to ?? BigInt(characters.length);
  if (from < 0n || end > BigInt(characters.length) || from > end) {
    throw evaluationError(`no such part of the text: ${from} to ${end}`);
  }
  return characters.slice(Number(from), Number(end)).join('');
}

function indexOf(text: string, part: string, from: bigint, budget: Budget): bigint {
  const characters = charactersOf(text, budget);
  const offset = characters.slice(0, Number(from)).join('').length;
  const found = text.indexOf(part, offset);
  return found < 0 ? -1n : BigInt(Array.from(text.slice(0, found)).length);
}

function lastIndexOf(text: string, part: string, budget: Budget): bigint {
  budget.spend(text.length / 10);
  const found = text.lastIndexOf(part);
  return found < 0 ? -1n : BigInt(Array.from(text.slice(0, found)).length);
}

function replace(text: string, old: string, now: string, limit: bigint, budget: Budget): string {
  const pieces = text.split(old);
  const replaced = limit < 0n ? pieces.length - 1 : Math.min(Number(limit), pieces.length - 1);
  spendForSize(text.length + replaced * now.length, budget);
  const head = pieces.slice(0, replaced + 1).join(now);
  const rest = pieces.slice(replaced + 1);
  return rest.length === 0 ? head : [head, ...rest].join(old);
}

function split(text: string, separator: string, limit: bigint, budget: Budget): CelList {
  spendForSize(text.length * 2, budget);
  if (limit === 0n) return listFrom([]);
  const pieces = separator === '' ? Array.from(text) : text.split(separator);
  if (limit < 0n || pieces.length <= Number(limit)) return listFrom(pieces);
  const kept = pieces.slice(0, Number(limit) - 1);
  return listFrom([...kept, pieces.slice(kept.length).join(separator)]);
}

function join(list: CelList, separator: string, budget: Budget): string {
  const pieces: string[] = [];
  let length = 0;
  for (let at = 0; at < list.size; at += 1) {
    const piece = list.at(at);
    if (typeof piece !== 'string') throw evaluationError('join takes a list of strings');
    length += piece.length + separator.length;
    spendForSize(length, budget);
    pieces.push(piece);
  }
  return pieces.join(separator);
}

const placeholder = /%(?:\.(\d{1,2}))?([a-zA-Z%])/g;

function format(text: string, given: CelList, budget: Budget): string {
  let next = 0;
  const made = text.replace(placeholder, (_whole, digits: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (next >= given.size) throw evaluationError('format: more places than values');
    const value = given.at(next);
    next += 1;
    return formatted(value, verb, digits, budget);
  });
  spendForSize(made.length, budget);
  return made;
}

function formatted(value: Value, verb: string, digits: string | undefined, budget: Budget): string {
  const kind = kindOf(value);
  const isNumber = kind === 'int' || kind === 'double';
  if (verb === 's') return shown(value, budget);
  if (verb === 'd' && kind === 'int') return (value as bigint).toString();
  if (verb === 'f' && isNumber) return Number(value).toFixed(Number(digits ?? 6));
  if (verb === 'e' && isNumber) return Number(value).toExponential(Number(digits ?? 6));
  if (verb === 'x' && kind === 'int') return (value as bigint).toString(16);
  if (verb === 'X' && kind === 'int') return (value as bigint).toString(16).toUpperCase();
  if (verb === 'o' && kind === 'int') return (value as bigint).toString(8);
  if (verb === 'b' && kind === 'int') return (value as bigint).toString(2);
  throw evaluationError(`format: %${verb} does not take ${kind}`);
}

function shown(value: Value, budget: Budget): string {
  budget.spend(1);
  if (value === null) return 'null';
  if (kindOf(value) === 'list') {
    const list = value as CelList;
    const items: string[] = [];
    for (let at = 0; at < list.size; at += 1) items.push(shown(list.at(at), budget));
    return `[${items.join(', ')}]`;
  }
  const text = textOfValue(value);
  budget.spend(text.length / 10);
  return text;
}

function ofText(run: (text: string, other: string) => boolean): readonly Overload[] {
  return [
    method<[string, string]>([string, string], bool, (text, other, budget) => {
      budget.spend(text.length / 10);
      return run(text, other);
    }),
  ];
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function upperAscii(text: string): string {
  return text.replace(/[a-z]/g, (letter) => letter.toUpperCase());
}

export const textFunctions: Overloads = {
  contains: ofText((text, other) => text.includes(other)),
  startsWith: ofText((text, other) => text.startsWith(other)),
  endsWith: ofText((text, other) => text.endsWith(other)),
  matches: [
    method<[string, string]>([string, string], bool, matches),
    plain<[string, string]>([string, string], bool, matches),
  ],
  find: [
    method<[string, string]>([string, string], string, (text, source, budget) => {
      const found = findAll(text, source, 1n, budget);
      return found.size === 0 ? '' : found.at(0);
    }),
  ],
  findAll: [
    method<[string, string]>([string, string], texts, (text, source, budget) =>
      findAll(text, source, -1n, budget),
    ),
    method<[string, string, bigint]>([string, string, int], texts, findAll),
  ],
  charAt: [
    method<[string, bigint]>([string, int], string, (text, at, budget) => {
      const characters = charactersOf(text, budget);
      if (at < 0n || at > BigInt(characters.length)) throw evaluationError('no such character');
      return characters[Number(at)] ?? '';
    }),
  ],
  indexOf: [
    method<[string, string]>([string, string], int, (text, other, budget) =>
      indexOf(text, other, 0n, budget),
    ),
    method<[string, string, bigint]>([string, string, int], int, indexOf),
  ],
  lastIndexOf: [method<[string, string]>([string, string], int, lastIndexOf)],
  lowerAscii: [
    method<[string]>([string], string, (text, budget) => {
      budget.spend(text.length / 10);
      return lowerAscii(text);
    }),
  ],
  upperAscii: [
    method<[string]>([string], string, (text, budget) => {
      budget.spend(text.length / 10);
      return upperAscii(text);
    }),
  ],
  trim: [
    method<[string]>([string], string, (text, budget) => {
      budget.spend(text.length / 10);
      return text.trim();
    }),
  ],
  reverse: [
    method<[string]>([string], string, (text, budget) =>
      charactersOf(text, budget).toReversed().join(''),
    ),
  ],
  replace: [
    method<[string, string, string]>([string, string, string], string, (text, old, now, budget) =>
      replace(text, old, now, -1n, budget),
    ),
    method<[string, string, string, bigint]>([string, string, string, int], string, replace),
  ],
  split: [
    method<[string, string]>([string, string], texts, (text, separator, budget) =>
      split(text, separator, -1n, budget),
    ),
    method<[string, string, bigint]>([string, string, int], texts, split),
  ],
  join: [
    method<[CelList]>([texts], string, (list, budget) => join(list, '', budget)),
    method<[CelList, string]>([texts, string], string, join),
  ],
  substring: [
    method<[string, bigint]>([string, int], string, (text, from, budget) =>
      part(text, from, undefined, budget),
    ),
    method<[string, bigint, bigint]>([string, int, int], string, part),
  ],
  format: [method<[string, CelList]>([string, listOf(dyn)], string, format)],
};
