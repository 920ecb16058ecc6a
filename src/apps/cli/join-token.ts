/**
 * `selvage join-token --site SITE`: writes the file by which one machine joins the
 * fleet as a node of that site. The file holds a secret, so it is never printed.
 */
import { errorText, textOf, utf8 } from '#base/mod.ts';
import { openApi, requestApi } from './api-access.ts';
import {
  type CliContext,
  CommandFailure,
  type ExitCode,
  exitCodes,
  type JoinFile,
} from './context.ts';
import { type OutputFormat, printStructured } from './output.ts';
import { displayPath, splitPath } from './paths.ts';
import { refusalWords } from './refusal.ts';

const joinFileMode = 0o600;

export async function joinToken(
  context: CliContext,
  options: {
    readonly site: string;
    readonly expiresInMs: number;
    /** Absolute path of the join file. */
    readonly file: string;
    readonly kubeconfigPath: string;
    readonly format: OutputFormat;
  },
): Promise<ExitCode> {
  const access = await openApi(context, options.kubeconfigPath);
  const body = { site: options.site, expiresInSeconds: Math.ceil(options.expiresInMs / 1_000) };
  const answer = await requestApi(access, 'POST', '/apis/selvage.dev/v1/jointokens', {
    contentType: 'application/json',
    bytes: utf8(JSON.stringify(body)),
  });
  if (answer.status !== 201) {
    throw new CommandFailure(`the server gave no join token: ${refusalWords(answer.bytes)}`);
  }
  const { token, expiresAt } = JSON.parse(textOf(answer.bytes)) as {
    token: string;
    expiresAt: string;
  };
  const join: JoinFile = { server: access.address, caPem: access.tls.trustPem, token };
  const { folder, name } = splitPath(options.file);
  const disk = context.diskAt(folder);
  try {
    await disk.makeDirectory('');
    await disk.writeFileAtomic(name, utf8(`${JSON.stringify(join)}\n`), joinFileMode);
  } catch (error) {
    throw new CommandFailure(
      `${options.file} cannot be written (${errorText(error)}). Name another file with --file; the token that was made expires at ${expiresAt} unused.`,
    );
  }
  if (options.format !== 'text') {
    printStructured(context.standardOutput, options.format, {
      file: options.file,
      site: options.site,
      server: access.address,
      expiresAt,
    });
    return exitCodes.ok;
  }
  context.standardOutput.write(
    [
      `wrote ${displayPath(context.workingDirectory, options.file)}: one machine can join site ${options.site} with it until ${expiresAt}`,
      'Copy it to the machine (it holds a secret), then start the agent there:',
      `  selvage agent --name NODE --state /var/lib/selvage --join-file ${name}`,
      '',
    ].join('\n'),
  );
  return exitCodes.ok;
}
