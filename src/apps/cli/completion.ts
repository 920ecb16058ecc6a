/**
 * Shell completion. The shells ask the program itself, `selvage __complete WORDS`,
 * so that what is offered is what the command line takes: one list of commands,
 * and names from the fleet's own folder.
 *
 * The answer: one candidate a line, `word<TAB>description`; the last line says
 * what to do when none fits: `:files`, or `:nothing`.
 */
import { type Argument, type Command, Option } from 'commander';
import type { CommandTools } from './command-tools.ts';
import { type CliContext, type ExitCode, exitCodes } from './context.ts';
import { fleetExists, openFleet } from './fleet.ts';

export interface Candidate {
  readonly word: string;
  readonly description: string;
}

/** Names that only the fleet knows, for an argument or a value that is called so. */
export type NamesOf = (what: string) => Promise<readonly string[]>;

export const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

export function addCompletionCommands(program: Command, tools: CommandTools): void {
  const completion = program
    .command('completion')
    .description('print what teaches a shell to complete selvage');
  for (const shell of shells) {
    completion
      .command(shell)
      .description(`for ${shell}: ${installLines[shell]}`)
      .action(() => {
        tools.context.standardOutput.write(scripts[shell]);
        tools.done(exitCodes.ok);
      });
  }
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (words: string[]) => {
      tools.done(await answer(tools, program, words));
    });
}

const installLines: Readonly<Record<Shell, string>> = {
  bash: 'source <(selvage completion bash)',
  zsh: 'source <(selvage completion zsh)',
  fish: 'selvage completion fish | source',
};

async function answer(
  tools: CommandTools,
  program: Command,
  words: readonly string[],
): Promise<ExitCode> {
  const { candidates, isFile } = await candidatesFor(program, words, (what) =>
    namesOfFleet(tools.context, tools.folder, what),
  );
  const lines = candidates.map(({ word, description }) => `${word}\t${description}`);
  tools.context.standardOutput.write(`${[...lines, isFile ? ':files' : ':nothing'].join('\n')}\n`);
  return exitCodes.ok;
}

/** What fits as the last of `words`, which may be empty; the words before it are taken as they are. */
export async function candidatesFor(
  program: Command,
  words: readonly string[],
  namesOf: NamesOf,
): Promise<{ readonly candidates: readonly Candidate[]; readonly isFile: boolean }> {
  const last = words.at(-1) ?? '';
  let command = program;
  let position = 0;
  let awaiting: Option | undefined;
  for (const word of words.slice(0, -1)) {
    if (awaiting !== undefined) {
      awaiting = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const option = word.includes('=') ? undefined : optionCalled(command, word);
      awaiting = option?.required === true ? option : undefined;
      continue;
    }
    const next = command.commands.find((child) => child.name() === word);
    if (next === undefined) position += 1;
    else command = next;
  }
  if (awaiting !== undefined) return await valuesOf(awaiting, last, namesOf);
  const assigned = /^(--[a-z-]+)=(.*)$/.exec(last);
  if (assigned !== null) {
    const [, name = '', value = ''] = assigned;
    const option = optionCalled(command, name);
    if (option === undefined) return { candidates: [], isFile: false };
    const { candidates, isFile } = await valuesOf(option, value, namesOf);
    return {
      candidates: candidates.map(({ word, description }) => ({
        word: `${name}=${word}`,
        description,
      })),
      isFile,
    };
  }
  if (last.startsWith('-')) {
    const options = [...command.options, new Option('--help', 'display help for command')];
    const offered = options
      .filter(({ hidden, long }) => !hidden && long?.startsWith(last) === true)
      .map(({ long, description }) => ({ word: long ?? '', description }));
    return { candidates: offered, isFile: false };
  }
  const children = command.createHelp().visibleCommands(command);
  if (children.length > 0 && position === 0) {
    const offered = children
      .filter((child) => child.name().startsWith(last))
      .map((child) => ({ word: child.name(), description: child.description() }));
    return { candidates: offered, isFile: false };
  }
  const argument = argumentAt(command, position);
  if (argument === undefined) return { candidates: [], isFile: false };
  const { argChoices } = argument as Argument & { argChoices?: string[] };
  return await namedValues(
    argument.name(),
    argChoices,
    `${command.name()} ${argument.name()}`,
    last,
    namesOf,
  );
}

function argumentAt(command: Command, position: number): Argument | undefined {
  const { registeredArguments } = command;
  const argument = registeredArguments[position];
  const variadic = registeredArguments.at(-1);
  return argument ?? (variadic?.variadic === true ? variadic : undefined);
}

function optionCalled(command: Command, word: string): Option | undefined {
  return command.options.find(({ long, short }) => long === word || short === word);
}

async function valuesOf(
  option: Option,
  last: string,
  namesOf: NamesOf,
): Promise<{ candidates: Candidate[]; isFile: boolean }> {
  const placeholder = /<([^>]+)>/.exec(option.flags)?.[1] ?? '';
  return await namedValues(placeholder, option.argChoices, placeholder, last, namesOf);
}

async function namedValues(
  placeholder: string,
  choices: readonly string[] | undefined,
  what: string,
  last: string,
  namesOf: NamesOf,
): Promise<{ candidates: Candidate[]; isFile: boolean }> {
  const isFile = placeholder === 'file' || placeholder === 'folder';
  const words = choices ?? (isFile ? [] : await namesOf(what));
  const candidates = words
    .filter((word) => word.startsWith(last))
    .map((word) => ({ word, description: '' }));
  return { candidates, isFile };
}

/** Names out of the default fleet's folder; none where there is no fleet. Never fails: a Tab is no place for errors. */
async function namesOfFleet(
  context: CliContext,
  folder: (path: string) => string,
  what: string,
): Promise<readonly string[]> {
  try {
    const stateFolder = folder('.selvage');
    if (!(await fleetExists(context, stateFolder))) return [];
    const { nodes } = (await openFleet(context, stateFolder)).file;
    const names = nodes.map(({ name }) => name);
    if (what === 'site') return [...new Set(nodes.map(({ site }) => site))];
    if (what === 'revoke name' || what === 'node') return names;
    const isLab = what === 'kill name' || what === 'stop name' || what === 'start name';
    return isLab ? ['server', ...names, ...names.map((name) => `agent/${name}`)] : [];
  } catch {
    return [];
  }
}

const bash = `# selvage completion for bash
_selvage() {
  local line word
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files) compopt -o default ;;
      :nothing) ;;
      *)
        word=\${line%%$'\\t'*}
        COMPREPLY+=("$word")
        ;;
    esac
  done < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _selvage selvage ./selvage
`;

const zsh = `#compdef selvage
_selvage() {
  local line
  local -a found
  for line in "\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :files) _files ;;
      :nothing|'') ;;
      *) found+=("\${line%%$'\\t'*}:\${line#*$'\\t'}") ;;
    esac
  done
  (( \${#found} )) && _describe 'selvage' found
}
compdef _selvage selvage
`;

const fish = `# selvage completion for fish
function __selvage_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] __complete -- $words[2..-1] 2>/dev/null)
    switch $line
      case ':files'
        __fish_complete_path (commandline -ct)
      case ':nothing'
      case '*'
        echo $line
    end
  end
end
complete -c selvage -f -a '(__selvage_complete)'
`;

const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };
