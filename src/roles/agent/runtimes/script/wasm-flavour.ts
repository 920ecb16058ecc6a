/**
 * WebAssembly modules: a process as for scripts, in which the wasm host
 * (platform/io/node/wasm-host.ts) runs the one module. The module sees what is mounted
 * and not even its own image.
 */
import { AgentError } from '../../errors.ts';
import type { ContainerMount, ContainerStart } from '../types.ts';
import type { Flavour } from './flavour.ts';
import { bundleRoot, modulePathOf, requireMountable, runtimeProgram } from './workload.ts';

const hostPath = '/runtime/wasm-host.mjs';
const memoryBytesDefault = 256 * 1024 * 1024;
/** The variable by which a pod says how long its module may compute without waiting. */
const activationVariable = 'SELVAGE_WASM_ACTIVATION_MS';
const activationMsDefault = 30_000;
const activationMsMin = 10;
const activationMsMax = 3_600_000;

/** `hostSource`: absolute path of the wasm host's text on the machine. */
export function wasmFlavour(hostSource: string): Flavour {
  return {
    name: 'wasm',
    platforms: ['wasi/wasm'],
    runsOtherPrograms: false,
    launch(wanted) {
      const { mounts = [] } = wanted;
      for (const mount of mounts) requireMountable(mount, mounts);
      const host = { source: hostSource, path: hostPath, isReadOnly: true, isFile: true };
      return { command: commandOf(wanted, mounts), mounts: [...mounts, host] };
    },
  };
}

function commandOf(wanted: ContainerStart, mounts: readonly ContainerMount[]): readonly string[] {
  const [module, ...rest] = wanted.command;
  if (module === undefined) {
    throw new AgentError('RUNTIME_BAD_COMMAND', 'neither the pod nor the image names a module');
  }
  const folders = mounts.filter((mount) => mount.isFile !== true);
  const writable = mounts.filter((mount) => !mount.isReadOnly);
  const memoryBytes = wanted.limits?.memoryBytes ?? memoryBytesDefault;
  return [
    runtimeProgram,
    '--permission',
    '--disable-warning=ExperimentalWarning',
    '--allow-wasi',
    '--allow-worker',
    ...[bundleRoot, hostPath, ...mounts.map(({ path }) => path)].map(
      (path) => `--allow-fs-read=${path}`,
    ),
    ...writable.map(({ path }) => `--allow-fs-write=${path}`),
    hostPath,
    ...folders.flatMap(({ path }) => ['--mount', path]),
    ...['--memory', String(memoryBytes)],
    ...['--activation', String(activationMsOf(wanted.environment[activationVariable]))],
    modulePathOf(module),
    ...rest,
  ];
}

function activationMsOf(text: string | undefined): number {
  if (text === undefined) return activationMsDefault;
  const milliseconds = /^[0-9]{1,7}$/.test(text) ? Number(text) : 0;
  if (milliseconds >= activationMsMin && milliseconds <= activationMsMax) return milliseconds;
  throw new AgentError(
    'CONTAINER_CONFIG',
    `${activationVariable} takes milliseconds from ${activationMsMin} to ${activationMsMax}, not '${text}'`,
  );
}
