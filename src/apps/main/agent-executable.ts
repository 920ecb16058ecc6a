/**
 * The agent as one file that holds its own Node.js. The node's script runtime starts
 * workloads by the path of a `node`; here that is this very file, so that it also
 * stands in for Node.js:
 *
 *   as `selvage-agent [options]`     it starts itself again with the flags for an agent,
 *                                    which must not be those of workloads
 *   as `node [flags] MODULE ...`     (called so, or with `--permission` first) the same,
 *                                    with these flags
 *   as `run-module MODULE ...`       it becomes the workload
 *
 * Each step replaces the process and keeps its pid.
 */
import { pathToFileURL } from 'node:url';
import { constants, Script } from 'node:vm';
import { agentEnvironment, agentNodeFlags } from './agent-node-flags.ts';

const runModule = 'run-module';
const runAgent = 'run-agent';

function become(
  flags: readonly string[],
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): never {
  // The one option of a single executable that Node.js itself reads, in its own quotes.
  const quoted = flags.map((flag) => `"${flag.replaceAll(/["\\]/g, String.raw`\$&`)}"`);
  const options = `--node-options=${quoted.join(' ')}`;
  process.execve?.(process.execPath, [process.execPath, options, ...words], {
    ...process.env,
    ...environment,
  });
  throw new Error(`Node.js ${process.version} cannot replace a process`);
}

/** Imports the module as Node.js would, which a single executable may not do by itself. */
async function becomeModule(module: string, rest: readonly string[]): Promise<void> {
  process.argv.splice(1, process.argv.length, module, ...rest);
  const load = new Script('(url) => import(url)', {
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }).runInThisContext() as (url: string) => Promise<unknown>;
  await load(pathToFileURL(module).href);
}

async function main(words: readonly string[]): Promise<void> {
  const [mode, module, ...rest] = words;
  if (mode === runModule && module !== undefined) return await becomeModule(module, rest);
  if (mode === runAgent) {
    process.argv.splice(2, 1);
    await import('./agent.ts');
    return;
  }
  const isCalledNode = process.execPath.endsWith('/node');
  if (!isCalledNode && mode?.startsWith('--permission') !== true) {
    return become(agentNodeFlags, [runAgent, ...words], agentEnvironment);
  }
  const flagsEnd = words.findIndex((word) => !word.startsWith('-'));
  if (flagsEnd === -1) {
    throw new Error('as node this program runs modules alone: node [flags] MODULE [arguments]');
  }
  become(
    ['--disable-warning=ExperimentalWarning', ...words.slice(0, flagsEnd)],
    [runModule, ...words.slice(flagsEnd)],
  );
}

main(process.argv.slice(2)).catch((thrown: unknown) => {
  // As Node.js itself tells of a module that throws.
  console.error(thrown);
  process.exit(1);
});
