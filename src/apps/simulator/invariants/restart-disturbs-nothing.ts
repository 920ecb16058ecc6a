/**
 * 12. A restart of an agent disturbs nothing and loses sight of nothing: what runs
 * is adopted, so that no container ever runs twice on a machine, and no pod is said
 * to have ended while a workload of it runs.
 */
import type { Host } from '#platform/sim/mod.ts';
import type { UpwardEntry } from '#platform/sync/mod.ts';
import { podUidOf, workloadsOf } from '../pod-processes.ts';
import type { Fleet } from '../fleet.ts';
import { invariants, type Violate } from './invariants.ts';

const lookEveryMs = 500;

/** Looks at what runs on the machines, for as long as the world lasts. */
export function watchCopies({ world, nodes, pace }: Fleet, violate: Violate): void {
  const everyMs = lookEveryMs * pace.stretch;
  const look = (): void => {
    for (const host of nodes) {
      if (host.processes.size === 0) continue;
      const seen = new Map<string, number>();
      for (const { pid, statePath } of workloadsOf(host)) {
        const other = seen.get(statePath);
        seen.set(statePath, pid);
        if (other === undefined) continue;
        const why = `${statePath} runs twice on ${host.name}, as ${other} and as ${pid}`;
        violate(invariants.restartDisturbsNothing, why);
      }
    }
    world.timers.after(everyMs, look);
  };
  world.timers.after(everyMs, look);
}

/** Looks at what an agent says of the end of a pod. */
export function checkEnded(entry: UpwardEntry, host: Host, violate: Violate): void {
  if (entry.type !== 'report' || entry.report['terminated'] !== true) return;
  const left = workloadsOf(host).find(({ pid }) => podUidOf(host, pid) === entry.uid);
  if (left === undefined) return;
  const why = `${host.name} said that ${entry.key.name} has ended while process ${left.pid} of it runs`;
  violate(invariants.restartDisturbsNothing, why);
}
