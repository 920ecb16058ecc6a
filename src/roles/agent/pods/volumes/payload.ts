/** The files that a volume is to hold, from the objects it names: a pure function. */
import { equalBytes, utf8 } from '#base/mod.ts';
import type { DownwardFile, KeyToPath, Volume } from '#platform/api/mod.ts';
import { AgentError } from '../../errors.ts';
import type { ConfigKind, ConfigObjects } from '../config-objects.ts';
import type { PodTokens } from '../pod-tokens.ts';
import { fieldText, resourceText, type PodFacts } from '../pod-fields.ts';

export interface VolumeFile {
  /** Relative, of names alone. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly mode: number;
}

/** What is secret, only the pod's own user can reach. */
const ownerModes = 0o700;
const modeDefault = 0o644;
/** All files of one volume: a few objects of at most 1 MiB each. */
const filesMax = 4096;

/** Whether the volume is made of files that the node writes and keeps up to date. */
export function isWritten(volume: Volume): boolean {
  const { configMap, secret, projected, downwardAPI } = volume;
  return [configMap, secret, projected, downwardAPI].some((source) => source !== undefined);
}

/** The bytes of an object that has not changed are the same ones: as a rule nothing is compared. */
export function isSamePayload(left: readonly VolumeFile[], right: readonly VolumeFile[]): boolean {
  return (
    left.length === right.length &&
    left.every((file, position) => {
      const other = right[position];
      if (other?.path !== file.path || other.mode !== file.mode) return false;
      return other.bytes === file.bytes || equalBytes(other.bytes, file.bytes);
    })
  );
}

/**
 * Sorted by path. Throws CONTAINER_CONFIG where something is missing that is not
 * optional, or where a file would also have to be a folder.
 */
export function payloadOf(
  volume: Volume,
  pod: PodFacts,
  objects: ConfigObjects,
  tokens: Pick<PodTokens, 'tokenOf' | 'whyNone'> | undefined,
): readonly VolumeFile[] {
  const files = new Map<string, VolumeFile>();
  const add = (path: string, bytes: Uint8Array, mode: number): void => {
    files.set(path, { path, bytes, mode });
  };
  const addKeys = (
    kind: ConfigKind,
    source: { name: string; items?: KeyToPath[]; optional?: boolean },
    ofAll: number,
  ): void => {
    // Only the pod's own user can reach them, whoever else the mode names.
    const modeOf = (mode: number): number => (kind === 'secret' ? mode & ownerModes : mode);
    const { name, items, optional = false } = source;
    const data = objects.dataOf(kind, pod.namespace, name);
    if (data === undefined) {
      if (optional) return;
      throw refused(volume, `${kind} "${name}" not found`);
    }
    if (items === undefined || items.length === 0) {
      for (const [key, bytes] of data) add(key, bytes, modeOf(ofAll));
      return;
    }
    for (const { key, path, mode } of items) {
      const bytes = data.get(key);
      if (bytes !== undefined) add(path, bytes, modeOf(mode ?? ofAll));
      else if (!optional) throw refused(volume, `${kind} "${name}" has no key "${key}"`);
    }
  };
  const addFields = (items: readonly DownwardFile[], ofAll: number): void => {
    for (const { path, fieldRef, resourceFieldRef, mode } of items) {
      const text =
        resourceFieldRef === undefined
          ? fieldText(pod, fieldRef?.fieldPath ?? '')
          : resourceText(pod, resourceFieldRef);
      add(path, utf8(text), mode ?? ofAll);
    }
  };
  const { configMap, secret, projected, downwardAPI } = volume;
  if (configMap !== undefined) {
    const { name = '', defaultMode = modeDefault } = configMap;
    addKeys('configmap', { ...configMap, name }, defaultMode);
  }
  if (secret !== undefined) {
    const { secretName: name = '', defaultMode = modeDefault } = secret;
    addKeys('secret', { ...secret, name }, defaultMode);
  }
  if (downwardAPI !== undefined) {
    addFields(downwardAPI.items ?? [], downwardAPI.defaultMode ?? modeDefault);
  }
  const ofAll = projected?.defaultMode ?? modeDefault;
  for (const source of projected?.sources ?? []) {
    const { configMap: map, secret: hidden, downwardAPI: fields, serviceAccountToken } = source;
    if (serviceAccountToken !== undefined) {
      const token = tokens?.tokenOf(pod.uid, serviceAccountToken);
      if (token === undefined) {
        const why = tokens?.whyNone(pod.uid, serviceAccountToken) ?? 'this node gets none';
        throw refused(volume, `there is no token of the ServiceAccount yet: ${why}`);
      }
      add(serviceAccountToken.path, token, ofAll & ownerModes);
    }
    if (map !== undefined) addKeys('configmap', { ...map, name: map.name ?? '' }, ofAll);
    if (hidden !== undefined) addKeys('secret', { ...hidden, name: hidden.name ?? '' }, ofAll);
    if (fields !== undefined) addFields(fields.items ?? [], ofAll);
  }
  if (files.size > filesMax) {
    throw refused(volume, `it has ${files.size} files, above the limit of ${filesMax}`);
  }
  const paths = [...files.keys()].toSorted();
  requireNoFileIsFolder(volume, paths);
  return paths.flatMap((path) => files.get(path) ?? []);
}

function requireNoFileIsFolder(volume: Volume, paths: readonly string[]): void {
  const all = new Set(paths);
  for (const path of paths) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end);
      if (all.has(folder)) throw refused(volume, `${folder} would be both a file and a folder`);
    }
  }
}

function refused(volume: Volume, why: string): AgentError {
  return new AgentError('CONTAINER_CONFIG', `volume "${volume.name}": ${why}`);
}
