/**
 * `selvage restore --state FOLDER --input FILE`: puts a backup into the folder of a
 * server that does not run.
 *
 * Invariants:
 * 1. Nothing is replaced before every byte was verified and the stores have opened.
 * 2. What was in the folder is kept beside it, never deleted.
 */
import { errorText, SelvageError } from '#base/mod.ts';
import { type ArchivedFile, readArchive } from '#platform/blobs/mod.ts';
import type { Disk, DiskFile } from '#platform/io/mod.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { splitPath } from './paths.ts';
import { createProgress } from './progress.ts';

const readBytes = 256 * 1024;
const lockFile = 'lock';

export async function restore(
  context: CliContext,
  options: {
    readonly stateFolder: string;
    readonly inputPath: string;
    readonly force: boolean;
    readonly dryRun: boolean;
  },
): Promise<ExitCode> {
  const { stateFolder, inputPath, force, dryRun } = options;
  const { folder: parent, name } = splitPath(stateFolder);
  const disk = context.diskAt(parent);
  const present = (await disk.list('')).find((entry) => entry.name === name);
  if (present !== undefined && present.kind !== 'directory') {
    throw new CommandFailure(`${stateFolder} is not a folder.`);
  }
  // Held until this process ends, so that no server starts in the middle. Who only verifies
  // a backup disturbs none that runs.
  if (!dryRun) await context.claimFolder(stateFolder, 'a restore');
  const isEmpty = (await disk.list(name)).every((entry) => entry.name === lockFile);
  if (!isEmpty && !force && !dryRun) {
    throw new CommandFailure(
      `${stateFolder} is not empty. Name a new folder, or add --force: what is there is then kept beside it.`,
    );
  }
  const temporary = dryRun ? `${name}.verifying-${context.clock.wallMs()}` : `${name}.restoring`;
  await disk.remove(temporary);
  try {
    const { fileCount } = await extract(context, inputPath, disk, temporary);
    const found = await verified(context, disk.absolute(temporary));
    const what = `${fileCount} files, ${found.nodes} nodes, revision ${found.revision} of incarnation ${found.incarnation}`;
    if (dryRun) {
      context.standardOutput.write(`${inputPath} is whole: ${what}. Nothing was changed.\n`);
      return exitCodes.ok;
    }
    let aside = '';
    if (isEmpty) {
      await disk.remove(name);
    } else {
      aside = `${name}.replaced-${context.clock.wallMs()}`;
      await disk.rename(name, aside);
    }
    await disk.rename(temporary, name);
    await disk.syncDirectory('');
    const kept = aside === '' ? '' : ` What was there is in ${disk.absolute(aside)}.`;
    context.standardOutput.write(
      [
        `restored ${stateFolder}: ${what}.${kept}`,
        'Start the server. Where nodes have seen more than this backup has, it takes no changes, and says so at /readyz, until you run',
        '  selvage restore adopt     (take over what the nodes hold and this backup lacks; --dry-run says what)',
        '  selvage restore impose    (this state counts; what only the nodes know of is stopped)',
        '',
      ].join('\n'),
    );
    return exitCodes.ok;
  } finally {
    await disk.remove(temporary);
  }
}

/** Puts the files of the archive below `folder`, synced. Throws CommandFailure. */
async function extract(
  context: CliContext,
  inputPath: string,
  disk: Disk,
  folder: string,
): Promise<{ readonly fileCount: number }> {
  const { folder: inputFolder, name } = splitPath(inputPath);
  const folders = new Set<string>();
  let file: DiskFile | undefined;
  let offset = 0;
  try {
    return await readArchive(bytesOf(context, inputFolder, name), {
      async begin({ path }: ArchivedFile) {
        const whole = `${folder}/${path}`;
        const below = whole.slice(0, whole.lastIndexOf('/'));
        if (!folders.has(below)) await disk.makeDirectory(below);
        folders.add(below);
        file = await disk.open(whole, 'create', 0o600);
        offset = 0;
      },
      async content(bytes) {
        await file?.writeAt(offset, [bytes]);
        offset += bytes.length;
      },
      async end() {
        await file?.sync();
        await file?.close();
        file = undefined;
      },
    }).then(async (summary) => {
      for (const below of folders) await disk.syncDirectory(below);
      return summary;
    });
  } catch (error) {
    await file?.close();
    if (!(error instanceof SelvageError)) throw error;
    throw new CommandFailure(`nothing was restored from ${inputPath}: ${error.message}`);
  }
}

async function* bytesOf(
  context: CliContext,
  folder: string,
  name: string,
): AsyncGenerator<Uint8Array> {
  const progress = createProgress(context, 'restore');
  const file = await context.diskAt(folder).open(name, 'read');
  try {
    for (let offset = 0; ;) {
      const bytes = await file.readAt(offset, readBytes);
      if (bytes.length === 0) return;
      offset += bytes.length;
      progress.show(offset);
      yield bytes;
    }
  } finally {
    progress.done();
    await file.close();
  }
}

async function verified(
  context: CliContext,
  folder: string,
): Promise<{ readonly incarnation: string; readonly revision: number; readonly nodes: number }> {
  try {
    return await context.readServerFolder(folder);
  } catch (error) {
    throw new CommandFailure(`nothing was restored: the backup does not open: ${errorText(error)}`);
  }
}
