/**
 * What schemas of declared kinds say of values beyond types and simple bounds:
 * patterns, formats, enumerations, and schemas of which all, any, one or none must hold.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import type { FieldError } from '../definition.ts';
import {
  childPath,
  equalJson,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  fieldTooLong,
  fieldTypeInvalid,
  indexPath,
} from '../field-errors.ts';
import { parseSafePattern } from './safe-pattern.ts';
import { customFormatProblem } from './string-formats.ts';
import { propertiesOf, textsOf } from './structural-schema.ts';

export type ValueCheck = (value: Json, path: string) => readonly FieldError[];

const fine: readonly FieldError[] = [];

/** All of them, in order; undefined where there are none. */
export function allChecks(checks: readonly ValueCheck[]): ValueCheck | undefined {
  const [first] = checks;
  if (first === undefined || checks.length === 1) return first;
  return (value, path) => checks.flatMap((check) => check(value, path));
}

/** What a node of a structural schema says beyond what `Schema` itself can say. */
export function checksOf(schema: JsonObject): readonly ValueCheck[] {
  return [
    ...textChecks(schema),
    ...numberChecks(schema),
    ...enumChecks(schema),
    ...fieldCountChecks(schema),
    ...alternativeChecks(schema),
  ];
}

/** All that a part of allOf, anyOf, oneOf or not says of a value. */
function alternativeCheck(schema: JsonObject): ValueCheck {
  const checks = [
    ...typeChecks(schema),
    ...boundChecks(schema),
    ...listChecks(schema),
    ...requiredChecks(schema),
    ...checksOf(schema),
    ...nestedChecks(schema),
  ];
  return allChecks(checks) ?? (() => fine);
}

function textChecks(schema: JsonObject): readonly ValueCheck[] {
  const checks: ValueCheck[] = [];
  const { pattern, format, minLength, maxLength } = schema;
  if (typeof minLength === 'number' && minLength > 0) {
    const what =
      minLength === 1 ? 'must not be empty' : `must have at least ${minLength} characters`;
    checks.push(ofText((text) => (lengthOf(text) >= minLength ? undefined : what)));
  }
  if (typeof maxLength === 'number') {
    const limit = `must have at most ${maxLength} characters`;
    checks.push((value, path) =>
      typeof value === 'string' && value.length > maxLength && lengthOf(value) > maxLength
        ? [fieldTooLong(path, limit)]
        : fine,
    );
  }
  if (typeof pattern === 'string') {
    const parsed = parseSafePattern(pattern);
    if (!('problem' in parsed)) {
      const what = `must match the pattern ${JSON.stringify(pattern)}`;
      checks.push(ofText((text) => (parsed.test(text) ? undefined : what)));
    }
  }
  if (typeof format === 'string') {
    checks.push(ofText((text) => customFormatProblem(format, text)));
  }
  return checks;
}

function ofText(problemOf: (text: string) => string | undefined): ValueCheck {
  return (value, path) => {
    if (typeof value !== 'string') return fine;
    const problem = problemOf(value);
    return problem === undefined ? fine : [fieldInvalid(path, value, problem)];
  };
}

/** In characters as people count them, not in the halves of pairs. */
function lengthOf(text: string): number {
  let count = 0;
  for (const _character of text) count += 1;
  return count;
}

function numberChecks(schema: JsonObject): readonly ValueCheck[] {
  const { minimum, maximum, multipleOf } = schema;
  const checks: ValueCheck[] = [];
  if (typeof minimum === 'number' && schema['exclusiveMinimum'] === true) {
    checks.push(ofNumber((value) => value > minimum, `must be greater than ${minimum}`));
  }
  if (typeof maximum === 'number' && schema['exclusiveMaximum'] === true) {
    checks.push(ofNumber((value) => value < maximum, `must be less than ${maximum}`));
  }
  if (typeof multipleOf === 'number') {
    const isMultiple = (value: number): boolean => {
      const times = value / multipleOf;
      return Math.abs(times - Math.round(times)) < 1e-9;
    };
    checks.push(ofNumber(isMultiple, `must be a multiple of ${multipleOf}`));
  }
  return checks;
}

function ofNumber(holds: (value: number) => boolean, what: string): ValueCheck {
  return (value, path) =>
    typeof value !== 'number' || holds(value) ? fine : [fieldInvalid(path, value, what)];
}

function enumChecks(schema: JsonObject): readonly ValueCheck[] {
  const choices = schema['enum'];
  if (!Array.isArray(choices)) return [];
  const texts = new Set(choices.filter((choice) => typeof choice === 'string'));
  const others = choices.filter((choice) => typeof choice !== 'string');
  const shown = choices.map((choice) =>
    typeof choice === 'string' ? choice : JSON.stringify(choice),
  );
  return [
    (value, path) => {
      const isKnown =
        typeof value === 'string'
          ? texts.has(value)
          : others.some((choice) => equalJson(choice, value));
      return isKnown ? fine : [fieldNotSupported(path, value, shown)];
    },
  ];
}

