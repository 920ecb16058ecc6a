/** The label selector of workloads: its schema, its type, and the rules for it. */
import type { FieldError } from '../definition.ts';
import {
  formatLabelSelector,
  labelSelectorErrors,
  labelSelectorOf,
  type LabelRequirements,
  matchesLabels,
} from '../selectors.ts';
import { atomicList, mapOf, oneOf, record, text } from './build.ts';

export type LabelSelectorOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';

export type LabelSelectorRequirement = {
  key: string;
  operator: LabelSelectorOperator;
  values?: string[];
};

export type LabelSelector = {
  matchLabels?: Record<string, string>;
  matchExpressions?: LabelSelectorRequirement[];
};

/** A selector with the meaning given in `description`. */
export function labelSelectorSchema(description: string): ReturnType<typeof record> {
  return {
    ...record(description, {
      matchLabels: mapOf(
        'Labels that an object must have with exactly these values.',
        text('The wanted value.', { format: 'label-value' }),
      ),
      matchExpressions: atomicList(
        'Further conditions; all of them must hold.',
        record(
          'One condition on one label.',
          {
            key: text('The label that the condition is about.', { format: 'qualified-name' }),
            operator: oneOf('How the label is compared with the values.', [
              'In',
              'NotIn',
              'Exists',
              'DoesNotExist',
            ]),
            values: atomicList(
              'The values for In and NotIn; none for Exists and DoesNotExist.',
              text('One value.', { format: 'label-value' }),
            ),
          },
          ['key', 'operator'],
        ),
      ),
    }),
    'x-kubernetes-map-type': 'atomic',
  };
}

/** What a schema cannot say about a selector: values where they belong, and not empty. */
export function validateLabelSelector(selector: LabelSelector, field: string): FieldError[] {
  const errors = labelSelectorErrors(selector, field);
  if (requirementsOf(selector).length > 0) return errors;
  return [
    ...errors,
    {
      field,
      reason: 'FieldValueInvalid',
      message: 'an empty selector would select every object; name at least one label',
    },
  ];
}

/** Whether an object with these labels is selected. An empty selector selects everything. */
export function selectsLabels(
  selector: LabelSelector,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return matchesLabels(requirementsOf(selector), labels);
}

/** The selector as the text that `labelSelector=` takes; what `scale` reports. */
export function labelSelectorText(selector: LabelSelector): string {
  return formatLabelSelector(requirementsOf(selector));
}

function requirementsOf(selector: LabelSelector): LabelRequirements {
  return labelSelectorOf(selector) ?? [];
}
