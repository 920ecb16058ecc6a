/**
 * A folder of files that changes as a whole, in the way that programs know from
 * Kubernetes:
 *   ..3fa9…/a/b   the files of one state
 *   ..data        a link to it; replaced in one step when the state changes
 *   a             a link to ..data/a; programs open a/b
 *
 * Invariants:
 * 1. Whoever opens `..data` once sees files of one state only.
 * 2. A state is named after its content, and is believed only after it was compared
 *    with that content by this very process: a crash may have left half of one.
 * 3. Nobody but the node writes here: containers see it read-only.
 */
import { equalBytes, utf8 } from '#base/mod.ts';
import { createHash } from 'node:crypto';
import type { FileTree } from '#platform/io/mod.ts';
import type { VolumeFile } from './payload.ts';

const current = '..data';
const next = '..data_next';
const folderMode = 0o755;

/** Of paths, modes and bytes. */
function hashOfFiles(files: readonly VolumeFile[]): string {
  const hash = createHash('sha256');
  for (const { path, bytes, mode } of files) {
    hash.update(utf8(`${path}\0${mode}\0${bytes.length}\0`)).update(bytes);
  }
  return hash.digest('hex').slice(0, 24);
}

/** Makes the folder hold just `files`, readable to the owner. The folder's parent exists. */
export async function writeFolder(
  tree: FileTree,
  folder: string,
  files: readonly VolumeFile[],
  ownerId: number,
): Promise<void> {
  await tree.makeFolder(folder, { mode: folderMode });
  const state = await ensureState(tree, folder, files, ownerId);
  if ((await tree.readLink(`${folder}/${current}`)) !== state) {
    await putLink(tree, folder, current, state);
  }
  const names = new Set(files.map(({ path }) => path.split('/')[0] ?? path));
  for (const name of names) {
    const target = `${current}/${name}`;
    if ((await tree.readLink(`${folder}/${name}`)) !== target) {
      await putLink(tree, folder, name, target);
    }
  }
  for (const name of await tree.names(folder)) {
    if (name === current || name === state || names.has(name)) continue;
    await tree.remove(`${folder}/${name}`);
  }
}

/** The name of a state with these files: one that is there, or a new one. */
async function ensureState(
  tree: FileTree,
  folder: string,
  files: readonly VolumeFile[],
  ownerId: number,
): Promise<string> {
  const hash = hashOfFiles(files);
  const shown = await tree.readLink(`${folder}/${current}`);
  const isNamed = shown === `..${hash}` || shown === `..${hash}.1`;
  if (shown !== undefined && isNamed && (await holds(tree, `${folder}/${shown}`, files))) {
    return shown;
  }
  // What programs may be reading is never written to.
  const name = shown === `..${hash}` ? `..${hash}.1` : `..${hash}`;
  const path = `${folder}/${name}`;
  await tree.remove(path);
  await tree.makeFolder(path, { mode: folderMode });
  const made = new Set<string>();
  for (const file of files) {
    const parts = file.path.split('/');
    for (let depth = 1; depth < parts.length; depth += 1) {
      const parent = parts.slice(0, depth).join('/');
      if (!made.has(parent)) await tree.makeFolder(`${path}/${parent}`, { mode: folderMode });
      made.add(parent);
    }
    await tree.createFile(`${path}/${file.path}`, file.bytes, { mode: file.mode, ownerId });
  }
  return name;
}

async function holds(tree: FileTree, path: string, files: readonly VolumeFile[]): Promise<boolean> {
  for (const file of files) {
    const bytes = await tree.readFile(`${path}/${file.path}`, file.bytes.length);
    if (bytes === undefined || !equalBytes(bytes, file.bytes)) return false;
  }
  return true;
}

async function putLink(
  tree: FileTree,
  folder: string,
  name: string,
  target: string,
): Promise<void> {
  await tree.remove(`${folder}/${next}`);
  await tree.makeLink(`${folder}/${next}`, target);
  await tree.rename(`${folder}/${next}`, `${folder}/${name}`);
}
