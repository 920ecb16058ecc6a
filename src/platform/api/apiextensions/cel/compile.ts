/**
 * From the tree of an expression to something that can be run, with its types checked
 * on the way: what can never work is refused before it is stored.
 *
 * Invariants:
 * 1. Everything that is run spends from the budget, and running out of it is never
 *    taken for an answer: `||` and `&&` absorb errors, but not that one.
 * 2. A compiled expression keeps no state between runs.
 */
import { parseSafePattern } from '../safe-pattern.ts';
import { CelError, compileError, evaluationError } from './errors.ts';
import { overloadsOf } from './functions.ts';
import { callOne, candidatesFor } from './overloads.ts';
import { parseExpression } from './parser.ts';
import type { Expression, Literal } from './syntax.ts';
import {
  bool,
  bytes,
  type CelType,
  double,
  dyn,
  int,
  joined,
  listOf,
  mapOf,
  mayBe,
  optionalOf,
  string,
  typeOfType,
  typeText,
} from './types.ts';
import {
  type Budget,
  type CelOptional,
  isList,
  isMap,
  kindOf,
  listFrom,
  mapFrom,
  none,
  some,
  type Value,
} from './values.ts';

interface Frame {
  /** Of variables, each in the place that compiling gave it. */
  readonly slots: Value[];
  readonly budget: Budget;
}

type Run = (frame: Frame) => Value;

interface Compiled {
  readonly type: CelType;
  readonly run: Run;
}

export interface Variable {
  readonly name: string;
  readonly type: CelType;
}

export interface Program {
  readonly result: CelType;
  /** Names of the variables that it reads. */
  readonly reads: ReadonlySet<string>;
  /** Values in the order of the variables. Throws CelError. */
  run(values: readonly Value[], budget: Budget): Value;
}

/** Throws CelError (CEL_COMPILE) with line and column. */
export function compileProgram(text: string, variables: readonly Variable[]): Program {
  const compiler = new Compiler(text, variables);
  const { type, run } = compiler.compile(parseExpression(text));
  return {
    result: type,
    reads: compiler.reads,
    run: (values, budget) => run({ slots: [...values], budget }),
  };
}

const typeNames = new Set(
  'int double string bool bytes list map null_type timestamp duration'.split(' '),
);

class Compiler {
  readonly reads = new Set<string>();
  readonly #text: string;
  /** The innermost last. */
  readonly #scope: { readonly name: string; readonly type: CelType; readonly slot: number }[];
  #slots: number;

  constructor(text: string, variables: readonly Variable[]) {
    this.#text = text;
    this.#scope = variables.map(({ name, type }, slot) => ({ name, type, slot }));
    this.#slots = variables.length;
  }

  compile(expression: Expression): Compiled {
    switch (expression.op) {
      case 'literal':
        return literal(expression.value);
      case 'name':
        return this.#name(expression.name, expression.at);
      case 'select':
        return this.#select(expression);
      case 'has':
        return this.#has(expression);
      case 'index':
        return this.#index(expression);
      case 'call':
        return this.#call(expression);
      case 'list':
        return this.#list(expression.items);
      case 'map':
        return this.#map(expression.entries);
      case 'and':
      case 'or':
        return this.#logic(expression);
      case 'conditional':
        return this.#conditional(expression);
      case 'fold':
        return this.#fold(expression);
      case 'bind':
        return this.#bind(expression);
    }
  }

  #wrong(at: number, what: string): CelError {
    return compileError(this.#text, at, what);
  }

