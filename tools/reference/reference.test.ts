// The reference is what the code says.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../tidy/source-files.ts';
import { referencePages } from './pages.ts';

for (const { path, text } of await referencePages()) {
  test(`${path} is what the code says (npm run reference writes it)`, () => {
    const absolute = join(projectRoot, path);
    const present = existsSync(absolute) ? readFileSync(absolute, 'utf8') : '';
    assert.equal(withoutLayout(present), withoutLayout(text));
  });
}

/** The formatter pads tables; what they say is what counts. */
function withoutLayout(text: string): string {
  return text
    .replaceAll(/[ \t]+/g, ' ')
    .replaceAll(/-{3,}/g, '---')
    .trim();
}
