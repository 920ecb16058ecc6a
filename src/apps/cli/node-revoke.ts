/** `selvage node revoke NAME`: refuses a node's key from now on, and cuts what it has open. */
import { textOf, utf8 } from '#base/mod.ts';
import { openApi, requestApi } from './api-access.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { type OutputFormat, printStructured } from './output.ts';
import { refusalWords } from './refusal.ts';

export async function revokeNode(
  context: CliContext,
  options: {
    readonly name: string;
    readonly reason: string | undefined;
    readonly kubeconfigPath: string;
    readonly format: OutputFormat;
  },
): Promise<ExitCode> {
  const access = await openApi(context, options.kubeconfigPath);
  const { name, reason } = options;
  const body = { nodeName: name, ...(reason === undefined ? {} : { reason }) };
  const answer = await requestApi(access, 'POST', '/apis/selvage.dev/v1/noderevocations', {
    contentType: 'application/json',
    bytes: utf8(JSON.stringify(body)),
  });
  if (answer.status !== 201) {
    throw new CommandFailure(`node ${name} was not revoked: ${refusalWords(answer.bytes)}`);
  }
  const revocation = JSON.parse(textOf(answer.bytes)) as { nodeName: string; revokedAt: string };
  if (options.format !== 'text') {
    printStructured(context.standardOutput, options.format, revocation);
    return exitCodes.ok;
  }
  context.standardOutput.write(
    [
      `revoked ${name}: its key is refused since ${revocation.revokedAt}, its link is closed, no new pods go there`,
      'To let the machine back in, delete the Node and have it join with a new key:',
      `  kubectl delete node ${name}`,
      '  selvage join-token --site SITE',
      '',
    ].join('\n'),
  );
  return exitCodes.ok;
}
