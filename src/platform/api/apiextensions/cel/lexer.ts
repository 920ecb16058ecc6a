/** The text of an expression as tokens (the grammar of the Common Expression Language). */
import { utf8 } from '#base/mod.ts';
import { compileError } from './errors.ts';
import type { Literal } from './syntax.ts';

export type Token =
  | { readonly type: 'name'; readonly text: string; readonly at: number }
  | { readonly type: 'symbol'; readonly text: string; readonly at: number }
  | { readonly type: 'literal'; readonly value: Literal; readonly at: number }
  | { readonly type: 'end'; readonly at: number };

const space = /[ \t\r\n\f]+|\/\/[^\n]*/y;
const name = /[_a-zA-Z][_a-zA-Z0-9]*/y;
const numeral = /0x[0-9a-fA-F]+u?|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?u?/y;
const symbol = /&&|\|\||==|!=|<=|>=|\.\?|\[\?|[-+*/%<>!?:.,()[\]{}]/y;
const stringStart = /([bB][rR]?|[rR][bB]?)?("""|'''|"|')/y;

const reserved = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);
const constants: Readonly<Record<string, Literal>> = { true: true, false: false, null: null };
const int64Max = 2n ** 63n - 1n;

/** Throws CelError (CEL_COMPILE) at what is no token. */
export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return undefined;
    at += found[0].length;
    return found;
  };
  while (at < text.length) {
    const from = at;
    if (take(space) !== undefined) continue;
    const start = take(stringStart);
    if (start !== undefined) {
      const { value, end } = stringFrom(text, at, start[1] ?? '', start[2] ?? '', from);
      tokens.push({ type: 'literal', value, at: from });
      at = end;
      continue;
    }
    const word = take(name)?.[0];
    if (word !== undefined) {
      if (reserved.has(word)) throw compileError(text, from, `'${word}' is a reserved word`);
      if (Object.hasOwn(constants, word)) {
        tokens.push({ type: 'literal', value: constants[word] ?? null, at: from });
      } else tokens.push({ type: 'name', text: word, at: from });
      continue;
    }
    // A dot begins a number only where a digit follows and no operand comes before.
    const number = take(numeral)?.[0];
    if (number !== undefined) {
      tokens.push({ type: 'literal', value: numberFrom(text, number, from), at: from });
      continue;
    }
    const sign = take(symbol)?.[0];
    if (sign === undefined) {
      throw compileError(text, from, `unexpected ${JSON.stringify(text.charAt(from))}`);
    }
    tokens.push({ type: 'symbol', text: sign, at: from });
  }
  tokens.push({ type: 'end', at: text.length });
  return tokens;
}

function numberFrom(text: string, numeral: string, at: number): bigint | number {
  const plain = numeral.endsWith('u') ? numeral.slice(0, -1) : numeral;
  if (!plain.startsWith('0x') && /[.eE]/.test(plain)) return Number(plain);
  const value = BigInt(plain);
  // One more than the largest is the smallest, with a minus before it.
  if (value > int64Max + 1n) throw compileError(text, at, 'the number does not fit 64 bits');
  return value;
}

const escapes: Readonly<Record<string, string>> = {
  ...{ a: '\u0007', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
  ...{ '\\': '\\', '?': '?', '"': '"', "'": "'", '`': '`' },
};
const numericEscape = /x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}/y;
const codePointMax = 0x10ffff;

function stringFrom(
  text: string,
  begin: number,
  prefix: string,
  quote: string,
  tokenAt: number,
): { readonly value: string | Uint8Array; readonly end: number } {
  const isRaw = /r/i.test(prefix);
  const isBytes = /b/i.test(prefix);
  let value = '';
  let at = begin;
  while (!text.startsWith(quote, at)) {
    const character = text.charAt(at);
    if (character === '' || (quote.length === 1 && character === '\n')) {
      throw compileError(text, tokenAt, 'the string does not end');
    }
    if (character !== '\\' || isRaw) {
      value += character;
      at += 1;
      continue;
    }
    const next = text.charAt(at + 1);
    const simple = Object.hasOwn(escapes, next) ? escapes[next] : undefined;
    if (simple !== undefined) {
      value += simple;
      at += 2;
      continue;
    }
    numericEscape.lastIndex = at + 1;
    const code = numericEscape.exec(text)?.[0];
    const isOctal = code !== undefined && /^\d/.test(code);
    const point =
      code === undefined ? -1 : parseInt(isOctal ? code : code.slice(1), isOctal ? 8 : 16);
    const isSurrogate = point >= 0xd800 && point < 0xe000;
    if (code === undefined || point > codePointMax || isSurrogate) {
      throw compileError(text, at, 'unknown escape in a string');
    }
    value += String.fromCodePoint(point);
    at += 1 + code.length;
  }
  const end = at + quote.length;
  return { value: isBytes ? utf8(value) : value, end };
}
