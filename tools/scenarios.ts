/**
 * `npm run scenarios -- [--rewrite] [NAME…]`: runs scenarios of `test/scenarios`, all or
 * those named. With `--rewrite` what is printed now becomes what is expected: look at the
 * difference before you commit it.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const words = process.argv.slice(2);
const unknown = words.filter((word) => word.startsWith('-') && word !== '--rewrite');
if (unknown.length > 0) {
  process.stderr.write(`there is --rewrite, and names of scenarios; not ${unknown.join(' ')}\n`);
  process.exit(2);
}
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-reporter=spec', 'test/e2e/scenarios.test.ts'],
  {
    cwd: join(import.meta.dirname, '..'),
    stdio: 'inherit',
    env: {
      ...process.env,
      SELVAGE_SCENARIOS: words.filter((word) => word !== '--rewrite').join(' '),
      SELVAGE_SCENARIOS_REWRITE: words.includes('--rewrite') ? '1' : '0',
    },
  },
);
process.exit(status ?? 1);
