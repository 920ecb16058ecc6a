/** What a CustomResourceDefinition must be beyond its own schema. */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import type { FieldError, ValidationContext } from '../definition.ts';
import {
  childPath,
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  indexPath,
} from '../field-errors.ts';
import { dnsLabelProblem, dnsSubdomainProblem } from '../formats.ts';
import { immutable } from '../meta/rules.ts';
import type { ApiObject } from '../object.ts';
import { applySchemaDefaults, findUnknownFields } from '../schema-fields.ts';
import type { Schema } from '../schema.ts';
import { validateAgainstSchema } from '../validate.ts';
import { compileRules } from './cel-rules.ts';
import { compileRootSchema } from './compile-schema.ts';
import { fieldNamesOf, parseJsonPath } from './json-path.ts';
import { isOneOf, propertiesOf, structuralErrors } from './structural-schema.ts';
import {
  type CustomResourceDefinition,
  type CustomResourceVersion,
  isConditionTrue,
} from './types.ts';

/** Groups whose kinds come with the program. */
const ownGroupSuffix = 'selvage.dev';
const protectedSuffixes = ['k8s.io', 'kubernetes.io'];
const approvalAnnotation = 'api-approved.kubernetes.io';

export function validateCustomResourceDefinition(
  object: ApiObject,
  { operation, previous }: ValidationContext,
): readonly FieldError[] {
  const definition = object as CustomResourceDefinition;
  const before = previous as CustomResourceDefinition | undefined;
  // Only the desired state is judged again where only that may have changed.
  const isSpecSame =
    before !== undefined && JSON.stringify(before.spec) === JSON.stringify(definition.spec);
  return [
    ...nameErrors(definition),
    ...groupErrors(definition),
    ...conversionErrors(definition),
    ...versionErrors(definition),
    ...(isSpecSame ? [] : definition.spec.versions.flatMap(versionContentErrors)),
    ...(operation === 'update' && before !== undefined ? changeErrors(before, definition) : []),
  ];
}

function nameErrors({ metadata, spec }: CustomResourceDefinition): FieldError[] {
  const errors: FieldError[] = [];
  const { plural, singular, kind, listKind, shortNames = [], categories = [] } = spec.names;
  const expected = `${plural}.${spec.group}`;
  if (metadata.name !== expected) {
    errors.push(
      fieldInvalid(
        'metadata.name',
        metadata.name,
        `must be spec.names.plural+"."+spec.group: ${expected}`,
      ),
    );
  }
  const label = (field: string, value: string | undefined): void => {
    const problem = value === undefined ? undefined : dnsLabelProblem(value.toLowerCase());
    if (problem !== undefined) errors.push(fieldInvalid(field, value, problem));
  };
  const lower = (field: string, value: string | undefined): void => {
    const problem = value === undefined ? undefined : dnsLabelProblem(value);
    if (problem !== undefined) errors.push(fieldInvalid(field, value, problem));
  };
  lower('spec.names.plural', plural);
  lower('spec.names.singular', singular);
  label('spec.names.kind', kind);
  label('spec.names.listKind', listKind);
  for (const [position, name] of shortNames.entries()) {
    lower(indexPath('spec.names.shortNames', position), name);
  }
  for (const [position, name] of categories.entries()) {
    lower(indexPath('spec.names.categories', position), name);
  }
  if (listKind !== undefined && listKind === kind) {
    errors.push(fieldInvalid('spec.names.listKind', listKind, 'must differ from the kind'));
  }
  return errors;
}

function groupErrors({ metadata, spec }: CustomResourceDefinition): FieldError[] {
  const { group } = spec;
  const problem = dnsSubdomainProblem(group);
  if (problem !== undefined) return [fieldInvalid('spec.group', group, problem)];
  if (!group.includes('.')) {
    return [fieldInvalid('spec.group', group, 'must be a domain with at least one dot')];
  }
  const isBelow = (suffix: string): boolean => group === suffix || group.endsWith(`.${suffix}`);
  if (group === ownGroupSuffix) {
    return [
      fieldForbidden('spec.group', `${ownGroupSuffix} is the group of the program's own kinds`),
    ];
  }
  if (!protectedSuffixes.some(isBelow)) return [];
  const approval = metadata.annotations?.[approvalAnnotation] ?? '';
  if (/^(?:https?:\/\/\S+|unapproved.*)$/.test(approval)) return [];
  return [
    fieldRequired(
      `metadata.annotations[${approvalAnnotation}]`,
      'protected groups (*.k8s.io, *.kubernetes.io) need it: a link to the approval, or unapproved and why',
    ),
  ];
}

