/**
 * Errors about one field, worded as people who know Kubernetes expect them, and
 * the 422 answer that carries them.
 */
import type { Json } from '#base/mod.ts';
import type { FieldError, ResourceDefinition } from './definition.ts';
import { StatusError } from './status-error.ts';

/** How much of a wrong value is repeated in a message. */
const shownValueLengthMax = 120;
/** How many field errors the one-line message names; the causes hold all of them. */
const namedErrorsMax = 10;

export function fieldRequired(field: string, mend: string): FieldError {
  return { field, reason: 'FieldValueRequired', message: `Required value: ${mend}` };
}

export function fieldInvalid(field: string, value: unknown, mend: string): FieldError {
  return {
    field,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${shownValue(value)}: ${mend}`,
  };
}

export function fieldTypeInvalid(field: string, value: unknown, mend: string): FieldError {
  return {
    field,
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: ${shownValue(value)}: ${mend}`,
  };
}

export function fieldForbidden(field: string, why: string): FieldError {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${why}` };
}

export function fieldDuplicate(field: string, value: unknown): FieldError {
  return {
    field,
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${shownValue(value)}: every entry must differ from the others`,
  };
}

export function fieldNotSupported(
  field: string,
  value: unknown,
  supported: readonly string[],
): FieldError {
  const choices = supported.map((choice) => JSON.stringify(choice)).join(', ');
  return {
    field,
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${shownValue(value)}: supported values: ${choices}`,
  };
}

export function fieldTooLong(field: string, limit: string): FieldError {
  return { field, reason: 'FieldValueTooLong', message: `Too long: ${limit}` };
}

/** The value as JSON, cut where it is long. */
export function shownValue(value: unknown): string {
  const kind = typeof value;
  if (kind === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  const text = kind === 'string' ? (value as string).slice(0, shownValueLengthMax) : value;
  const shown = JSON.stringify(text) ?? 'nothing';
  return kind === 'string' && (value as string).length > shownValueLengthMax
    ? `${shown} (cut)`
    : shown;
}

/** `Deployment.apps "web" is invalid: spec.replicas: …`, with one cause per error. */
export function invalidError(
  definition: Pick<ResourceDefinition, 'group' | 'kind'>,
  name: string,
  found: readonly FieldError[],
): StatusError {
  // The schema and the rules of a kind may both say the same of a field: once is enough.
  const errors = [
    ...new Map(found.map((error) => [`${error.field}: ${error.message}`, error])).values(),
  ];
  const kind = definition.group === '' ? definition.kind : `${definition.kind}.${definition.group}`;
  const named = errors.slice(0, namedErrorsMax).map((error) => `${error.field}: ${error.message}`);
  const rest = errors.length > named.length ? [`and ${errors.length - named.length} more`] : [];
  const parts = [...named, ...rest];
  const list = parts.length === 1 ? parts[0] : `[${parts.join(', ')}]`;
  return new StatusError('Invalid', `${kind} ${JSON.stringify(name)} is invalid: ${list}`, {
    kind: definition.kind,
    group: definition.group,
    name,
    causes: errors.map((error) => ({
      reason: error.reason,
      message: error.message,
      field: error.field,
    })),
  });
}

/** Throws `invalidError` where there is at least one error. */
export function refuseInvalid(
  definition: Pick<ResourceDefinition, 'group' | 'kind'>,
  name: string,
  errors: readonly FieldError[],
): void {
  if (errors.length > 0) throw invalidError(definition, name, errors);
}

/** `spec` + `replicas` gives `spec.replicas`; an empty base gives the name alone. */
export function childPath(base: string, name: string): string {
  return base === '' ? name : `${base}.${name}`;
}

export function indexPath(base: string, index: number): string {
  return `${base}[${index}]`;
}

/** A key of a map that people fill in themselves: `data[app.json]`. */
export function keyPath(base: string, key: string): string {
  return `${base}[${key}]`;
}

/** Whether two JSON values are equal; the order of keys does not matter. */
export function equalJson(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  if (left === null || right === null || left === undefined || right === undefined) return false;
  if (Array.isArray(left)) {
    if (!Array.isArray(right) || left.length !== right.length) return false;
    return left.every((item, index) => equalJson(item, right[index]));
  }
  if (Array.isArray(right)) return false;
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every((name) => Object.hasOwn(right, name) && equalJson(left[name], right[name]));
}