  #name(name: string, at: number): Compiled {
    const found = this.#scope.findLast((variable) => variable.name === name);
    if (found !== undefined) {
      this.reads.add(name);
      const { slot, type } = found;
      return { type, run: ({ slots }) => slots[slot] ?? null };
    }
    if (typeNames.has(name)) {
      const value: Value = { kind: 'type', name: name === 'null_type' ? 'null' : name };
      return { type: typeOfType, run: () => value };
    }
    throw this.#wrong(at, `undeclared reference to '${name}'`);
  }

  #select({ of, field, isOptional, at }: Expression & { op: 'select' }): Compiled {
    const holder = this.compile(of);
    const { type } = this.#fieldType(holder.type, field, at);
    const chains = isOptional || holder.type.kind === 'optional';
    const run: Run = (frame) => {
      frame.budget.spend(1);
      const value = holder.run(frame);
      if (isOptionalValue(value) || isOptional) return maybe(value, field);
      const found = isMap(value) ? value.get(field) : undefined;
      if (found === undefined) throw evaluationError(`no such key: ${field}`);
      return found;
    };
    return { type: chains ? optionalOf(type) : type, run };
  }

  /** Throws where the type is known not to have the field. */
  #fieldType(type: CelType, field: string, at: number): { readonly type: CelType } {
    if (type.kind === 'optional') return this.#fieldType(type.of, field, at);
    if (type.kind === 'map') return { type: type.value };
    if (type.kind === 'dyn') return { type: dyn };
    if (type.kind !== 'object') {
      throw this.#wrong(at, `type '${typeText(type)}' does not support field selection`);
    }
    const found = type.fields.get(field);
    if (found === undefined) throw this.#wrong(at, `undefined field '${field}'`);
    return found;
  }

  #has({ of, field, at }: Expression & { op: 'has' }): Compiled {
    const holder = this.compile(of);
    this.#fieldType(holder.type, field, at);
    const run: Run = (frame) => {
      frame.budget.spend(1);
      const value = holder.run(frame);
      if (isOptionalValue(value)) return maybe(value, field).value !== undefined;
      if (!isMap(value)) throw evaluationError(`${kindOf(value)} has no fields`);
      return value.get(field) !== undefined;
    };
    return { type: bool, run };
  }

  #index({ of, index, isOptional, at }: Expression & { op: 'index' }): Compiled {
    const holder = this.compile(of);
    const key = this.compile(index);
    const inner = holder.type.kind === 'optional' ? holder.type.of : holder.type;
    const type = this.#elementType(inner, key.type, at);
    const chains = isOptional || holder.type.kind === 'optional';
    const run: Run = (frame) => {
      frame.budget.spend(1);
      const value = holder.run(frame);
      const at = key.run(frame);
      if (isOptionalValue(value)) {
        const found = value.value === undefined ? undefined : elementOf(value.value, at);
        return found === undefined ? none : some(found);
      }
      const found = elementOf(value, at);
      if (isOptional) return found === undefined ? none : some(found);
      if (found !== undefined) return found;
      throw evaluationError(isList(value) ? 'index out of bounds' : 'no such key');
    };
    return { type: chains ? optionalOf(type) : type, run };
  }

  #elementType(of: CelType, key: CelType, at: number): CelType {
    if (of.kind === 'dyn') return dyn;
    if (of.kind === 'list' && mayBe(key, int)) return of.item;
    if (of.kind === 'map' && mayBe(key, of.key)) return of.value;
    if (of.kind === 'object' && mayBe(key, string)) return dyn;
    const types = `'(${typeText(of)}, ${typeText(key)})'`;
    throw this.#wrong(at, `found no matching overload for '_[_]' applied to ${types}`);
  }

  #call({ name, target, arguments: given, at }: Expression & { op: 'call' }): Compiled {
    const isNamespace =
      target?.op === 'name' &&
      !this.#scope.some((variable) => variable.name === target.name) &&
      overloadsOf(`${target.name}.${name}`) !== undefined;
    const isMethod = target !== undefined && !isNamespace;
    const fullName = isNamespace ? `${target.name}.${name}` : name;
    const overloads = overloadsOf(fullName);
    const operands = (isMethod ? [target, ...given] : given).map((one) => this.compile(one));
    if (overloads === undefined) throw this.#wrong(at, `undeclared reference to '${fullName}'`);
    const types = operands.map(({ type }) => type);
    const candidates = candidatesFor(overloads, isMethod, types);
    const isComparison = ['==', '!=', '<', '<=', '>', '>='].includes(name);
    const [left, right] = types;
    const cannotCompare =
      isComparison && left !== undefined && right !== undefined && !comparable(left, right);
    if (candidates.length === 0 || cannotCompare) {
      const shown = types.map(typeText);
      const list = isMethod
        ? `${shown[0]}.(${shown.slice(1).join(', ')})`
        : `(${shown.join(', ')})`;
      throw this.#wrong(at, `found no matching overload for '${fullName}' applied to '${list}'`);
    }
    this.#checkPattern(fullName, given.at(-1), at);
    const runs = operands.map(({ run }) => run);
    return {
      type: resultOf(
        fullName,
        candidates.map(({ result }) => result),
        types,
      ),
      run(frame) {
        frame.budget.spend(1);
        return callOne(
          fullName,
          candidates,
          runs.map((one) => one(frame)),
          frame.budget,
        );
      },
    };
  }

  /** A pattern that is written out can be judged now. */
  #checkPattern(name: string, pattern: Expression | undefined, at: number): void {
    if (!['matches', 'find', 'findAll'].includes(name) || pattern?.op !== 'literal') return;
    if (typeof pattern.value !== 'string') return;
    const parsed = parseSafePattern(pattern.value);
    if ('problem' in parsed) throw this.#wrong(at, `the pattern ${parsed.problem}`);
  }

  #list(items: readonly Expression[]): Compiled {
    const compiled = items.map((item) => this.compile(item));
    const runs = compiled.map(({ run }) => run);
    return {
      type: listOf(commonType(compiled)),
      run(frame) {
        frame.budget.spend(runs.length);
        return listFrom(runs.map((run) => run(frame)));
      },
    };
  }

  #map(entries: readonly (readonly [Expression, Expression])[]): Compiled {
    const keys = entries.map(([key]) => this.compile(key));
    const values = entries.map(([, value]) => this.compile(value));
    return {
      type: mapOf(commonType(keys), commonType(values)),
      run(frame) {
        frame.budget.spend(keys.length);
        const made: [Value, Value][] = [];
        for (const [position, key] of keys.entries()) {
          made.push([key.run(frame), values[position]?.run(frame) ?? null]);
        }
        return mapFrom(made);
      },
    };
  }

  #logic({ op, left, right, at }: Expression & { op: 'and' | 'or' }): Compiled {
    const sides = [this.#condition(left, at), this.#condition(right, at)] as const;
    /** The value that decides whatever the other side is. */
    const deciding = op === 'or';
    const run: Run = (frame) => {
      frame.budget.spend(1);
      const one = outcomeOf(sides[0], frame);
      if (one === deciding) return deciding;
      const two = outcomeOf(sides[1], frame);
      if (two === deciding) return deciding;
      if (one instanceof CelError) throw one;
      if (two instanceof CelError) throw two;
      return !deciding;
    };
    return { type: bool, run };
  }

  #condition(expression: Expression, at: number): Run {
    const { type, run } = this.compile(expression);
    if (mayBe(type, bool)) return run;
    throw this.#wrong(at, `expected type 'bool' but found '${typeText(type)}'`);
  }

  #conditional({ test, yes, no, at }: Expression & { op: 'conditional' }): Compiled {
    const decide = this.#condition(test, at);
    const [first, second] = [this.compile(yes), this.compile(no)];
    return {
      type: joined(first.type, second.type),
      run(frame) {
        frame.budget.spend(1);
        const chosen = truth(decide(frame)) ? first : second;
        return chosen.run(frame);
      },
    };
  }

  #fold({ macro, over, variable, filter, body, at }: Expression & { op: 'fold' }): Compiled {
    const range = this.compile(over);
    const item = this.#rangeItem(range.type, at);
    const slot = this.#enter(variable, item);
    const keeps = filter === undefined ? undefined : this.#condition(filter, at);
    const each = this.compile(body);
    this.#scope.pop();
    if (macro !== 'map' && !mayBe(each.type, bool)) {
      throw this.#wrong(at, `expected type 'bool' but found '${typeText(each.type)}'`);
    }
    const type = macro === 'map' ? listOf(each.type) : macro === 'filter' ? listOf(item) : bool;
    const run: Run = (frame) => {
      const items = entriesOf(range.run(frame));
      const values = function* (): Generator<Value> {
        for (let position = 0; position < items.size; position += 1) {
          frame.budget.spend(1);
          const value = items.at(position);
          frame.slots[slot] = value;
          yield value;
        }
      };
      switch (macro) {
        case 'all':
          return quantified(values(), () => outcomeOf(each.run, frame), false);
        case 'exists':
          return quantified(values(), () => outcomeOf(each.run, frame), true);
        case 'exists_one': {
          let count = 0;
          for (const _value of values()) if (truth(each.run(frame))) count += 1;
          return count === 1;
        }
        case 'filter': {
          const kept: Value[] = [];
          for (const value of values()) if (truth(each.run(frame))) kept.push(value);
          return listFrom(kept);
        }
        case 'map': {
          const made: Value[] = [];
          for (const _value of values()) {
            if (keeps === undefined || truth(keeps(frame))) made.push(each.run(frame));
          }
          return listFrom(made);
        }
      }
    };
    return { type, run };
  }

  #rangeItem(type: CelType, at: number): CelType {
    if (type.kind === 'list') return type.item;
    if (type.kind === 'map') return type.key;
    if (type.kind === 'object') return string;
    if (type.kind === 'dyn') return dyn;
    throw this.#wrong(at, `'${typeText(type)}' cannot be gone through: it is no list or map`);
  }

  #bind({ macro, variable, value, body, at }: Expression & { op: 'bind' }): Compiled {
    const bound = this.compile(value);
    const isOptional = macro !== 'bind';
    if (isOptional && bound.type.kind !== 'optional' && bound.type.kind !== 'dyn') {
      throw this.#wrong(at, `${macro}() is of optional values, not of '${typeText(bound.type)}'`);
    }
    const inner = bound.type.kind === 'optional' ? bound.type.of : dyn;
    const slot = this.#enter(variable, isOptional ? inner : bound.type);
    const each = this.compile(body);
    this.#scope.pop();
    const run: Run = (frame) => {
      frame.budget.spend(1);
      const given = bound.run(frame);
      if (!isOptional) {
        frame.slots[slot] = given;
        return each.run(frame);
      }
      if (!isOptionalValue(given)) throw evaluationError(`${kindOf(given)} is not optional`);
      if (given.value === undefined) return none;
      frame.slots[slot] = given.value;
      const made = each.run(frame);
      return macro === 'optMap' ? some(made) : made;
    };
    const type = macro === 'optMap' ? optionalOf(each.type) : each.type;
    return { type, run };
  }

  #enter(name: string, type: CelType): number {
    const slot = this.#slots;
    this.#slots += 1;
    this.#scope.push({ name, type, slot });
    return slot;
  }
}

