/**
 * A CustomResourceDefinition as the definitions of the versions that it declares, which
 * are served like those of the program.
 *
 * Invariants:
 * 1. Objects are stored as the storage version has them; every other version shows the
 *    same object with its own apiVersion, without what it does not know, and with its
 *    defaults.
 * 2. A schema is compiled when it is first needed, and once.
 */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import { ageText } from '../age-text.ts';
import { conforms } from '../conformance.ts';
import type { Column, FacetLayout, FieldError, ResourceDefinition } from '../definition.ts';
import { intentOf } from '../facets.ts';
import { childPath, equalJson } from '../field-errors.ts';
import { ageColumn } from '../meta/columns.ts';
import { dropIgnoredMetadata } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import type { ApiObject } from '../object.ts';
import { apiVersionOf } from '../registry.ts';
import { applySchemaDefaults, pruneUnknownFields } from '../schema-fields.ts';
import type { Schema } from '../schema.ts';
import { validateAgainstSchema } from '../validate.ts';
import { compileRules, ruleErrors, type RuleTree } from './cel-rules.ts';
import { compileRootSchema } from './compile-schema.ts';
import { fieldNamesOf, type JsonPath, parseJsonPath, readJsonPath } from './json-path.ts';
import { propertiesOf } from './structural-schema.ts';
import {
  type CustomResourceColumn,
  type CustomResourceDefinition,
  type CustomResourceVersion,
  isConditionTrue,
} from './types.ts';
import { checksOf } from './value-rules.ts';

/** Of the versions that are served; none before the kind is established. */
export function declaredDefinitionsOf(
  definition: CustomResourceDefinition,
): readonly ResourceDefinition[] {
  if (!isConditionTrue(definition, 'Established')) return [];
  const { versions } = definition.spec;
  const stored = versions.find(({ storage }) => storage) ?? versions[0];
  if (stored === undefined) return [];
  const storedSchema = lazily(() => compileRootSchema(schemaOf(stored)));
  const served = versions.filter((version) => version.served);
  const isLeaving = definition.metadata.deletionTimestamp !== undefined;
  // Whoever empties the kind has to see its objects.
  const shown = served.length === 0 && isLeaving ? [stored] : served;
  return shown.map((version) => {
    const schema =
      version === stored ? storedSchema : lazily(() => compileRootSchema(schemaOf(version)));
    return versionDefinition(definition, version, stored, schema, storedSchema);
  });
}

function lazily<Made>(make: () => Made): () => Made {
  let made: Made | undefined;
  return () => (made ??= make());
}

function schemaOf({ schema }: CustomResourceVersion): JsonObject {
  return schema?.openAPIV3Schema ?? { type: 'object' };
}

function versionDefinition(
  { metadata, spec, status }: CustomResourceDefinition,
  version: CustomResourceVersion,
  stored: CustomResourceVersion,
  schema: () => Schema,
  storedSchema: () => Schema,
): ResourceDefinition {
  const names = { ...spec.names, ...status?.acceptedNames };
  const { group } = spec;
  const rules = lazily(() => ({ tree: compileRules(schemaOf(version), '').tree }));
  const scale = version.subresources?.scale;
  const hasStatus = version.subresources?.status !== undefined;
  const apiVersion = apiVersionOf({ group, version: version.name });
  const storedApiVersion = apiVersionOf({ group, version: stored.name });
  const warning = deprecationOf(version, apiVersion, names.kind);
  return {
    group,
    version: version.name,
    kind: names.kind,
    ...(names.listKind === undefined ? {} : { listKind: names.listKind }),
    plural: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced: spec.scope === 'Namespaced',
    verbs: allVerbs,
    subresources: [
      ...(hasStatus ? (['status'] as const) : []),
      ...(scale === undefined ? [] : (['scale'] as const)),
    ],
    storage: 'main',
    get schema() {
      return schema();
    },
    columns: columnsOf(version.additionalPrinterColumns),
    selectableFields: selectableFieldsOf(version),
    facets: facetLayout(apiVersion, storedApiVersion, schema, storedSchema),
    applyDefaults: dropIgnoredMetadata,
    validate: (object, { previous }) => [
      ...nameErrors(schemaOf(version), object),
      ...contentErrors(schema(), () => rules().tree, object, previous),
    ],
    ...(warning === undefined ? {} : { warnings: () => [warning] }),
    ...(scale === undefined
      ? {}
      : {
          scale: {
            specReplicasPath: scale.specReplicasPath.slice(1),
            statusReplicasPath: scale.statusReplicasPath.slice(1),
            selector: textAt(scale.labelSelectorPath),
          },
        }),
    declared: {
      by: metadata.name,
      isStored: version === stored,
      isLeaving: metadata.deletionTimestamp !== undefined,
    },
  };
}

