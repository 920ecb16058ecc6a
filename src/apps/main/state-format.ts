/**
 * Which form a state folder has. What an older version wrote is opened; what a newer
 * one wrote is refused before anything of it is read or changed, as this version
 * cannot know what it would break.
 *
 *   format.json   {"formatVersion": 2, "writtenBy": "0.1.0"}
 *
 * Invariants:
 * 1. The number grows with every change that the version before cannot read.
 * 2. A folder without the file was made before there was one: form 1. Form 2 has notes beside
 *    facets (who set which field).
 * 3. The file is written last of all that a newer form needs, so that a folder never
 *    claims a form that it does not have yet.
 */
import { CommandFailure } from '#apps/cli/mod.ts';
import { errorText, textOf, utf8 } from '#base/mod.ts';
import type { Disk, Logger } from '#platform/io/mod.ts';

const formatFile = 'format.json';
const formatVersion = 2;
const fileBytesMax = 4_096;

interface FormatFile {
  readonly formatVersion: number;
  readonly writtenBy: string;
}

/** Notes this version in the folder. Throws CommandFailure where its form is too new. */
export async function requireKnownFormat(
  disk: Disk,
  version: string,
  logger: Logger,
): Promise<void> {
  const found = await readFormat(disk, logger);
  if (found !== undefined && found.formatVersion > formatVersion) {
    throw new CommandFailure(
      `${disk.absolute('')} has been written by selvage ${found.writtenBy} in form ${found.formatVersion}; ` +
        `selvage ${version} knows forms up to ${formatVersion}. Nothing was changed. ` +
        'Run that version or a newer one, or restore a backup that this version has made into another folder.',
    );
  }
  if (found?.formatVersion === formatVersion && found.writtenBy === version) return;
  if (found !== undefined) {
    const { writtenBy } = found;
    logger.log('info', 'opened the state of another version', { writtenBy });
  }
  const file: FormatFile = { formatVersion, writtenBy: version };
  try {
    await disk.writeFileAtomic(formatFile, utf8(`${JSON.stringify(file)}\n`), 0o600);
  } catch (thrown) {
    // A full disk must not keep a server from its reads.
    logger.log('warn', 'the version cannot be noted in the state folder', {
      error: errorText(thrown),
    });
  }
}

async function readFormat(disk: Disk, logger: Logger): Promise<FormatFile | undefined> {
  const bytes = await disk.readFile(formatFile, fileBytesMax);
  if (bytes === undefined) return undefined;
  try {
    const file = JSON.parse(textOf(bytes)) as Partial<FormatFile> | null;
    if (Number.isSafeInteger(file?.formatVersion)) {
      return { formatVersion: file?.formatVersion ?? 0, writtenBy: String(file?.writtenBy) };
    }
  } catch {
    // Said below.
  }
  // Every other file checks itself; a damaged note must not keep a node from its pods.
  logger.log('warn', "the note of the folder's form is damaged and is written anew", {
    file: disk.absolute(formatFile),
  });
  return undefined;
}
