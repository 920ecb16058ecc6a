/** Reading the parameters of a request's query: bounded, and refused with their name. */
import { invalidError, StatusError } from '#platform/api/mod.ts';

/** A bare name is true, and so is every spelling of true that clients write: `1`, `True`, `t`. */
export function flagOf(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  if (value === null) return false;
  switch (value.toLowerCase()) {
    case 'false':
    case 'f':
    case '0':
      return false;
    case '':
    case 'true':
    case 't':
    case '1':
      return true;
    default:
      throw new StatusError('BadRequest', `${name} must be true or false, not ${shown(value)}`);
  }
}

/** A whole number from `min` to `max`; undefined where it is not given. */
export function numberOf(
  query: URLSearchParams,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new StatusError(
      'BadRequest',
      `${name} must be a whole number from ${min} to ${max}, not ${shown(text)}`,
    );
  }
  return value;
}

/** The `resourceVersion` of a read; undefined where it is not given. */
export function resourceVersionOf(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion');
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw new StatusError(
      'BadRequest',
      `Invalid value: ${shown(text)}: resourceVersion is a number`,
    );
  }
  return Number(text);
}

/** The answer to options of a list or watch that do not go together. */
export function refuseListOption(field: string, why: string): StatusError {
  return invalidError({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
    { field, reason: 'FieldValueForbidden', message: `Forbidden: ${field} ${why}` },
  ]);
}

/** True for `dryRun=All`; the only value there is. */
export function isDryRun(values: readonly string[]): boolean {
  for (const value of values) {
    if (value !== 'All') {
      throw new StatusError('BadRequest', `dryRun must be "All", not ${shown(value)}`);
    }
  }
  return values.length > 0;
}

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export function fieldValidationOf(query: URLSearchParams): FieldValidation {
  const value = query.get('fieldValidation') ?? '';
  switch (value) {
    case '':
      return 'Warn';
    case 'Strict':
    case 'Warn':
    case 'Ignore':
      return value;
    default:
      throw new StatusError(
        'BadRequest',
        `fieldValidation must be "Strict", "Warn" or "Ignore", not ${shown(value)}`,
      );
  }
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
