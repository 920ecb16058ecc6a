/** docs/reference/kinds.md: every kind and field, from the schemas that the server validates with. */
import { builtInDefinitions, type ResourceDefinition, type Schema } from '#platform/api/mod.ts';

/** Deeper than any schema of ours; a loop would be a mistake. */
const depthMax = 24;

export function kindsPage(): string {
  const pages = builtInDefinitions
    .toSorted((left, right) => compare(left.kind, right.kind))
    .map((definition) => kindSection(definition));
  const rows = builtInDefinitions
    .toSorted((left, right) => compare(left.kind, right.kind))
    .map(
      ({ kind, plural, shortNames, namespaced, verbs, subresources, ...definition }) =>
        `| [${kind}](#${kind.toLowerCase()}) | ${apiVersion(definition)} | ${[plural, ...shortNames].join(', ')} | ${namespaced ? 'namespace' : 'fleet'} | ${verbs.join(' ')} | ${subresources.join(' ')} |`,
    );
  return [
    '# Kinds',
    '',
    'Every kind that the API serves, with every field that it takes. A field that is not',
    'here is refused by name, never dropped. `kubectl explain` and `selvage explain` tell',
    'the same. Types of fields: `[]x` is a list of x, `map[string]x` a map.',
    '',
    '| kind | version | names | belongs to | verbs | subresources |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
    ...pages,
  ].join('\n');
}

function kindSection(definition: ResourceDefinition): string {
  const { kind, schema, columns } = definition;
  const lines = [`## ${kind}`, '', schema.description ?? '', ''];
  if (columns.length > 0) {
    const names = columns.map(({ name, priority }) => (priority === 0 ? name : `${name} (wide)`));
    lines.push(`\`kubectl get\` shows: ${names.join(', ')}.`, '');
  }
  const rows = fieldRows(definition, schema, '', 0);
  if (rows.length > 0) lines.push(...rows, '');
  return lines.join('\n');
}

function fieldRows(
  definition: ResourceDefinition,
  schema: Schema,
  path: string,
  depth: number,
): string[] {
  if (depth > depthMax)
    throw new Error(`${definition.kind}: ${path} goes deeper than a schema may`);
  const rows: string[] = [];
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (depth === 0 && ['apiVersion', 'kind', 'metadata'].includes(name)) continue;
    const at = path === '' ? name : `${path}.${name}`;
    const must = schema.required?.includes(name) === true ? ' (required)' : '';
    const notes = notesOf(field);
    const meaning = [field.description ?? '', ...notes].filter((text) => text !== '').join(' ');
    rows.push(`- \`${at}\` ${typeText(field)}${must}: ${meaning.replaceAll(/\s+/g, ' ')}`);
    const home = homeOf(definition, field);
    if (home === undefined) rows.push(...fieldRows(definition, insideOf(field), at, depth + 1));
    else rows.push(`- \`${at}.…\`: as in ${home}`);
  }
  return rows;
}

/** Where a schema that several kinds share is written out in full. */
function homeOf(definition: ResourceDefinition, field: Schema): string | undefined {
  if (definition.kind === 'Pod') return undefined;
  const pod = builtInDefinitions.find(({ kind }) => kind === 'Pod');
  const spec = pod?.schema.properties?.['spec'];
  const isPodSpec =
    spec?.properties !== undefined && field.properties?.['containers'] !== undefined;
  return isPodSpec ? '[Pod](#pod), `spec`' : undefined;
}

function notesOf(field: Schema): string[] {
  const notes: string[] = [];
  if (field.enum !== undefined)
    notes.push(`One of ${field.enum.map((word) => `\`${word}\``).join(', ')}.`);
  if (field.default !== undefined)
    notes.push(`When left out: \`${JSON.stringify(field.default)}\`.`);
  return notes;
}

function insideOf(schema: Schema): Schema {
  const inner = schema.items ?? schema.additionalProperties;
  return inner === undefined ? schema : insideOf(inner);
}

function typeText(schema: Schema): string {
  if (schema.items !== undefined) return `[]${typeText(schema.items)}`;
  if (schema.additionalProperties !== undefined) {
    return `map[string]${typeText(schema.additionalProperties)}`;
  }
  if (schema['x-kubernetes-int-or-string'] === true) return 'integer or string';
  return schema.format === undefined
    ? (schema.type ?? 'anything')
    : `${schema.type} (${schema.format})`;
}

function apiVersion({ group, version }: Pick<ResourceDefinition, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
