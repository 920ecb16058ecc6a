/** Validation rules that several kinds share. */
import type { Json } from '#base/mod.ts';
import type { FieldError } from '../definition.ts';
import { equalJson } from '../field-errors.ts';
import { dnsLabelProblem } from '../formats.ts';

/** The error for a field that differs from what it was, or nothing. */
export function immutable(field: string, before: unknown, after: unknown): FieldError[] {
  if (equalJson(before as Json | undefined, after as Json | undefined)) return [];
  return [{ field, reason: 'FieldValueInvalid', message: 'field is immutable' }];
}

/** Errors for values that occur more than once; `field` makes the path of the nth entry. */
export function duplicates(
  values: readonly (string | undefined)[],
  field: (position: number) => string,
): FieldError[] {
  const seen = new Set<string>();
  const errors: FieldError[] = [];
  for (const [position, value] of values.entries()) {
    if (value === undefined) continue;
    if (seen.has(value)) {
      errors.push({
        field: field(position),
        reason: 'FieldValueDuplicate',
        message: `Duplicate value: ${JSON.stringify(value)}`,
      });
    }
    seen.add(value);
  }
  return errors;
}

/** The error for a name that cannot be one label of a host name, or nothing. */
export function dnsLabelName(name: string, field = 'metadata.name'): FieldError[] {
  const problem = dnsLabelProblem(name);
  return problem === undefined ? [] : [{ field, reason: 'FieldValueInvalid', message: problem }];
}
