/** Columns that several kinds share. */
import type { Json } from '#base/mod.ts';
import { ageText } from '../age-text.ts';
import type { Column } from '../definition.ts';
import type { ApiObject } from '../object.ts';

/** A column that always shows. */
export function column(
  name: string,
  type: Column['type'],
  description: string,
  value: (object: ApiObject, nowMs: number) => Json,
): Column {
  return { name, type, description, priority: 0, value };
}

/** A column that shows under `-o wide` only. */
export function wideColumn(
  name: string,
  type: Column['type'],
  description: string,
  value: (object: ApiObject, nowMs: number) => Json,
): Column {
  return { name, type, description, priority: 1, value };
}

/** Time since the object was created. */
export const ageColumn: Column = column(
  'Age',
  'string',
  'Time since the object was created.',
  (object, nowMs) => ageText(object.metadata.creationTimestamp, nowMs),
);
