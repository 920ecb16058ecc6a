/**
 * JSON from people and programs that are not trusted.
 *
 * Invariants:
 * 1. What is accepted means the same to every reader: well-formed UTF-8, whole
 *    surrogate pairs, no integer that a double cannot hold, no `__proto__`.
 * 2. A key that is given twice is reported; the last value counts, as in
 *    JSON.parse. Whether that is an error is the caller's to say.
 * 3. The depth of recursion is bounded by `nestingMax`, never by the input.
 */
import { strictTextOf, type Json, type JsonObject } from '#base/mod.ts';
import { StatusError } from './status-error.ts';

export interface JsonLimits {
  /** Objects and lists within each other. */
  readonly nestingMax: number;
  readonly bytesMax: number;
  /** Values of every kind in one document. */
  readonly valuesMax: number;
}

export const defaultJsonLimits: JsonLimits = {
  nestingMax: 100,
  bytesMax: 3 * 1024 * 1024,
  valuesMax: 500_000,
};

export interface ParsedJson {
  readonly value: Json;
  /** Paths of keys that were given more than once, at most 20: `spec.replicas`. */
  readonly duplicates: readonly string[];
}

const duplicatesReportedMax = 20;
const pathLengthMax = 160;

/** Throws StatusError 400 (or 413 beyond `bytesMax`) that says where and what. */
export function parseStrictJson(
  bytes: Uint8Array,
  limits: JsonLimits = defaultJsonLimits,
): ParsedJson {
  return new Parser(decodeStrictText(bytes, limits.bytesMax), limits).parse();
}

/** Text of well-formed UTF-8. Throws StatusError 400 or, beyond `bytesMax`, 413. */
export function decodeStrictText(bytes: Uint8Array, bytesMax: number): string {
  if (bytes.length > bytesMax) {
    throw new StatusError(
      'RequestEntityTooLarge',
      `the body has ${bytes.length} bytes; the limit is ${bytesMax}`,
    );
  }
  try {
    return strictTextOf(bytes);
  } catch (error) {
    throw new StatusError(
      'BadRequest',
      `the body is not valid UTF-8 near byte ${malformedOffsetOf(bytes)}`,
      { cause: error },
    );
  }
}

