/** CronJob: makes a Job at every minute that its schedule names. */
import { ageText } from '../age-text.ts';
import { templateWarnings } from '../apps/pod-template.ts';
import { templateColumnsOf } from '../apps/template-columns.ts';
import type { FieldError, ResourceDefinition } from '../definition.ts';
import type { ObjectReference } from '../core/event.ts';
import { defaultFacetLayout } from '../facets.ts';
import { atomicList, flag, instant, integer, oneOf, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema, templateMetadataSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import type { ApiObject } from '../object.ts';
import { parseCronSchedule, timeZoneProblem } from './cron-schedule.ts';
import { applyJobSpecDefaults, jobSpecSchema, validateJobSpec } from './job-spec.ts';
import type { JobSpec } from './job-types.ts';

export type CronJobSpec = {
  schedule: string;
  timeZone?: string;
  startingDeadlineSeconds?: number;
  concurrencyPolicy?: 'Allow' | 'Forbid' | 'Replace';
  suspend?: boolean;
  jobTemplate: {
    metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
    spec: JobSpec;
  };
  successfulJobsHistoryLimit?: number;
  failedJobsHistoryLimit?: number;
};

export type CronJobStatus = {
  active?: ObjectReference[];
  lastScheduleTime?: string;
  lastSuccessfulTime?: string;
};

export interface CronJob extends ApiObject {
  spec: CronJobSpec;
  status?: CronJobStatus;
}

/** A job's name is the cron job's, a hyphen and the minute; with that it is at most 63 long. */
const nameLengthMax = 52;

const specSchema = record(
  'When to make which job.',
  {
    schedule: text('Five fields of cron, or a word such as `@hourly`.', { minLength: 1 }),
    timeZone: text('The time zone of the schedule by its IANA name; UTC where not given.'),
    startingDeadlineSeconds: {
      type: 'integer',
      format: 'int64',
      description: 'How late a job may still be made; any time where not given.',
      minimum: 0,
    },
    concurrencyPolicy: oneOf(
      'What to do while an earlier job runs: Allow makes another, Forbid leaves it out, Replace ends the earlier one.',
      ['Allow', 'Forbid', 'Replace'],
      'Allow',
    ),
    suspend: flag('True: no jobs are made; those that run go on.'),
    jobTemplate: record(
      'The job to make.',
      { metadata: templateMetadataSchema, spec: jobSpecSchema },
      ['spec'],
    ),
    successfulJobsHistoryLimit: integer('How many jobs that succeeded are kept.', {
      minimum: 0,
      default: 3,
    }),
    failedJobsHistoryLimit: integer('How many jobs that failed are kept.', {
      minimum: 0,
      default: 1,
    }),
  },
  ['schedule', 'jobTemplate'],
);

const statusSchema = record('What the schedule has led to.', {
  active: atomicList(
    'Jobs that run.',
    record('A job.', {
      apiVersion: text('Group and version of the job.'),
      kind: text('Job.'),
      namespace: text('Namespace of the job.'),
      name: text('Name of the job.'),
      uid: text('Identity of the job.'),
      resourceVersion: text('The version of the job that was seen.'),
      fieldPath: text('Not used.'),
    }),
  ),
  lastScheduleTime: instant('The newest minute of the schedule that was acted on.'),
  lastSuccessfulTime: instant('When a job last succeeded.'),
});

export const cronJobDefinition: ResourceDefinition = {
  group: 'batch',
  version: 'v1',
  kind: 'CronJob',
  plural: 'cronjobs',
  singular: 'cronjob',
  shortNames: ['cj'],
  categories: ['all'],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status'],
  storage: 'main',
  schema: objectSchema(
    'Makes a Job at every minute that its schedule names, and never two for one minute.',
    { spec: specSchema, status: statusSchema },
    ['spec'],
  ),
  columns: [
    column('Schedule', 'string', 'When jobs are made.', (object) => specOf(object).schedule),
    column('Timezone', 'string', 'The time zone of the schedule.', (object) => {
      return specOf(object).timeZone ?? '<none>';
    }),
    column('Suspend', 'boolean', 'Whether no jobs are made.', (object) => {
      return specOf(object).suspend === true ? 'True' : 'False';
    }),
    column('Active', 'integer', 'Jobs that run.', (object) => {
      return (object as CronJob).status?.active?.length ?? 0;
    }),
    column('Last Schedule', 'string', 'Time since a job was last made.', (object, nowMs) => {
      const last = (object as CronJob).status?.lastScheduleTime;
      return last === undefined ? '<none>' : ageText(last, nowMs);
    }),
    ageColumn,
    ...templateColumnsOf((object) => ({ template: specOf(object).jobTemplate.spec.template })),
  ],
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const spec = specOf(object);
    spec.concurrencyPolicy ??= 'Allow';
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    applyJobSpecDefaults(spec.jobTemplate.spec);
  },
  warnings: (object) =>
    templateWarnings(specOf(object).jobTemplate.spec.template, 'spec.jobTemplate.spec.template'),
  validate(object): readonly FieldError[] {
    const { schedule, timeZone, jobTemplate } = specOf(object);
    const errors = validateJobSpec(jobTemplate.spec, 'spec.jobTemplate.spec');
    const parsed = parseCronSchedule(schedule);
    if ('problem' in parsed) errors.push(invalid('spec.schedule', parsed.problem));
    const zone = timeZone === undefined ? undefined : timeZoneProblem(timeZone);
    if (zone !== undefined) errors.push(invalid('spec.timeZone', zone));
    if (jobTemplate.spec.selector !== undefined || jobTemplate.spec.manualSelector === true) {
      errors.push(
        invalid('spec.jobTemplate.spec.selector', 'must be left out: each job has its own'),
      );
    }
    if (object.metadata.name.length > nameLengthMax) {
      errors.push({
        field: 'metadata.name',
        reason: 'FieldValueTooLong',
        message: `must be no more than ${nameLengthMax} characters, so that its jobs have room for their minute`,
      });
    }
    return errors;
  },
};

function invalid(field: string, message: string): FieldError {
  return { field, reason: 'FieldValueInvalid', message };
}

function specOf(object: ApiObject): CronJobSpec {
  return (object as CronJob).spec;
}
