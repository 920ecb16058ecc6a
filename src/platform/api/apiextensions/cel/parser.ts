/**
 * From text to tree, macros included: those that take a variable are no functions.
 *
 * Invariant: the tree is at most `celDepthMax` deep, so that nothing that walks it can
 * run out of stack.
 */
import { assert } from '#base/mod.ts';
import { compileError } from './errors.ts';
import { type Token, tokensOf } from './lexer.ts';
import type { Expression, FoldMacro } from './syntax.ts';

const celDepthMax = 100;

const foldMacros: Readonly<Record<string, FoldMacro>> = {
  all: 'all',
  exists: 'exists',
  exists_one: 'exists_one',
  existsOne: 'exists_one',
  map: 'map',
  filter: 'filter',
};
/** By rising binding power. */
const relations = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** Throws CelError (CEL_COMPILE) with the position. */
export function parseExpression(text: string): Expression {
  return new Parser(text).whole();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  whole(): Expression {
    const expression = this.#expression();
    const rest = this.#peek();
    if (rest.type !== 'end') throw this.#unexpected(rest);
    return expression;
  }

  #expression(): Expression {
    this.#depth += 1;
    if (this.#depth > celDepthMax) {
      throw compileError(
        this.#text,
        this.#peek().at,
        `expressions may be nested ${celDepthMax} deep at most`,
      );
    }
    const test = this.#or();
    const { at } = this.#peek();
    let whole = test;
    if (this.#takes('?')) {
      const yes = this.#or();
      this.#require(':');
      whole = { op: 'conditional', test, yes, no: this.#expression(), at };
    }
    this.#depth -= 1;
    return whole;
  }

  #or(): Expression {
    return this.#chain(['||'], () => this.#chain(['&&'], () => this.#relation()));
  }

  /** Long chains are made balanced, which changes nothing: `&&` and `||` are associative. */
  #chain(signs: readonly string[], operand: () => Expression): Expression {
    const operands = [operand()];
    const positions: number[] = [];
    for (;;) {
      const { at } = this.#peek();
      if (!signs.some((sign) => this.#takes(sign))) break;
      positions.push(at);
      operands.push(operand());
    }
    const op = signs[0] === '||' ? 'or' : 'and';
    const build = (from: number, to: number): Expression => {
      if (to - from === 1) {
        const only = operands[from];
        assert(only !== undefined, 'a chain has an operand at each place');
        return only;
      }
      const middle = Math.floor((from + to) / 2);
      const at = positions[middle - 1] ?? 0;
      return { op, left: build(from, middle), right: build(middle, to), at };
    };
    return build(0, operands.length);
  }

  #relation(): Expression {
    let left = this.#sum();
    for (let count = 0; ; count += 1) {
      const token = this.#peek();
      const isIn = token.type === 'name' && token.text === 'in';
      if (!isIn && !(token.type === 'symbol' && relations.has(token.text))) return left;
      this.#refuseLong(count, token);
      this.#next += 1;
      const name = isIn ? 'in' : token.text;
      left = this.#call(name, [left, this.#sum()], token.at);
    }
  }

  #sum(): Expression {
    return this.#leftToRight(['+', '-'], () =>
      this.#leftToRight(['*', '/', '%'], () => this.#unary()),
    );
  }

  #leftToRight(signs: readonly string[], operand: () => Expression): Expression {
    let left = operand();
    for (let count = 0; ; count += 1) {
      const token = this.#peek();
      if (token.type !== 'symbol' || !signs.includes(token.text)) return left;
      this.#refuseLong(count, token);
      this.#next += 1;
      left = this.#call(token.text, [left, operand()], token.at);
    }
  }

  #refuseLong(count: number, { at }: Token): void {
    if (count < celDepthMax) return;
    throw compileError(this.#text, at, `at most ${celDepthMax} operators may follow one another`);
  }

  #unary(): Expression {
    const token = this.#peek();
    if (token.type !== 'symbol' || (token.text !== '!' && token.text !== '-')) {
      return this.#member();
    }
    let count = 0;
    while (this.#takes(token.text)) {
      count += 1;
      this.#refuseLong(count, token);
    }
    const after = this.#peek();
    if (token.text === '-' && count % 2 === 1 && after.type === 'literal') {
      const { value } = after;
      if (typeof value === 'bigint' || typeof value === 'number') {
        this.#next += 1;
        return this.#members({ op: 'literal', value: -value, at: token.at });
      }
    }
    const operand = this.#member();
    const name = token.text === '!' ? '!' : 'negate';
    return count % 2 === 1 ? this.#call(name, [operand], token.at) : operand;
  }

  #member(): Expression {
    return this.#members(this.#primary());
  }

  #members(first: Expression): Expression {
    let whole = first;
    for (let count = 0; ; count += 1) {
      const token = this.#peek();
      this.#refuseLong(count, token);
      if (this.#takes('.') || this.#takes('.?')) {
        const isOptional = token.type === 'symbol' && token.text === '.?';
        const field = this.#name();
        if (!isOptional && this.#takes('(')) {
          whole = this.#method(whole, field.text, this.#arguments(')'), field.at);
        } else whole = { op: 'select', of: whole, field: field.text, isOptional, at: token.at };
      } else if (this.#takes('[') || this.#takes('[?')) {
        const isOptional = token.type === 'symbol' && token.text === '[?';
        const index = this.#expression();
        this.#require(']');
        whole = { op: 'index', of: whole, index, isOptional, at: token.at };
      } else return whole;
    }
  }

  #primary(): Expression {
    const token = this.#peek();
    this.#next += 1;
    if (token.type === 'literal') return { op: 'literal', value: token.value, at: token.at };
    if (token.type === 'name') {
      if (!this.#takes('(')) return { op: 'name', name: token.text, at: token.at };
      return this.#function(token.text, this.#arguments(')'), token.at);
    }
    if (token.type === 'symbol' && token.text === '(') {
      const inner = this.#expression();
      this.#require(')');
      return inner;
    }
    if (token.type === 'symbol' && token.text === '[') {
      return { op: 'list', items: this.#arguments(']'), at: token.at };
    }
    if (token.type === 'symbol' && token.text === '{') {
      return { op: 'map', entries: this.#entries(), at: token.at };
    }
    throw this.#unexpected(token);
  }

  #arguments(close: ')' | ']'): readonly Expression[] {
    const found: Expression[] = [];
    while (!this.#takes(close)) {
      if (found.length > 0) {
        this.#require(',');
        if (close === ']' && this.#takes(close)) break;
      }
      found.push(this.#expression());
    }
    return found;
  }

  #entries(): readonly (readonly [Expression, Expression])[] {
    const found: (readonly [Expression, Expression])[] = [];
    while (!this.#takes('}')) {
      if (found.length > 0) {
        this.#require(',');
        if (this.#takes('}')) break;
      }
      const key = this.#expression();
      this.#require(':');
      found.push([key, this.#expression()]);
    }
    return found;
  }

  #function(name: string, given: readonly Expression[], at: number): Expression {
    if (name !== 'has') return this.#call(name, given, at);
    const [argument] = given;
    if (given.length !== 1 || argument?.op !== 'select' || argument.isOptional) {
      throw compileError(this.#text, at, 'has() takes one selection of a field, such as self.name');
    }
    return { op: 'has', of: argument.of, field: argument.field, at };
  }

  #method(target: Expression, name: string, given: readonly Expression[], at: number): Expression {
    const macro = Object.hasOwn(foldMacros, name) ? foldMacros[name] : undefined;
    const [first, second, third] = given;
    if (macro !== undefined) {
      const takes = macro === 'map' ? [2, 3] : [2];
      if (!takes.includes(given.length) || second === undefined) {
        const what = `${name}() takes a variable and what is said of it`;
        throw compileError(this.#text, at, what);
      }
      const variable = this.#variable(first, at);
      const [filter, body] = third === undefined ? [undefined, second] : [second, third];
      return { op: 'fold', macro, over: target, variable, filter, body, at };
    }
    if (target.op === 'name' && target.name === 'cel' && name === 'bind') {
      if (second === undefined || third === undefined || given.length > 3) {
        throw compileError(this.#text, at, 'cel.bind() takes a variable, its value and a body');
      }
      const variable = this.#variable(first, at);
      return { op: 'bind', macro: 'bind', variable, value: second, body: third, at };
    }
    if ((name === 'optMap' || name === 'optFlatMap') && second !== undefined) {
      const variable = this.#variable(first, at);
      return { op: 'bind', macro: name, variable, value: target, body: second, at };
    }
    return { op: 'call', name, target, arguments: given, at };
  }

  #variable(expression: Expression | undefined, at: number): string {
    if (expression?.op === 'name') return expression.name;
    throw compileError(this.#text, expression?.at ?? at, 'the first argument must be a variable');
  }

  #call(name: string, given: readonly Expression[], at: number): Expression {
    return { op: 'call', name, target: undefined, arguments: given, at };
  }

  #peek(): Token {
    const token = this.#tokens[Math.min(this.#next, this.#tokens.length - 1)];
    assert(token !== undefined, 'tokens end with the end');
    return token;
  }

  #takes(sign: string): boolean {
    const token = this.#peek();
    if (token.type !== 'symbol' || token.text !== sign) return false;
    this.#next += 1;
    return true;
  }

  #require(sign: string): void {
    if (!this.#takes(sign)) throw this.#unexpected(this.#peek(), `'${sign}' was expected`);
  }

  #name(): { readonly text: string; readonly at: number } {
    const token = this.#peek();
    if (token.type !== 'name') throw this.#unexpected(token, 'a name was expected');
    this.#next += 1;
    return token;
  }

  #unexpected(token: Token, wanted?: string): Error {
    const found =
      token.type === 'end'
        ? 'the end'
        : token.type === 'literal'
          ? 'a value'
          : JSON.stringify(token.text);
    const tail = wanted === undefined ? '' : `, ${wanted}`;
    return compileError(this.#text, token.at, `unexpected ${found}${tail}`);
  }
}
