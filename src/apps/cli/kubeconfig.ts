/**
 * `selvage kubeconfig`: the access file of a fleet, as it is for one more
 * terminal, or merged into the file that kubectl reads without being told.
 *
 * Invariant: the private key in it goes to standard output or into a file that
 * only its owner may read, never anywhere else; other clusters' entries stay.
 */
import { isJsonObject, textOf, utf8, type JsonObject } from '#base/mod.ts';
import type { Command } from 'commander';
import { parse, stringify } from 'yaml';
import type { CommandTools } from './command-tools.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { resolvePath, splitPath } from './paths.ts';

const fileBytesMax = 4 * 1024 * 1024;
const ownerOnly = 0o600;
/** The lists of a kubeconfig whose entries have names. */
const namedLists = ['clusters', 'users', 'contexts'] as const;

export function addKubeconfigCommand(program: Command, tools: CommandTools): void {
  program
    .command('kubeconfig')
    .description('print the access file of a fleet, or merge it into the one that kubectl reads')
    .addOption(tools.stateOption())
    .option('--merge [file]', 'add it to this file instead (default: ~/.kube/config)')
    .option('--name <name>', 'what cluster, user and context are called', 'selvage')
    .option('--use', 'with --merge: make it the current context', false)
    .option('--dry-run', 'with --merge: print what the file would be, without keys', false)
    .action(async (options) => {
      tools.done(
        await kubeconfig(tools.context, {
          path: tools.folder(`${options.state as string}/kubeconfig`),
          mergeInto: mergeTarget(tools, options.merge),
          name: options.name,
          makesCurrent: options.use,
          isDryRun: options.dryRun,
        }),
      );
    });
}

function mergeTarget(tools: CommandTools, merge: string | true | undefined): string | undefined {
  if (merge === undefined || merge !== true)
    return merge === undefined ? undefined : tools.folder(merge);
  const home = tools.context.environment['HOME'];
  if (home === undefined) {
    throw new CommandFailure('HOME is not set: name the file, --merge FILE.', exitCodes.usage);
  }
  return resolvePath(home, '.kube/config');
}

async function kubeconfig(
  context: CliContext,
  options: {
    readonly path: string;
    readonly mergeInto: string | undefined;
    readonly name: string;
    readonly makesCurrent: boolean;
    readonly isDryRun: boolean;
  },
): Promise<ExitCode> {
  const { mergeInto } = options;
  const own = await readConfig(context, options.path);
  if (own === undefined) {
    throw new CommandFailure(
      `there is no kubeconfig at ${options.path}. Start a fleet with 'selvage up', or name its folder with --state.`,
    );
  }
  const renamed = renamedConfig(own, options.name);
  if (mergeInto === undefined) {
    context.standardOutput.write(stringify(renamed));
    return exitCodes.ok;
  }
  const present = (await readConfig(context, mergeInto)) ?? {};
  const merged = mergedConfig(present, renamed, options.makesCurrent);
  if (options.isDryRun) {
    context.standardOutput.write(stringify(withoutKeys(merged)));
    return exitCodes.ok;
  }
  const { folder, name } = splitPath(mergeInto);
  const disk = context.diskAt(folder);
  await disk.makeDirectory('', 0o700);
  await disk.writeFileAtomic(name, utf8(stringify(merged)), ownerOnly);
  context.standardOutput.write(
    `${mergeInto} knows the fleet as '${options.name}' now\n  kubectl --context ${options.name} get nodes\n`,
  );
  return exitCodes.ok;
}

/** The same access under another name. */
export function renamedConfig(config: JsonObject, name: string): JsonObject {
  const one = (list: string): JsonObject => {
    const entries = config[list];
    const entry = Array.isArray(entries) ? entries[0] : undefined;
    return isJsonObject(entry) ? entry : {};
  };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ ...one('clusters'), name }],
    users: [{ ...one('users'), name }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
}

/** `added` replaces entries of its names; everything else of `present` stays. */
export function mergedConfig(
  present: JsonObject,
  added: JsonObject,
  makesCurrent: boolean,
): JsonObject {
  const merged: JsonObject = { apiVersion: 'v1', kind: 'Config', ...present };
  for (const list of namedLists) {
    const before = Array.isArray(present[list]) ? present[list] : [];
    const more = Array.isArray(added[list]) ? added[list] : [];
    const names = new Set(more.map((entry) => (isJsonObject(entry) ? entry['name'] : undefined)));
    merged[list] = [
      ...before.filter((entry) => !isJsonObject(entry) || !names.has(entry['name'])),
      ...more,
    ];
  }
  const hasCurrent =
    typeof present['current-context'] === 'string' && present['current-context'] !== '';
  if (makesCurrent || !hasCurrent) merged['current-context'] = added['current-context'] ?? '';
  return merged;
}

function withoutKeys(config: JsonObject): JsonObject {
  const users = Array.isArray(config['users']) ? config['users'] : [];
  return {
    ...config,
    users: users.map((entry) =>
      isJsonObject(entry) && isJsonObject(entry['user'])
        ? {
            ...entry,
            user: Object.fromEntries(
              Object.keys(entry['user']).map((field) => [field, '(left out)']),
            ),
          }
        : entry,
    ),
  };
}

async function readConfig(context: CliContext, path: string): Promise<JsonObject | undefined> {
  const { folder, name } = splitPath(path);
  const bytes = await context.diskAt(folder).readFile(name, fileBytesMax);
  if (bytes === undefined) return undefined;
  let config: unknown;
  try {
    config = parse(textOf(bytes));
  } catch {
    // The parser's words may quote a line of the file, and with it a key.
    throw new CommandFailure(`${path} is not valid YAML; it is left as it is.`);
  }
  if (config === null) return {};
  if (!isJsonObject(config))
    throw new CommandFailure(`${path} is no kubeconfig; it is left as it is.`);
  return config;
}
