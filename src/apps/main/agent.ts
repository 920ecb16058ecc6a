/**
 * The agent as a program of its own: what runs on a node and nothing else. It takes
 * the options of `selvage agent`.
 *
 * Without top-level await, so that it can be bundled as CommonJS: an import of a
 * built-in module there loads what is used of it, and no more.
 */
import { parseArgs } from 'node:util';
import {
  agentHelp,
  agentOptions,
  agentProcessOptionsOf,
  CommandFailure,
  exitCodes,
} from '#apps/cli/mod.ts';
import { errorText, SelvageError } from '#base/mod.ts';
import { runAgentProcess } from './agent-process.ts';
import { productVersion } from './product.ts';

async function main(words: readonly string[]): Promise<number> {
  const { help, version, ...values } = parseWords(words);
  if (help === true) {
    process.stdout.write(agentHelp());
    return exitCodes.ok;
  }
  if (version === true) {
    process.stdout.write(`${productVersion}\n`);
    return exitCodes.ok;
  }
  const texts: Record<string, string> = {};
  for (const { name, fallback } of agentOptions) {
    const value = values[name] ?? fallback;
    if (typeof value === 'string') texts[name] = value;
  }
  return await runAgentProcess(agentProcessOptionsOf(texts, process.cwd()), productVersion);
}

function parseWords(words: readonly string[]): Record<string, string | boolean | undefined> {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'V' },
  };
  for (const { name } of agentOptions) options[name] = { type: 'string' };
  try {
    return parseArgs({ args: [...words], options }).values;
  } catch (thrown) {
    throw new CommandFailure(`${errorText(thrown)} (add --help)`, exitCodes.usage);
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (thrown: unknown) => {
    const isForPeople = thrown instanceof CommandFailure || thrown instanceof SelvageError;
    process.stderr.write(
      `selvage: ${isForPeople || !(thrown instanceof Error) ? errorText(thrown) : (thrown.stack ?? errorText(thrown))}\n`,
    );
    process.exit(thrown instanceof CommandFailure ? thrown.exitCode : exitCodes.failed);
  },
);
