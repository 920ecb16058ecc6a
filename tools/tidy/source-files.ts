/** The project's own source files and what each imports, read from disk. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const projectRoot = join(import.meta.dirname, '..', '..');

export interface SourceFile {
  /** Relative to the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** Every file below the given folders whose name ends in one of `endings`. */
export function sourceFiles(folders: readonly string[], endings: readonly string[]): SourceFile[] {
  const files: SourceFile[] = [];
  for (const folder of folders) {
    const entries = readdirSync(join(projectRoot, folder), {
      recursive: true,
      withFileTypes: true,
    });
    for (const entry of entries) {
      if (!entry.isFile() || !endings.some((ending) => entry.name.endsWith(ending))) continue;
      const absolute = join(entry.parentPath, entry.name);
      if (absolute.includes('/node_modules/')) continue;
      files.push({
        path: absolute.slice(projectRoot.length + 1),
        text: readFileSync(absolute, 'utf8'),
      });
    }
  }
  return files.sort((left, right) => (left.path < right.path ? -1 : 1));
}

const importPattern =
  /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g;

/** The module names that a file imports, static and dynamic, in order. */
export function importsOf(file: SourceFile): string[] {
  const names: string[] = [];
  for (const match of file.text.matchAll(importPattern)) {
    const name = match[1] ?? match[2] ?? match[3];
    if (name !== undefined) names.push(name);
  }
  return names;
}
