/** What a schema cannot say about variables and about fields of a pod that others refer to. */
import type { FieldError } from '../definition.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '../field-errors.ts';
import { qualifiedNameProblem } from '../formats.ts';
import { milliUnitsOf, tryParseQuantity } from '../quantity.ts';
import type {
  EnvironmentSource,
  EnvironmentVariable,
  FieldReference,
  ResourceFieldReference,
} from './pod-types.ts';

const variablePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;
const prefixPattern = /^[A-Za-z_][A-Za-z0-9_]*$|^$/;
const variableRule =
  "must consist of letters, digits and '_', and not start with a digit (such as 'MY_NAME1')";
const valueSources = ['configMapKeyRef', 'secretKeyRef', 'fieldRef', 'resourceFieldRef'] as const;

/** Whether a program can be given a variable of that name. */
export function isVariableName(name: string): boolean {
  return variablePattern.test(name);
}

export function validateEnvironment(
  variables: readonly EnvironmentVariable[],
  field: string,
): FieldError[] {
  return variables.flatMap((variable, position) => {
    const path = `${field}[${position}]`;
    const errors: FieldError[] = [];
    if (!isVariableName(variable.name)) {
      errors.push(fieldInvalid(`${path}.name`, variable.name, variableRule));
    }
    const { value = '', valueFrom } = variable;
    if (value.includes('\0')) {
      errors.push(fieldInvalid(`${path}.value`, value, 'must not hold a NUL'));
    }
    if (valueFrom === undefined) return errors;
    const given = valueSources.filter((source) => valueFrom[source] !== undefined);
    if (given.length !== 1) {
      const why = `must have exactly one of ${valueSources.join(', ')}`;
      errors.push(fieldRequired(`${path}.valueFrom`, why));
    }
    if (value !== '') {
      errors.push(fieldForbidden(`${path}.valueFrom`, 'may not be given together with `value`'));
    }
    const { fieldRef, resourceFieldRef } = valueFrom;
    if (fieldRef !== undefined) {
      errors.push(...validateFieldReference(fieldRef, 'variable', `${path}.valueFrom.fieldRef`));
    }
    if (resourceFieldRef !== undefined) {
      const at = `${path}.valueFrom.resourceFieldRef`;
      errors.push(...validateDivisor(resourceFieldRef, at));
    }
    return errors;
  });
}

export function validateEnvironmentSources(
  sources: readonly EnvironmentSource[],
  field: string,
): FieldError[] {
  return sources.flatMap((source, position) => {
    const path = `${field}[${position}]`;
    const errors: FieldError[] = [];
    if ((source.configMapRef === undefined) === (source.secretRef === undefined)) {
      errors.push(fieldRequired(path, 'must have exactly one of configMapRef, secretRef'));
    }
    if (!prefixPattern.test(source.prefix ?? '')) {
      errors.push(fieldInvalid(`${path}.prefix`, source.prefix, variableRule));
    }
    return errors;
  });
}

const fieldsAnywhere = ['metadata.name', 'metadata.namespace', 'metadata.uid'];
const fieldsOfVariables = [
  ...fieldsAnywhere,
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const fieldsOfFiles = [...fieldsAnywhere, 'metadata.labels', 'metadata.annotations'];

/** `metadata.labels['app']`: the field, and the key in it. */
export function keyedField(
  fieldPath: string,
): { readonly field: 'labels' | 'annotations'; readonly key: string } | undefined {
  const match = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(fieldPath);
  const [, field, key] = match ?? [];
  return key === undefined ? undefined : { field: field as 'labels' | 'annotations', key };
}

export function validateFieldReference(
  { fieldPath }: FieldReference,
  use: 'variable' | 'file',
  field: string,
): FieldError[] {
  const known = use === 'variable' ? fieldsOfVariables : fieldsOfFiles;
  const keyed = keyedField(fieldPath);
  if (keyed !== undefined) {
    const problem = qualifiedNameProblem(keyed.key.toLowerCase());
    return problem === undefined ? [] : [fieldInvalid(`${field}.fieldPath`, fieldPath, problem)];
  }
  if (known.includes(fieldPath)) return [];
  const choices = [...known, "metadata.labels['KEY']", "metadata.annotations['KEY']"];
  return [fieldInvalid(`${field}.fieldPath`, fieldPath, `must be one of ${choices.join(', ')}`)];
}

export function validateDivisor(reference: ResourceFieldReference, field: string): FieldError[] {
  const { divisor = '0' } = reference;
  const quantity = tryParseQuantity(divisor);
  if (quantity !== undefined && !String(divisor).startsWith('-')) {
    const isOfProcessors = reference.resource.endsWith('.cpu');
    const milli = milliUnitsOf(quantity);
    if (milli === 0 || isOfProcessors || milli >= 1_000) return [];
    return [fieldInvalid(`${field}.divisor`, divisor, 'must be 1 or more for bytes (such as 1Mi)')];
  }
  return [fieldInvalid(`${field}.divisor`, divisor, 'must be a positive quantity')];
}
