/**
 * Which files and folders of the node pods may be shown: those below paths that the
 * node's operator has named, and none by default.
 *
 * Links below such a path are not followed, as a pod that may write there could make
 * one that leads out. What is found here is looked at once more when it is mounted.
 */
import type { Volume } from '#platform/api/mod.ts';
import type { FileTree } from '#platform/io/mod.ts';
import { AgentError } from '../../errors.ts';
import type { ResolvedVolume } from './resolved.ts';

/** `prefixes`: absolute, without links, as the operator gave them. Throws CONTAINER_CONFIG. */
export async function resolveHostPath(
  tree: FileTree,
  prefixes: readonly string[],
  volume: Volume,
): Promise<ResolvedVolume> {
  const { path = '', type = '' } = volume.hostPath ?? {};
  const parts = path.split('/').filter((part) => part !== '');
  const clean = `/${parts.join('/')}`;
  const refuse = (why: string): AgentError =>
    new AgentError('CONTAINER_CONFIG', `volume "${volume.name}": hostPath ${clean} ${why}`);
  const prefix = prefixes.find((one) => clean === one || clean.startsWith(`${one}/`));
  if (prefix === undefined) {
    const allowed = prefixes.length === 0 ? 'none' : `only below ${prefixes.join(', ')}`;
    throw refuse(
      `is not allowed on this node (${allowed}): its agent has to be started with --allow-host-path`,
    );
  }
  const below = clean
    .slice(prefix.length)
    .split('/')
    .filter((part) => part !== '');
  let at = prefix;
  let kind = await tree.kindOf(at);
  for (const part of below) {
    if (kind === undefined) break;
    if (kind !== 'directory') throw refuse(`leads through ${at}, which is no folder`);
    at = `${at}/${part}`;
    kind = await tree.kindOf(at);
  }
  if (kind === 'link') throw refuse(`leads through the link ${at}, which is not followed`);
  if (kind === 'other') throw refuse('is neither a file nor a folder');
  const wanted = type.startsWith('Directory') ? 'directory' : 'file';
  if (kind === undefined && !type.endsWith('OrCreate')) {
    throw refuse(type === '' ? 'is not there' : `is not a ${wanted}`);
  }
  if (kind !== undefined && type !== '' && kind !== wanted) {
    throw refuse(`is a ${kind}, not a ${wanted}`);
  }
  const isFile = (kind ?? wanted) === 'file';
  return { source: prefix, below, isFile, isReadOnly: false };
}