function deprecationOf(
  { deprecated, deprecationWarning }: CustomResourceVersion,
  apiVersion: string,
  kind: string,
): string | undefined {
  if (deprecated !== true) return undefined;
  return deprecationWarning ?? `${apiVersion} ${kind} is deprecated`;
}

/** The status has a facet of its own, also where it is written with the rest. */
function facetLayout(
  apiVersion: string,
  storedApiVersion: string,
  schema: () => Schema,
  storedSchema: () => Schema,
): FacetLayout {
  return {
    split(object) {
      const { status, ...rest } =
        apiVersion === storedApiVersion ? object : pruneUnknownFields(storedSchema(), object);
      const intent = intentOf({ ...rest, apiVersion: storedApiVersion } as unknown as JsonObject);
      return status === undefined ? { intent } : { intent, report: { status } };
    },
    fold({ intent, report }) {
      const status = report?.['status'] ?? intent?.['status'];
      const whole = { ...intent, apiVersion, ...(status === undefined ? {} : { status }) };
      // Most have nothing to lose or to gain, and are handed on as they are.
      const known = applySchemaDefaults(schema(), pruneUnknownFields(schema(), whole));
      return known as unknown as ApiObject;
    },
  };
}

/** What the schema says of names, which metadata's own schema knows nothing of. */
function nameErrors(schema: JsonObject, { metadata }: ApiObject): readonly FieldError[] {
  const described = propertiesOf(schema)['metadata'];
  if (!isJsonObject(described)) return [];
  return (['name', 'generateName'] as const).flatMap((field) => {
    const rules = propertiesOf(described)[field];
    const value = metadata[field];
    if (!isJsonObject(rules) || value === undefined) return [];
    return checksOf(rules).flatMap((check) => check(value, childPath('metadata', field)));
  });
}

/** An object that says the same as before may stay, whatever the schema and its rules say now. */
function contentErrors(
  schema: Schema,
  rules: () => RuleTree | undefined,
  object: ApiObject,
  previous: ApiObject | undefined,
): readonly FieldError[] {
  if (previous !== undefined && equalJson(contentOf(previous), contentOf(object))) return [];
  const found = conforms(schema, object) ? [] : validateAgainstSchema(schema, object);
  // Rules are about values of the right types.
  if (found.length > 0) return found;
  const tree = rules();
  if (tree === undefined) return [];
  return ruleErrors(tree, object as unknown as Json, previous as unknown as Json | undefined);
}

function contentOf({ metadata: _metadata, ...content }: ApiObject): JsonObject {
  return content as unknown as JsonObject;
}

function columnsOf(declared: readonly CustomResourceColumn[] | undefined): readonly Column[] {
  if (declared === undefined || declared.length === 0) return [ageColumn];
  return declared.map((given) => {
    const { name, format, description = '', priority = 0, jsonPath } = given;
    const path = pathOf(jsonPath);
    const type = given.type as Column['type'];
    return {
      name,
      type,
      ...(format === undefined ? {} : { format }),
      description:
        description === '' ? `Custom resource definition column: ${jsonPath}` : description,
      priority: priority > 0 ? 1 : 0,
      value: (object, nowMs) => cellOf(type, readJsonPath(path, object as unknown as Json), nowMs),
    };
  });
}

function pathOf(text: string | undefined): JsonPath {
  const parsed = parseJsonPath(text ?? '');
  return 'problem' in parsed ? [] : parsed;
}

/** A value of another type than its column says is left out. */
function cellOf(type: Column['type'], [value]: readonly Json[], nowMs: number): Json {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'string':
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? ageText(value, nowMs) : null;
  }
}

function selectableFieldsOf({
  selectableFields = [],
}: CustomResourceVersion): ResourceDefinition['selectableFields'] {
  return Object.fromEntries(
    selectableFields.map(({ jsonPath }) => {
      const names = fieldNamesOf(pathOf(jsonPath)) ?? [];
      return [names.join('.'), textAt(jsonPath)];
    }),
  );
}

function textAt(jsonPath: string | undefined): (object: ApiObject) => string {
  if (jsonPath === undefined) return () => '';
  const path = pathOf(jsonPath);
  return (object) => {
    const [value] = readJsonPath(path, object as unknown as Json);
    if (value === undefined || value === null || typeof value === 'object') return '';
    return String(value);
  };
}
