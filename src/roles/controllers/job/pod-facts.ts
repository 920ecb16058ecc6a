/** What of a pod matters to the job that it belongs to. */
import {
  completionIndexAnnotation,
  conditionOf,
  type ContainerStatus,
  type Pod,
  type PodStatus,
  jobTrackingFinalizer,
  wallMsOf,
} from '#platform/api/mod.ts';

/** The job itself had it deleted, as one too many: that is no failure. */
export const surplusAnnotation = 'selvage.dev/job-surplus';

/** Whether the job has yet to count the pod, or to say that it has. */
export function isTracked({ metadata }: Pod): boolean {
  return metadata.finalizers?.includes(jobTrackingFinalizer) === true;
}

export function isSurplus({ metadata }: Pod): boolean {
  return metadata.annotations?.[surplusAnnotation] !== undefined;
}

/** Undefined for a pod without a proper one. */
export function indexOf({ metadata }: Pod): number | undefined {
  const text = metadata.annotations?.[completionIndexAnnotation] ?? '';
  return /^\d{1,6}$/u.test(text) ? Number(text) : undefined;
}

export function restartsOf({ status }: Pod): number {
  return containersOf(status).reduce((sum, { restartCount }) => sum + restartCount, 0);
}

/** When the pod ended, as well as that can be told. */
export function endedMs({ metadata, status }: Pod): number {
  const ends = containersOf(status).map(
    ({ state }) => wallMsOf(state?.terminated?.finishedAt ?? '') ?? 0,
  );
  const latestMs = Math.max(0, ...ends);
  if (latestMs > 0) return latestMs;
  const ready = conditionOf(status?.conditions, 'Ready')?.lastTransitionTime;
  return wallMsOf(metadata.deletionTimestamp ?? ready ?? metadata.creationTimestamp ?? '') ?? 0;
}

function containersOf(status: PodStatus | undefined): readonly ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}
