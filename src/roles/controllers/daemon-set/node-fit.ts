/** Which nodes a daemon set is for, and how its pods are tied to theirs. */
import { type NodeTraits, nodeSuits, tolerates } from '#engines/scheduler/mod.ts';
import type {
  Node,
  NodeAffinity,
  NodeSelectorTerm,
  Pod,
  PodSpec,
  Toleration,
} from '#platform/api/mod.ts';

/**
 * What every pod of a daemon set tolerates: it belongs to its node, whatever state
 * that is in, and stays on one that is out of reach.
 */
const ownTolerations: readonly Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];

export interface NodeFit {
  /** The node should get the pod. */
  readonly shouldRun: boolean;
  /** A pod that is there may stay. */
  readonly mayStay: boolean;
}

export function fitOf(node: Node, spec: PodSpec): NodeFit {
  const suits = nodeSuits(traitsOf(node), {
    nodeSelector: spec.nodeSelector ?? {},
    ...requiredTerms(spec),
  });
  if (!suits || (spec.nodeName !== undefined && spec.nodeName !== node.metadata.name)) {
    return { shouldRun: false, mayStay: false };
  }
  const tolerations = [...(spec.tolerations ?? []), ...ownTolerations].map(
    ({ operator = 'Equal', ...rest }) => ({ operator, ...rest }),
  );
  const kept = (node.spec.taints ?? []).filter(
    ({ key, value = '', effect }) => !tolerates(tolerations, { key, value, effect }),
  );
  return {
    shouldRun: kept.every(({ effect }) => effect === 'PreferNoSchedule'),
    mayStay: kept.every(({ effect }) => effect !== 'NoExecute'),
  };
}

/** The specification of the pod for one node: the scheduler can place it nowhere else. */
export function specForNode(spec: PodSpec, nodeName: string): PodSpec {
  const term: NodeSelectorTerm = {
    matchFields: [{ key: 'metadata.name', operator: 'In', values: [nodeName] }],
  };
  const { nodeName: _given, affinity, tolerations = [], ...rest } = spec;
  const nodeAffinity: NodeAffinity = {
    ...affinity?.nodeAffinity,
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
  };
  return {
    ...rest,
    affinity: { ...affinity, nodeAffinity },
    tolerations: [...tolerations, ...ownTolerations],
  };
}

/** The node that the pod is on or waits for. */
export function nodeNameOf({ spec }: Pod): string | undefined {
  if (spec.nodeName !== undefined) return spec.nodeName;
  const { requiredDuringSchedulingIgnoredDuringExecution: required } =
    spec.affinity?.nodeAffinity ?? {};
  for (const { matchFields = [] } of required?.nodeSelectorTerms ?? []) {
    for (const { key, operator, values = [] } of matchFields) {
      if (key === 'metadata.name' && operator === 'In' && values.length === 1) return values[0];
    }
  }
  return undefined;
}

function traitsOf({ metadata }: Node): NodeTraits {
  return { name: metadata.name, labels: metadata.labels ?? {} };
}

function requiredTerms({
  affinity,
}: PodSpec): Pick<Parameters<typeof nodeSuits>[1], 'nodesRequired'> {
  const { requiredDuringSchedulingIgnoredDuringExecution: required } = affinity?.nodeAffinity ?? {};
  if (required === undefined) return {};
  return {
    nodesRequired: required.nodeSelectorTerms.map(({ matchExpressions = [], matchFields = [] }) => [
      ...matchExpressions.map(({ values = [], ...rest }) => ({
        on: 'label' as const,
        values,
        ...rest,
      })),
      ...matchFields.map(({ values = [], ...rest }) => ({ on: 'name' as const, values, ...rest })),
    ]),
  };
}
