/** Nodes and pods for the tests of the scheduler, with what matters in a test changed. */
import type {
  Placement,
  SchedulerLabelCondition,
  SchedulerNode,
  SchedulerPlacedPod,
  SchedulerPod,
  SchedulerPodTerm,
} from './mod.ts';

export function node(name: string, changes: Partial<SchedulerNode> = {}): SchedulerNode {
  return {
    name,
    isReady: true,
    isUnschedulable: false,
    taints: [],
    labels: {},
    platforms: ['script/javascript'],
    allocatable: { cpuMilli: 1000, memoryBytes: 1000, podsMax: 10 },
    requested: { cpuMilli: 0, memoryBytes: 0, pods: 0 },
    region: 'north',
    site: 'one',
    podsByOwner: {},
    pods: [],
    runtimes: ['script'],
    ...changes,
  };
}

export function pod(name: string, changes: Partial<SchedulerPod> = {}): SchedulerPod {
  return {
    key: `default/${name}`,
    uid: name,
    namespace: 'default',
    labels: {},
    priority: 0,
    mayPreempt: true,
    requests: { cpuMilli: 0, memoryBytes: 0 },
    nodeSelector: {},
    tolerations: [],
    platformsByContainer: [['script/javascript']],
    ownerUid: 'owner',
    ...changes,
  };
}

/** A pod that has a node. */
export function placed(uid: string, changes: Partial<SchedulerPlacedPod> = {}): SchedulerPlacedPod {
  return {
    uid,
    namespace: 'default',
    labels: {},
    priority: 0,
    requests: { cpuMilli: 0, memoryBytes: 0 },
    isEnding: false,
    since: 0,
    ...changes,
  };
}

/** A node with these pods on it. */
export function nodeWith(
  name: string,
  pods: readonly SchedulerPlacedPod[],
  changes: Partial<SchedulerNode> = {},
): SchedulerNode {
  const sum = (of: (pod: SchedulerPlacedPod) => number): number =>
    pods.reduce((total, one) => total + of(one), 0);
  const requested = {
    cpuMilli: sum(({ requests }) => requests.cpuMilli),
    memoryBytes: sum(({ requests }) => requests.memoryBytes),
    pods: pods.length,
  };
  return node(name, { pods, requested, labels: { host: name }, ...changes });
}

export function like(key: string, ...values: string[]): SchedulerLabelCondition {
  return { key, operator: 'In', values };
}

/** Pods of the namespace `default` with this label. */
export function term(topologyKey: string, key: string, value: string): SchedulerPodTerm {
  return { namespaces: ['default'], selector: [like(key, value)], topologyKey };
}

/** The node of a placement, else why there is none. */
export function outcome(placement: Placement | undefined): string {
  if (placement === undefined) return 'nothing';
  return placement.type === 'placed' ? placement.nodeName : placement.message;
}