function literal(value: Literal): Compiled {
  return { type: literalType(value), run: () => value };
}

function literalType(value: Literal): CelType {
  if (value === null) return { kind: 'null' };
  if (typeof value === 'boolean') return bool;
  if (typeof value === 'bigint') return int;
  if (typeof value === 'number') return double;
  return typeof value === 'string' ? string : bytes;
}

/** Null is compared with anything: fields may be null. Numbers with each other. */
function comparable(left: CelType, right: CelType): boolean {
  if (left.kind === 'null' || right.kind === 'null') return true;
  const isNumber = ({ kind }: CelType): boolean => kind === 'int' || kind === 'double';
  if (isNumber(left) && isNumber(right)) return true;
  if (left.kind === 'object' || right.kind === 'object') {
    return (
      ['object', 'map', 'dyn'].includes(left.kind) && ['object', 'map', 'dyn'].includes(right.kind)
    );
  }
  return mayBe(left, right);
}

function commonType(compiled: readonly Compiled[]): CelType {
  const [first, ...rest] = compiled;
  if (first === undefined) return dyn;
  return rest.reduce<CelType>((type, other) => joined(type, other.type), first.type);
}

/** More than the table says, where what is given tells more. */
function resultOf(name: string, results: readonly CelType[], given: readonly CelType[]): CelType {
  const [first, second] = given;
  const ofLists = ['+', 'distinct', 'sort', 'slice'];
  if (ofLists.includes(name) && first?.kind === 'list') {
    return second?.kind === 'list' ? joined(first, second) : first;
  }
  if (['min', 'max', 'sum'].includes(name) && first?.kind === 'list') return first.item;
  if (name === 'value' && first?.kind === 'optional') return first.of;
  if (name === 'orValue' && first?.kind === 'optional' && second !== undefined) {
    return joined(first.of, second);
  }
  if (name === 'optional.of' && first !== undefined) return optionalOf(first);
  return results.slice(1).reduce<CelType>((type, other) => joined(type, other), results[0] ?? dyn);
}

