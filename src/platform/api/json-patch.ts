/**
 * JSON Patch (RFC 6902): a list of operations, applied in order, all or none.
 *
 * Invariants:
 * 1. The document and the patch are not changed.
 * 2. The work is bounded: operations, length of paths, the values and characters that
 *    `copy` multiplies, and the entries that lists shift have maxima.
 * 3. A malformed patch is 400; one that does not fit the document is 422. Both
 *    name the operation by its place: `/3`.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { equalJson, shownValue } from './field-errors.ts';
import { StatusError } from './status-error.ts';

export interface JsonPatchLimits {
  readonly operationsMax: number;
  readonly pathLengthMax: number;
  /** Values in the document after any operation. */
  readonly valuesMax: number;
  /** Characters of its names and texts after any operation. */
  readonly charactersMax: number;
  readonly nestingMax: number;
  /** Entries of lists that all operations together move out of their places. */
  readonly shiftedMax: number;
}

export const defaultJsonPatchLimits: JsonPatchLimits = {
  operationsMax: 10_000,
  pathLengthMax: 4_096,
  valuesMax: 500_000,
  charactersMax: 8 * 1024 * 1024,
  nestingMax: 100,
  shiftedMax: 50_000_000,
};

const operationNames = ['add', 'remove', 'replace', 'move', 'copy', 'test'] as const;
type OperationName = (typeof operationNames)[number];

interface Operation {
  readonly index: number;
  readonly name: OperationName;
  readonly path: readonly string[];
  readonly from: readonly string[];
  readonly value: Json;
}

/** Throws StatusError 400 (malformed), 413 (beyond a limit) or 422 (does not apply). */
export function applyJsonPatch(
  document: Json,
  patch: Json,
  limits: JsonPatchLimits = defaultJsonPatchLimits,
): Json {
  if (!Array.isArray(patch)) throw malformed('', 'a JSON patch is a list of operations');
  if (patch.length > limits.operationsMax) {
    throw new StatusError(
      'RequestEntityTooLarge',
      `the JSON patch has ${patch.length} operations; the limit is ${limits.operationsMax}`,
    );
  }
  const operations = patch.map((operation, index) => readOperation(operation, index, limits));
  // The holder gives the root a name, so that replacing the whole document is no special case.
  const size = sizeOf(document, limits);
  const holder: Holder = { root: structuredClone(document), ...size, shifted: 0 };
  for (const operation of operations) apply(holder, operation, limits);
  return holder.root;
}

interface Holder {
  root: Json;
  /** Upper bounds of what is in `root`. */
  values: number;
  characters: number;
  shifted: number;
}

function readOperation(value: Json, index: number, limits: JsonPatchLimits): Operation {
  const at = `/${index}`;
  if (!isJsonObject(value)) throw malformed(at, 'an operation is an object with op and path');
  const name = operationNames.find((known) => known === value['op']);
  if (name === undefined) {
    throw malformed(
      at,
      `op must be one of ${operationNames.join(', ')}, not ${shownValue(value['op'])}`,
    );
  }
  const path = readPointer(value['path'], `${at}/path`, limits);
  const needsFrom = name === 'move' || name === 'copy';
  const from = needsFrom ? readPointer(value['from'], `${at}/from`, limits) : [];
  const needsValue = name === 'add' || name === 'replace' || name === 'test';
  const operand = value['value'];
  if (needsValue && operand === undefined) throw malformed(at, `${name} needs a value`);
  return { index, name, path, from, value: operand ?? null };
}

function readPointer(pointer: Json | undefined, at: string, limits: JsonPatchLimits): string[] {
  if (typeof pointer !== 'string')
    throw malformed(at, 'must be a JSON pointer, such as /spec/replicas');
  if (pointer.length > limits.pathLengthMax) {
    throw malformed(at, `must have at most ${limits.pathLengthMax} characters`);
  }
  if (pointer === '') return [];
  if (!pointer.startsWith('/'))
    throw malformed(at, `must start with '/', not ${shownValue(pointer)}`);
  if (/~(?![01])/.test(pointer)) throw malformed(at, "must write '~' as ~0 and '/' as ~1");
  const parts = pointer.slice(1).split('/');
  return parts.map((part) => {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (name === '__proto__') throw malformed(at, 'must not name __proto__');
    return name;
  });
}

function apply(holder: Holder, operation: Operation, limits: JsonPatchLimits): void {
  const { name, path, from, value } = operation;
  switch (name) {
    case 'test': {
      const found = read(holder, path, operation);
      if (!equalJson(found, value)) {
        throw inapplicable(
          operation,
          `test failed: the value is ${shownValue(found)}, not ${shownValue(value)}`,
        );
      }
      return;
    }
    case 'remove':
      remove(holder, path, operation, limits);
      return;
    case 'replace':
      read(holder, path, operation);
      grow(holder, value, path, operation, limits);
      write(holder, path, structuredClone(value), operation, 'replace', limits);
      return;
    case 'add':
      grow(holder, value, path, operation, limits);
      write(holder, path, structuredClone(value), operation, 'add', limits);
      return;
    case 'copy': {
      const source = read(holder, from, operation);
      grow(holder, source, path, operation, limits);
      write(holder, path, structuredClone(source), operation, 'add', limits);
      return;
    }
    case 'move': {
      const isInside =
        from.length < path.length && from.every((part, index) => part === path[index]);
      if (isInside) throw inapplicable(operation, 'a value cannot be moved into itself');
      const source = read(holder, from, operation);
      if (from.length === path.length && from.every((part, index) => part === path[index])) return;
      grow(holder, source, path, operation, limits);
      remove(holder, from, operation, limits);
      write(holder, path, source, operation, 'add', limits);
      return;
    }
  }
}

