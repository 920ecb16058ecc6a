/**
 * 1. What anybody was told is committed is there after every crash and power cut:
 * the log that a server starts from contains, unchanged, the newest transaction
 * that was visible before; and nothing becomes visible while a failed sync has left
 * a part of that log unwritten.
 */
import type { Host } from '#platform/sim/mod.ts';
import type { Store } from '#platform/store/mod.ts';
import type { Truth } from '../truth.ts';
import { invariants, type Violate } from './invariants.ts';

/** Compares a store that was just opened with what was seen of it before. */
export function checkAcknowledgedSurvives(store: Store, truth: Truth, violate: Violate): boolean {
  if (truth.revision === 0) return true;
  const there = store.cursorAt(truth.revision as Store['revision']);
  if (there?.chainHash === truth.chainHash) return true;
  const found =
    there === undefined ? `the log ends at ${store.revision}` : 'another history is there';
  violate(
    invariants.acknowledgedSurvives,
    `revision ${truth.revision} was visible before the restart, and after it ${found}`,
  );
  return false;
}

/** Looks at the log's files on the server's disk whenever something becomes visible. */
export function watchLostWrites(
  host: Host,
  logFolder: string,
  truth: Truth,
  violate: Violate,
): void {
  const { tree, counts } = host.machineDisk;
  truth.onBatch(({ revision }) => {
    if (counts.failedSyncs === 0) return;
    for (const { name } of tree.list(logFolder)) {
      const file = tree.find(`${logFolder}/${name}`);
      if (file?.kind !== 'file' || !file.hasLost) continue;
      const why = `revision ${revision} became visible after a failed sync of ${name}, which lacks what was written`;
      violate(invariants.acknowledgedSurvives, why);
    }
  });
}
