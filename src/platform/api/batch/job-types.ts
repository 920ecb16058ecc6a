/** Jobs as programs see them. */
import type { PodTemplate } from '../apps/pod-template.ts';
import type { Condition } from '../meta/condition.ts';
import type { LabelSelector } from '../meta/label-selector.ts';
import type { ApiObject } from '../object.ts';

export type JobSpec = {
  parallelism?: number;
  completions?: number;
  activeDeadlineSeconds?: number;
  backoffLimit?: number;
  selector?: LabelSelector;
  manualSelector?: boolean;
  template: PodTemplate;
  ttlSecondsAfterFinished?: number;
  completionMode?: 'NonIndexed' | 'Indexed';
  suspend?: boolean;
};

export type JobCondition = Condition & { lastProbeTime?: string };

export type JobStatus = {
  conditions?: JobCondition[];
  startTime?: string;
  completionTime?: string;
  active?: number;
  ready?: number;
  terminating?: number;
  succeeded?: number;
  failed?: number;
  /** `1,3-5` */
  completedIndexes?: string;
  /** Pods that are counted here and still carry the finalizer. */
  uncountedTerminatedPods?: { succeeded?: string[]; failed?: string[] };
};

export interface Job extends ApiObject {
  spec: JobSpec;
  status?: JobStatus;
}

/** On every pod of a job until the job has counted it: no pod goes uncounted. */
export const jobTrackingFinalizer = 'batch.kubernetes.io/job-tracking';
export const completionIndexAnnotation = 'batch.kubernetes.io/job-completion-index';
export const jobNameLabel = 'batch.kubernetes.io/job-name';
export const jobUidLabel = 'batch.kubernetes.io/controller-uid';
