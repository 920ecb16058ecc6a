/**
 * The rules for `metadata` that hold for every kind and that a schema cannot say.
 * Runs on an object that satisfies its schema, which checks the single values.
 */
import type { FieldError, ResourceDefinition, ValidationContext } from './definition.ts';
import { wallMsOf } from './age-text.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldRequired,
  fieldTooLong,
  indexPath,
} from './field-errors.ts';
import {
  byteLengthOf,
  dnsLabelProblem,
  dnsSubdomainLengthMax,
  dnsSubdomainProblem,
  labelValueProblem,
  pathSegmentProblem,
  qualifiedNameProblem,
} from './formats.ts';
import type { ApiObject, ObjectMeta, OwnerReference } from './object.ts';

/** Of all keys and values of metadata.annotations together. */
export const annotationsBytesMax = 256 * 1024;
const labelsMax = 1_000;
const finalizersMax = 100;
const ownerReferencesMax = 100;

/** The finalizers that need no prefix, because Kubernetes itself defines them. */
const unprefixedFinalizers = [
  'foregroundDeletion',
  'orphan',
  'kubernetes',
  'customresourcecleanup.apiextensions.k8s.io',
];

export function validateMetadata(
  definition: ResourceDefinition,
  object: ApiObject,
  context: ValidationContext,
): FieldError[] {
  const { metadata } = object;
  return [
    ...nameErrors(definition, metadata),
    ...labelErrors(metadata.labels ?? {}),
    ...annotationErrors(metadata.annotations ?? {}),
    ...finalizerErrors(definition, metadata, context.previous?.metadata),
    ...ownerReferenceErrors(metadata.ownerReferences ?? []),
  ];
}

function nameErrors(definition: ResourceDefinition, metadata: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  const { name, generateName, namespace } = metadata;
  const nameProblem =
    definition.nameForm === 'path-segment' ? pathSegmentProblem : dnsSubdomainProblem;
  if (name === '' || name === undefined) {
    errors.push(fieldRequired('metadata.name', 'name or generateName must be given'));
  } else {
    const problem = nameProblem(name);
    if (problem !== undefined) errors.push(fieldInvalid('metadata.name', name, problem));
  }
  if (generateName !== undefined && generateName !== '') {
    // A dash at its end is what most write; the suffix that follows makes it a name.
    const problem = nameProblem(`${generateName}x`.slice(0, dnsSubdomainLengthMax));
    if (problem !== undefined) {
      errors.push(fieldInvalid('metadata.generateName', generateName, problem));
    }
  }
  if (!definition.namespaced) {
    if (namespace !== undefined && namespace !== '') {
      errors.push(
        fieldForbidden('metadata.namespace', `${definition.kind} objects live in no namespace`),
      );
    }
  } else if (namespace === undefined || namespace === '') {
    errors.push(fieldRequired('metadata.namespace', 'this kind lives in a namespace'));
  } else {
    const problem = dnsLabelProblem(namespace);
    if (problem !== undefined) errors.push(fieldInvalid('metadata.namespace', namespace, problem));
  }
  return errors;
}

/** Also for labels elsewhere, such as those of a pod template. */
export function labelErrors(
  labels: Readonly<Record<string, string>>,
  field = 'metadata.labels',
): FieldError[] {
  const names = Object.keys(labels);
  if (names.length > labelsMax)
    return [fieldTooLong(field, `must have at most ${labelsMax} labels`)];
  const errors: FieldError[] = [];
  for (const name of names) {
    const keyProblem = qualifiedNameProblem(name);
    if (keyProblem !== undefined) errors.push(fieldInvalid(field, name, keyProblem));
    const value = labels[name] ?? '';
    const valueProblem = labelValueProblem(value);
    if (valueProblem !== undefined)
      errors.push(fieldInvalid(`${field}[${name}]`, value, valueProblem));
  }
  return errors;
}

