/**
 * `selvage explain KIND[.FIELD…]`: what a kind and its fields mean, from the same
 * schemas that the server validates with. Needs no server.
 */
import { builtInDefinitions, type ResourceDefinition, type Schema } from '#platform/api/mod.ts';
import type { Command } from 'commander';
import type { CommandTools } from './command-tools.ts';
import { CommandFailure, type ExitCode, exitCodes, type Output } from './context.ts';

/** Fields below fields, to this depth; `metadata` of a template's template is nobody's question. */
const recursionDepthMax = 12;
const lineWidthMax = 100;

export function addExplainCommand(program: Command, tools: CommandTools): void {
  program
    .command('explain')
    .description('say what a kind, or one of its fields, means; needs no server')
    .argument('[kind]', 'a kind, then fields: deployments.spec.strategy (left out: all kinds)')
    .option('--recursive', 'the names of all fields below, without their descriptions', false)
    .action((kind: string | undefined, options: { recursive: boolean }) => {
      tools.done(explain(tools.context.standardOutput, kind, options.recursive));
    });
}

export function explain(output: Output, words: string | undefined, isRecursive: boolean): ExitCode {
  if (words === undefined) {
    output.write(kindList());
    return exitCodes.ok;
  }
  const [name = '', ...path] = words.split('.');
  const { definition, fields } = findKind(name, path);
  const schema = fieldAt(definition, fields);
  output.write(describe(definition, fields, schema, isRecursive));
  return exitCodes.ok;
}

function kindList(): string {
  const rows = builtInDefinitions
    .map((definition) => `  ${definition.plural.padEnd(26)}${apiVersionText(definition)}`)
    .toSorted();
  return `Kinds:\n${rows.join('\n')}\n\nselvage explain KIND tells about one.\n`;
}

/** Of the kinds in the program, by any of the names that kubectl takes: `po`, `pods`, `Pod`. */
export function definitionNamed(name: string): ResourceDefinition | undefined {
  const wanted = name.toLowerCase();
  return builtInDefinitions.find(
    ({ plural, singular, shortNames, kind }) =>
      plural === wanted ||
      singular === wanted ||
      kind.toLowerCase() === wanted ||
      shortNames.includes(wanted),
  );
}

/** `deployments`, `deploy`, `Deployment`, or with its group in front of the fields: `deployments.apps`. */
function findKind(
  name: string,
  path: readonly string[],
): { definition: ResourceDefinition; fields: readonly string[] } {
  const definition = definitionNamed(name);
  if (definition === undefined) {
    const wanted = name.toLowerCase();
    const near = builtInDefinitions
      .map(({ plural }) => plural)
      .filter((plural) => plural.startsWith(wanted.slice(0, 3)));
    const hint =
      near.length === 0
        ? "'selvage explain' lists those of the program, 'kubectl explain' knows declared ones"
        : `perhaps ${near.join(', ')}`;
    throw new CommandFailure(`there is no kind '${name}' (${hint}).`, exitCodes.usage);
  }
  const group = definition.group.split('.');
  const hasGroup = definition.group !== '' && group.every((part, index) => path[index] === part);
  return { definition, fields: hasGroup ? path.slice(group.length) : path };
}

function fieldAt(definition: ResourceDefinition, fields: readonly string[]): Schema {
  let schema: Schema = definition.schema;
  let walked: string = definition.plural;
  for (const field of fields) {
    const inner = insideOf(schema);
    const next = inner.properties?.[field];
    if (next === undefined) {
      const known = Object.keys(inner.properties ?? {});
      throw new CommandFailure(
        known.length === 0
          ? `${walked} has no fields: it is ${typeText(schema)}.`
          : `${walked} has no field '${field}'. It has: ${known.join(', ')}.`,
        exitCodes.usage,
      );
    }
    schema = next;
    walked = `${walked}.${field}`;
  }
  return schema;
}

function describe(
  definition: ResourceDefinition,
  fields: readonly string[],
  schema: Schema,
  isRecursive: boolean,
): string {
  const lines = [`KIND:     ${definition.kind}`, `VERSION:  ${apiVersionText(definition)}`, ''];
  if (fields.length > 0) lines.push(`FIELD:    ${fields.join('.')} <${typeText(schema)}>`, '');
  lines.push('DESCRIPTION:', ...wrapped(schema.description ?? 'No words yet.', '  '), '');
  const rules = rulesOf(schema);
  if (rules.length > 0) lines.push('RULES:', ...rules.map((rule) => `  ${rule}`), '');
  const inner = insideOf(schema);
  if (inner !== schema && inner.description !== undefined) {
    lines.push('EACH OF THEM:', ...wrapped(inner.description, '  '), '');
  }
  if (inner.properties !== undefined) {
    lines.push('FIELDS:', ...(isRecursive ? tree(inner, '  ', 0) : fieldLines(inner)));
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function fieldLines(schema: Schema): string[] {
  const lines: string[] = [];
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const must = schema.required?.includes(name) === true ? ' -required-' : '';
    lines.push(`  ${name} <${typeText(field)}>${must}`);
    lines.push(...wrapped(field.description ?? 'No words yet.', '      '), '');
  }
  return lines;
}

function tree(schema: Schema, indent: string, depth: number): string[] {
  if (depth >= recursionDepthMax) return [`${indent}…`];
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
    `${indent}${name} <${typeText(field)}>`,
    ...tree(insideOf(field), `${indent}  `, depth + 1),
  ]);
}

/** What has fields where the value itself is a list or a map of them. */
function insideOf(schema: Schema): Schema {
  if (schema.items !== undefined) return insideOf(schema.items);
  if (schema.additionalProperties !== undefined) return insideOf(schema.additionalProperties);
  return schema;
}

function typeText(schema: Schema): string {
  if (schema.items !== undefined) return `[]${typeText(schema.items)}`;
  if (schema.additionalProperties !== undefined) {
    return `map[string]${typeText(schema.additionalProperties)}`;
  }
  if (schema['x-kubernetes-int-or-string'] === true) return 'integer or string';
  if (schema.type === 'object') return 'Object';
  return schema.type ?? 'anything';
}

function rulesOf(schema: Schema): string[] {
  const rules: string[] = [];
  if (schema.enum !== undefined) rules.push(`one of: ${schema.enum.join(', ')}`);
  if (schema.default !== undefined) rules.push(`when left out: ${JSON.stringify(schema.default)}`);
  if (schema.format !== undefined) rules.push(`format: ${schema.format}`);
  if (schema.minimum !== undefined) rules.push(`at least ${schema.minimum}`);
  if (schema.maximum !== undefined) rules.push(`at most ${schema.maximum}`);
  if (schema.maxLength !== undefined) rules.push(`at most ${schema.maxLength} characters`);
  if (schema.maxItems !== undefined) rules.push(`at most ${schema.maxItems} entries`);
  if (schema.maxProperties !== undefined) rules.push(`at most ${schema.maxProperties} entries`);
  return rules;
}

function wrapped(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > lineWidthMax) {
      lines.push(indent + line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, indent + line];
}

function apiVersionText({ group, version }: ResourceDefinition): string {
  return group === '' ? version : `${group}/${version}`;
}
