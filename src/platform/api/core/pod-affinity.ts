/** The schema of wishes about the node that a pod goes to, and the rules for them. */
import { unreachable } from '#base/mod.ts';
import type { FieldError } from '../definition.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '../field-errors.ts';
import { labelValueProblem, qualifiedNameProblem } from '../formats.ts';
import { atomicList, integer, oneOf, record, text } from '../meta/build.ts';
import type { Schema } from '../schema.ts';
import { podAffinitySchema, validatePodAffinity } from './pod-near-pods.ts';
import type {
  Affinity,
  NodeAffinity,
  NodeSelectorRequirement,
  NodeSelectorTerm,
} from './pod-types.ts';

const termsMax = 64;
const requirementsMax = 64;
const valuesMax = 5000;

function requirements(description: string): Schema {
  return atomicList(
    description,
    record(
      'One condition.',
      {
        key: text('What is looked at.', { minLength: 1, maxLength: 317 }),
        operator: oneOf('How it is compared with the values.', [
          'In',
          'NotIn',
          'Exists',
          'DoesNotExist',
          'Gt',
          'Lt',
        ]),
        values: atomicList(
          'At least one for In and NotIn, none for Exists and DoesNotExist, one whole number for Gt and Lt.',
          text('One value.'),
          { maxItems: valuesMax },
        ),
      },
      ['key', 'operator'],
    ),
    { maxItems: requirementsMax },
  );
}

export const nodeSelectorTermSchema: Schema = {
  ...record('Conditions that must all hold. Without any, no node is meant.', {
    matchExpressions: requirements('Conditions on labels of the node.'),
    matchFields: requirements('Conditions on metadata.name of the node.'),
  }),
  'x-kubernetes-map-type': 'atomic',
};

export const affinitySchema: Schema = record('Wishes about the node.', {
  nodeAffinity: record('Wishes about what the node is.', {
    requiredDuringSchedulingIgnoredDuringExecution: {
      ...record(
        'Looked at when the node is chosen, and not again.',
        {
          nodeSelectorTerms: atomicList('One of these must hold.', nodeSelectorTermSchema, {
            minItems: 1,
            maxItems: termsMax,
          }),
        },
        ['nodeSelectorTerms'],
      ),
      'x-kubernetes-map-type': 'atomic',
    },
    preferredDuringSchedulingIgnoredDuringExecution: atomicList(
      'Of nodes that are all possible, those are better for which these weigh more together.',
      record(
        'One preference.',
        {
          weight: integer('How much it counts.', { minimum: 1, maximum: 100 }),
          preference: nodeSelectorTermSchema,
        },
        ['weight', 'preference'],
      ),
      { maxItems: termsMax },
    ),
  }),
  podAffinity: podAffinitySchema('Pods that the pod wants to be near to.'),
  podAntiAffinity: podAffinitySchema('Pods that the pod wants to be away from.'),
});

export function validateAffinity(affinity: Affinity | undefined, field: string): FieldError[] {
  return [
    ...validateNodeAffinity(affinity?.nodeAffinity, field),
    ...validatePodAffinity(affinity?.podAffinity, `${field}.podAffinity`),
    ...validatePodAffinity(affinity?.podAntiAffinity, `${field}.podAntiAffinity`),
  ];
}

function validateNodeAffinity(affinity: NodeAffinity | undefined, field: string): FieldError[] {
  const required = affinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const preferred = affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const path = `${field}.nodeAffinity`;
  const requiredPath = `${path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
  const preferredPath = `${path}.preferredDuringSchedulingIgnoredDuringExecution`;
  return [
    ...(required?.nodeSelectorTerms ?? []).flatMap((one, position) =>
      validateTerm(one, `${requiredPath}[${position}]`),
    ),
    ...preferred.flatMap(({ preference }, position) =>
      validateTerm(preference, `${preferredPath}[${position}].preference`),
    ),
  ];
}

function validateTerm(one: NodeSelectorTerm, field: string): FieldError[] {
  const expressions = (one.matchExpressions ?? []).flatMap((requirement, position) => {
    const path = `${field}.matchExpressions[${position}]`;
    const problem = qualifiedNameProblem(requirement.key);
    return [
      ...(problem === undefined ? [] : [fieldInvalid(`${path}.key`, requirement.key, problem)]),
      ...validateValues(requirement, path),
    ];
  });
  const fields = (one.matchFields ?? []).flatMap((requirement, position) => {
    const path = `${field}.matchFields[${position}]`;
    const { key, operator, values = [] } = requirement;
    if (key !== 'metadata.name') {
      return [fieldInvalid(`${path}.key`, key, 'must be metadata.name')];
    }
    if ((operator === 'In' || operator === 'NotIn') && values.length === 1) return [];
    return [fieldRequired(`${path}.values`, 'must be one name, with operator In or NotIn')];
  });
  return [...expressions, ...fields];
}

function validateValues(requirement: NodeSelectorRequirement, field: string): FieldError[] {
  const { operator, values = [] } = requirement;
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) {
        return [fieldRequired(`${field}.values`, `must be given with operator ${operator}`)];
      }
      return values.flatMap((value, position) => {
        const problem = labelValueProblem(value);
        const path = `${field}.values[${position}]`;
        return problem === undefined ? [] : [fieldInvalid(path, value, problem)];
      });
    case 'Exists':
    case 'DoesNotExist':
      return values.length === 0
        ? []
        : [fieldForbidden(`${field}.values`, `may not be given with operator ${operator}`)];
    case 'Gt':
    case 'Lt':
      return values.length === 1 && /^-?[0-9]{1,15}$/.test(values[0] ?? '')
        ? []
        : [fieldRequired(`${field}.values`, `must be one whole number with ${operator}`)];
    default:
      return unreachable(operator);
  }
}
