/** Fields that the specifications of all workloads which keep pods running share. */
import { integer } from '../meta/build.ts';
import type { Schema } from '../schema.ts';

export const minReadySecondsSchema: Schema = integer(
  'How long a new pod must be ready before it counts as available.',
  { minimum: 0 },
);

export const observedGenerationSchema: Schema = {
  type: 'integer',
  format: 'int64',
  description: 'The generation of the specification that this status is about.',
};
