/**
 * `npm run build [-- --executable] [--folder FOLDER]`: the program as JavaScript in
 * `dist/`, which is what a package holds; with `--executable` the agent as one file
 * that needs no Node.js beside it.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildBundles } from './build/bundles.ts';
import { buildExecutable } from './build/executable.ts';

const root = join(import.meta.dirname, '..');

const { values } = parseArgs({
  options: {
    executable: { type: 'boolean', default: false },
    folder: { type: 'string', default: join(root, 'dist') },
  },
});
const size = (bytes: number): string =>
  bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
for (const { file, bytes } of await buildBundles(root, values.folder)) {
  console.log(`${file.padEnd(16)} ${size(bytes)}`);
}
if (values.executable) {
  const { file, bytes } = await buildExecutable(root, values.folder);
  console.log(`${file.padEnd(16)} ${size(bytes)}`);
}
