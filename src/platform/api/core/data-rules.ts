/** Rules that ConfigMaps and Secrets share. */
import type { FieldError } from '../definition.ts';
import { byteLengthOf } from '../formats.ts';
import type { ApiObject } from '../object.ts';
import { immutable } from '../meta/rules.ts';

/** Of all values of one ConfigMap or Secret together, in bytes as stored. */
export const dataSizeBytesMax = 1024 * 1024;

/** As JSON, in which some characters take more room: it travels to nodes in one message of the link. */
export const dataIntentBytesMax = 1536 * 1024;

const keyPattern = /^[-._a-zA-Z0-9]{1,253}$/u;

/** Keys become file names: letters, digits, `-`, `_`, `.`; and none is in `taken` already. */
export function validateDataKeys(
  data: Readonly<Record<string, string>>,
  field: string,
  taken: Readonly<Record<string, string>> = {},
): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of Object.keys(data)) {
    if (!keyPattern.test(key) || key === '.' || key.startsWith('..')) {
      errors.push({
        field: `${field}[${key}]`,
        reason: 'FieldValueInvalid',
        message: 'a key must be 1 to 253 letters, digits, "-", "_" or "." and not begin with ".."',
      });
    } else if (Object.hasOwn(taken, key)) {
      errors.push({
        field: `${field}[${key}]`,
        reason: 'FieldValueDuplicate',
        message: 'the same key is in `data`',
      });
    }
  }
  return errors;
}

export function validateDataSize(
  field: string,
  ...parts: readonly Readonly<Record<string, string>>[]
): FieldError[] {
  // A character is at most three bytes: most need not be counted.
  let length = 0;
  for (const part of parts) {
    for (const key of Object.keys(part)) length += part[key]?.length ?? 0;
  }
  if (3 * length <= dataSizeBytesMax) return [];
  let sizeBytes = 0;
  for (const part of parts) {
    for (const value of Object.values(part)) sizeBytes += byteLengthOf(value);
  }
  if (sizeBytes <= dataSizeBytesMax) return [];
  return [
    {
      field,
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${dataSizeBytesMax} bytes`,
    },
  ];
}

/** Once `immutable` is true, neither it nor the data may change. */
export function validateImmutableData(
  object: ApiObject,
  previous: ApiObject | undefined,
  fields: readonly string[],
): FieldError[] {
  if (previous?.['immutable'] !== true) return [];
  return ['immutable', ...fields].flatMap((field) =>
    immutable(field, previous[field], object[field]).map((error) => ({
      ...error,
      message: 'field is immutable when `immutable` is set',
    })),
  );
}
