/**
 * The JSONPath that columns, scale and selectable fields of declared kinds are written
 * in: `.spec.replicas`, `.metadata.annotations['a.b/c']`, `.status.conditions[?(@.type=="Ready")].status`.
 *
 * Invariant: a path of n steps takes at most n looks at each value; there is no descent
 * into everything below (`..`).
 */
import { isJsonObject, type Json } from '#base/mod.ts';
import { jsonPathLengthMax } from './limits.ts';

type Step =
  | { readonly type: 'field'; readonly name: string }
  /** Negative: from the end. */
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'all' }
  | {
      readonly type: 'filter';
      readonly path: readonly Step[];
      readonly comparison: string | undefined;
      readonly value: Json;
    };

export type JsonPath = readonly Step[];

const fieldStep = /\.((?:[^.[\]\\'"(){}\s@?*,=<>!]|\\.)+)/y;
const quotedStep = /\[\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*\]/y;
const indexStep = /\[\s*(-?\d{1,9})\s*\]/y;
const allStep = /\.\*|\[\s*\*\s*\]/y;
const filterStart = /\[\s*\?\(\s*@/y;
const filterEnd =
  /\s*(?:(==|!=|<=|>=|<|>)\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|true|false|-?\d+(?:\.\d+)?)\s*)?\)\s*\]/y;

/** The path, or what is wrong with it. */
export function parseJsonPath(text: string): JsonPath | { readonly problem: string } {
  if (text.length > jsonPathLengthMax) {
    return { problem: `must have at most ${jsonPathLengthMax} characters` };
  }
  if (!text.startsWith('.') && !text.startsWith('[')) {
    return { problem: 'must begin with a dot (such as .spec.replicas)' };
  }
  if (text === '.') return [];
  const reader = { text, at: 0 };
  const steps = stepsOf(reader);
  if (reader.at === text.length && steps.length > 0) return steps;
  const rest = JSON.stringify(text.slice(reader.at, reader.at + 20));
  return { problem: `is no JSONPath of fields, indexes and filters from ${rest} on` };
}

/** The names of a path that is fields only, or undefined. */
export function fieldNamesOf(path: JsonPath): readonly string[] | undefined {
  const names: string[] = [];
  for (const step of path) {
    if (step.type !== 'field') return undefined;
    names.push(step.name);
  }
  return names;
}

/** Everything that the path leads to, in order. */
export function readJsonPath(path: JsonPath, value: Json): readonly Json[] {
  let found: readonly Json[] = [value];
  for (const step of path) {
    found = found.flatMap((one) => take(step, one));
    if (found.length === 0) return found;
  }
  return found;
}

interface Reader {
  readonly text: string;
  at: number;
}

function match(reader: Reader, pattern: RegExp): RegExpExecArray | undefined {
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text);
  if (found === null) return undefined;
  reader.at += found[0].length;
  return found;
}

function stepsOf(reader: Reader): Step[] {
  const steps: Step[] = [];
  for (;;) {
    if (match(reader, allStep) !== undefined) {
      steps.push({ type: 'all' });
      continue;
    }
    const field = match(reader, fieldStep);
    const quoted = field ?? match(reader, quotedStep);
    if (quoted !== undefined) {
      steps.push({ type: 'field', name: unescaped(quoted[1] ?? quoted[2] ?? '') });
      continue;
    }
    const index = match(reader, indexStep);
    if (index !== undefined) {
      steps.push({ type: 'index', index: Number(index[1]) });
      continue;
    }
    const begin = reader.at;
    const filter = match(reader, filterStart) === undefined ? undefined : filterFrom(reader);
    if (filter === undefined) {
      reader.at = begin;
      return steps;
    }
    steps.push(filter);
  }
}

function filterFrom(reader: Reader): Step | undefined {
  const path = stepsOf(reader);
  const end = match(reader, filterEnd);
  if (end === undefined) return undefined;
  const [, comparison, literal] = end;
  return { type: 'filter', path, comparison, value: literalOf(literal) };
}

function literalOf(text: string | undefined): Json {
  if (text === undefined) return null;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^['"]/.test(text) ? unescaped(text.slice(1, -1)) : Number(text);
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, '$1');
}

function take(step: Step, value: Json): readonly Json[] {
  switch (step.type) {
    case 'field': {
      const field =
        isJsonObject(value) && Object.hasOwn(value, step.name) ? value[step.name] : undefined;
      return field === undefined ? [] : [field];
    }
    case 'index': {
      const item = Array.isArray(value) ? value.at(step.index) : undefined;
      return item === undefined ? [] : [item];
    }
    case 'all':
      return entriesOf(value);
    case 'filter':
      return entriesOf(value).filter((entry) => holds(step, entry));
  }
}

function entriesOf(value: Json): readonly Json[] {
  if (Array.isArray(value)) return value;
  if (!isJsonObject(value)) return [];
  return Object.values(value).filter((entry) => entry !== undefined);
}

function holds({ path, comparison, value }: Step & { type: 'filter' }, entry: Json): boolean {
  const [found] = readJsonPath(path, entry);
  if (found === undefined) return false;
  if (comparison === undefined) return true;
  if (comparison === '==') return found === value;
  if (comparison === '!=') return found !== value;
  if (typeof found !== typeof value || found === null || value === null) return false;
  if (comparison === '<') return found < value;
  if (comparison === '<=') return found <= value;
  return comparison === '>' ? found > value : found >= value;
}
