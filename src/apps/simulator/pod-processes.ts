/** Which processes of a simulated machine belong to which pod. */
import type { Host } from '#platform/sim/mod.ts';

const stateFolder = /\/pods\/([^/]+)\/[^/]+$/;

/** Where the shim of a process keeps its state: one folder for each container. */
function statePathOf(host: Host, pid: number): string | undefined {
  return host.processes.specOf(pid)?.arguments.findLast((word) => stateFolder.test(word));
}

export function podUidOf(host: Host, pid: number): string | undefined {
  return stateFolder.exec(statePathOf(host, pid) ?? '')?.[1];
}

/** The workloads that run, by the folder of their container. */
export function workloadsOf(host: Host): { readonly pid: number; readonly statePath: string }[] {
  return host.processes
    .list()
    .filter(({ command }) => command === 'node')
    .flatMap(({ pid }) => {
      const statePath = statePathOf(host, pid);
      return statePath === undefined ? [] : [{ pid, statePath }];
    });
}
