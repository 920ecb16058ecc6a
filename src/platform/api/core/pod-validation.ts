/** What a schema cannot say about a pod's specification. */
import type { FieldError } from '../definition.ts';
import { equalJson } from '../field-errors.ts';
import { compareQuantities, tryParseQuantity } from '../quantity.ts';
import { duplicates } from '../meta/rules.ts';
import type { Container, PodSpec, Toleration } from './pod-types.ts';

/** Rules for a specification as it stands. `field` is its path: `spec` or `spec.template.spec`. */
export function validatePodSpec(spec: PodSpec, field: string): FieldError[] {
  const errors = [
    ...duplicates(
      spec.containers.map((container) => container.name),
      (position) => `${field}.containers[${position}].name`,
    ),
    ...duplicatePortNames(spec, field),
  ];
  for (const [position, container] of spec.containers.entries()) {
    errors.push(...validateContainer(container, `${field}.containers[${position}]`));
  }
  for (const [position, toleration] of (spec.tolerations ?? []).entries()) {
    errors.push(...validateToleration(toleration, `${field}.tolerations[${position}]`));
  }
  return errors;
}

function duplicatePortNames(spec: PodSpec, field: string): FieldError[] {
  const ports = spec.containers.flatMap((container, containerPosition) =>
    (container.ports ?? []).map((port, position) => ({
      name: port.name,
      path: `${field}.containers[${containerPosition}].ports[${position}].name`,
    })),
  );
  return duplicates(
    ports.map((port) => port.name),
    (position) => ports[position]?.path ?? field,
  );
}

function validateContainer(container: Container, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (container.image.trim() !== container.image) {
    errors.push({
      field: `${field}.image`,
      reason: 'FieldValueInvalid',
      message: 'must not have leading or trailing whitespace',
    });
  }
  const { requests = {}, limits = {} } = container.resources ?? {};
  for (const name of ['cpu', 'memory'] as const) {
    const request = tryParseQuantity(requests[name] ?? '0');
    const limit = limits[name] === undefined ? undefined : tryParseQuantity(limits[name]);
    if (request === undefined || limit === undefined) continue;
    if (compareQuantities(request, limit) > 0) {
      errors.push({
        field: `${field}.resources.requests`,
        reason: 'FieldValueInvalid',
        message: `must be less than or equal to ${name} limit of ${limits[name]}`,
      });
    }
  }
  for (const [position, variable] of (container.env ?? []).entries()) {
    if (/[=\0]/u.test(variable.name)) {
      errors.push({
        field: `${field}.env[${position}].name`,
        reason: 'FieldValueInvalid',
        message: 'must not contain "="',
      });
    }
  }
  return errors;
}

function validateToleration(toleration: Toleration, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!toleration.key && toleration.operator !== 'Exists') {
    errors.push({
      field: `${field}.operator`,
      reason: 'FieldValueInvalid',
      message:
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
    });
  }
  if (toleration.operator === 'Exists' && toleration.value) {
    errors.push({
      field: `${field}.value`,
      reason: 'FieldValueInvalid',
      message: 'value must be empty when `operator` is Exists',
    });
  }
  if (toleration.tolerationSeconds !== undefined && toleration.effect !== 'NoExecute') {
    errors.push({
      field: `${field}.effect`,
      reason: 'FieldValueInvalid',
      message: 'effect must be NoExecute when `tolerationSeconds` is set',
    });
  }
  return errors;
}

/**
 * What may change after creation: images, added tolerations, and the node of a
 * pod never. Everything else a node has already acted on.
 */
export function validatePodSpecChange(before: PodSpec, after: PodSpec): FieldError[] {
  const earlier = before.tolerations ?? [];
  const added = (after.tolerations ?? []).filter(
    (toleration) => !earlier.some((old) => equalJson(old, toleration)),
  );
  const kept = (after.tolerations ?? []).length - added.length;
  const comparable: PodSpec = {
    ...after,
    containers: after.containers.map((container, position) => {
      const old = before.containers[position];
      return old === undefined ? container : { ...container, image: old.image };
    }),
  };
  delete comparable.tolerations;
  const previous: PodSpec = { ...before };
  delete previous.tolerations;
  if (kept >= earlier.length && equalJson(previous, comparable)) return [];
  return [
    {
      field: 'spec',
      reason: 'FieldValueForbidden',
      message:
        'pod updates may not change fields other than `spec.containers[*].image` and `spec.tolerations` (only additions to existing tolerations)',
    },
  ];
}