function read(holder: Holder, path: readonly string[], operation: Operation): Json {
  let value: Json = holder.root;
  for (const [depth, part] of path.entries()) {
    const child: Json | undefined = childOf(value, part);
    if (child === undefined) throw missing(path, depth, operation);
    value = child;
  }
  return value;
}

function childOf(value: Json, part: string): Json | undefined {
  if (Array.isArray(value)) {
    const index = indexOf(part);
    return index === undefined ? undefined : value[index];
  }
  return isJsonObject(value) && Object.hasOwn(value, part) ? value[part] : undefined;
}

function remove(
  holder: Holder,
  path: readonly string[],
  operation: Operation,
  limits: JsonPatchLimits,
): void {
  const last = path.at(-1);
  if (last === undefined) throw inapplicable(operation, 'the whole document cannot be removed');
  const parent = read(holder, path.slice(0, -1), operation);
  if (childOf(parent, last) === undefined) throw missing(path, path.length - 1, operation);
  if (Array.isArray(parent)) {
    shift(holder, parent.length - Number(last), operation, limits);
    parent.splice(Number(last), 1);
  } else delete (parent as JsonObject)[last];
}

function write(
  holder: Holder,
  path: readonly string[],
  value: Json,
  operation: Operation,
  how: 'add' | 'replace',
  limits: JsonPatchLimits,
): void {
  const last = path.at(-1);
  if (last === undefined) {
    holder.root = value;
    return;
  }
  const parent = read(holder, path.slice(0, -1), operation);
  if (Array.isArray(parent)) {
    const index = last === '-' && how === 'add' ? parent.length : indexOf(last);
    if (index === undefined || index > parent.length) {
      throw inapplicable(
        operation,
        `${pointerText(path)} is not a place in a list of ${parent.length}`,
      );
    }
    if (how === 'add') {
      shift(holder, parent.length - index, operation, limits);
      parent.splice(index, 0, value);
    } else parent[index] = value;
    return;
  }
  if (!isJsonObject(parent)) {
    throw inapplicable(
      operation,
      `${pointerText(path.slice(0, -1))} is neither an object nor a list`,
    );
  }
  parent[last] = value;
}

function indexOf(part: string): number | undefined {
  return /^(?:0|[1-9]\d{0,8})$/.test(part) ? Number(part) : undefined;
}

/** Counts what an operation adds before it is done, so that copies cannot multiply without end. */
function grow(
  holder: Holder,
  value: Json,
  path: readonly string[],
  operation: Operation,
  limits: JsonPatchLimits,
): void {
  const nestingMax = limits.nestingMax - path.length;
  const { values, characters } = sizeOf(value, { ...limits, nestingMax });
  holder.values += values;
  holder.characters += characters + (path.at(-1)?.length ?? 0);
  if (holder.values > limits.valuesMax) {
    throw tooLarge(operation, `makes a document of more than ${limits.valuesMax} values`);
  }
  if (holder.characters > limits.charactersMax) {
    throw tooLarge(operation, `makes a document of more than ${limits.charactersMax} characters`);
  }
}

/** Counts the entries that come after one that is put into a list or taken out. */
function shift(
  holder: Holder,
  entries: number,
  operation: Operation,
  { shiftedMax }: JsonPatchLimits,
): void {
  holder.shifted += entries;
  if (holder.shifted > shiftedMax) {
    throw tooLarge(operation, `moves more than ${shiftedMax} entries of lists`);
  }
}

function tooLarge({ index }: Operation, what: string): StatusError {
  return new StatusError('RequestEntityTooLarge', `the JSON patch ${what} at operation /${index}`);
}

/** The values in `value`, itself included, and the characters in them. Throws 413 beyond the limits. */
function sizeOf(
  value: Json,
  limits: JsonPatchLimits,
): { readonly values: number; readonly characters: number } {
  let values = 0;
  let characters = 0;
  const visit = (part: Json, depth: number): void => {
    values += 1;
    if (typeof part === 'string') characters += part.length;
    if (typeof part !== 'object' || part === null) return;
    if (depth >= limits.nestingMax || values > limits.valuesMax) {
      throw new StatusError(
        'RequestEntityTooLarge',
        depth >= limits.nestingMax
          ? 'the JSON patch nests values too deeply'
          : `the document has more than ${limits.valuesMax} values`,
      );
    }
    if (Array.isArray(part)) {
      for (const child of part) visit(child, depth + 1);
      return;
    }
    for (const name of Object.keys(part)) {
      characters += name.length;
      visit(part[name] ?? null, depth + 1);
    }
  };
  visit(value, 0);
  return { values, characters };
}

function pointerText(path: readonly string[]): string {
  const text = path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return text === '' ? 'the whole document' : text;
}

function missing(path: readonly string[], depth: number, operation: Operation): StatusError {
  return inapplicable(operation, `there is no ${pointerText(path.slice(0, depth + 1))}`);
}

function malformed(at: string, what: string): StatusError {
  return new StatusError(
    'BadRequest',
    `the JSON patch is malformed${at === '' ? '' : ` at ${at}`}: ${what}`,
  );
}

function inapplicable(operation: Operation, what: string): StatusError {
  const field = pointerText(operation.path);
  return new StatusError(
    'Invalid',
    `operation /${operation.index} (${operation.name}) of the JSON patch does not apply: ${what}`,
    { causes: [{ reason: 'FieldValueInvalid', message: what, field }] },
  );
}
