/**
 * What an agent finds when it starts: the containers of the one before it, and
 * shims that nobody knows of.
 *
 * Invariants:
 * 1. Of an attempt whose processes were never written down it is certain, before
 *    anything is started, whether it runs: its ticket is withdrawn, or was taken.
 * 2. A process is taken for a container's only where its command line names that
 *    container's folder and attempt: pid and start time may come again after a boot.
 * 3. A shim with a folder of this agent in its command line that is no known
 *    container's is ended.
 */
import type { Disk, Logger, ProcessIdentity, Spawn } from '#platform/io/mod.ts';
import { stateOfTicket, withdrawTicket } from './attempt.ts';
import { readState, type StateFile } from './state-file.ts';
import { shimMarkOf } from './workload.ts';

export interface Found {
  readonly folder: string;
  readonly state: StateFile;
  /** The live outermost process. Undefined: the run has ended. */
  readonly process: ProcessIdentity | undefined;
  /** The run that the state is about never began; the one before it is in `state.last`. */
  readonly neverRan: boolean;
}

interface Shim extends ProcessIdentity {
  readonly statePath: string;
  readonly attempt: number;
}

/** Every shim of the machine, of whatever agent. */
async function shimsOf(spawn: Spawn): Promise<readonly Shim[]> {
  const shims: Shim[] = [];
  for (const { pid, startTicks, command, isZombie } of await spawn.table()) {
    if (command !== 'unshare' || isZombie) continue;
    const mark = shimMarkOf((await spawn.commandLine(pid)) ?? []);
    if (mark !== undefined) shims.push({ pid, startTicks, ...mark });
  }
  return shims;
}

/**
 * By its words. Where they name the folder by another way than today's, its pid and
 * start time must be those that were written down.
 */
function isShimOf(shim: Shim, statePath: string, folder: string, state: StateFile): boolean {
  if (shim.attempt !== state.attempt || !shim.statePath.endsWith(`/${folder}`)) return false;
  const isNoted = shim.pid === state.pid && shim.startTicks === state.startTicks;
  return shim.statePath === statePath || isNoted;
}

/** Reads all of `pods/`, and ends what belongs to none of it. */
export async function findContainers(
  disk: Disk,
  spawn: Spawn,
  logger: Logger,
): Promise<readonly Found[]> {
  const seen: { folder: string; state: StateFile; neverRan: boolean }[] = [];
  for (const pod of await disk.list('pods')) {
    if (pod.kind !== 'directory') continue;
    for (const entry of await disk.list(`pods/${pod.name}`)) {
      const folder = `pods/${pod.name}/${entry.name}`;
      if (entry.kind !== 'directory') continue;
      const state =
        (await readState(disk, folder, logger)) ?? (await stateOfTicket(disk, folder, logger));
      if (state === undefined || `pods/${state.podUid}/${state.container}` !== folder) continue;
      const neverRan =
        state.pid === undefined && (await withdrawTicket(disk, folder, state.attempt));
      seen.push({ folder, state, neverRan });
    }
  }
  // Only now: a shim that took its ticket is there to be seen.
  const shims = await shimsOf(spawn);
  const known = new Set<Shim>();
  const found = seen.map((one): Found => {
    const shim = one.neverRan
      ? undefined
      : shims.find((candidate) =>
          isShimOf(candidate, disk.absolute(one.folder), one.folder, one.state),
        );
    if (shim === undefined) return { ...one, process: undefined };
    known.add(shim);
    return { ...one, process: { pid: shim.pid, startTicks: shim.startTicks } };
  });
  const podsPath = `${disk.absolute('pods')}/`;
  for (const shim of shims) {
    if (known.has(shim) || !shim.statePath.startsWith(podsPath)) continue;
    logger.log('warn', 'a container that nobody knows of is ended', { ...shim });
    await spawn.signal(shim, 'SIGKILL');
  }
  return found;
}
