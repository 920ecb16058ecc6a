/**
 * What a backup of the server holds: both stores, each at one revision, the blobs,
 * the authority and the administrator's access. The stores come first: every blob
 * that a tag of theirs names was there before the tag, and blobs do not change.
 *
 * The files are secrets: the authority's key is among them.
 */
import { utf8 } from '#base/mod.ts';
import { writeArchive } from '#platform/blobs/mod.ts';
import { type Clock, type Disk, type Random, silentLogger, timestampOf } from '#platform/io/mod.ts';
import {
  type CopiedFile,
  copyOfBytes,
  copyOfFile,
  openStore,
  type OwnedStore,
} from '#platform/store/mod.ts';

const descriptionFile = 'backup.json';
const formatVersion = 1;
const kubeconfigFile = 'kubeconfig';
const copiedFolders = ['blobs', 'authority'] as const;

export interface BackupSources {
  /** The server's own state folder. */
  readonly disk: Disk;
  readonly clock: Clock;
  readonly store: OwnedStore;
  readonly eventStore: OwnedStore;
  readonly productVersion: string;
}

/** The bytes of one backup, as an archive. Throws in the middle where a file cannot be read. */
export function backupOf(sources: BackupSources): AsyncGenerator<Uint8Array> {
  return writeArchive(filesOf(sources));
}

async function* filesOf(sources: BackupSources): AsyncGenerator<CopiedFile> {
  const { disk, clock, store, eventStore, productVersion } = sources;
  const description = {
    formatVersion,
    productVersion,
    createdAt: timestampOf(clock.wallMs()),
    incarnation: store.incarnation,
  };
  yield copyOfBytes(descriptionFile, utf8(`${JSON.stringify(description)}\n`));
  for (const [folder, copied] of [
    ['store', store],
    ['events', eventStore],
  ] as const) {
    for (const file of await copied.copy()) yield { ...file, path: `${folder}/${file.path}` };
  }
  for (const folder of copiedFolders) yield* filesBelow(disk, folder);
  yield* fileAt(disk, kubeconfigFile);
}

async function* filesBelow(disk: Disk, folder: string): AsyncGenerator<CopiedFile> {
  for (const entry of await disk.list(folder)) {
    const path = `${folder}/${entry.name}`;
    // Uploads that are under way belong to nobody after a restart.
    if (entry.kind === 'directory' && path !== 'blobs/uploads') yield* filesBelow(disk, path);
    if (entry.kind === 'file') yield* fileAt(disk, path);
  }
}

async function* fileAt(disk: Disk, path: string): AsyncGenerator<CopiedFile> {
  const { folder, name } = parted(path);
  // A blob may have been removed, and a kubeconfig is written after the server is up.
  if (!(await disk.list(folder)).some((entry) => entry.name === name)) return;
  const file = await disk.open(path, 'read');
  yield copyOfFile(path, file, await file.sizeBytes());
}

function parted(path: string): { readonly folder: string; readonly name: string } {
  const slash = path.lastIndexOf('/');
  return { folder: slash === -1 ? '' : path.slice(0, slash), name: path.slice(slash + 1) };
}

/**
 * Opens what was put into a folder as a server would and says what it is. Throws what
 * the stores throw where it cannot be opened, and an error where a part is missing.
 */
export async function readServerFolder(
  disk: Disk,
  random: Random,
): Promise<{ readonly incarnation: string; readonly revision: number; readonly nodes: number }> {
  for (const folder of ['store/log', 'events/log', 'authority']) {
    if ((await disk.list(folder)).length === 0) throw new Error(`there is no folder ${folder}`);
  }
  const events = await openStore({ disk: disk.within('events'), random, logger: silentLogger });
  await events.close();
  const store = await openStore({ disk: disk.within('store'), random, logger: silentLogger });
  const { incarnation, sequence } = store.head();
  const nodes = store.list('nodes').length;
  await store.close();
  return { incarnation, revision: sequence, nodes };
}
