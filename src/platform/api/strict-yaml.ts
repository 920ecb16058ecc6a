/**
 * YAML from people and programs that are not trusted, with the limits of
 * `parseStrictJson`: what it accepts is what JSON could have said.
 *
 * Invariants:
 * 1. Depth is checked on flat tokens before anything recursive sees the text.
 * 2. An alias counts as all the values that it stands for.
 * 3. No tags but those of JSON's own types, one document, text keys only.
 */
import {
  CST,
  Composer,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  Parser,
  type Document,
  type ParsedNode,
} from 'yaml';
import { errorText, type Json, type JsonObject } from '#base/mod.ts';
import { StatusError } from './status-error.ts';
import {
  decodeStrictText,
  defaultJsonLimits,
  type JsonLimits,
  type ParsedJson,
  parseStrictJson,
  pathText,
} from './strict-json.ts';

const duplicatesReportedMax = 20;
const coreTags = new Set(
  ['null', 'bool', 'int', 'float', 'str', 'map', 'seq'].map((name) => `tag:yaml.org,2002:${name}`),
);

/** Throws StatusError 400 (or 413 beyond `bytesMax`) that says where and what. */
export function parseStrictYaml(
  bytes: Uint8Array,
  limits: JsonLimits = defaultJsonLimits,
): ParsedJson {
  const text = decodeStrictText(bytes, limits.bytesMax);
  // Most that comes as YAML is JSON, which the faster and stricter parser takes.
  if (/^\s*[{[]/.test(text)) {
    try {
      return parseStrictJson(bytes, limits);
    } catch (error) {
      if (!(error instanceof StatusError) || !error.message.includes('is not valid JSON'))
        throw error;
    }
  }
  const lines = new LineCounter();
  const document = compose(text, limits, lines);
  return new Converter(document, limits, lines).convert();
}

function compose(text: string, limits: JsonLimits, lines: LineCounter): Document.Parsed {
  const tokens: CST.Token[] = [];
  try {
    for (const token of new Parser(lines.addNewLine).parse(text)) {
      requireShallow(token, limits.nestingMax);
      tokens.push(token);
    }
    const composer = new Composer({
      version: '1.2',
      schema: 'core',
      uniqueKeys: false,
      stringKeys: false,
      merge: false,
      lineCounter: lines,
    });
    const documents = [...composer.compose(tokens, true, text.length)];
    const document = documents[0] as Document.Parsed | undefined;
    if (document === undefined || documents.length !== 1) {
      throw refused(`has ${documents.length} YAML documents; expected one`);
    }
    const problem = document.errors[0];
    if (problem !== undefined) {
      const { line, col } = lines.linePos(problem.pos[0]);
      throw refused(
        `is not valid YAML: ${problem.message.split('\n')[0] ?? ''}; line ${line}, column ${col}`,
      );
    }
    return document;
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw refused(`is not valid YAML: ${errorText(error)}`, error);
  }
}

/** Walks a token without recursion, since its depth is what is in question. */
function requireShallow(root: CST.Token, nestingMax: number): void {
  const pending: { readonly token: CST.Token; readonly depth: number }[] = [
    { token: root, depth: 0 },
  ];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { token, depth } = next;
    if (depth > nestingMax) throw refused(`is nested deeper than ${nestingMax} levels`);
    if (token.type === 'document' && token.value !== undefined) {
      pending.push({ token: token.value, depth });
    } else if ('items' in token) {
      for (const item of token.items) {
        if (item.key !== undefined && item.key !== null)
          pending.push({ token: item.key, depth: depth + 1 });
        if (item.value !== undefined) pending.push({ token: item.value, depth: depth + 1 });
      }
    }
  }
}

class Converter {
  readonly #document: Document.Parsed;
  readonly #limits: JsonLimits;
  readonly #lines: LineCounter;
  readonly #path: (string | number)[] = [];
  readonly #duplicates: string[] = [];
  #values = 0;

  constructor(document: Document.Parsed, limits: JsonLimits, lines: LineCounter) {
    this.#document = document;
    this.#limits = limits;
    this.#lines = lines;
  }

  convert(): ParsedJson {
    const value = this.#value(this.#document.contents);
    return { value, duplicates: this.#duplicates };
  }

  #value(node: ParsedNode | null): Json {
    this.#values += 1;
    if (this.#values > this.#limits.valuesMax) {
      throw this.#refused(node, `has more than ${this.#limits.valuesMax} values`);
    }
    if (this.#path.length > this.#limits.nestingMax) {
      throw this.#refused(node, `is nested deeper than ${this.#limits.nestingMax} levels`);
    }
    if (node === null) return null;
    if (isAlias(node)) {
      const target = node.resolve(this.#document) as ParsedNode | undefined;
      if (target === undefined) throw this.#refused(node, `has the unknown alias ${node.source}`);
      return this.#value(target);
    }
    if (node.tag !== undefined && !coreTags.has(node.tag)) {
      throw this.#refused(node, `has the tag ${node.tag}, which is not allowed`);
    }
    if (isMap(node)) return this.#object(node.items as readonly Pair[]);
    if (isSeq(node)) {
      return node.items.map((item, index) =>
        this.#under(index, () => this.#value(item as ParsedNode)),
      );
    }
    if (isScalar(node)) return this.#scalar(node.value, node);
    throw this.#refused(node, 'has a node of an unknown type');
  }

  #object(pairs: readonly Pair[]): JsonObject {
    const object: JsonObject = {};
    for (const { key, value } of pairs) {
      const name = isScalar(key) ? keyText(key.value) : undefined;
      if (name === undefined) throw this.#refused(key, 'has a key that is no text');
      this.#under(name, () => {
        if (name === '__proto__') {
          throw this.#refused(key, `has the key ${pathText(this.#path)}, which is not allowed`);
        }
        if (Object.hasOwn(object, name) && this.#duplicates.length < duplicatesReportedMax) {
          this.#duplicates.push(pathText(this.#path));
        }
        object[name] = this.#value(value);
      });
    }
    return object;
  }

  #scalar(value: unknown, node: ParsedNode): Json {
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'string') {
      if (!value.isWellFormed())
        throw this.#refused(node, 'has a string with half of a surrogate pair');
      return value;
    }
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) throw this.#refused(node, 'has a number that JSON cannot carry');
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw this.#refused(
          node,
          `has the integer ${value}, which is beyond 2^53 and would lose digits`,
        );
      }
      return value;
    }
    throw this.#refused(node, 'has a value that JSON cannot carry');
  }

  #under<Result>(part: string | number, visit: () => Result): Result {
    this.#path.push(part);
    const result = visit();
    this.#path.pop();
    return result;
  }

  #refused(node: ParsedNode | null, what: string): StatusError {
    const offset = node?.range?.[0];
    const field = this.#path.length === 0 ? '' : ` (at ${pathText(this.#path)})`;
    if (offset === undefined) return refused(`${what}${field}`);
    const { line, col } = this.#lines.linePos(offset);
    return refused(`${what}; line ${line}, column ${col}${field}`);
  }
}

interface Pair {
  readonly key: ParsedNode;
  readonly value: ParsedNode | null;
}

/** YAML lets numbers and booleans be keys; in JSON they are the text they were written as. */
function keyText(key: unknown): string | undefined {
  switch (typeof key) {
    case 'string':
      return key;
    case 'number':
    case 'boolean':
      return String(key);
    default:
      return undefined;
  }
}

function refused(what: string, cause?: unknown): StatusError {
  return new StatusError('BadRequest', `the body ${what}`, { cause });
}
