/**
 * docs/reference/openapi: what the server says of its kinds in OpenAPI, one file per group
 * version, written so that a change of the API shows as a change of few lines.
 *
 * Invariants:
 * 1. A file changes exactly when the served document does, whatever the program's version.
 * 2. A part that was written before, in this file or in one before it, is not written
 *    again: `same as` says where it is.
 */
import {
  builtInDefinitions,
  createDefinitionRegistry,
  openApiDocumentsOf,
} from '#platform/api/mod.ts';

interface OpenApiFile {
  readonly path: string;
  readonly text: string;
}

type Part = null | boolean | number | string | readonly Part[] | { readonly [name: string]: Part };

/** What fits is written on one line. */
const lineLengthMax = 100;
/** Smaller parts are repeated: reading them is easier than looking them up. */
const repeatedLengthMax = 240;

export const openApiFolder = 'docs/reference/openapi';

export function openApiFiles(): readonly OpenApiFile[] {
  const registry = createDefinitionRegistry(builtInDefinitions);
  const documents = openApiDocumentsOf(registry, 'any');
  const written = new Map<string, string>();
  return registry.groupVersions.map(({ group, version }) => {
    const name = `${group === '' ? 'core' : group}.${version}.json`;
    const text = documents.document(group, version)?.text ?? '{}';
    const { paths, components } = JSON.parse(text) as Record<string, Part>;
    const document = withoutRepetitions({ components, paths } as Part, name, written);
    return { path: `${openApiFolder}/${name}`, text: `${linesOf(document, '')}\n` };
  });
}

function withoutRepetitions(part: Part, path: string, written: Map<string, string>): Part {
  if (typeof part !== 'object' || part === null) return part;
  const text = JSON.stringify(part);
  if (text.length > repeatedLengthMax) {
    const known = written.get(text);
    if (known !== undefined) return { 'same as': known };
    written.set(text, path);
  }
  if (Array.isArray(part)) {
    const list = part as readonly Part[];
    return list.map((one, position) => withoutRepetitions(one, `${path}/${position}`, written));
  }
  return Object.fromEntries(
    Object.entries(part).map(([name, one]) => [
      name,
      withoutRepetitions(one, `${path}/${name}`, written),
    ]),
  );
}

function linesOf(part: Part, indent: string): string {
  const line = lineOf(part);
  if (line.length + indent.length <= lineLengthMax || typeof part !== 'object' || part === null) {
    return line;
  }
  const deeper = `${indent} `;
  const isList = Array.isArray(part);
  const inner = isList
    ? (part as readonly Part[]).map((one) => `${deeper}${linesOf(one, deeper)}`)
    : Object.entries(part).map(
        ([name, one]) => `${deeper}${JSON.stringify(name)}: ${linesOf(one, deeper)}`,
      );
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  return `${open}\n${inner.join(',\n')}\n${indent}${close}`;
}

function lineOf(part: Part): string {
  if (typeof part !== 'object' || part === null) return JSON.stringify(part);
  if (Array.isArray(part)) return `[${(part as readonly Part[]).map(lineOf).join(', ')}]`;
  const fields = Object.entries(part).map(
    ([name, one]) => `${JSON.stringify(name)}: ${lineOf(one)}`,
  );
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`;
}
