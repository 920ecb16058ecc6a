/** Writes the pages of docs/reference that are made from the code. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiFolder } from './reference/openapi.ts';
import { referencePages } from './reference/pages.ts';
import { projectRoot } from './tidy/source-files.ts';

const pages = await referencePages();
// A group version that is no longer served leaves nothing behind.
rmSync(join(projectRoot, openApiFolder), { recursive: true, force: true });
mkdirSync(join(projectRoot, openApiFolder), { recursive: true });
for (const { path, text } of pages) {
  writeFileSync(join(projectRoot, path), text);
  process.stdout.write(`${path}\n`);
}
