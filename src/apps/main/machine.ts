/** What this machine is and what it has left, read from the kernel's own files. */
import { statfsSync } from 'node:fs';
import { arch, availableParallelism, release, totalmem } from 'node:os';
import type { MachineFacts, MachineSample } from '#roles/agent/mod.ts';
import { controlGroupsHere } from './control-groups.ts';
import {
  accelerators,
  entries,
  features,
  powerSource,
  read,
  serialPorts,
} from './machine-devices.ts';

const podsMax = 110;
/** The machine itself. */
const root = '';

/** What does not change while it runs. `stateFolder` says which disk counts. */
export function machineFacts(hostAddress: string, stateFolder: string): MachineFacts {
  const osRelease = /^PRETTY_NAME="?([^"\n]*)"?/m.exec(read('/etc/os-release'));
  return {
    architecture: arch() === 'x64' ? 'amd64' : arch(),
    osImage: osRelease?.[1] ?? 'Linux',
    kernelVersion: release(),
    cpuMillis: availableParallelism() * 1_000,
    memoryBytes: totalmem(),
    diskBytes: diskOf(stateFolder).bytes,
    podsMax,
    hostAddress,
    bootId: read('/proc/sys/kernel/random/boot_id'),
    machineId: read('/etc/machine-id'),
    features: features(root),
    serialPorts: serialPorts(root),
    accelerators: accelerators(root),
  };
}

/** What it has left now. */
export function sampleMachine(stateFolder: string): MachineSample {
  const available = /^MemAvailable:\s+([0-9]+) kB/m.exec(read('/proc/meminfo'))?.[1];
  const tasks = /^\S+ \S+ \S+ [0-9]+\/([0-9]+)/.exec(read('/proc/loadavg'))?.[1];
  const max = Number(read('/proc/sys/kernel/pid_max'));
  const power = powerSource(root);
  return {
    ...(available === undefined ? {} : { memoryAvailableBytes: Number(available) * 1024 }),
    diskFreeBytes: diskOf(stateFolder).freeBytes,
    ...(tasks === undefined || !(max > 0) ? {} : { processes: { used: Number(tasks), max } }),
    ...(power === undefined ? {} : { power }),
    podMemoryBytes: podMemory(),
  };
}

/** By the control groups that containers were put into: `POD-UID-CONTAINER`. */
function podMemory(): ReadonlyMap<string, number> {
  const groups = controlGroupsHere();
  const used = new Map<string, number>();
  if (groups === undefined || !groups.controllers.includes('memory')) return used;
  const parent = groups.version === 2 ? `${groups.root}/selvage` : `${groups.root}/memory/selvage`;
  const file = groups.version === 2 ? 'memory.current' : 'memory.usage_in_bytes';
  for (const name of entries(parent)) {
    const uid = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-/.exec(name)?.[1];
    const bytes = uid === undefined ? 0 : Number(read(`${parent}/${name}/${file}`));
    if (uid !== undefined && bytes > 0) used.set(uid, (used.get(uid) ?? 0) + bytes);
  }
  return used;
}

function diskOf(folder: string): { readonly bytes: number; readonly freeBytes: number } {
  const { blocks, bavail, bsize } = statfsSync(folder);
  return { bytes: blocks * bsize, freeBytes: bavail * bsize };
}
