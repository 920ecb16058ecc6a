/**
 * The taints that a hub puts on a node that it does not hear. They are not stored:
 * they follow from the verdict, so a node that is back has none of them in the
 * same transaction, and the taints that users set are only ever theirs.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import type { Taint } from './node-types.ts';

export const unreachableTaintKey = 'node.kubernetes.io/unreachable';
const notReadyTaintKey = 'node.kubernetes.io/not-ready';

/** Whether only the hub sets taints of this key. */
export function isOwnedTaintKey(key: string): boolean {
  return key === unreachableTaintKey || key === notReadyTaintKey;
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
