/** Which nodes a pod wants or prefers by what they are. */
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

function conditionHolds(
  node: NodeTraits,
  { on, key, operator, values }: SchedulerNodeCondition,
): boolean {
  const label = Object.hasOwn(node.labels, key) ? node.labels[key] : undefined;
  const value = on === 'name' ? node.name : label;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      if (value === undefined || !/^-?[0-9]{1,15}$/.test(value)) return false;
      const difference = Number(value) - Number(values[0]);
      return operator === 'Gt' ? difference > 0 : difference < 0;
    }
    default:
      return false;
  }
}
