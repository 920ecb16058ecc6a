/** What a pod's status says, in the terms in which workloads count their pods. */
import { conditionOf, type Pod, wallMsOf } from '#platform/api/mod.ts';

export function hasEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

/** Whether the pod counts: not on its way out, not ended, not given up with its node. */
export function isActive(pod: Pod): boolean {
  return (
    pod.metadata.deletionTimestamp === undefined &&
    !hasEnded(pod) &&
    pod.status?.reason !== 'NodeLost'
  );
}

export function isReady(pod: Pod): boolean {
  return conditionOf(pod.status?.conditions, 'Ready')?.status === 'True';
}

/** 0 where it is not ready. */
export function readySinceMs(pod: Pod): number {
  const since = conditionOf(pod.status?.conditions, 'Ready')?.lastTransitionTime;
  return isReady(pod) && since !== undefined ? (wallMsOf(since) ?? 0) : 0;
}

export function createdMs(pod: Pod): number {
  return wallMsOf(pod.metadata.creationTimestamp ?? '') ?? 0;
}

/** How long until the pod counts as available: 0 when it does, undefined when it is not ready. */
export function availableInMs(
  pod: Pod,
  minReadySeconds: number,
  nowMs: number,
): number | undefined {
  if (!isReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  return Math.max(0, readySinceMs(pod) + minReadySeconds * 1000 - nowMs);
}
