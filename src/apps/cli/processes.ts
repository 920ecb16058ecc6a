/** Ending processes of a fleet: whole trees, by what the kernel says, and nothing else. */
import type { ProcessEntry, ProcessIdentity, Spawn, Timers } from '#platform/io/mod.ts';
import { sleep } from '#platform/io/mod.ts';

const pollMs = 25;

/** The processes in `roots` and all their descendants, parents before children. */
export function processTree(
  table: readonly ProcessEntry[],
  roots: readonly ProcessIdentity[],
): ProcessEntry[] {
  const children = new Map<number, ProcessEntry[]>();
  for (const entry of table) {
    const siblings = children.get(entry.parentPid);
    if (siblings === undefined) children.set(entry.parentPid, [entry]);
    else siblings.push(entry);
  }
  const found = new Map<number, ProcessEntry>();
  const queue = roots.flatMap((root) =>
    table.filter((entry) => entry.pid === root.pid && entry.startTicks === root.startTicks),
  );
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (found.has(next.pid)) continue;
    found.set(next.pid, next);
    queue.push(...(children.get(next.pid) ?? []));
  }
  return [...found.values()];
}

/** SIGKILL to every process of the trees; answers how many there were. */
export async function killTrees(spawn: Spawn, roots: readonly ProcessIdentity[]): Promise<number> {
  const tree = processTree(await spawn.table(), roots);
  for (const entry of tree) await spawn.signal(entry, 'SIGKILL');
  return tree.length;
}

/** SIGKILL to the processes themselves and not to what they started; answers how many there were. */
export async function killAlone(
  spawn: Spawn,
  identities: readonly ProcessIdentity[],
): Promise<number> {
  let count = 0;
  for (const identity of identities) if (await spawn.signal(identity, 'SIGKILL')) count += 1;
  return count;
}

/** True when the process is gone (or a zombie) within `timeoutMs`. */
export async function waitForEnd(
  spawn: Spawn,
  timers: Timers,
  identity: ProcessIdentity,
  timeoutMs: number,
): Promise<boolean> {
  for (let waitedMs = 0; waitedMs <= timeoutMs; waitedMs += pollMs) {
    const entry = await spawn.inspect(identity.pid);
    if (entry === undefined || entry.startTicks !== identity.startTicks || entry.isZombie) {
      return true;
    }
    await sleep(timers, pollMs);
  }
  return false;
}
