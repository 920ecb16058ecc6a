// The reference is what the code says.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot, sourceFiles } from '../tidy/source-files.ts';
import { openApiFolder } from './openapi.ts';
import { kubectlCommands } from './kubernetes-api.ts';
import { referencePages } from './pages.ts';

const pages = await referencePages();

for (const { path, text } of pages) {
  test(`${path} is what the code says (npm run reference writes it)`, () => {
    const absolute = join(projectRoot, path);
    const present = existsSync(absolute) ? readFileSync(absolute, 'utf8') : '';
    assert.equal(withoutLayout(present), withoutLayout(text));
  });
}

test('every described group version is one that is served', () => {
  const described = readdirSync(join(projectRoot, openApiFolder));
  const served = pages.map(({ path }) => path).filter((path) => path.startsWith(openApiFolder));
  assert.deepEqual(described.map((name) => `${openApiFolder}/${name}`).sort(), served.sort());
});

test('each command of kubectl that is said to work is run by a test', () => {
  const texts = [
    ...sourceFiles(['test/scenarios'], ['.txt']).map(({ text }) => text),
    ...sourceFiles(['test/e2e'], ['.test.ts']).map(({ text }) => text),
  ];
  const untried = kubectlCommands
    .filter(({ answer }) => answer !== 'no')
    .map(({ command }) => command)
    .filter((command) => {
      const shown = new RegExp(`kubectl ${command}\\b|\\['${command}'`);
      return !texts.some((text) => shown.test(text));
    });
  assert.deepEqual(untried, []);
});

/** The formatter pads tables; what they say is what counts. */
function withoutLayout(text: string): string {
  return text
    .replaceAll(/[ \t]+/g, ' ')
    .replaceAll(/-{3,}/g, '---')
    .trim();
}
