/**
 * The commands that documents show, as they stand there, so that tests can run them.
 *
 * A block is fenced with three backticks and `sh` or `console`; a word after that says
 * where it is meant to be run. In `console` blocks the lines after `$ ` are commands,
 * the others what they print.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from './fleet.ts';

export interface DocumentedBlock {
  readonly language: 'sh' | 'console';
  /** The word after the language; empty where there is none. */
  readonly where: string;
  readonly text: string;
}

export interface DocumentedCommand {
  readonly command: string;
  /** What the document shows of its output. */
  readonly output: readonly string[];
}

/** All blocks of a document, in order. `path` is below the project's folder. */
export function blocksOf(path: string): readonly DocumentedBlock[] {
  const text = readFileSync(join(projectFolder, path), 'utf8');
  return [...text.matchAll(/^```(sh|console)(?: (\w+))?\n([^]*?)^```$/gm)].map(
    ([, language, where = '', block = '']) => ({
      language: language as DocumentedBlock['language'],
      where,
      text: block,
    }),
  );
}

/** The commands of a `console` block with what is shown of their output. */
export function commandsOf(block: DocumentedBlock): readonly DocumentedCommand[] {
  const commands: { command: string; output: string[] }[] = [];
  for (const line of block.text.trimEnd().split('\n')) {
    if (line.startsWith('$ ')) commands.push({ command: line.slice(2), output: [] });
    else commands.at(-1)?.output.push(line);
  }
  return commands;
}
