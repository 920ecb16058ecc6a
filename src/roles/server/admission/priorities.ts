/** How important a pod is, from its PriorityClass; and that at most one class is the default. */
import { type Pod, type PriorityClass, resourceName, resources } from '#platform/api/mod.ts';
import { isPod } from '../departure.ts';
import { forbiddenError } from './forbidden.ts';
import type { AdmissionRequest, AdmissionState, Admitter } from './types.ts';

const priorityClasses = resourceName(resources.priorityClasses);

export const podPriority: Admitter = {
  name: 'Priority',
  concerns: isPod,
  operations: ['create', 'update'],
  shape(object, request, state) {
    const { spec } = object as Pod;
    if (request.operation === 'update') {
      // A body that is made from the manifest says nothing of what came from the class.
      const before = (request.previous as Pod).spec;
      if (before.priority !== undefined) spec.priority ??= before.priority;
      if (before.preemptionPolicy !== undefined) spec.preemptionPolicy ??= before.preemptionPolicy;
      return undefined;
    }
    const found = classFor(object as Pod, request, state);
    const value = found?.value ?? 0;
    const policy = found?.preemptionPolicy ?? 'PreemptLowerPriority';
    const { priority, preemptionPolicy } = spec;
    if (priority !== undefined && priority !== value) {
      throw forbiddenError(
        request.definition,
        request.name,
        `the integer value of priority (${priority}) must not be provided in pod spec; ` +
          `priority admission controller computed ${value} from the given PriorityClass name`,
      );
    }
    if (preemptionPolicy !== undefined && preemptionPolicy !== policy) {
      throw forbiddenError(
        request.definition,
        request.name,
        `the string value of PreemptionPolicy (${preemptionPolicy}) must not be provided in pod spec; ` +
          `priority admission controller computed ${policy} from the given PriorityClass name`,
      );
    }
    if (found === undefined) return undefined;
    spec.priorityClassName = found.metadata.name;
    spec.priority = value;
    spec.preemptionPolicy = policy;
    return { isChanged: true };
  },
};

/** The class that the pod names, else the one that is the default. */
function classFor(
  { spec }: Pod,
  { definition, name }: AdmissionRequest,
  { get, list }: AdmissionState,
): PriorityClass | undefined {
  const { priorityClassName } = spec;
  if (priorityClassName !== undefined && priorityClassName !== '') {
    const named = get(priorityClasses, '', priorityClassName);
    if (named !== undefined) return named as PriorityClass;
    const why = `no PriorityClass with name ${priorityClassName} was found`;
    throw forbiddenError(definition, name, why);
  }
  const defaults = (list(priorityClasses) as readonly PriorityClass[]).filter(
    ({ globalDefault }) => globalDefault === true,
  );
  // Two there cannot be; should there be, the lesser does less.
  return defaults.toSorted((left, right) => left.value - right.value)[0];
}

export const onlyDefaultPriority: Admitter = {
  name: 'PriorityDefault',
  concerns: (definition) => resourceName(definition) === priorityClasses,
  operations: ['create', 'update'],
  check({ definition, name, object }, { list }) {
    if ((object as PriorityClass).globalDefault !== true) return undefined;
    const other = (list(priorityClasses) as readonly PriorityClass[]).find(
      ({ metadata, globalDefault }) => globalDefault === true && metadata.name !== name,
    );
    if (other === undefined) return undefined;
    const why = `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`;
    throw forbiddenError(definition, name, why);
  },
};
