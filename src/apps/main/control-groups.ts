/** How this machine offers control groups, looked at once when the agent starts. */
import { existsSync, readFileSync } from 'node:fs';
import type { ControlGroups } from '#roles/agent/mod.ts';

const root = '/sys/fs/cgroup';
const wanted = ['memory', 'cpu', 'pids'];

/** Undefined where there are none that limits could be held with. */
export function controlGroupsHere(): ControlGroups | undefined {
  const unified = `${root}/cgroup.controllers`;
  if (existsSync(unified)) {
    const offered = readFileSync(unified, 'utf8').trim().split(/\s+/);
    const controllers = wanted.filter((name) => offered.includes(name));
    return controllers.length === 0 ? undefined : { version: 2, root, controllers };
  }
  const controllers = wanted.filter((name) => existsSync(`${root}/${name}/cgroup.procs`));
  return controllers.length === 0 ? undefined : { version: 1, root, controllers };
}