function annotationErrors(annotations: Readonly<Record<string, string>>): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [name, value] of Object.entries(annotations)) {
    bytes += byteLengthOf(name) + byteLengthOf(value);
    // Keys of annotations may be written in capitals, unlike those of labels.
    const problem = qualifiedNameProblem(name.toLowerCase());
    if (problem !== undefined) errors.push(fieldInvalid('metadata.annotations', name, problem));
  }
  if (bytes > annotationsBytesMax) {
    const limit = `all annotations together have ${bytes} bytes and must have at most ${annotationsBytesMax}`;
    errors.push(fieldTooLong('metadata.annotations', limit));
  }
  return errors;
}

function finalizerErrors(
  { declared }: ResourceDefinition,
  metadata: ObjectMeta,
  previous: ObjectMeta | undefined,
): FieldError[] {
  const field = 'metadata.finalizers';
  const finalizers = metadata.finalizers ?? [];
  if (finalizers.length > finalizersMax) {
    return [fieldTooLong(field, `must have at most ${finalizersMax} entries`)];
  }
  const errors: FieldError[] = [];
  for (const [index, finalizer] of finalizers.entries()) {
    const at = indexPath(field, index);
    const problem = qualifiedNameProblem(finalizer);
    if (problem !== undefined) errors.push(fieldInvalid(at, finalizer, problem));
    // Those who declare kinds have names of their own, such as resources-finalizer.example.com.
    else if (
      declared === undefined &&
      !finalizer.includes('/') &&
      !unprefixedFinalizers.includes(finalizer)
    ) {
      errors.push(fieldInvalid(at, finalizer, 'must have a prefix (such as example.com/my-work)'));
    }
  }
  const isBeingDeleted = previous?.deletionTimestamp !== undefined;
  const added = finalizers.filter((finalizer) => !previous?.finalizers?.includes(finalizer));
  if (isBeingDeleted && added.length > 0) {
    errors.push(
      fieldForbidden(
        field,
        `the object is being deleted: ${added.join(', ')} cannot be added any more`,
      ),
    );
  }
  return errors;
}

function ownerReferenceErrors(references: readonly OwnerReference[]): FieldError[] {
  const field = 'metadata.ownerReferences';
  if (references.length > ownerReferencesMax) {
    return [fieldTooLong(field, `must have at most ${ownerReferencesMax} entries`)];
  }
  const errors: FieldError[] = [];
  const uids = new Set<string>();
  let controllers = 0;
  for (const [index, reference] of references.entries()) {
    const at = indexPath(field, index);
    for (const name of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (reference[name] === '') errors.push(fieldRequired(`${at}.${name}`, 'must not be empty'));
    }
    if (uids.has(reference.uid)) errors.push(fieldDuplicate(`${at}.uid`, reference.uid));
    uids.add(reference.uid);
    if (reference.controller === true) controllers += 1;
    if (reference.controller === true && controllers === 2) {
      errors.push(fieldInvalid(`${at}.controller`, true, 'only one owner can be the controller'));
    }
  }
  return errors;
}

const setByServer = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
] as const;

/**
 * What an update may not change. A field that the update leaves out counts as
 * unchanged, so that a manifest without system metadata is a valid update.
 */
export function immutableMetadataErrors(previous: ObjectMeta, next: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  for (const name of ['name', 'namespace', ...setByServer] as const) {
    const value = next[name];
    if (value === undefined || value === '' || isSame(name, previous[name], value)) {
      continue;
    }
    const how = name.startsWith('deletion') ? '; it is set by deleting the object' : '';
    errors.push(fieldInvalid(`metadata.${name}`, value, `field is immutable${how}`));
  }
  return errors;
}

/** Instants count by the second, as they are kept: typed clients send them with more places. */
function isSame(name: string, before: unknown, value: unknown): boolean {
  if (before === value) return true;
  if (!name.endsWith('Timestamp') || typeof before !== 'string' || typeof value !== 'string') {
    return false;
  }
  const [beforeMs, valueMs] = [wallMsOf(before), wallMsOf(value)];
  if (beforeMs === undefined || valueMs === undefined) return false;
  return Math.floor(beforeMs / 1_000) === Math.floor(valueMs / 1_000);
}
