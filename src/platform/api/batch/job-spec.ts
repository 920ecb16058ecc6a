/** The specification of a job: its schema, its defaults and its rules. CronJobs carry one too. */
import {
  applyPodTemplateDefaults,
  podTemplateSchema,
  validateTemplate,
} from '../apps/pod-template.ts';
import type { FieldError } from '../definition.ts';
import { flag, integer, oneOf, record } from '../meta/build.ts';
import { labelSelectorSchema } from '../meta/label-selector.ts';
import type { Schema } from '../schema.ts';
import type { JobSpec } from './job-types.ts';

/** Of one job at once: the list of what is being counted must fit into its status. */
const parallelismMax = 10_000;
const completionsMax = 100_000;
const secondsMax = 2_147_483_647;

const longSeconds = (description: string, minimum: number): Schema => ({
  type: 'integer',
  format: 'int64',
  description,
  minimum,
  maximum: secondsMax,
});

export const jobSpecSchema: Schema = {
  ...record(
    'What to run to its end, how often, and when to give up.',
    {
      parallelism: integer('How many pods may run at once. 0 runs none.', {
        minimum: 0,
        maximum: parallelismMax,
      }),
      completions: integer(
        'How many pods must succeed. Where not given, one success of any pod ends the job.',
        { minimum: 0, maximum: completionsMax },
      ),
      activeDeadlineSeconds: longSeconds(
        'How long the job may take from its start; then its pods are ended and it has failed.',
        1,
      ),
      backoffLimit: integer('How many pods may fail before the job has failed.', { minimum: 0 }),
      selector: labelSelectorSchema(
        'The pods that belong to this job. The server makes one that no other job has.',
      ),
      manualSelector: flag('True: the selector is given and taken as it is. Rarely right.'),
      template: podTemplateSchema,
      ttlSecondsAfterFinished: integer(
        'How long the job is kept after its end; for ever where not given.',
        { minimum: 0 },
      ),
      completionMode: oneOf(
        'Indexed gives each completion a number, from 0 up, in the variable JOB_COMPLETION_INDEX; each number must succeed once.',
        ['NonIndexed', 'Indexed'],
      ),
      suspend: flag('True: no pods run; those that do are ended, and the deadline does not count.'),
    },
    ['template'],
  ),
  notYet: [
    'podFailurePolicy',
    'successPolicy',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
    'podReplacementPolicy',
    'managedBy',
  ],
};

/** In place and idempotent. */
export function applyJobSpecDefaults(spec: JobSpec): void {
  if (spec.completions === undefined && spec.parallelism === undefined) {
    spec.completions = 1;
  }
  spec.parallelism ??= 1;
  spec.backoffLimit ??= 6;
  spec.completionMode ??= 'NonIndexed';
  spec.suspend ??= false;
  applyPodTemplateDefaults(spec.template);
}

export function validateJobSpec(spec: JobSpec, field: string): FieldError[] {
  const errors = validateTemplate(spec.selector, spec.template, `${field}.template`);
  const { restartPolicy } = spec.template.spec;
  if (restartPolicy !== 'Never' && restartPolicy !== 'OnFailure') {
    errors.push({
      field: `${field}.template.spec.restartPolicy`,
      reason: 'FieldValueNotSupported',
      message: 'must be Never or OnFailure: the pods of a job come to an end',
    });
  }
  if (spec.completionMode === 'Indexed' && spec.completions === undefined) {
    errors.push({
      field: `${field}.completions`,
      reason: 'FieldValueRequired',
      message: 'must be given when `completionMode` is Indexed',
    });
  }
  return errors;
}
