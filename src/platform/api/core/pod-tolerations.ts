/** Tolerations of pods: the schema of one, and the rules for it. */
import type { FieldError } from '../definition.ts';
import { oneOf, record, text } from '../meta/build.ts';
import type { Toleration } from './pod-types.ts';

export const tolerationSchema = record('A taint that does not keep the pod away.', {
  key: text('Key of the taint; with no key and operator Exists, every taint.', {
    format: 'qualified-name',
  }),
  operator: oneOf('Exists: any value. Equal: this value.', ['Exists', 'Equal'], 'Equal'),
  value: text('Value of the taint, for Equal.', { format: 'label-value' }),
  effect: oneOf('Effect of the taint; all effects where none is given.', [
    'NoSchedule',
    'PreferNoSchedule',
    'NoExecute',
  ]),
  tolerationSeconds: {
    type: 'integer',
    format: 'int64',
    description: 'How long a taint with effect NoExecute is tolerated; forever where not given.',
  },
});

export function validateToleration(toleration: Toleration, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!toleration.key && toleration.operator !== 'Exists') {
    errors.push({
      field: `${field}.operator`,
      reason: 'FieldValueInvalid',
      message:
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
    });
  }
  if (toleration.operator === 'Exists' && toleration.value) {
    errors.push({
      field: `${field}.value`,
      reason: 'FieldValueInvalid',
      message: 'value must be empty when `operator` is Exists',
    });
  }
  if (toleration.tolerationSeconds !== undefined && toleration.effect !== 'NoExecute') {
    errors.push({
      field: `${field}.effect`,
      reason: 'FieldValueInvalid',
      message: 'effect must be NoExecute when `tolerationSeconds` is set',
    });
  }
  return errors;
}