function conversionErrors({ spec }: CustomResourceDefinition): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.conversion?.strategy === 'Webhook') {
    errors.push(
      fieldForbidden(
        'spec.conversion.strategy',
        'conversion by a webhook is not supported: use None, with versions that differ in no more than what may be left out',
      ),
    );
  } else if (spec.conversion?.webhook !== undefined) {
    errors.push(
      fieldForbidden('spec.conversion.webhook', 'must not be set with the strategy None'),
    );
  }
  if (spec.preserveUnknownFields === true) {
    errors.push(
      fieldInvalid(
        'spec.preserveUnknownFields',
        true,
        'cannot be true in v1: set x-kubernetes-preserve-unknown-fields: true in the schema where fields are to be kept',
      ),
    );
  }
  return errors;
}

function versionErrors({ spec, status }: CustomResourceDefinition): FieldError[] {
  const errors: FieldError[] = [];
  const names = spec.versions.map(({ name }) => name);
  for (const [position, name] of names.entries()) {
    const field = `${indexPath('spec.versions', position)}.name`;
    const problem = dnsLabelProblem(name);
    if (problem !== undefined) errors.push(fieldInvalid(field, name, problem));
    if (names.indexOf(name) < position) errors.push(fieldDuplicate(field, name));
  }
  const stored = spec.versions.filter(({ storage }) => storage);
  if (stored.length !== 1) {
    errors.push(
      fieldInvalid(
        'spec.versions',
        spec.versions,
        `must have exactly one version marked as storage version, not ${stored.length}`,
      ),
    );
  }
  for (const [position, name] of (status?.storedVersions ?? []).entries()) {
    if (names.includes(name)) continue;
    const what = 'must appear in spec.versions: objects may still be stored in it';
    errors.push(fieldInvalid(indexPath('status.storedVersions', position), name, what));
  }
  return errors;
}

function versionContentErrors(version: CustomResourceVersion, position: number): FieldError[] {
  const path = indexPath('spec.versions', position);
  const schema = version.schema?.openAPIV3Schema;
  const at = `${path}.schema.openAPIV3Schema`;
  const found = structuralErrors(schema, at);
  // A schema that is not structural cannot be compiled, and the rest reads it.
  if (found.length > 0 || schema === undefined) return [...found];
  return [
    ...defaultErrors(schema, at),
    ...compileRules(schema, at).errors,
    ...columnErrors(version, path),
    ...subresourceErrors(version, path, schema),
    ...selectableErrors(version, path, schema),
    ...(version.deprecationWarning !== undefined && version.deprecated !== true
      ? [fieldInvalid(`${path}.deprecationWarning`, '', 'can only be set for deprecated versions')]
      : []),
  ];
}

/** Defaults are what the schema would let through, and nothing more. */
function defaultErrors(schema: JsonObject, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const visit = (node: Schema, path: string): void => {
    if (node.default !== undefined && !(node.default === null && node.nullable === true)) {
      const field = `${path}.default`;
      const whole = applySchemaDefaults(node, node.default);
      errors.push(...validateAgainstSchema(node, whole, { path: field }));
      for (const unknown of findUnknownFields(node, node.default)) {
        errors.push(fieldForbidden(childPath(field, unknown.path), 'the schema has no such field'));
      }
    }
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      visit(child, `${path}.properties[${name}]`);
    }
    if (node.items !== undefined) visit(node.items, `${path}.items`);
    if (node.additionalProperties !== undefined) {
      visit(node.additionalProperties, `${path}.additionalProperties`);
    }
  };
  visit(compileRootSchema(schema), at);
  for (const name of ['apiVersion', 'kind', 'metadata']) {
    const own = propertiesOf(schema)[name];
    if (!isJsonObject(own) || !Object.hasOwn(own, 'default')) continue;
    errors.push(fieldForbidden(`${at}.properties[${name}].default`, 'must not be set'));
  }
  return errors;
}

