/**
 * Starting a container at most once, whenever its agent dies. Every start is an
 * attempt with a number of its own and a ticket, `ticket-<attempt>`, that exactly
 * one can rename: its shim takes it before it does anything (the file is then
 * `run-<attempt>.json`), or an agent that does not know whether there is a shim
 * withdraws it.
 *
 * Invariants:
 * 1. A shim whose ticket was withdrawn never starts a workload, however late it comes.
 * 2. Where a ticket was taken, its shim is in the process table under the
 *    attempt's mark for as long as it lives: it had to run to take it.
 * 3. The ticket is a second copy of state.json, but for the processes in it.
 */
import { utf8 } from '#base/mod.ts';
import { DiskError, type Disk, type Logger } from '#platform/io/mod.ts';
import { parseState, stateBytesMax, type StateFile } from './state-file.ts';
import { readOrSetAside } from '../../set-aside.ts';

const attemptFile = /^(?:ticket|run|withdrawn)-([0-9]{1,9})(?:\.json)?$/;
const ofOneRun = ['started.json', 'exit.json', 'expired', 'deadline'];

async function attemptsIn(disk: Disk, folder: string): Promise<readonly number[]> {
  const names = (await disk.list(folder)).map(({ name }) => attemptFile.exec(name)?.[1]);
  return names.flatMap((number) => (number === undefined ? [] : [Number(number)]));
}

/** Higher than that of any start that left a trace. */
export async function nextAttempt(disk: Disk, folder: string, known: number): Promise<number> {
  return Math.max(known, ...(await attemptsIn(disk, folder))) + 1;
}

/** Removes what earlier attempts left behind, and only then lets a shim take this one. */
export async function offerTicket(disk: Disk, folder: string, state: StateFile): Promise<void> {
  for (const { name } of await disk.list(folder)) {
    if (attemptFile.test(name) || ofOneRun.includes(name)) await disk.remove(`${folder}/${name}`);
  }
  const bytes = utf8(`${JSON.stringify(state)}\n`);
  await disk.writeFileAtomic(`${folder}/ticket-${state.attempt}`, bytes, 0o600);
}

/** True: this attempt never ran and never will. False: a shim has taken it. */
export async function withdrawTicket(
  disk: Disk,
  folder: string,
  attempt: number,
): Promise<boolean> {
  try {
    await disk.rename(`${folder}/ticket-${attempt}`, `${folder}/withdrawn-${attempt}`);
    return true;
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'DISK_NOT_FOUND') throw error;
  }
  const names = (await disk.list(folder)).map(({ name }) => name);
  return !names.includes(`run-${attempt}.json`);
}

/** What is known of the newest attempt where state.json is lost. */
export async function stateOfTicket(
  disk: Disk,
  folder: string,
  logger: Logger,
): Promise<StateFile | undefined> {
  const newest = Math.max(0, ...(await attemptsIn(disk, folder)));
  const parse = (bytes: Uint8Array): StateFile | undefined => parseState(bytes);
  for (const name of [`run-${newest}.json`, `ticket-${newest}`, `withdrawn-${newest}`]) {
    const state = await readOrSetAside(disk, `${folder}/${name}`, stateBytesMax, logger, parse);
    if (state !== undefined) return state;
  }
  return undefined;
}
