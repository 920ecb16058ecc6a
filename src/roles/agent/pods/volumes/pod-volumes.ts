/**
 * The volumes of this node's pods, in `pods/<uid>/.volumes/<name>`: made before a
 * container needs them, kept up to date while the pod is there, gone with it. Data of
 * claims is elsewhere (claim-volumes.ts) and stays.
 *
 * Invariants:
 * 1. Of one pod only one thing at a time is done here; after `remove` has begun
 *    nothing of it is made again.
 * 2. Nothing below a volume is looked at by name: what is there belongs to the
 *    workload, links and all.
 * 3. A volume whose object is gone keeps what it held.
 */
import { errorText } from '#base/mod.ts';
import {
  type Container,
  milliUnitsOf,
  tryParseQuantity,
  type Volume,
  type VolumeMount,
} from '#platform/api/mod.ts';
import type { Disk, FileTree, Logger } from '#platform/io/mod.ts';
import { AgentError } from '../../errors.ts';
import type { ContainerMount } from '../../runtimes/types.ts';
import type { ConfigObjects } from '../config-objects.ts';
import type { PodFacts } from '../pod-fields.ts';
import type { PodTokens } from '../pod-tokens.ts';
import type { ClaimVolumes } from './claim-volumes.ts';
import { resolveHostPath } from './host-path.ts';
import { isSamePayload, isWritten, payloadOf, type VolumeFile } from './payload.ts';
import type { ResolvedVolume } from './resolved.ts';
import { writeFolder } from './written-folder.ts';

export interface PodVolumesDependencies {
  readonly disk: Disk;
  /** Absent: this node shows pods nothing of its file system. */
  readonly tree: FileTree | undefined;
  readonly objects: ConfigObjects;
  /** Absent: pods that show tokens wait, and say so. */
  readonly tokens?: PodTokens | undefined;
  readonly claims: ClaimVolumes;
  readonly logger: Logger;
}

export interface PodVolumesOptions {
  /** Absolute paths below which pods may be shown the node's own files. */
  readonly hostPathPrefixes: readonly string[];
  /** The user of the pod's workloads. */
  readonly userIdOf: (ip: string) => number;
}

export interface PodVolumes {
  /**
   * What the container is to be shown; all its volumes are there then. Rejects with
   * CONTAINER_CONFIG where one cannot be.
   */
  mountsFor(pod: PodFacts, container: Container): Promise<readonly ContainerMount[]>;
  /** Brings up to date what the pod's volumes show of objects and of the pod itself. */
  refresh(pod: PodFacts): Promise<void>;
  /** Says why the pod has to go, where it has more on disk than it may. */
  overuse(pod: PodFacts): Promise<string | undefined>;
  /** What the pod has on the disk that goes with it: volumes of its own and logs. */
  diskBytes(podUid: string): Promise<number>;
  /** All of the pod's volumes, for good. */
  remove(podUid: string): Promise<void>;
  /** What volumes hold in memory is lost, as at the end of the machine: nothing runs any more. */
  releaseMemory(): Promise<void>;
}

const volumesFolder = '.volumes';
const ownerOnly = { mode: 0o700 };
/** Of everybody, as the folder around it is of nobody. */
const emptyFolder = { mode: 0o777 };
/** What memory without a limit of its own may take. */
const memoryBytesDefault = 64 * 1024 * 1024;

