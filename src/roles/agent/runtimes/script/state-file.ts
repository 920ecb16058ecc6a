/**
 * The files in a container's state folder, `<pod uid>/<container>/`:
 *   state.json    this driver: what was started; read by `selvage status` too
 *   ticket-N      this driver: lets the shim of attempt N start (attempt.ts)
 *   run-N.json    the ticket, once the shim has taken it
 *   deadline      this driver: when the shim ends the workload
 *   started.json  the shim: the processes inside
 *   exit.json     the shim: how the run ended
 *   input         the shim: where the workload's standard input is written, if it has one
 *   input-ended   this driver: nothing more comes in
 *   log           the workload's output; `log.previous` of the run before
 */
import { assert, isJsonObject, textOf, utf8, type JsonObject } from '#base/mod.ts';
import { DiskError, type Disk, type Logger } from '#platform/io/mod.ts';
import { parseSealed, sealedJson } from '../../sealed-json.ts';
import { readOrSetAside } from '../../set-aside.ts';
import type { ContainerExit, ContainerInput } from '../types.ts';

export const stateBytesMax = 64 * 1024;
const ownerOnly = 0o600;

export interface StateFile {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly container: string;
  /** Of all starts of this container, also those that came to nothing. */
  readonly attempt: number;
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
  /** Name of the runtime that runs it; `script` where absent. */
  readonly runtime?: string;
  /** What its JavaScript runtime was started with; absent in what an older agent wrote. */
  readonly flags?: readonly string[];
  /** As the workload has it; its image's root where absent. */
  readonly workingDirectory?: string;
  /** Empty where absent. */
  readonly input?: ContainerInput;
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
  readonly stage: 'workload' | 'setup' | 'deadline' | 'memory';
}

export async function writeState(disk: Disk, folder: string, state: StateFile): Promise<void> {
  await disk.writeFileAtomic(`${folder}/state.json`, sealedJson(state), ownerOnly);
}

/** Not durable, as no run outlives the boot that its clock counts from; but whole at any time. */
export async function writeDeadline(disk: Disk, folder: string, bootMs: number): Promise<void> {
  assert(Number.isFinite(bootMs) && bootMs >= 0, 'a deadline is milliseconds since boot');
  const bytes = utf8(`${Math.floor(bootMs)}\n`);
  const file = await disk.open(`${folder}/deadline.new`, 'write', ownerOnly);
  try {
    await file.writeAt(0, [bytes]);
    await file.truncate(bytes.length);
  } finally {
    await file.close();
  }
  await disk.rename(`${folder}/deadline.new`, `${folder}/deadline`);
}

/** `unknown`: there is one that cannot be read. */
export async function readDeadline(
  disk: Disk,
  folder: string,
): Promise<number | undefined | 'unknown'> {
  try {
    const bytes = await disk.readFile(`${folder}/deadline`, stateBytesMax);
    if (bytes === undefined) return undefined;
    const text = textOf(bytes).trim();
    return /^[0-9]{1,15}$/.test(text) ? Number(text) : 'unknown';
  } catch (error) {
    if (error instanceof DiskError && error.code === 'DISK_IO') return 'unknown';
    throw error;
  }
}

/** Undefined for what is no such file. Throws SyntaxError for what is no JSON. */
export function parseState(bytes: Uint8Array): StateFile | undefined {
  const texts = ['podNamespace', 'podName', 'podUid', 'container', 'image', 'digest', 'ip'];
  const value = parseSealed(bytes);
  return hasFields(value, texts, ['startedAtMs', 'restartCount', 'attempt'])
    ? (value as unknown as StateFile)
    : undefined;
}

/** Undefined where there is none; what cannot be read is set aside. So are the two below. */
export async function readState(
  disk: Disk,
  folder: string,
  logger: Logger,
): Promise<StateFile | undefined> {
  return readOrSetAside(disk, `${folder}/state.json`, stateBytesMax, logger, parseState);
}

export async function readStarted(
  disk: Disk,
  folder: string,
  logger: Logger,
): Promise<StartedFile | undefined> {
  const numbers = ['initPid', 'initStartTicks', 'workloadPid', 'workloadStartTicks'];
  return readOrSetAside(disk, `${folder}/started.json`, stateBytesMax, logger, (bytes) => {
    const value: unknown = JSON.parse(textOf(bytes));
    return hasFields(value, [], numbers) ? (value as unknown as StartedFile) : undefined;
  });
}

export async function readExit(
  disk: Disk,
  folder: string,
  logger: Logger,
): Promise<ExitFile | undefined> {
  return readOrSetAside(disk, `${folder}/exit.json`, stateBytesMax, logger, (bytes) => {
    const value: unknown = JSON.parse(textOf(bytes));
    return hasFields(value, ['stage'], ['exitCode', 'finishedAtMs'])
      ? (value as unknown as ExitFile)
      : undefined;
  });
}

function hasFields(value: unknown, texts: string[], numbers: string[]): value is JsonObject {
  return (
    isJsonObject(value) &&
    texts.every((field) => typeof value[field] === 'string') &&
    numbers.every((field) => typeof value[field] === 'number')
  );
}
