/** Conditions: what is true of an object now, since when, and why. */
import type { Schema } from '../schema.ts';
import { instant, keyedList, oneOf, record, text } from './build.ts';

export type ConditionStatus = 'True' | 'False' | 'Unknown';

export type Condition = {
  type: string;
  status: ConditionStatus;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastUpdateTime?: string;
};

/** The list of conditions of one kind; `extra` adds fields that only that kind has. */
export function conditionsSchema(
  description: string,
  extra: Readonly<Record<string, Schema>> = {},
): Schema {
  return keyedList(
    description,
    ['type'],
    record(
      'One observation.',
      {
        type: text('What the observation is about.'),
        status: oneOf('Whether it holds.', ['True', 'False', 'Unknown']),
        reason: text('One word for why, for programs.'),
        message: text('Why, for people.'),
        lastTransitionTime: instant('When the status last changed.'),
        ...extra,
      },
      ['type', 'status'],
    ),
  );
}

/** The condition of that type, if the object has one. */
export function conditionOf(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}