export function createPodVolumes(
  { disk, tree, objects, claims, logger, tokens }: PodVolumesDependencies,
  { hostPathPrefixes, userIdOf }: PodVolumesOptions,
): PodVolumes {
  const busy = new Map<string, Promise<unknown>>();
  const removed = new Set<string>();
  /** By pod and volume: what this process has written; undefined for what an earlier one has. */
  const written = new Map<string, readonly VolumeFile[] | undefined>();

  function inTurn<Result>(podUid: string, task: () => Promise<Result>): Promise<Result> {
    const before = busy.get(podUid) ?? Promise.resolve();
    const done = before.then(task, task);
    const settled = done.then(
      () => undefined,
      () => undefined,
    );
    busy.set(podUid, settled);
    void settled.then(() => {
      if (busy.get(podUid) === settled) busy.delete(podUid);
    });
    return done;
  }

  function folderOf(podUid: string, volume?: string): string {
    const folder = disk.absolute(`pods/${podUid}/${volumesFolder}`);
    return volume === undefined ? folder : `${folder}/${volume}`;
  }

  function requireTree(volume: Volume): FileTree {
    if (tree !== undefined) return tree;
    throw new AgentError('CONTAINER_CONFIG', `volume "${volume.name}": this node has no volumes`);
  }

  async function make(pod: PodFacts, volume: Volume): Promise<ResolvedVolume> {
    const files = requireTree(volume);
    if (volume.hostPath !== undefined) return resolveHostPath(files, hostPathPrefixes, volume);
    if (volume.persistentVolumeClaim !== undefined) return claims.resolve(files, pod, volume);
    const source = folderOf(pod.uid, volume.name);
    await disk.makeDirectory(`pods/${pod.uid}/${volumesFolder}`, ownerOnly.mode);
    if (isWritten(volume)) {
      await writeUnlessKept(files, pod, volume);
      return { source, below: [], isFile: false, isReadOnly: true };
    }
    await files.makeFolder(source, emptyFolder);
    if (volume.emptyDir?.medium === 'Memory' && !(await files.isMemory(source))) {
      await files.mountMemory(source, memoryBytesOf(volume), emptyFolder);
    }
    return { source, below: [], isFile: false, isReadOnly: false };
  }

  /** Also by an earlier agent, for containers that run on. */
  async function isMade(files: FileTree, podUid: string, volume: string): Promise<boolean> {
    const key = `${podUid}/${volume}`;
    if (written.has(key)) return true;
    const isThere = (await files.kindOf(folderOf(podUid, volume))) === 'directory';
    if (isThere) written.set(key, undefined);
    return isThere;
  }

  /** What was there when the pod began is enough to begin again. */
  async function writeUnlessKept(files: FileTree, pod: PodFacts, volume: Volume): Promise<void> {
    const isThere =
      (await files.readLink(`${folderOf(pod.uid, volume.name)}/..data`)) !== undefined;
    await write(files, pod, volume).catch((error: unknown) => {
      if (!isThere || !(error instanceof AgentError)) throw error;
    });
  }

  async function write(files: FileTree, pod: PodFacts, volume: Volume): Promise<void> {
    const payload = payloadOf(volume, pod, objects, tokens);
    const key = `${pod.uid}/${volume.name}`;
    const before = written.get(key);
    if (before !== undefined && isSamePayload(before, payload)) return;
    written.delete(key);
    await writeFolder(files, folderOf(pod.uid, volume.name), payload, userIdOf(pod.ip));
    written.set(key, payload);
  }

  async function mountOf(
    pod: PodFacts,
    mount: VolumeMount,
    volume: ResolvedVolume,
  ): Promise<ContainerMount> {
    const parts = (mount.subPath ?? '').split('/').filter((part) => part !== '');
    const isReadOnly = volume.isReadOnly || mount.readOnly === true;
    const path = `/${mount.mountPath
      .split('/')
      .filter((part) => part !== '')
      .join('/')}`;
    if (parts.length === 0 || !volume.isReadOnly) {
      if (parts.length > 0 && volume.isFile) throw noSubPath(mount, 'the volume is a file');
      const { source, isFile } = volume;
      return { source, path, isReadOnly, below: [...volume.below, ...parts], isFile };
    }
    // Of files that the node wrote: the links are its own, and are followed here.
    const state = await tree?.readLink(`${volume.source}/..data`);
    const source = [volume.source, state ?? '', ...parts].join('/');
    const kind = await tree?.kindOf(source);
    if (kind === undefined) throw noSubPath(mount, 'there is no such file in the volume');
    return { source, path, isReadOnly, below: [], isFile: kind === 'file' };
  }

  async function mountsFor(
    pod: PodFacts,
    container: Container,
  ): Promise<readonly ContainerMount[]> {
    const mounts: ContainerMount[] = [];
    const resolved = new Map<string, ResolvedVolume>();
    for (const volume of pod.spec.volumes ?? []) {
      // Also those that only other containers are shown: a pod begins when all are there.
      resolved.set(volume.name, await make(pod, volume));
    }
    for (const mount of container.volumeMounts ?? []) {
      const volume = resolved.get(mount.name);
      if (volume === undefined) throw noSubPath(mount, 'the pod has no such volume');
      mounts.push(await mountOf(pod, mount, volume));
    }
    // What is mounted inside of another one comes after it.
    return mounts.toSorted((left, right) => depthOf(left.path) - depthOf(right.path));
  }

  return {
    mountsFor: (pod, container) =>
      inTurn(pod.uid, async () => {
        if ((pod.spec.volumes ?? []).length === 0) return [];
        if (removed.has(pod.uid)) throw new AgentError('CONTAINER_CONFIG', 'the pod is going away');
        try {
          await tokens?.ensure(pod);
          return await mountsFor(pod, container);
        } catch (error) {
          if (error instanceof AgentError) throw error;
          throw new AgentError('CONTAINER_CONFIG', `a volume cannot be made: ${errorText(error)}`, {
            cause: error,
          });
        }
      }),

    refresh: (pod) =>
      inTurn(pod.uid, async () => {
        if (tree === undefined || removed.has(pod.uid)) return;
        await tokens?.ensure(pod);
        for (const volume of pod.spec.volumes ?? []) {
          if (!isWritten(volume) || !(await isMade(tree, pod.uid, volume.name))) continue;
          await write(tree, pod, volume).catch((error: unknown) => {
            // It keeps what it held; what the object lacks is said when a container starts.
            if (error instanceof AgentError) return;
            logger.log('warn', 'a volume could not be brought up to date', {
              podUid: pod.uid,
              volume: volume.name,
              error: errorText(error),
            });
          });
        }
      }),

    overuse: (pod) =>
      inTurn(pod.uid, async () => {
        if (tree === undefined || removed.has(pod.uid)) return undefined;
        const folderOfVolume = (volume: string): string => folderOf(pod.uid, volume);
        const logFolderOf = (container: string): string =>
          disk.absolute(`pods/${pod.uid}/${container}`);
        return (
          (await overuseOf(tree, pod, folderOfVolume, logFolderOf)) ?? claims.overuse(tree, pod)
        );
      }),

    async diskBytes(podUid) {
      // Claims are elsewhere: their data outlives the pod. What is memory is not on this disk.
      const [bytes = 0] = (await tree?.diskBytes([disk.absolute(`pods/${podUid}`)])) ?? [];
      return bytes;
    },

    remove(podUid) {
      removed.add(podUid);
      tokens?.forget(podUid);
      return inTurn(podUid, async () => {
        for (const key of written.keys()) if (key.startsWith(`${podUid}/`)) written.delete(key);
        await tree?.remove(folderOf(podUid));
        removed.delete(podUid);
      });
    },

    async releaseMemory() {
      await tree?.releaseMemory(disk.absolute('pods'));
    },
  };
}