const columnTypes = ['string', 'integer', 'number', 'boolean', 'date'];

function columnErrors({ additionalPrinterColumns = [] }: CustomResourceVersion, path: string) {
  return additionalPrinterColumns.flatMap(({ type, jsonPath }, position) => {
    const at = indexPath(`${path}.additionalPrinterColumns`, position);
    const parsed = parseJsonPath(jsonPath);
    return [
      ...(columnTypes.includes(type) ? [] : [fieldNotSupported(`${at}.type`, type, columnTypes)]),
      ...('problem' in parsed ? [fieldInvalid(`${at}.jsonPath`, jsonPath, parsed.problem)] : []),
    ];
  });
}

function subresourceErrors(
  { subresources }: CustomResourceVersion,
  path: string,
  schema: JsonObject,
): FieldError[] {
  const scale = subresources?.scale;
  if (scale === undefined) return [];
  const errors: FieldError[] = [];
  const at = `${path}.subresources.scale`;
  const paths = [
    ['specReplicasPath', scale.specReplicasPath, 'spec'],
    ['statusReplicasPath', scale.statusReplicasPath, 'status'],
    ['labelSelectorPath', scale.labelSelectorPath, ''],
  ] as const;
  for (const [name, text, root] of paths) {
    if (text === undefined) continue;
    const names = namesOf(text);
    const isBelow =
      names !== undefined &&
      names.length > 1 &&
      (root === '' ? ['spec', 'status'].includes(names[0] ?? '') : names[0] === root);
    if (isBelow) continue;
    const where = root === '' ? '.spec or .status' : `.${root}`;
    errors.push(fieldInvalid(`${at}.${name}`, text, `should be a path of fields under ${where}`));
  }
  const own = namesOf(scale.specReplicasPath);
  if (own !== undefined && nodeAt(schema, own) === undefined) {
    const what = 'must lead to a field of the schema';
    errors.push(fieldInvalid(`${at}.specReplicasPath`, scale.specReplicasPath, what));
  }
  return errors;
}

function selectableErrors(
  { selectableFields = [] }: CustomResourceVersion,
  path: string,
  schema: JsonObject,
): FieldError[] {
  return selectableFields.flatMap(({ jsonPath }, position) => {
    const field = `${indexPath(`${path}.selectableFields`, position)}.jsonPath`;
    const names = namesOf(jsonPath);
    if (names === undefined) {
      return [fieldInvalid(field, jsonPath, 'must be a path of fields (such as .spec.colour)')];
    }
    if (names[0] === 'metadata') {
      return [fieldForbidden(field, 'metadata cannot be selected by beyond name and namespace')];
    }
    const type = nodeAt(schema, names)?.['type'];
    if (isOneOf(type, ['string', 'integer', 'boolean'])) return [];
    const what = 'must lead to a field that is a string, an integer or a boolean';
    return [fieldInvalid(field, jsonPath, what)];
  });
}

function namesOf(text: string): readonly string[] | undefined {
  const parsed = parseJsonPath(text);
  return 'problem' in parsed ? undefined : fieldNamesOf(parsed);
}

function nodeAt(schema: JsonObject, names: readonly string[]): JsonObject | undefined {
  let node: JsonObject = schema;
  for (const name of names) {
    const next = propertiesOf(node)[name];
    if (!isJsonObject(next)) return undefined;
    node = next;
  }
  return node;
}

function changeErrors(
  before: CustomResourceDefinition,
  after: CustomResourceDefinition,
): FieldError[] {
  const errors = [
    ...immutable('spec.group', before.spec.group, after.spec.group),
    ...immutable('spec.names.plural', before.spec.names.plural, after.spec.names.plural),
  ];
  if (!isConditionTrue(before, 'Established')) return errors;
  return [
    ...errors,
    ...immutable('spec.scope', before.spec.scope, after.spec.scope),
    ...immutable('spec.names.kind', before.spec.names.kind, after.spec.names.kind),
  ];
}
