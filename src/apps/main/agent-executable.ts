/**
 * The agent as one file that holds its own Node.js. The node's script runtime starts
 * workloads by the path of a `node`; here that is this very file, so that it also
 * stands in for Node.js:
 *
 *   as `selvage-agent [options]`     it starts itself again with the flags for an agent,
 *                                    which must not be those of workloads
 *   as `node [flags] MODULE ...`     (called so, or with `--permission` first) the same,
 *                                    with these flags
 *   as `run-module MODULE ...`       it becomes the workload; as `run-text` and `print-text`
 *                                    what `node -e` and `node -p` are (for `kubectl exec`)
 *
 * Each step replaces the process and keeps its pid.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { constants, Script } from 'node:vm';
import { agentEnvironment, agentNodeFlags } from './agent-node-flags.ts';

const runModule = 'run-module';
const runText = 'run-text';
const printText = 'print-text';
const runAgent = 'run-agent';
/** What stands before a program given as a word, and what becomes of it. */
const textModes: Readonly<Record<string, string>> = {
  '-e': runText,
  '--eval': runText,
  '-p': printText,
  '--print': printText,
};

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

function becomeText(mode: string, text: string, rest: readonly string[]): void {
  process.argv.splice(1, process.argv.length, ...rest);
  Object.assign(globalThis, { require: createRequire(`${process.cwd()}/[eval]`) });
  const result: unknown = new Script(text, {
    filename: '[eval]',
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }).runInThisContext();
  if (mode === printText) console.log(result);
}

async function main(words: readonly string[]): Promise<void> {
  const [mode, module, ...rest] = words;
  if (mode === runModule && module !== undefined) return await becomeModule(module, rest);
  if ((mode === runText || mode === printText) && module !== undefined) {
    becomeText(mode, module, rest);
    return;
  }
  if (mode === runAgent) {
    process.argv.splice(2, 1);
    await import('./agent.ts');
    return;
  }
  const isCalledNode = process.execPath.endsWith('/node');
  if (!isCalledNode && mode?.startsWith('--permission') !== true) {
    return become(agentNodeFlags, [runAgent, ...words], agentEnvironment);
  }
  const flagsEnd = words.findIndex((word) => !word.startsWith('-') || word in textModes);
  const flags = flagsEnd === -1 ? words : words.slice(0, flagsEnd);
  if (flags.includes('-v') || flags.includes('--version')) {
    console.log(process.version);
    return;
  }
  if (flagsEnd === -1) {
    throw new Error('as node this program takes: [flags] MODULE [arguments], -e TEXT, -p TEXT, -v');
  }
  const textMode = textModes[words[flagsEnd] ?? ''];
  become(
    ['--disable-warning=ExperimentalWarning', ...flags],
    textMode === undefined
      ? [runModule, ...words.slice(flagsEnd)]
      : [textMode, ...words.slice(flagsEnd + 1)],
  );
}

main(process.argv.slice(2)).catch((thrown: unknown) => {
  // As Node.js itself tells of a module that throws.
  console.error(thrown);
  process.exit(1);
});
