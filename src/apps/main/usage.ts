/**
 * What this machine and the containers on it use, read from the kernel: from the control
 * groups of a container where it has some that tell, else from its processes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { MeasuredContainer, UsageAmount, UsageSample } from '#roles/agent/mod.ts';
import { controlGroupsHere } from './control-groups.ts';

/** USER_HZ: the same on every Linux that Node.js runs on. */
const ticksPerSecond = 100;
const nanosPerTick = 1e9 / ticksPerSecond;
const pageBytes = 4096;

interface ProcessFacts {
  readonly parentPid: number;
  readonly cpuTicks: number;
  readonly residentBytes: number;
}

export function sampleUsage(containers: readonly MeasuredContainer[]): UsageSample {
  const processes = containers.length === 0 ? new Map<number, ProcessFacts>() : allProcesses();
  const childrenOf = new Map<number, number[]>();
  for (const [pid, { parentPid }] of processes) {
    const siblings = childrenOf.get(parentPid);
    if (siblings === undefined) childrenOf.set(parentPid, [pid]);
    else siblings.push(pid);
  }
  const amounts = new Map<string, UsageAmount>();
  for (const { podUid, container, pid } of containers) {
    const own = ofProcesses(pid, processes, childrenOf);
    if (own === undefined) continue;
    const told = ofControlGroup(`${podUid}-${container}`);
    amounts.set(`${podUid}/${container}`, { ...own, ...told });
  }
  return { node: ofMachine(), containers: amounts };
}

function ofMachine(): UsageAmount {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    read('/proc/stat').split('\n')[0] ?? ''
  )
    .split(/\s+/)
    .map(Number);
  const memory = read('/proc/meminfo');
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+([0-9]+) kB`, 'm').exec(memory)?.[1] ?? 0);
  return {
    cpuNanos: (user + nice + system + irq + softirq + steal) * nanosPerTick,
    memoryBytes: (kilobytes('MemTotal') - kilobytes('MemAvailable')) * 1024,
  };
}

/** With all that came of it, also what has ended and was waited for; undefined where it is gone. */
function ofProcesses(
  pid: number,
  processes: ReadonlyMap<number, ProcessFacts>,
  childrenOf: ReadonlyMap<number, readonly number[]>,
): UsageAmount | undefined {
  if (!processes.has(pid)) return undefined;
  let [cpuTicks, memoryBytes] = [0, 0];
  const waiting = [pid];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const facts = processes.get(next);
    if (facts === undefined) continue;
    cpuTicks += facts.cpuTicks;
    memoryBytes += facts.residentBytes;
    waiting.push(...(childrenOf.get(next) ?? []));
  }
  return { cpuNanos: cpuTicks * nanosPerTick, memoryBytes };
}

/** Those parts that the control groups of the container tell. */
function ofControlGroup(name: string): Partial<UsageAmount> {
  const groups = controlGroupsHere();
  if (groups === undefined) return {};
  const isUnified = groups.version === 2;
  const folderOf = (controller: string): string =>
    isUnified ? `${groups.root}/selvage/${name}` : `${groups.root}/${controller}/selvage/${name}`;
  const memoryFolder = folderOf('memory');
  const used = Number(
    read(`${memoryFolder}/${isUnified ? 'memory.current' : 'memory.usage_in_bytes'}`),
  );
  const idleField = isUnified ? 'inactive_file' : 'total_inactive_file';
  const idle = numberIn(read(`${memoryFolder}/memory.stat`), idleField) ?? 0;
  const microseconds = isUnified
    ? numberIn(read(`${folderOf('cpu')}/cpu.stat`), 'usage_usec')
    : undefined;
  return {
    ...(used > 0 ? { memoryBytes: Math.max(0, used - idle) } : {}),
    ...(microseconds === undefined ? {} : { cpuNanos: microseconds * 1_000 }),
  };
}

function numberIn(text: string, field: string): number | undefined {
  const found = new RegExp(`^${field} ([0-9]+)$`, 'm').exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

function allProcesses(): ReadonlyMap<number, ProcessFacts> {
  const found = new Map<number, ProcessFacts>();
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    // The name of the program is in brackets and may hold anything, brackets too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [, parent, , , , , , , , , , user, system, userOfEnded, systemOfEnded] = fields;
    const resident = fields[21];
    if (parent === undefined || resident === undefined) continue;
    const ticks = [user, system, userOfEnded, systemOfEnded].map(Number);
    found.set(Number(name), {
      parentPid: Number(parent),
      cpuTicks: ticks.reduce((sum, one) => sum + one, 0),
      residentBytes: Number(resident) * pageBytes,
    });
  }
  return found;
}

/** Empty for what is not there, as processes come and go. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