function fieldCountChecks({ minProperties }: JsonObject): readonly ValueCheck[] {
  if (typeof minProperties !== 'number') return [];
  const what = `must have at least ${minProperties} entries`;
  return [
    (value, path) =>
      isJsonObject(value) && Object.keys(value).length < minProperties
        ? [fieldInvalid(path, value, what)]
        : fine,
  ];
}

function alternativeChecks(schema: JsonObject): readonly ValueCheck[] {
  const checks: ValueCheck[] = [];
  const partsOf = (name: string): readonly ValueCheck[] | undefined => {
    const list = schema[name];
    return Array.isArray(list) ? list.filter(isJsonObject).map(alternativeCheck) : undefined;
  };
  const [all, any, one] = [partsOf('allOf'), partsOf('anyOf'), partsOf('oneOf')];
  if (all !== undefined) checks.push(...all);
  if (any !== undefined && any.length > 0) {
    checks.push((value, path) => {
      const failed: FieldError[] = [];
      for (const check of any) {
        const errors = check(value, path);
        if (errors.length === 0) return fine;
        failed.push(...errors);
      }
      return [fieldInvalid(path, value, `must satisfy at least one of anyOf: ${reasons(failed)}`)];
    });
  }
  if (one !== undefined && one.length > 0) {
    checks.push((value, path) => {
      const outcomes = one.map((check) => check(value, path));
      const satisfied = outcomes.filter((errors) => errors.length === 0).length;
      if (satisfied === 1) return fine;
      const why = satisfied === 0 ? reasons(outcomes.flat()) : `it satisfies ${satisfied} of them`;
      return [fieldInvalid(path, value, `must satisfy exactly one of oneOf: ${why}`)];
    });
  }
  const { not } = schema;
  if (isJsonObject(not)) {
    const check = alternativeCheck(not);
    checks.push((value, path) =>
      check(value, path).length > 0
        ? fine
        : [fieldInvalid(path, value, 'must not satisfy the schema under not')],
    );
  }
  return checks;
}

const reasonsMax = 4;

function reasons(errors: readonly FieldError[]): string {
  const texts = errors.slice(0, reasonsMax).map(({ field, message }) => `${field}: ${message}`);
  return texts.join('; or ');
}

function typeChecks({ type }: JsonObject): readonly ValueCheck[] {
  if (typeof type !== 'string') return [];
  const holds = (value: Json): boolean => {
    if (type === 'integer') return Number.isSafeInteger(value);
    if (type === 'array') return Array.isArray(value);
    if (type === 'object') return isJsonObject(value);
    return typeof value === type;
  };
  return [
    (value, path) => (holds(value) ? fine : [fieldTypeInvalid(path, value, `must be ${type}`)]),
  ];
}

function boundChecks(schema: JsonObject): readonly ValueCheck[] {
  const { minimum, maximum } = schema;
  const checks: ValueCheck[] = [];
  if (typeof minimum === 'number') {
    const what = `must be greater than or equal to ${minimum}`;
    checks.push(ofNumber((value) => value >= minimum, what));
  }
  if (typeof maximum === 'number') {
    const what = `must be less than or equal to ${maximum}`;
    checks.push(ofNumber((value) => value <= maximum, what));
  }
  return checks;
}

function listChecks({ minItems, maxItems, maxProperties }: JsonObject): readonly ValueCheck[] {
  const checks: ValueCheck[] = [];
  if (typeof minItems === 'number') {
    const what = `must have at least ${minItems} entries`;
    checks.push((value, path) =>
      Array.isArray(value) && value.length < minItems ? [fieldInvalid(path, value, what)] : fine,
    );
  }
  if (typeof maxItems === 'number') {
    checks.push((value, path) =>
      Array.isArray(value) && value.length > maxItems
        ? [fieldTooLong(path, `must have at most ${maxItems} entries`)]
        : fine,
    );
  }
  if (typeof maxProperties === 'number') {
    checks.push((value, path) =>
      isJsonObject(value) && Object.keys(value).length > maxProperties
        ? [fieldTooLong(path, `must have at most ${maxProperties} entries`)]
        : fine,
    );
  }
  return checks;
}

function requiredChecks(schema: JsonObject): readonly ValueCheck[] {
  return textsOf(schema['required']).map(
    (name) => (value, path) =>
      isJsonObject(value) && !Object.hasOwn(value, name)
        ? [fieldRequired(childPath(path, name), 'must be given')]
        : fine,
  );
}

function nestedChecks(schema: JsonObject): readonly ValueCheck[] {
  const checks: ValueCheck[] = [];
  for (const [name, child] of Object.entries(propertiesOf(schema))) {
    if (!isJsonObject(child)) continue;
    const check = alternativeCheck(child);
    checks.push((value, path) => {
      const field = isJsonObject(value) ? value[name] : undefined;
      return field === undefined ? fine : check(field, childPath(path, name));
    });
  }
  const { items } = schema;
  if (isJsonObject(items)) {
    const check = alternativeCheck(items);
    checks.push((value, path) =>
      Array.isArray(value)
        ? value.flatMap((item, position) => check(item, indexPath(path, position)))
        : fine,
    );
  }
  return checks;
}
