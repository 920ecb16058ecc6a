/** Conditions on labels, and the pods that a term means. */
import type { SchedulerLabelCondition, SchedulerPodTerm, SchedulerPodTraits } from './types.ts';

type Selected = Pick<SchedulerPodTraits, 'namespace' | 'labels'>;

/** Whether a value, undefined where there is none, is as the condition wants it. */
export function valueHolds(
  value: string | undefined,
  { operator, values }: Omit<SchedulerLabelCondition, 'key'>,
): boolean {
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

export function labelsHold(
  labels: Readonly<Record<string, string>>,
  conditions: readonly SchedulerLabelCondition[],
): boolean {
  return conditions.every((condition) => valueHolds(labelOf(labels, condition.key), condition));
}

export function labelOf(labels: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** Whether the term means the pod. */
export function means({ namespaces, selector }: SchedulerPodTerm, pod: Selected): boolean {
  if (selector === undefined) return false;
  if (namespaces !== 'all' && !namespaces.includes(pod.namespace)) return false;
  return labelsHold(pod.labels, selector);
}