function isOptionalValue(value: Value): value is CelOptional {
  return kindOf(value) === 'optional';
}

function maybe(value: Value, field: string): CelOptional {
  const holder = isOptionalValue(value) ? value.value : value;
  const found = holder !== undefined && isMap(holder) ? holder.get(field) : undefined;
  return found === undefined ? none : some(found);
}

function elementOf(of: Value, key: Value): Value | undefined {
  if (isMap(of)) return of.get(key);
  if (!isList(of)) throw evaluationError(`${kindOf(of)} has no entries`);
  const position = Number(key);
  if (typeof key !== 'bigint' && !Number.isInteger(position)) {
    throw evaluationError('the index of a list is a whole number');
  }
  return position >= 0 && position < of.size ? of.at(position) : undefined;
}

function entriesOf(value: Value): { readonly size: number; at(position: number): Value } {
  if (isList(value)) return value;
  if (isMap(value)) return listFrom(value.keys());
  throw evaluationError(`${kindOf(value)} is no list or map`);
}

function truth(value: Value): boolean {
  if (typeof value === 'boolean') return value;
  throw evaluationError(`${kindOf(value)} is neither true nor false`);
}

/** An error is far more work than a value. */
const stepsPerError = 50;

/** The truth of it, or why it has none. Running out of the budget is thrown on. */
function outcomeOf(run: Run, frame: Frame): boolean | CelError {
  try {
    return truth(run(frame));
  } catch (error) {
    if (!(error instanceof CelError) || error.code !== 'CEL_EVALUATION') throw error;
    frame.budget.spend(stepsPerError);
    return error;
  }
}

/** `all` is decided by one that is false, `exists` by one that is true, errors elsewhere or not. */
function quantified(
  values: Iterable<Value>,
  outcome: () => boolean | CelError,
  deciding: boolean,
): boolean {
  let failure: CelError | undefined;
  for (const _value of values) {
    const one = outcome();
    if (one === deciding) return deciding;
    if (one instanceof CelError) failure ??= one;
  }
  if (failure !== undefined) throw failure;
  return !deciding;
}
