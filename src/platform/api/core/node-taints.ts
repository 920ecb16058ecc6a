/**
 * The taints that a hub puts on a node that it does not hear, or that says that it is
 * short of something. They are not stored: they follow from verdict and report, so a node that is back has none of them in the
 * same transaction, and the taints that users set are only ever theirs.
 */
import { isJsonObject, type JsonObject, ownOf } from '#base/mod.ts';
import type { Taint } from './node-types.ts';

export const unreachableTaintKey = 'node.kubernetes.io/unreachable';
const notReadyTaintKey = 'node.kubernetes.io/not-ready';

/** The taint by which a node that runs short of something keeps new pods away. */
const pressureTaints: Readonly<Record<string, string>> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
};

/** Whether only the hub sets taints of this key. */
export function isOwnedTaintKey(key: string): boolean {
  return (
    key === unreachableTaintKey ||
    key === notReadyTaintKey ||
    Object.values(pressureTaints).includes(key)
  );
}

/** Of what the agent says that its machine is short of. */
export function taintsOfReport(report: JsonObject | undefined): readonly Taint[] {
  const status = report?.['status'];
  const conditions = isJsonObject(status) ? status['conditions'] : undefined;
  if (!Array.isArray(conditions)) return [];
  return conditions.filter(isJsonObject).flatMap(({ type, status: holds, lastTransitionTime }) => {
    const key = typeof type === 'string' ? ownOf(pressureTaints, type) : undefined;
    if (key === undefined || holds !== 'True') return [];
    const timeAdded =
      typeof lastTransitionTime === 'string' ? { timeAdded: lastTransitionTime } : {};
    return [{ key, effect: 'NoSchedule' as const, ...timeAdded }];
  });
}

/** None while the node is Ready, and none before the hub has concluded anything. */
export function taintsOfVerdict(verdict: JsonObject | undefined): readonly Taint[] {
  const ready = verdict?.['ready'];
  if (ready === undefined || ready === 'True') return [];
  const key = ready === 'Unknown' ? unreachableTaintKey : notReadyTaintKey;
  const since = verdict?.['sinceTime'];
  const timeAdded = typeof since === 'string' ? { timeAdded: since } : {};
  return [
    { key, effect: 'NoSchedule', ...timeAdded },
    { key, effect: 'NoExecute', ...timeAdded },
  ];
}

/** The taints in a node's intent that users have set. */
export function taintsOfIntent(intent: JsonObject | undefined): readonly Taint[] {
  const spec = intent?.['spec'];
  const taints = isJsonObject(spec) ? spec['taints'] : undefined;
  if (!Array.isArray(taints)) return [];
  return (taints as unknown as Taint[]).filter(({ key }) => !isOwnedTaintKey(key));
}
