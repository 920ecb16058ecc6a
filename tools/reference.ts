/** Writes the pages of docs/reference that are made from the code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { referencePages } from './reference/pages.ts';
import { projectRoot } from './tidy/source-files.ts';

for (const { path, text } of await referencePages()) {
  writeFileSync(join(projectRoot, path), text);
  process.stdout.write(`${path}\n`);
}
