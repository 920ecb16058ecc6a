/**
 * docs/reference/errors.md: what the API answers when it refuses, and the codes in
 * logs and messages, read out of the sources, where each is raised.
 */
import { StatusError, statusReasons } from '#platform/api/mod.ts';
import type { SourceFile } from '../tidy/source-files.ts';

/** The same where the words are put together first. */
const raisedBarePattern = /(?:Error\(|code: )\s*'([A-Z][A-Z0-9]*_[A-Z0-9_]+)'/g;
/** Raised as `new SomeError('CODE', 'words'`, or passed on as `code: 'CODE'` with a message. */
const raisedPattern =
  /(?:\(\s*|code: )'([A-Z][A-Z0-9]*_[A-Z0-9_]+)',\s*(?:message:\s*)?(?:'([^'\n]*)'|"([^"\n]*)"|`([^`]*)`)/g;

export function errorsPage(sources: readonly SourceFile[]): string {
  return [
    '# Errors',
    '',
    '## What the API refuses with',
    '',
    'Every refusal is a `Status` object, as Kubernetes clients expect it: `reason` is one of',
    'these, `message` says what was wrong and what would be right, `details.causes` names the',
    'fields.',
    '',
    '| reason | HTTP status |',
    '| --- | --- |',
    ...statusReasons.map(
      (reason) => `| ${reason} | ${new StatusError(reason, 'for its number').httpStatus} |`,
    ),
    '',
    '## Codes in logs and messages',
    '',
    'Programs branch on these codes, which stay the same; the words may get better. A part in',
    'braces stands for what is inserted.',
    '',
    ...rowsOf(sources),
    '',
  ].join('\n');
}

function rowsOf(sources: readonly SourceFile[]): string[] {
  const found = new Map<string, { words: string; rooms: Set<string> }>();
  for (const { path, text } of sources) {
    if (path.endsWith('.test.ts') || path.endsWith('.contract.ts')) continue;
    for (const match of [...text.matchAll(raisedPattern), ...text.matchAll(raisedBarePattern)]) {
      const [, code = '', single, double, template] = match;
      const words = (single ?? double ?? template ?? '').replaceAll(/\$\{[^}]*\}/g, '{…}');
      const room = path.replace(/^src\//, '').replace(/\/[^/]*$/, '');
      const entry = found.get(code) ?? { words, rooms: new Set<string>() };
      entry.rooms.add(room);
      found.set(code, entry);
    }
  }
  return [...found]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(
      ([code, { words, rooms }]) =>
        `- \`${code}\` (${[...rooms].toSorted().join(', ')})${words === '' ? '' : `: ${words.replaceAll(/\s+/g, ' ').trim()}`}`,
    );
}
