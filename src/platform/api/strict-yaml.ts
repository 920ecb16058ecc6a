/**
 * YAML from people and programs that are not trusted, with the limits of
 * `parseStrictJson`: what it accepts is what JSON could have said.
 *
 * Invariants:
 * 1. Depth is checked while tokens are read, before anything recursive sees them.
 * 2. An alias counts as all the values and characters that it stands for.
 * 3. No tags but those of JSON's own types, one document, text keys only.
 */
import {
  type Alias,
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type ParsedNode,
  Parser,
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
/** Reading YAML costs far more than JSON of the same size, and large bodies come as JSON. */
const yamlBytesMax = 512 * 1024;
/** The document and the scalar that is being read. */
const stackBesidesCollections = 2;
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
  if (bytes.length > yamlBytesMax) {
    throw new StatusError(
      'RequestEntityTooLarge',
      `the body has ${bytes.length} bytes of YAML; the limit is ${yamlBytesMax}. JSON may be larger`,
    );
  }
  const lines = new LineCounter();
  const document = compose(text, limits, lines);
  return new Converter(document, limits, lines).convert();
}

function compose(text: string, limits: JsonLimits, lines: LineCounter): Document.Parsed {
  try {
    const composer = new Composer({
      version: '1.2',
      schema: 'core',
      uniqueKeys: false,
      stringKeys: false,
      merge: false,
      lineCounter: lines,
    });
    const documents = [...composer.compose(shallowTokens(text, limits, lines), true, text.length)];
    const document = documents[0];
    if (document === undefined || documents.length !== 1) {
      throw refused(`has ${documents.length} YAML documents; expected one`);
    }
    const problem = document.errors[0];
    if (problem !== undefined) {
      const { line, col } = lines.linePos(problem.pos[0]);
      const what = problem.message.split('\n')[0] ?? '';
      throw refused(`is not valid YAML: ${what}; line ${line}, column ${col}`);
    }
    return document;
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw refused(`is not valid YAML: ${errorText(error)}`, error);
  }
}

/** The parser keeps one entry per open collection, so its stack tells the depth as it reads. */
function* shallowTokens(
  text: string,
  limits: JsonLimits,
  lines: LineCounter,
): Generator<CST.Token> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  const stackMax = limits.nestingMax + stackBesidesCollections;
  let documents = 0;
  for (const source of new Lexer().lex(text)) {
    for (const token of parser.next(source)) {
      if (token.type === 'document') documents += 1;
      if (documents > 1) throw refused('has several YAML documents; expected one');
      yield token;
    }
    if (parser.stack.length > stackMax) {
      throw refused(`is nested deeper than ${limits.nestingMax} levels`);
    }
  }
  yield* parser.end();
}

class Converter {
  readonly #root: ParsedNode | null;
  readonly #limits: JsonLimits;
  readonly #lines: LineCounter;
  readonly #path: (string | number)[] = [];
  readonly #duplicates: string[] = [];
  /** The newest node of each anchor that was read so far. */
  readonly #anchors = new Map<string, ParsedNode>();
  #aliasDepth = 0;
  #values = 0;
  #aliasedCharacters = 0;

  constructor(document: Document.Parsed, limits: JsonLimits, lines: LineCounter) {
    this.#root = document.contents;
    this.#limits = limits;
    this.#lines = lines;
  }

  convert(): ParsedJson {
    const value = this.#value(this.#root);
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
    if (isAlias(node)) return this.#aliased(node);
    if (node.anchor !== undefined && this.#aliasDepth === 0) this.#anchors.set(node.anchor, node);
    if (node.tag !== undefined && !coreTags.has(node.tag)) {
      throw this.#refused(node, `has the tag ${node.tag}, which is not allowed`);
    }
    if (isMap(node)) return this.#object(node.items);
    if (isSeq(node)) {
      return node.items.map((item, index) => this.#under(index, () => this.#value(item)));
    }
    if (isScalar(node)) return this.#scalar(node.value, node);
    throw this.#refused(node, 'has a node of an unknown type');
  }

  #aliased(alias: Alias.Parsed): Json {
    const target = this.#anchors.get(alias.source);
    if (target === undefined) {
      throw this.#refused(alias, `has the unknown alias ${alias.source}`);
    }
    this.#aliasDepth += 1;
    const value = this.#value(target);
    this.#aliasDepth -= 1;
    return value;
  }

  #object(pairs: readonly Pair[]): JsonObject {
    const object: JsonObject = {};
    for (const { key, value } of pairs) {
      const name = isScalar(key) ? keyText(key.value) : undefined;
      if (name === undefined) throw this.#refused(key, 'has a key that is no text');
      this.#countAliased(name, key);
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

  /** A text that is written once may be meant many times; as JSON it could not have been. */
  #countAliased(text: string, node: ParsedNode): void {
    if (this.#aliasDepth === 0) return;
    this.#aliasedCharacters += text.length;
    if (this.#aliasedCharacters <= this.#limits.bytesMax) return;
    throw this.#refused(
      node,
      `has aliases that stand for more than ${this.#limits.bytesMax} characters`,
    );
  }

  #scalar(value: unknown, node: ParsedNode): Json {
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'string') {
      if (!value.isWellFormed())
        throw this.#refused(node, 'has a string with half of a surrogate pair');
      this.#countAliased(value, node);
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
  if (typeof key === 'string') return key;
  return typeof key === 'number' || typeof key === 'boolean' ? String(key) : undefined;
}

function refused(what: string, cause?: unknown): StatusError {
  return new StatusError('BadRequest', `the body ${what}`, { cause });
}
