/** docs/reference/commands.md: every command and option, from the command line's own definition. */
import {
  type CliContext,
  type CommandDescription,
  describeCommands,
  exitCodes,
} from '#apps/cli/mod.ts';

/** All that describing reads of a context; nothing is run. */
const onPaper = {
  environment: {},
  workingDirectory: '/',
  productVersion: '',
} as unknown as CliContext;

export function commandsPage(): string {
  return [
    '# Commands',
    '',
    'Every command of `selvage`, with its options. `selvage COMMAND --help` tells the same.',
    '',
    'Exit codes, the same for every command:',
    '',
    '| code | meaning |',
    '| --- | --- |',
    `| ${exitCodes.ok} | it is done |`,
    `| ${exitCodes.failed} | it was tried and did not work; the message says why |`,
    `| ${exitCodes.usage} | the command line itself was wrong |`,
    `| ${exitCodes.unreachable} | the fleet or its server could not be reached |`,
    '',
    ...describeCommands(onPaper).map(commandSection),
  ].join('\n');
}

function commandSection({ usage, description, options }: CommandDescription): string {
  const lines = [`## ${usage}`, '', `${description}.`.replace('..', '.'), ''];
  if (options.length > 0) {
    lines.push('| option | meaning |', '| --- | --- |');
    for (const { flags, meaning } of options) {
      lines.push(`| \`${flags.replaceAll('|', '\\|')}\` | ${meaning.replaceAll('|', '\\|')} |`);
    }
    lines.push('');
  }
  return lines.join('\n');
}
