/** `selvage restore impose`: settles whose history counts after a restore. */
import { textOf, utf8 } from '#base/mod.ts';
import { openApi, requestApi } from './api-access.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { refusalWords } from './refusal.ts';

export async function restoreChoice(
  context: CliContext,
  options: { readonly choice: 'impose' | 'adopt'; readonly kubeconfigPath: string },
): Promise<ExitCode> {
  const { choice } = options;
  const access = await openApi(context, options.kubeconfigPath);
  const answer = await requestApi(access, 'POST', '/apis/selvage.dev/v1/incarnations', {
    contentType: 'application/json',
    bytes: utf8(JSON.stringify({ choice })),
  });
  if (answer.status !== 201) {
    throw new CommandFailure(`nothing was changed: ${refusalWords(answer.bytes)}`);
  }
  const { incarnation } = JSON.parse(textOf(answer.bytes)) as { incarnation: string };
  context.standardOutput.write(
    `the state of the server counts, as incarnation ${incarnation}. Changes are taken again; the nodes follow within seconds.\n`,
  );
  return exitCodes.ok;
}
