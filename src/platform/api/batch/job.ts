/** Job: runs pods until enough of them have succeeded. */
import { ageText, durationText, wallMsOf } from '../age-text.ts';
import { templateWarnings } from '../apps/pod-template.ts';
import { templateColumns } from '../apps/template-columns.ts';
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { atomicList, instant, integer, record, text } from '../meta/build.ts';
import { ageColumn, column } from '../meta/columns.ts';
import { conditionOf, conditionsSchema } from '../meta/condition.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { immutable } from '../meta/rules.ts';
import type { ApiObject } from '../object.ts';
import { applyJobSpecDefaults, jobSpecSchema, validateJobSpec } from './job-spec.ts';
import { type Job, jobNameLabel, jobUidLabel } from './job-types.ts';

const uncounted = (description: string): ReturnType<typeof atomicList> =>
  atomicList(description, text('Identity of a pod.'));

const statusSchema = record('How far the job is.', {
  conditions: conditionsSchema('Complete, Failed or Suspended, since when, and why.', {
    lastProbeTime: instant('When this was last looked at.'),
  }),
  startTime: instant('When the job began to run; again after it was suspended.'),
  completionTime: instant('When it succeeded.'),
  active: integer('Pods that are there and have not ended.'),
  ready: integer('Of those, the ones that are ready.'),
  terminating: integer('Pods that are being deleted and have not ended.'),
  succeeded: integer('Pods that succeeded.'),
  failed: integer('Pods that failed.'),
  completedIndexes: text('Numbers that succeeded, as in `1,3-5`.'),
  uncountedTerminatedPods: record(
    'Pods that have ended and are being counted: each is in one of these lists until its finalizer is gone, and in the numbers above from then on.',
    { succeeded: uncounted('Those that succeeded.'), failed: uncounted('Those that failed.') },
  ),
});

export const jobDefinition: ResourceDefinition = {
  group: 'batch',
  version: 'v1',
  kind: 'Job',
  plural: 'jobs',
  singular: 'job',
  shortNames: [],
  categories: ['all'],
  namespaced: true,
  verbs: allVerbs,
  subresources: ['status'],
  storage: 'main',
  schema: objectSchema(
    'Runs pods until enough of them have succeeded, and gives up after too many failures.',
    { spec: jobSpecSchema, status: statusSchema },
    ['spec'],
  ),
  columns: [
    column('Status', 'string', 'Running, Complete, Failed or Suspended.', stateOf),
    column('Completions', 'string', 'Pods that succeeded, of those that must.', (object) => {
      const { spec, status } = object as Job;
      const succeeded = status?.succeeded ?? 0;
      const { completions, parallelism = 1 } = spec;
      if (completions !== undefined) return `${succeeded}/${completions}`;
      return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
    }),
    column('Duration', 'string', 'How long it took, or takes by now.', (object, nowMs) => {
      const { startTime, completionTime } = (object as Job).status ?? {};
      if (startTime === undefined) return '';
      if (completionTime === undefined) return ageText(startTime, nowMs);
      return durationText((wallMsOf(completionTime) ?? 0) - (wallMsOf(startTime) ?? 0));
    }),
    ageColumn,
    ...templateColumns,
  ],
  selectableFields: {
    'status.successful': (object) => String((object as Job).status?.succeeded ?? 0),
  },
  facets: defaultFacetLayout(),
  applyDefaults(object) {
    dropIgnoredMetadata(object);
    const job = object as Job;
    applyJobSpecDefaults(job.spec);
    giveSelector(job);
    // A job is found by its labels as its pods are, as tools expect.
    const labels = job.spec.template.metadata?.labels;
    if (labels !== undefined) object.metadata.labels ??= { ...labels };
  },
  warnings: (object) => templateWarnings((object as Job).spec.template),
  validate(object, { previous }): readonly FieldError[] {
    const { spec } = object as Job;
    const errors = validateJobSpec(spec, 'spec');
    if (spec.selector === undefined) {
      errors.push({
        field: 'spec.selector',
        reason: 'FieldValueRequired',
        message: 'must be given with `manualSelector`; otherwise leave both out',
      });
    }
    const before = (previous as Job | undefined)?.spec;
    if (before === undefined) return errors;
    const { completionMode } = before;
    return [
      ...errors,
      ...immutable('spec.selector', before.selector, spec.selector),
      ...immutable('spec.template', before.template, spec.template),
      ...immutable('spec.completionMode', completionMode, spec.completionMode),
      ...immutable('spec.completions', before.completions, spec.completions),
    ];
  },
};

/** The selector by the job's own uid, and the labels that match it. */
function giveSelector({ metadata, spec }: Job): void {
  const { uid, name } = metadata;
  if (spec.manualSelector === true || uid === undefined) return;
  spec.selector ??= { matchLabels: { [jobUidLabel]: uid } };
  const template = (spec.template.metadata ??= {});
  template.labels = {
    ...template.labels,
    [jobUidLabel]: uid,
    [jobNameLabel]: name.slice(0, 63),
    'controller-uid': uid,
    'job-name': name.slice(0, 63),
  };
}

function stateOf(object: ApiObject): string {
  const { spec, status } = object as Job;
  const holds = (type: string): boolean => conditionOf(status?.conditions, type)?.status === 'True';
  if (holds('Complete')) return 'Complete';
  if (holds('Failed')) return 'Failed';
  if (object.metadata.deletionTimestamp !== undefined) return 'Terminating';
  return spec.suspend === true ? 'Suspended' : 'Running';
}
