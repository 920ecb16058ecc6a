/** What rules a node out for a pod, each in the words that users of Kubernetes know. */
import { nodeSuits } from './affinity.ts';
import type { SchedulerNode, SchedulerPod, SchedulerTaint, SchedulerToleration } from './types.ts';

/** Room of a node that this plan keeps account of. */
export interface Room {
  cpuMilli: number;
  memoryBytes: number;
  pods: number;
}

/**
 * Every reason but room, which changes during a plan. The first that applies of
 * the node's own state, as a node that is down says nothing about its labels.
 */
export function standingReason(node: SchedulerNode, pod: SchedulerPod): string | undefined {
  if (node.isUnschedulable && !tolerates(pod.tolerations, unschedulableTaint)) {
    return 'node(s) were unschedulable';
  }
  if (!node.isReady) return 'node(s) were not ready';
  for (const taint of node.taints) {
    if (taint.effect === 'PreferNoSchedule' || tolerates(pod.tolerations, taint)) continue;
    const text = taint.value === '' ? taint.key : `${taint.key}: ${taint.value}`;
    return `node(s) had untolerated taint {${text}}`;
  }
  if (!nodeSuits(node, pod)) return "node(s) didn't match Pod's node affinity/selector";
  const { runtime } = pod;
  if (runtime !== undefined && !node.runtimes.includes(runtime)) {
    return `node(s) didn't have the runtime ${runtime}`;
  }
  for (const platforms of pod.platformsByContainer) {
    if (!platforms.some((platform) => node.platforms.includes(platform))) {
      return `node(s) can't run an image for ${platforms.join(' or ')}`;
    }
  }
  return undefined;
}

const unschedulableTaint: SchedulerTaint = {
  key: 'node.kubernetes.io/unschedulable',
  value: '',
  effect: 'NoSchedule',
};

/** Nothing asked for always fits, also on a node that is promised beyond what it has. */
export function hasRoom(room: Room, { requests }: SchedulerPod): boolean {
  return (
    room.pods >= 1 &&
    (requests.cpuMilli <= room.cpuMilli || requests.cpuMilli === 0) &&
    (requests.memoryBytes <= room.memoryBytes || requests.memoryBytes === 0)
  );
}

/** Why there is not. */
export function roomReasons(room: Room, pod: SchedulerPod): readonly string[] {
  const { requests } = pod;
  if (hasRoom(room, pod)) return [];
  const lacksCpu = requests.cpuMilli > 0 && requests.cpuMilli > room.cpuMilli;
  const lacksMemory = requests.memoryBytes > 0 && requests.memoryBytes > room.memoryBytes;
  const reasons: string[] = [];
  if (room.pods < 1) reasons.push('Too many pods');
  if (lacksCpu) reasons.push('Insufficient cpu');
  if (lacksMemory) reasons.push('Insufficient memory');
  return reasons;
}

export function tolerates(
  tolerations: readonly SchedulerToleration[],
  taint: SchedulerTaint,
): boolean {
  return tolerations.some((toleration) => {
    if (toleration.effect !== undefined && toleration.effect !== taint.effect) return false;
    if (toleration.key === undefined || toleration.key === '')
      return toleration.operator === 'Exists';
    if (toleration.key !== taint.key) return false;
    return toleration.operator === 'Exists' || (toleration.value ?? '') === taint.value;
  });
}
