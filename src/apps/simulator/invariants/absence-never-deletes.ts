/**
 * 7. Absence is never deletion: an agent ends a workload only where its pod was
 * deleted, is being deleted, or is no longer assigned to this node, each by a
 * record of the owner. That a pod is missing somewhere ends nothing.
 */
import { isJsonObject } from '#base/mod.ts';
import type { Spawn } from '#platform/io/mod.ts';
import type { Host } from '#platform/sim/mod.ts';
import { podUidOf } from '../pod-processes.ts';
import { facetOf, type Truth } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

/** The same processes, with every signal that the agent sends looked at. */
export function watchSignals(spawn: Spawn, host: Host, truth: Truth, violate: Violate): Spawn {
  return {
    ...spawn,
    signal: (identity, signal) => {
      const uid = podUidOf(host, identity.pid);
      const why = uid === undefined ? undefined : whyItStays(uid, host.name, truth);
      if (why !== undefined) {
        violate(invariants.absenceNeverDeletes, `${host.name} sent ${signal} to ${why}`);
      }
      return spawn.signal(identity, signal);
    },
  };
}

/** Undefined where the owner has said that the pod is to end on this node. */
function whyItStays(uid: string, nodeName: string, truth: Truth): string | undefined {
  const found = truth.ofUid(uid);
  if (found === undefined || found.isDeleted) return undefined;
  const { object } = found;
  const metadata = facetOf(object, 'intent')?.['metadata'];
  if (isJsonObject(metadata) && metadata['deletionTimestamp'] !== undefined) return undefined;
  if (facetOf(object, 'assignment')?.['nodeName'] !== nodeName) return undefined;
  const phase = facetOf(object, 'verdict')?.['status'];
  if (isJsonObject(phase) && phase['phase'] === 'Failed') return undefined;
  return `a process of pod ${object.key.name}, which is assigned to it and was not deleted`;
}
