/**
 * The project's test line. Unit and simulation tests run together in one
 * process: injected I/O makes that safe, and fast. Tests with real processes
 * (`test/e2e`) run one after the other, each in a process of its own, because
 * they share the machine's loopback addresses.
 *
 * `npm test -- src/platform/log` runs only the files below the given paths.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const wanted = process.argv.slice(2);

function filesOf(patterns: readonly string[]): string[] {
  return globSync(patterns, { cwd: root })
    .filter((path) => wanted.length === 0 || wanted.some((prefix) => path.startsWith(prefix)))
    .sort();
}

function run(title: string, flags: readonly string[], files: readonly string[]): boolean {
  if (files.length === 0) return true;
  process.stdout.write(`\n# ${title}: ${files.length} files\n`);
  const result = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--test', '--test-reporter=spec', ...flags, ...files],
    { cwd: root, stdio: 'inherit' },
  );
  return result.status === 0;
}

const units = filesOf([
  'src/**/*.test.ts',
  'tools/**/*.test.ts',
  'test/{sim,scenarios,contract}/**/*.test.ts',
]);
const endToEnd = filesOf(['test/e2e/**/*.test.ts']);
if (units.length + endToEnd.length === 0) {
  process.stderr.write(`no test file matches ${wanted.join(' ')}\n`);
  process.exit(2);
}
const unitsPassed = run('unit and simulation tests, one process', ['--test-isolation=none'], units);
const endToEndPassed = run('end-to-end tests, real processes', ['--test-concurrency=1'], endToEnd);
process.exit(unitsPassed && endToEndPassed ? 0 : 1);
