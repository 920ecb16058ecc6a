/** What agents report, each as a whole: on their node, its pods, and claims whose data it keeps. */
import { flag, record, text } from '../meta/build.ts';
import type { Schema } from '../schema.ts';
import { nodeReportSchema } from './node-status.ts';
import { claimStatusSchema } from './persistent-volume-claim.ts';
import { podStatusSchema } from './pod-status.ts';

const lossIdLengthMax = 128;

/** PodReport. */
const podReportSchema = record(
  'What an agent says of a pod.',
  {
    status: podStatusSchema,
    terminated: flag('Every container is gone and stays gone.'),
    answersLost: record(
      'What became of the pod while its node was lost.',
      {
        id: text('Of the verdict that it answers.', { maxLength: lossIdLengthMax }),
        isRunning: flag('Whether it still runs.'),
      },
      ['id', 'isRunning'],
    ),
  },
  ['status'],
);

/** ClaimReport. */
const claimReportSchema = record(
  'What an agent says of a claim.',
  { status: claimStatusSchema, isReleased: flag('It is being deleted, and its data is gone.') },
  ['status'],
);

/** By resource; nothing else is reported on. */
export const reportSchemas: ReadonlyMap<string, Schema> = new Map([
  ['nodes', nodeReportSchema],
  ['pods', podReportSchema],
  ['persistentvolumeclaims', claimReportSchema],
]);
