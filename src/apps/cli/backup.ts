/**
 * `selvage backup --file FILE`: has the running server write down all that it
 * holds, and keeps that in one file. The file has its name only when it is whole:
 * everything in it was read back against its digests on the way.
 */
import { errorText } from '#base/mod.ts';
import { readArchive } from '#platform/blobs/mod.ts';
import { openApi } from './api-access.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { type OutputFormat, printStructured } from './output.ts';
import { splitPath } from './paths.ts';
import { createProgress } from './progress.ts';
import { refusalWords } from './refusal.ts';

const refusalBytesMax = 64 * 1024;
/** The server writes a snapshot before it answers with the first byte. */
const target = '/apis/selvage.dev/v1/backups';

export async function backup(
  context: CliContext,
  options: {
    readonly filePath: string;
    readonly kubeconfigPath: string;
    readonly format: OutputFormat;
  },
): Promise<ExitCode> {
  const { filePath } = options;
  const { folder, name } = splitPath(filePath);
  const disk = context.diskAt(folder);
  if ((await disk.list('')).some((entry) => entry.name === name)) {
    throw new CommandFailure(`${filePath} is there already: name another file with --file.`);
  }
  const access = await openApi(context, options.kubeconfigPath);
  const response = await access
    .transport({
      method: 'POST',
      target,
      headers: { 'content-type': 'application/json' },
      body: new TextEncoder().encode('{}'),
      isStream: true,
    })
    .catch((error: unknown) => {
      throw new CommandFailure(
        `the server at ${access.address.host}:${access.address.port} does not answer (${errorText(error)}).`,
        exitCodes.unreachable,
      );
    });
  if (response.status !== 200) {
    const words = refusalWords(await firstBytes(response.body));
    throw new CommandFailure(`the server gave no backup: ${words}`);
  }
  await disk.makeDirectory('');
  const partName = `${name}.part`;
  await disk.remove(partName);
  const progress = createProgress(context, 'backup');
  const file = await disk.open(partName, 'create', 0o600);
  let sizeBytes = 0;
  const kept = async function* (): AsyncGenerator<Uint8Array> {
    for await (const bytes of response.body) {
      await file.writeAt(sizeBytes, [bytes]);
      sizeBytes += bytes.length;
      progress.show(sizeBytes);
      yield bytes;
    }
  };
  try {
    const { fileCount } = await readArchive(kept(), {
      begin: async () => {},
      content: async () => {},
      end: async () => {},
    });
    await file.sync();
    await disk.rename(partName, name);
    await disk.syncDirectory('');
    progress.done();
    const result = { file: filePath, sizeBytes, files: fileCount };
    if (options.format === 'text') {
      context.standardOutput.write(
        `wrote ${filePath} (${sizeBytes} bytes, ${fileCount} files). It is a secret: the keys of the fleet are in it.\n`,
      );
    } else {
      printStructured(context.standardOutput, options.format, result);
    }
    return exitCodes.ok;
  } catch (error) {
    progress.done();
    await disk.remove(partName);
    throw new CommandFailure(`no backup was kept: ${errorText(error)}`);
  } finally {
    await file.close();
  }
}

async function firstBytes(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of body) {
    parts.push(part);
    sizeBytes += part.length;
    if (sizeBytes >= refusalBytesMax) break;
  }
  return Buffer.concat(parts);
}
