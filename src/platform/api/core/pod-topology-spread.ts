/** How evenly pods are to be spread over places: the schema and the rules for it. */
import type { FieldError } from '../definition.ts';
import { fieldDuplicate, fieldInvalid } from '../field-errors.ts';
import { qualifiedNameProblem } from '../formats.ts';
import { integer, keyedList, oneOf, record, text } from '../meta/build.ts';
import { labelSelectorSchema } from '../meta/label-selector.ts';
import { labelSelectorErrors } from '../selectors.ts';
import { labelKeys, validateLabelKeys } from './pod-near-pods.ts';
import type { TopologySpreadConstraint } from './pod-types.ts';

const constraintsMax = 16;

export const topologySpreadSchema = keyedList(
  'How evenly pods like this one are to be spread over places.',
  ['topologyKey', 'whenUnsatisfiable'],
  record(
    'One rule. All rules hold together.',
    {
      maxSkew: integer('By how many pods a place may exceed the one with the fewest.', {
        minimum: 1,
      }),
      topologyKey: text('Nodes with the same value of this label are one place.', {
        minLength: 1,
      }),
      whenUnsatisfiable: oneOf(
        'DoNotSchedule: the pod waits. ScheduleAnyway: nodes that keep the spread more even are better.',
        ['DoNotSchedule', 'ScheduleAnyway'],
      ),
      labelSelector: labelSelectorSchema(
        "Selects the pods that are counted, in the pod's namespace.",
      ),
      minDomains: integer(
        'With fewer places than this, the place with the fewest counts as empty.',
        { minimum: 1 },
      ),
      nodeAffinityPolicy: oneOf(
        'Honor (where not given): only nodes that the pod may go to by its selector and affinity count.',
        ['Honor', 'Ignore'],
      ),
      nodeTaintsPolicy: oneOf(
        'Honor: only nodes whose taints the pod tolerates count. Ignore (where not given): all.',
        ['Honor', 'Ignore'],
      ),
      matchLabelKeys: labelKeys('Labels in which counted pods must be equal to the pod.'),
    },
    ['maxSkew', 'topologyKey', 'whenUnsatisfiable'],
  ),
  { maxItems: constraintsMax },
);

export function validateTopologySpread(
  constraints: readonly TopologySpreadConstraint[] = [],
  field: string,
): FieldError[] {
  const seen = new Set<string>();
  return constraints.flatMap((constraint, position) => {
    const path = `${field}[${position}]`;
    const { topologyKey, whenUnsatisfiable, labelSelector, minDomains } = constraint;
    const errors = [
      ...(labelSelector === undefined
        ? []
        : labelSelectorErrors(labelSelector, `${path}.labelSelector`)),
      ...validateLabelKeys(constraint, labelSelector, path),
    ];
    const problem = qualifiedNameProblem(topologyKey);
    if (problem !== undefined) {
      errors.push(fieldInvalid(`${path}.topologyKey`, topologyKey, problem));
    }
    if (minDomains !== undefined && whenUnsatisfiable !== 'DoNotSchedule') {
      const mend = 'can only be given together with whenUnsatisfiable=DoNotSchedule';
      errors.push(fieldInvalid(`${path}.minDomains`, minDomains, mend));
    }
    const pair = `{${topologyKey}, ${whenUnsatisfiable}}`;
    if (seen.has(pair)) {
      errors.push(fieldDuplicate(`${path}.{topologyKey, whenUnsatisfiable}`, pair));
    }
    seen.add(pair);
    return errors;
  });
}
