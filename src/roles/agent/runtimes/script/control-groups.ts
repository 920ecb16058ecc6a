/**
 * The kernel's control groups of a container: which to make, what to write into them,
 * which to join. Pure; the shim carries it out before the workload exists and takes
 * the groups away after its end.
 *
 * The shim itself stays outside: what ends a workload that wants too much memory must
 * not end the one that tells of it.
 */
import type { ContainerKey, ContainerLimits } from '../types.ts';

/** How this machine offers control groups. */
export interface ControlGroups {
  /** 1: a hierarchy for each controller below `root`. 2: one for all. */
  readonly version: 1 | 2;
  /** Such as `/sys/fs/cgroup`. */
  readonly root: string;
  /** Of memory, cpu and pids: those that are there. */
  readonly controllers: readonly string[];
}

export interface GroupPlan {
  /** In order: `DIRECTORY/` is made, `FILE=VALUE` is written. */
  readonly steps: readonly string[];
  /** What the workload joins, and what is taken away after it. */
  readonly groups: readonly string[];
  /** Somebody asked for these limits: without them nothing is started. */
  readonly isRequired: boolean;
}

/** Against fork bombs, where nobody says anything else. A JavaScript runtime has about a dozen threads. */
const processesMaxDefault = 256;
const periodMicroseconds = 100_000;
/** The kernel refuses a quota below a millisecond. */
const quotaMicrosecondsMin = 1_000;
const parentName = 'selvage';

/** Groups that are named by the container, so that a second start finds those of the first. */
export function planGroups(
  machine: ControlGroups | undefined,
  key: ContainerKey,
  limits: ContainerLimits = {},
): GroupPlan {
  const isRequired = limits.memoryBytes !== undefined || limits.cpuMillis !== undefined;
  if (machine === undefined) return { steps: [], groups: [], isRequired };
  const wanted = settingsOf(machine.version, limits).filter(({ controller }) =>
    machine.controllers.includes(controller),
  );
  const name = `${key.podUid}-${key.container}`;
  const { root, version } = machine;
  if (version === 2) {
    const parent = `${root}/${parentName}`;
    const group = `${parent}/${name}`;
    const enable = machine.controllers.flatMap((controller) => [
      `${root}/cgroup.subtree_control=+${controller}`,
      `${parent}/cgroup.subtree_control=+${controller}`,
    ]);
    return {
      steps: [
        `${parent}/`,
        ...enable,
        `${group}/`,
        ...wanted.map(({ file, value }) => `${group}/${file}=${value}`),
      ],
      groups: [group],
      isRequired,
    };
  }
  const groups = machine.controllers.map(
    (controller) => `${root}/${controller}/${parentName}/${name}`,
  );
  return {
    steps: [
      ...groups.map((group) => `${group}/`),
      ...wanted.map(
        ({ controller, file, value }) =>
          `${root}/${controller}/${parentName}/${name}/${file}=${value}`,
      ),
    ],
    groups,
    isRequired,
  };
}

interface Setting {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
}

function settingsOf(version: 1 | 2, limits: ContainerLimits): readonly Setting[] {
  const { memoryBytes, cpuMillis, processes = processesMaxDefault } = limits;
  const settings: Setting[] = [{ controller: 'pids', file: 'pids.max', value: String(processes) }];
  if (memoryBytes !== undefined) {
    const value = String(memoryBytes);
    if (version === 1) {
      settings.push({ controller: 'memory', file: 'memory.limit_in_bytes', value });
    } else {
      settings.push({ controller: 'memory', file: 'memory.max', value });
      // All of it at once: half a workload is no workload.
      settings.push({ controller: 'memory', file: 'memory.oom.group', value: '1' });
    }
  }
  if (cpuMillis !== undefined) {
    const quota = Math.max(
      quotaMicrosecondsMin,
      Math.round((cpuMillis / 1000) * periodMicroseconds),
    );
    if (version === 1) {
      const period = String(periodMicroseconds);
      settings.push({ controller: 'cpu', file: 'cpu.cfs_period_us', value: period });
      settings.push({ controller: 'cpu', file: 'cpu.cfs_quota_us', value: String(quota) });
    } else {
      const value = `${quota} ${periodMicroseconds}`;
      settings.push({ controller: 'cpu', file: 'cpu.max', value });
    }
  }
  return settings;
}
