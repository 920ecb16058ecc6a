/** Bounds of a rolling update: a count of pods, or a percentage of those that are wanted. */
import type { FieldError } from '../definition.ts';
import type { CountOrPercent } from './deployment-types.ts';

/** What is wrong with one bound. */
export function validateBound(
  field: string,
  bound: CountOrPercent,
  percentMax?: number,
): FieldError[] {
  const wrong = (message: string): FieldError[] => [
    { field, reason: 'FieldValueInvalid', message },
  ];
  if (typeof bound === 'number') {
    return bound < 0 ? wrong('must be greater than or equal to 0') : [];
  }
  if (!/^\d{1,9}%$/u.test(bound)) return wrong('must be a count or a percentage such as "25%"');
  return percentMax !== undefined && Number.parseInt(bound, 10) > percentMax
    ? wrong(`must not be greater than ${percentMax}%`)
    : [];
}

export function isZeroBound(bound: CountOrPercent): boolean {
  return bound === 0 || (typeof bound === 'string' && Number.parseInt(bound, 10) === 0);
}
