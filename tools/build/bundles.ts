/**
 * Bundles: the sources as two files of JavaScript, by which a package and an
 * executable run the same program as a checkout.
 *
 *   selvage.mjs    the command line and the server, libraries included
 *   agent.cjs      the agent alone; no library may come into it
 *   third-party.txt  the licences of the libraries in it
 *
 * Invariant: the same sources and the same lockfile give the same bytes, wherever
 * the checkout lies.
 */
import * as dgram from 'node:dgram';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import { join } from 'node:path';
import * as perfHooks from 'node:perf_hooks';
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild';

/** What every bundle has in common. */
export const bundleOptions = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  // Names stay, so that stack traces are of use.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  charset: 'utf8',
  metafile: true,
  logLevel: 'silent',
} as const satisfies BuildOptions;

/** Libraries of CommonJS ask for built-in modules by a `require` that modules do not have. */
const requireForModules =
  "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);";

export interface Bundle {
  readonly file: string;
  readonly bytes: number;
}

/** Writes the bundles of the checkout in `root` into `folder`, which is emptied first. */
export async function buildBundles(root: string, folder: string): Promise<readonly Bundle[]> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const selvage = await build({
    ...bundleOptions,
    absWorkingDir: root,
    entryPoints: ['src/apps/main/selvage.ts'],
    outfile: join(folder, 'selvage.mjs'),
    format: 'esm',
    banner: { js: requireForModules },
  });
  const agent = await build({
    ...bundleOptions,
    absWorkingDir: root,
    entryPoints: ['src/apps/main/agent.ts'],
    outfile: join(folder, 'agent.cjs'),
    // An import of a built-in module in CommonJS loads what is used of it and no more.
    format: 'cjs',
    plugins: [builtinsWhenUsed],
  });
  const inAgent = librariesOf(agent.metafile);
  if (inAgent.length > 0) {
    throw new Error(
      `the agent must stay without libraries, and now has ${inAgent.join(', ')}: ` +
        'import from a door that does not lead there, or load it in another process',
    );
  }
  writeFileSync(join(folder, 'third-party.txt'), licencesOf(root, librariesOf(selvage.metafile)));
  return readdirSync(folder)
    .sort()
    .map((file) => ({ file, bytes: readFileSync(join(folder, file)).length }));
}

/** Built-in modules that an agent needs seldom or never, and that take megabytes. */
const seldomUsed: Readonly<Record<string, object>> = {
  'node:dgram': dgram,
  'node:http': http,
  'node:http2': http2,
  'node:https': https,
  'node:perf_hooks': perfHooks,
};

/** Has each of these loaded by the first use of something of it, not by the import. */
export const builtinsWhenUsed: Plugin = {
  name: 'builtins-when-used',
  setup(build) {
    const namespace = 'when-used';
    build.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' && path in seldomUsed ? { path, namespace } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace }, ({ path }) => {
      const names = Object.keys(seldomUsed[path] ?? {}).filter((name) => name !== 'default');
      const getters = names.map((name) => `get ${name}() { return whole().${name}; }`);
      return {
        contents: `let loaded; const whole = () => (loaded ??= require('${path}'));
module.exports = { ${getters.join(', ')} };`,
      };
    });
  },
};

/** Folders of packages that a bundle has parts of, e.g. `node_modules/yaml`, sorted. */
function librariesOf(metafile: Metafile): readonly string[] {
  const folders = new Set<string>();
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
      if (match?.[1] !== undefined && bytesInOutput > 0) folders.add(match[1]);
    }
  }
  return [...folders].sort();
}

function licencesOf(root: string, folders: readonly string[]): string {
  const parts = folders.map((folder) => {
    const path = join(root, folder);
    const { name, version, license } = JSON.parse(
      readFileSync(join(path, 'package.json'), 'utf8'),
    ) as Record<'name' | 'version' | 'license', string>;
    const file = readdirSync(path).find((entry) => /^licen[cs]e/i.test(entry));
    const text =
      file === undefined ? `License: ${license}` : readFileSync(join(path, file), 'utf8');
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  return `selvage.mjs contains parts of these libraries.\n\n${parts.join(`\n${'-'.repeat(72)}\n\n`)}`;
}
