/** Wishes about the pods that share a place with this one: their schema and the rules for them. */
import type { FieldError } from '../definition.ts';
import { fieldInvalid, fieldRequired } from '../field-errors.ts';
import { dnsLabelProblem, qualifiedNameProblem } from '../formats.ts';
import { atomicList, integer, record, text } from '../meta/build.ts';
import { type LabelSelector, labelSelectorSchema } from '../meta/label-selector.ts';
import type { Schema } from '../schema.ts';
import { labelSelectorErrors } from '../selectors.ts';
import type { PodAffinity, PodAffinityTerm } from './pod-types.ts';

const termsMax = 64;
const namespacesMax = 256;
export const labelKeysMax = 16;

const term = record(
  'Which pods are meant, and what counts as one place.',
  {
    labelSelector: labelSelectorSchema('Selects pods by their labels; none where not given.'),
    namespaces: atomicList(
      "Namespaces of the pods that are meant; the pod's own where nothing says otherwise.",
      text('Name of a namespace.'),
      { maxItems: namespacesMax },
    ),
    namespaceSelector: labelSelectorSchema(
      'Selects further namespaces by their labels; an empty one selects all.',
    ),
    topologyKey: text('Nodes with the same value of this label are one place.', { minLength: 1 }),
    matchLabelKeys: labelKeys('Labels in which the others must be equal to the pod.'),
    mismatchLabelKeys: labelKeys('Labels in which the others must differ from the pod.'),
  },
  ['topologyKey'],
);

export function labelKeys(description: string): Schema {
  return atomicList(description, text('Key of a label.', { format: 'qualified-name' }), {
    maxItems: labelKeysMax,
  });
}

/** `description` says whether being near or being away is wanted. */
export function podAffinitySchema(description: string): Schema {
  return record(description, {
    requiredDuringSchedulingIgnoredDuringExecution: atomicList(
      'All must hold when the node is chosen; not looked at again.',
      term,
      { maxItems: termsMax },
    ),
    preferredDuringSchedulingIgnoredDuringExecution: atomicList(
      'Of nodes that are all possible, those are better for which these weigh more together.',
      record(
        'One preference.',
        {
          weight: integer('How much it counts.', { minimum: 1, maximum: 100 }),
          podAffinityTerm: term,
        },
        ['weight', 'podAffinityTerm'],
      ),
      { maxItems: termsMax },
    ),
  });
}

export function validatePodAffinity(
  affinity: PodAffinity | undefined,
  field: string,
): FieldError[] {
  const required = affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const preferred = affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return [
    ...required.flatMap((one, position) =>
      validateTerm(one, `${field}.requiredDuringSchedulingIgnoredDuringExecution[${position}]`),
    ),
    ...preferred.flatMap(({ podAffinityTerm }, position) =>
      validateTerm(
        podAffinityTerm,
        `${field}.preferredDuringSchedulingIgnoredDuringExecution[${position}].podAffinityTerm`,
      ),
    ),
  ];
}

function validateTerm(one: PodAffinityTerm, field: string): FieldError[] {
  const { labelSelector, namespaceSelector, namespaces = [], topologyKey } = one;
  const problem = qualifiedNameProblem(topologyKey);
  return [
    ...(problem === undefined ? [] : [fieldInvalid(`${field}.topologyKey`, topologyKey, problem)]),
    ...selectorErrors(labelSelector, `${field}.labelSelector`),
    ...selectorErrors(namespaceSelector, `${field}.namespaceSelector`),
    ...namespaces.flatMap((name, position) => {
      const wrong = dnsLabelProblem(name);
      const path = `${field}.namespaces[${position}]`;
      return wrong === undefined ? [] : [fieldInvalid(path, name, wrong)];
    }),
    ...validateLabelKeys(one, labelSelector, field),
  ];
}

function selectorErrors(selector: LabelSelector | undefined, field: string): FieldError[] {
  return selector === undefined ? [] : labelSelectorErrors(selector, field);
}

/** Keys that stand for a condition beside the selector: none may be in both, or without one. */
export function validateLabelKeys(
  keys: Pick<PodAffinityTerm, 'matchLabelKeys' | 'mismatchLabelKeys'>,
  selector: LabelSelector | undefined,
  field: string,
): FieldError[] {
  const { matchLabelKeys = [], mismatchLabelKeys = [] } = keys;
  const both = mismatchLabelKeys.filter((key) => matchLabelKeys.includes(key));
  if (selector === undefined && matchLabelKeys.length + mismatchLabelKeys.length > 0) {
    return [fieldRequired(`${field}.labelSelector`, 'must be given together with label keys')];
  }
  return both.map((key) =>
    fieldInvalid(`${field}.mismatchLabelKeys`, key, 'exists in both matchLabelKeys and this list'),
  );
}
