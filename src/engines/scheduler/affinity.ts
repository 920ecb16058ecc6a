/** Which nodes a pod wants or prefers by what they are. */
import { labelOf, valueHolds } from './labels.ts';
import type {
  SchedulerNode,
  SchedulerNodeCondition,
  SchedulerNodeTerm,
  SchedulerPod,
} from './types.ts';

/** What of a node its selection looks at. */
export type NodeTraits = Pick<SchedulerNode, 'name' | 'labels'>;

/** Whether the node may have the pod. */
function isWanted(
  node: NodeTraits,
  { nodesRequired }: Pick<SchedulerPod, 'nodesRequired'>,
): boolean {
  return nodesRequired === undefined || nodesRequired.some((term) => termHolds(node, term));
}

/** Whether the node is one that the pod's selector and its required affinity name. */
export function nodeSuits(
  node: NodeTraits,
  pod: Pick<SchedulerPod, 'nodeSelector' | 'nodesRequired'>,
): boolean {
  const { nodeSelector } = pod;
  const hasLabels = Object.keys(nodeSelector).every(
    (key) => Object.hasOwn(node.labels, key) && node.labels[key] === nodeSelector[key],
  );
  return hasLabels && isWanted(node, pod);
}

/** The sum of the weights of the preferences that hold. */
export function preferenceFor(node: SchedulerNode, { nodesPreferred = [] }: SchedulerPod): number {
  let sum = 0;
  for (const { weight, term } of nodesPreferred) if (termHolds(node, term)) sum += weight;
  return sum;
}

function termHolds(node: NodeTraits, term: SchedulerNodeTerm): boolean {
  return term.length > 0 && term.every((condition) => conditionHolds(node, condition));
}

function conditionHolds(node: NodeTraits, condition: SchedulerNodeCondition): boolean {
  const { on, key } = condition;
  return valueHolds(on === 'name' ? node.name : labelOf(node.labels, key), condition);
}
