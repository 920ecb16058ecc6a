/** Which nodes a pod wants or prefers by what they are. */
import type {
  SchedulerNode,
  SchedulerNodeCondition,
  SchedulerNodeTerm,
  SchedulerPod,
} from './types.ts';

/** Whether the node may have the pod. */
export function isWanted(node: SchedulerNode, { nodesRequired }: SchedulerPod): boolean {
  return nodesRequired === undefined || nodesRequired.some((term) => termHolds(node, term));
}

/** The sum of the weights of the preferences that hold. */
export function preferenceFor(node: SchedulerNode, { nodesPreferred = [] }: SchedulerPod): number {
  let sum = 0;
  for (const { weight, term } of nodesPreferred) if (termHolds(node, term)) sum += weight;
  return sum;
}

function termHolds(node: SchedulerNode, term: SchedulerNodeTerm): boolean {
  return term.length > 0 && term.every((condition) => conditionHolds(node, condition));
}

function conditionHolds(
  node: SchedulerNode,
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
