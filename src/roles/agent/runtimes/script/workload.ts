/** What a workload is called, who it is, and the words that start it. */
import { assert } from '#base/mod.ts';
import { AgentError } from '../../errors.ts';
import type { ContainerMount } from '../types.ts';
import type { StateFile } from './state-file.ts';

/** Where the shim shows the bundle and the runtime to the workload. */
export const bundleRoot = '/app';
export const runtimeProgram = '/runtime/node';
const userIdBase = 100_000;

/**
 * A user of its own for every pod: derived from the pod's address, which no
 * other pod of the machine has while this one is there.
 */
export function userIdOf(ip: string): number {
  const parts = ip.split('.').map(Number);
  assert(
    parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256),
    `${ip} is no IPv4 address`,
  );
  const [, second = 0, third = 0, fourth = 0] = parts;
  return userIdBase + second * 65_536 + third * 256 + fourth;
}

export function containerIdOf(
  state: Pick<StateFile, 'runtime' | 'podUid' | 'container' | 'restartCount'>,
): string {
  return `${state.runtime ?? 'script'}://${state.podUid}/${state.container}/${state.restartCount}`;
}

/** Memory of the container's own, which it may write. */
const temporaryFolder = '/tmp';

/**
 * `command`: the module, relative to the bundle or below /app, then its arguments; or the word
 * `node` and what follows it on a command line. Throws RUNTIME_BAD_COMMAND for anything else.
 * The workload may read its image and what is mounted, and write where that is writable.
 */
export function workloadCommand(
  command: readonly string[],
  mounts: readonly ContainerMount[] = [],
): readonly string[] {
  const [module, ...rest] = command;
  if (module === undefined) {
    throw new AgentError('RUNTIME_BAD_COMMAND', 'neither the pod nor the image names a module');
  }
  const words = isRuntime(module) ? runtimeWords(rest) : [modulePathOf(module), ...rest];
  const own = mounts.some(({ path }) => path === temporaryFolder) ? [] : [temporaryFolder];
  const readable = [bundleRoot, ...own, ...mounts.map((mount) => mount.path)];
  const writable = own.concat(
    mounts.filter((mount) => !mount.isReadOnly).map((mount) => mount.path),
  );
  for (const one of mounts) requireMountable(one, mounts);
  return [
    runtimeProgram,
    '--permission',
    ...readable.map((one) => `--allow-fs-read=${one}`),
    ...writable.map((one) => `--allow-fs-write=${one}`),
    ...words,
  ];
}

/** Whether a command begins with the runtime itself, as people write it for images that bring one. */
function isRuntime(program: string): boolean {
  return program === 'node' || program === runtimeProgram;
}

/** Words for the runtime, none of which changes what it permits. Throws RUNTIME_BAD_COMMAND. */
function runtimeWords(words: readonly string[]): readonly string[] {
  const wider = words.find((word) => /^--(allow-|(no-)?(experimental-)?permission)/.test(word));
  if (wider === undefined) return words;
  throw new AgentError(
    'RUNTIME_BAD_COMMAND',
    `${wider}: what a container may do is not changed by its command`,
  );
}

/** Of a module below the bundle, as the workload sees it. Throws RUNTIME_BAD_COMMAND for any other. */
export function modulePathOf(module: string): string {
  const path = module.startsWith('/') ? module : `${bundleRoot}/${module.replace(/^\.\//, '')}`;
  if (path.startsWith(`${bundleRoot}/`) && !path.split('/').includes('..')) return path;
  throw new AgentError(
    'RUNTIME_BAD_COMMAND',
    `${module} is not a module in the image: only node and modules of the bundle are started`,
  );
}

/** Throws CONTAINER_CONFIG for a place where nothing can be mounted. */
export function requireMountable(mount: ContainerMount, all: readonly ContainerMount[]): void {
  const { path, isFile } = mount;
  // A wildcard, or the end of a word, where paths are listed.
  if (/[*,\n]/.test(path)) {
    throw new AgentError('CONTAINER_CONFIG', `nothing can be mounted at ${path}: no * or , there`);
  }
  const around = all.find(
    (other) => !other.isReadOnly && other.isFile !== true && path.startsWith(`${other.path}/`),
  );
  if (isFile === true && around !== undefined) {
    throw new AgentError(
      'CONTAINER_CONFIG',
      `a single file cannot be mounted at ${path}: the workload may write to ${around.path}`,
    );
  }
}

export const outerProgram = '/usr/bin/unshare';

/** Absolute paths. The processes that this makes are described in shim.ts. */
export function shimArguments(
  shimPath: string,
  statePath: string,
  attempt: number,
): readonly string[] {
  const namespaces = '--mount --pid --ipc --uts --fork --kill-child --propagation private';
  return [...namespaces.split(' '), '--', '/bin/sh', shimPath, 'run', String(attempt), statePath];
}

/** What a command line's last words say of an outer process; undefined for any other process. */
export function shimMarkOf(
  commandLine: readonly string[],
): { readonly statePath: string; readonly attempt: number } | undefined {
  if (!(commandLine[0] ?? '').endsWith('unshare')) return undefined;
  const [verb, attempt, statePath] = commandLine.slice(-3);
  return verb === 'run' && statePath !== undefined
    ? { statePath, attempt: Number(attempt) }
    : undefined;
}
