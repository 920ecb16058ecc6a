/** What the commands that describe themselves in a file of their own share. */
import { Option } from 'commander';
import type { CliContext, ExitCode } from './context.ts';

export const stateFolderDefault = '.selvage';

export interface CommandTools {
  readonly context: CliContext;
  /** Notes the exit code that the command line ends with. */
  readonly done: (code: ExitCode) => void;
  /** The absolute path of what the user named. */
  readonly folder: (path: string) => string;
  readonly stateOption: () => Option;
  readonly outputOption: () => Option;
  readonly kubeconfigOption: () => Option;
}

export function createCommandTools(
  context: CliContext,
  done: (code: ExitCode) => void,
  folder: (path: string) => string,
): CommandTools {
  return {
    context,
    done,
    folder,
    stateOption: () =>
      new Option('--state <folder>', 'folder of the fleet').default(stateFolderDefault),
    outputOption: () =>
      new Option('-o, --output <format>', 'how to print it')
        .choices(['text', 'json', 'yaml'])
        .default('text'),
    kubeconfigOption: () =>
      new Option('--kubeconfig <file>', 'access to the fleet').default(
        context.environment['KUBECONFIG'] ?? `${stateFolderDefault}/kubeconfig`,
        '$KUBECONFIG or .selvage/kubeconfig',
      ),
  };
}