/** Dots between plain names, brackets around indexes and other names. */
export function pathText(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[\w$-]+$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${part}]`;
    if (text.length > pathLengthMax) return `${text.slice(0, pathLengthMax)}…`;
  }
  return text;
}

/** The first byte that strict decoding refuses, by halving: a prefix up to it still decodes. */
function malformedOffsetOf(bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const chunkBytes = 4096;
  let offset = 0;
  try {
    for (; offset < bytes.length; offset += chunkBytes) {
      decoder.decode(bytes.subarray(offset, offset + chunkBytes), { stream: true });
    }
  } catch {
    return offset;
  }
  return bytes.length;
}

const numberPattern = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const numberTextLengthMax = 400;

class Parser {
  readonly #text: string;
  readonly #limits: JsonLimits;
  readonly #path: (string | number)[] = [];
  readonly #duplicates: string[] = [];
  #offset = 0;
  #values = 0;

  constructor(text: string, limits: JsonLimits) {
    this.#text = text;
    this.#limits = limits;
  }

  parse(): ParsedJson {
    this.#skipSpace();
    const value = this.#value();
    this.#skipSpace();
    if (this.#offset < this.#text.length) throw this.#unexpected('the end');
    return { value, duplicates: this.#duplicates };
  }

  #value(): Json {
    this.#values += 1;
    if (this.#values > this.#limits.valuesMax) {
      throw this.#refused(`has more than ${this.#limits.valuesMax} values`);
    }
    switch (this.#text.charCodeAt(this.#offset)) {
      case 0x7b:
        return this.#object();
      case 0x5b:
        return this.#list();
      case 0x22:
        return this.#string();
      case 0x74:
        return this.#word('true', true);
      case 0x66:
        return this.#word('false', false);
      case 0x6e:
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(): JsonObject {
    const object: JsonObject = {};
    this.#descend();
    this.#skipSpace();
    if (this.#text.charCodeAt(this.#offset) === 0x7d) {
      this.#offset += 1;
      return object;
    }
    for (;;) {
      if (this.#text.charCodeAt(this.#offset) !== 0x22) throw this.#unexpected('a key in quotes');
      const key = this.#string();
      this.#path.push(key);
      if (key === '__proto__') {
        throw this.#refused(`has the key ${pathText(this.#path)}, which is not allowed`);
      }
      if (Object.hasOwn(object, key)) this.#noteDuplicate();
      this.#skipSpace();
      if (this.#text.charCodeAt(this.#offset) !== 0x3a) throw this.#unexpected("':'");
      this.#offset += 1;
      this.#skipSpace();
      object[key] = this.#value();
      this.#path.pop();
      this.#skipSpace();
      const code = this.#text.charCodeAt(this.#offset);
      if (code !== 0x2c && code !== 0x7d) throw this.#unexpected("',' or '}'");
      this.#offset += 1;
      if (code === 0x7d) return object;
      this.#skipSpace();
    }
  }

  #list(): Json[] {
    const list: Json[] = [];
    this.#descend();
    this.#skipSpace();
    if (this.#text.charCodeAt(this.#offset) === 0x5d) {
      this.#offset += 1;
      return list;
    }
    for (;;) {
      this.#path.push(list.length);
      list.push(this.#value());
      this.#path.pop();
      this.#skipSpace();
      const code = this.#text.charCodeAt(this.#offset);
      if (code !== 0x2c && code !== 0x5d) throw this.#unexpected("',' or ']'");
      this.#offset += 1;
      if (code === 0x5d) return list;
      this.#skipSpace();
    }
  }

  /** The path has one part per enclosing object or list. */
  #descend(): void {
    if (this.#path.length >= this.#limits.nestingMax) {
      throw this.#refused(`is nested deeper than ${this.#limits.nestingMax} levels`);
    }
    this.#offset += 1;
  }

  #string(): string {
    const start = this.#offset + 1;
    let end = start;
    let escaped = false;
    for (;;) {
      const code = this.#text.charCodeAt(end);
      if (code === 0x22) break;
      if (Number.isNaN(code)) {
        this.#offset = this.#text.length;
        throw this.#unexpected("'\"' to end a string");
      }
      if (code < 0x20) {
        this.#offset = end;
        throw this.#unexpected('an escape: control characters are not allowed in a string');
      }
      if (code === 0x5c) {
        escaped = true;
        end += 1;
      }
      end += 1;
    }
    const text = escaped
      ? this.#unescaped(this.#text.slice(start - 1, end + 1))
      : this.#text.slice(start, end);
    this.#offset = end + 1;
    return text;
  }

  #unescaped(quoted: string): string {
    let text: string;
    try {
      text = JSON.parse(quoted) as string;
    } catch (error) {
      throw this.#refused('has a string with a wrong escape', error);
    }
    if (!text.isWellFormed()) throw this.#refused('has a string with half of a surrogate pair');
    return text;
  }

  #number(): number {
    numberPattern.lastIndex = this.#offset;
    const match = numberPattern.exec(this.#text);
    if (match === null) throw this.#unexpected('a value');
    const text = match[0];
    const value = Number(text);
    const isInteger = match[1] === undefined && match[2] === undefined;
    if (text.length > numberTextLengthMax || !Number.isFinite(value)) {
      throw this.#refused('has a number that is too large');
    }
    if (isInteger && !Number.isSafeInteger(value)) {
      throw this.#refused(`has the integer ${text}, which is beyond 2^53 and would lose digits`);
    }
    this.#offset += text.length;
    return value;
  }

  #word<Value extends boolean | null>(word: string, value: Value): Value {
    if (!this.#text.startsWith(word, this.#offset)) throw this.#unexpected('a value');
    this.#offset += word.length;
    return value;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#offset);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#offset += 1;
    }
  }

  #noteDuplicate(): void {
    if (this.#duplicates.length < duplicatesReportedMax) {
      this.#duplicates.push(pathText(this.#path));
    }
  }

  #unexpected(expected: string): StatusError {
    const found =
      this.#offset >= this.#text.length
        ? 'the end'
        : JSON.stringify(String.fromCodePoint(this.#text.codePointAt(this.#offset) ?? 0));
    return this.#refused(`is not valid JSON: expected ${expected}, found ${found}`);
  }

  #refused(what: string, cause?: unknown): StatusError {
    const before = this.#text.slice(0, this.#offset);
    const lineStart = before.lastIndexOf('\n') + 1;
    let line = 1;
    for (let at = before.indexOf('\n'); at >= 0; at = before.indexOf('\n', at + 1)) line += 1;
    const column = this.#offset - lineStart + 1;
    const place = `line ${line}, column ${column}`;
    const field = this.#path.length === 0 ? '' : ` (at ${pathText(this.#path)})`;
    return new StatusError('BadRequest', `the body ${what}; ${place}${field}`, { cause });
  }
}
