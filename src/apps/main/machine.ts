/** What this machine is and what it has left, read from the kernel's own files. */
import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, release, totalmem } from 'node:os';
import type { MachineFacts, MachineSample } from '#roles/agent/mod.ts';
import { controlGroupsHere } from './control-groups.ts';

const podsMax = 110;
const devicesMax = 64;

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
    features: features(),
    serialPorts: serialPorts(),
    accelerators: accelerators(),
  };
}

/** What it has left now. */
export function sampleMachine(stateFolder: string): MachineSample {
  const available = /^MemAvailable:\s+([0-9]+) kB/m.exec(read('/proc/meminfo'))?.[1];
  const tasks = /^\S+ \S+ \S+ [0-9]+\/([0-9]+)/.exec(read('/proc/loadavg'))?.[1];
  const max = Number(read('/proc/sys/kernel/pid_max'));
  const power = powerSource();
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

function features(): readonly string[] {
  const groups = controlGroupsHere();
  const filesystems = read('/proc/filesystems');
  const found: readonly (readonly [string, boolean])[] = [
    ['kvm', existsSync('/dev/kvm')],
    ['overlayfs', /\boverlay$/m.test(filesystems)],
    ['user-namespaces', existsSync('/proc/self/ns/user')],
    ['landlock', read('/sys/kernel/security/lsm').split(',').includes('landlock')],
    ['seccomp', existsSync('/proc/sys/kernel/seccomp/actions_avail')],
    ['bpf', existsSync('/sys/fs/bpf')],
    ['tpm', existsSync('/dev/tpmrm0')],
    ['watchdog', existsSync('/dev/watchdog')],
    [`cgroup-v${groups?.version ?? 0}`, groups !== undefined],
  ];
  return found.flatMap(([name, isThere]) => (isThere ? [name] : []));
}

/** Lines with hardware behind them: the kernel also makes names for ports that are not there. */
function serialPorts(): readonly string[] {
  return entries('/sys/class/tty')
    .filter((name) => {
      if (/^tty(?:USB|ACM|AMA|MXC|THS|HS)[0-9]+$/.test(name)) return true;
      // An unknown port has type 0.
      return /^ttyS[0-9]+$/.test(name) && Number(read(`/sys/class/tty/${name}/type`)) > 0;
    })
    .map((name) => `/dev/${name}`)
    .slice(0, devicesMax);
}

function accelerators(): readonly string[] {
  const named = [
    ...entries('/dev/dri').filter((name) => name.startsWith('renderD')),
    ...entries('/sys/class/accel'),
    ...entries('/dev').filter((name) => /^(?:nvidia|apex_)[0-9]+$/.test(name)),
  ];
  return named.sort().slice(0, devicesMax);
}

/** Undefined where the machine does not say, as most that have no battery. */
function powerSource(): 'mains' | 'battery' | undefined {
  const folder = '/sys/class/power_supply';
  const supplies = entries(folder).map((name) => ({
    type: read(`${folder}/${name}/type`),
    isOnline: read(`${folder}/${name}/online`) === '1',
    status: read(`${folder}/${name}/status`),
  }));
  const mains = supplies.filter(({ type }) => type === 'Mains' || type === 'USB');
  if (mains.some(({ isOnline }) => isOnline)) return 'mains';
  const batteries = supplies.filter(({ type }) => type === 'Battery');
  if (batteries.length === 0) return mains.length === 0 ? undefined : 'mains';
  return mains.length > 0 || batteries.some(({ status }) => status === 'Discharging')
    ? 'battery'
    : 'mains';
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    // Not every machine has every folder.
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    // Not every system has every file; an empty fact is served as unknown.
    return '';
  }
}
