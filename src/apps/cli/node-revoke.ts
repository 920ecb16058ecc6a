/** `selvage node revoke NAME`: refuses a node's key from now on, and cuts what it has open. */
import { textOf, utf8 } from '#base/mod.ts';
import { resources } from '#platform/api/mod.ts';
import { type ApiAccess, openApi, requestApi } from './api-access.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { type OutputFormat, printStructured } from './output.ts';
import { refusalWords } from './refusal.ts';

export async function revokeNode(
  context: CliContext,
  options: {
    readonly name: string;
    readonly reason: string | undefined;
    /** Only say what would become of the node. */
    readonly dryRun: boolean;
    readonly kubeconfigPath: string;
    readonly format: OutputFormat;
  },
): Promise<ExitCode> {
  const access = await openApi(context, options.kubeconfigPath);
  const { name, reason } = options;
  if (options.dryRun) return await previewRevocation(context, access, options);
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

async function previewRevocation(
  context: CliContext,
  access: ApiAccess,
  options: { readonly name: string; readonly format: OutputFormat },
): Promise<ExitCode> {
  const { name, format } = options;
  const path = `/api/v1/nodes/${encodeURIComponent(name)}`;
  const answer = await requestApi(access, 'GET', path);
  if (answer.status !== 200) {
    throw new CommandFailure(`node ${name} cannot be revoked: ${refusalWords(answer.bytes)}`);
  }
  const { items } = await access.client.list(resources.pods, {
    fieldSelector: `spec.nodeName=${name}`,
  });
  const pods = items.map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`);
  if (format !== 'text') {
    printStructured(context.standardOutput, format, { nodeName: name, dryRun: true, pods });
    return exitCodes.ok;
  }
  context.standardOutput.write(
    [
      `would revoke ${name} for ever: its key refused, its link closed, the node cordoned`,
      pods.length === 0
        ? 'no pod is on it'
        : `these pods would be replaced elsewhere, and run on at the machine without a fleet: ${pods.join(', ')}`,
      'Nothing was changed.',
      '',
    ].join('\n'),
  );
  return exitCodes.ok;
}
