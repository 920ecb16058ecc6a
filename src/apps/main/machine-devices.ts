/**
 * What hangs on this machine and what its kernel is able to, as the kernel's own files
 * tell it. `root` is before each of their paths: empty for the machine itself.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { controlGroupsHere } from './control-groups.ts';

const devicesMax = 64;

export function features(root: string): readonly string[] {
  const groups = controlGroupsHere();
  const filesystems = read(`${root}/proc/filesystems`);
  const found: readonly (readonly [string, boolean])[] = [
    ['kvm', existsSync(`${root}/dev/kvm`)],
    ['overlayfs', /\boverlay$/m.test(filesystems)],
    ['user-namespaces', existsSync(`${root}/proc/self/ns/user`)],
    ['landlock', read(`${root}/sys/kernel/security/lsm`).split(',').includes('landlock')],
    ['seccomp', existsSync(`${root}/proc/sys/kernel/seccomp/actions_avail`)],
    ['bpf', existsSync(`${root}/sys/fs/bpf`)],
    ['tpm', existsSync(`${root}/dev/tpmrm0`)],
    ['watchdog', existsSync(`${root}/dev/watchdog`)],
    [`cgroup-v${groups?.version ?? 0}`, groups !== undefined],
  ];
  return found.flatMap(([name, isThere]) => (isThere ? [name] : []));
}

/** Lines with hardware behind them: the kernel also makes names for ports that are not there. */
export function serialPorts(root: string): readonly string[] {
  return entries(`${root}/sys/class/tty`)
    .filter((name) => {
      if (/^tty(?:USB|ACM|AMA|MXC|THS|HS)[0-9]+$/.test(name)) return true;
      // An unknown port has type 0.
      return /^ttyS[0-9]+$/.test(name) && Number(read(`${root}/sys/class/tty/${name}/type`)) > 0;
    })
    .map((name) => `/dev/${name}`)
    .slice(0, devicesMax);
}

export function accelerators(root: string): readonly string[] {
  const named = [
    ...entries(`${root}/dev/dri`).filter((name) => name.startsWith('renderD')),
    ...entries(`${root}/sys/class/accel`),
    ...entries(`${root}/dev`).filter((name) => /^(?:nvidia|apex_)[0-9]+$/.test(name)),
  ];
  return named.sort().slice(0, devicesMax);
}

/** Undefined where the machine does not say, as most that have no battery. */
export function powerSource(root: string): 'mains' | 'battery' | undefined {
  const folder = `${root}/sys/class/power_supply`;
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

export function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    // Not every machine has every folder.
    return [];
  }
}

export function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    // Not every system has every file; an empty fact is served as unknown.
    return '';
  }
}