async function overuseOf(
  tree: FileTree,
  pod: PodFacts,
  folderOf: (volume: string) => string,
  logFolderOf: (container: string) => string,
): Promise<string | undefined> {
  const { volumes = [], containers, initContainers = [] } = pod.spec;
  const onDisk = volumes.filter(
    ({ emptyDir }) => emptyDir !== undefined && emptyDir.medium !== 'Memory',
  );
  const limits = containers.map(({ resources }) => resources?.limits?.['ephemeral-storage']);
  const isLimited = limits.every((limit) => limit !== undefined);
  if (!isLimited && onDisk.every(({ emptyDir }) => emptyDir?.sizeLimit === undefined)) {
    return undefined;
  }
  const used = await tree.diskBytes(onDisk.map(({ name }) => folderOf(name)));
  for (const [position, { name, emptyDir }] of onDisk.entries()) {
    const limit = bytesOf(emptyDir?.sizeLimit);
    if (limit !== undefined && (used[position] ?? 0) > limit) {
      return `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir?.sizeLimit}".`;
    }
  }
  if (!isLimited) return undefined;
  // A container writes to its volumes and to its log; its root is read-only and /tmp is memory.
  const logs = await tree.diskBytes(
    [...initContainers, ...containers].map(({ name }) => logFolderOf(name)),
  );
  const all = [...used, ...logs].reduce((sum, bytes) => sum + bytes, 0);
  const allowed = limits.reduce((sum, limit) => sum + (bytesOf(limit) ?? 0), 0);
  return all > allowed
    ? `Pod ephemeral local storage usage exceeds the total limit of containers ${allowed}.`
    : undefined;
}

function memoryBytesOf({ emptyDir }: Volume): number {
  return Math.max(1, bytesOf(emptyDir?.sizeLimit) ?? memoryBytesDefault);
}

/** Undefined where nothing is said, or nothing at all: as no limit. */
function bytesOf(amount: string | number | undefined): number | undefined {
  const quantity = amount === undefined ? undefined : tryParseQuantity(amount);
  const bytes = quantity === undefined ? 0 : Math.ceil(milliUnitsOf(quantity) / 1_000);
  return bytes === 0 ? undefined : bytes;
}

function depthOf(path: string): number {
  return path.split('/').length;
}

function noSubPath({ name, subPath = '' }: VolumeMount, why: string): AgentError {
  const what = subPath === '' ? '' : `, subPath ${subPath}`;
  return new AgentError('CONTAINER_CONFIG', `volume "${name}"${what}: ${why}`);
}
