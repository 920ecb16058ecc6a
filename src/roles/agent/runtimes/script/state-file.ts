/**
 * The files in a container's state folder, `<pod uid>/<container>/`:
 *   state.json    this driver: what was started; read by `selvage status` too
 *   started.json  the shim: the processes inside
 *   exit.json     the shim: how the run ended
 *   log           the workload's output; `log.previous` of the run before
 */
import { isJsonObject, textOf, utf8, type JsonObject } from '#base/mod.ts';
import type { Disk } from '#platform/io/mod.ts';
import type { ContainerExit } from '../types.ts';

const fileBytesMax = 64 * 1024;
const ownerOnly = 0o600;

export interface StateFile {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly container: string;
  /** The outermost process; absent while it is being started. */
  readonly pid?: number;
  readonly startTicks?: number;
  readonly workloadPid?: number;
  readonly workloadStartTicks?: number;
  readonly startedAtMs: number;
  readonly restartCount: number;
  readonly image: string;
  readonly digest: string;
  readonly ip: string;
  readonly last?: ContainerExit;
}

export interface StartedFile {
  readonly initPid: number;
  readonly initStartTicks: number;
  readonly workloadPid: number;
  readonly workloadStartTicks: number;
}

export interface ExitFile {
  readonly exitCode: number;
  readonly finishedAtMs: number;
  readonly stage: 'workload' | 'setup';
}

export async function writeState(disk: Disk, folder: string, state: StateFile): Promise<void> {
  await disk.writeFileAtomic(`${folder}/state.json`, utf8(`${JSON.stringify(state)}\n`), ownerOnly);
}

/** Undefined where there is none, or none that can be read. */
export async function readState(disk: Disk, folder: string): Promise<StateFile | undefined> {
  const value = await readJson(disk, `${folder}/state.json`);
  const texts = ['podNamespace', 'podName', 'podUid', 'container', 'image', 'digest', 'ip'];
  const numbers = ['startedAtMs', 'restartCount'];
  return hasFields(value, texts, numbers) ? (value as unknown as StateFile) : undefined;
}

export async function readStarted(disk: Disk, folder: string): Promise<StartedFile | undefined> {
  const value = await readJson(disk, `${folder}/started.json`);
  const numbers = ['initPid', 'initStartTicks', 'workloadPid', 'workloadStartTicks'];
  return hasFields(value, [], numbers) ? (value as unknown as StartedFile) : undefined;
}

export async function readExit(disk: Disk, folder: string): Promise<ExitFile | undefined> {
  const value = await readJson(disk, `${folder}/exit.json`);
  return hasFields(value, ['stage'], ['exitCode', 'finishedAtMs'])
    ? (value as unknown as ExitFile)
    : undefined;
}

async function readJson(disk: Disk, path: string): Promise<unknown> {
  const bytes = await disk.readFile(path, fileBytesMax);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(textOf(bytes));
  } catch {
    return undefined;
  }
}

function hasFields(value: unknown, texts: string[], numbers: string[]): value is JsonObject {
  return (
    isJsonObject(value) &&
    texts.every((field) => typeof value[field] === 'string') &&
    numbers.every((field) => typeof value[field] === 'number')
  );
}
