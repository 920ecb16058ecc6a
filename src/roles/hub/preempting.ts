/**
 * Ends pods to make room for one of higher priority: they are asked to, with the grace
 * that is theirs, and are told why.
 */
import { isJsonObject } from '#base/mod.ts';
import type { Nomination } from '#engines/scheduler/mod.ts';
import { podGraceSecondsOf, withDeletion } from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { Change, StoredObject, StoreView } from '#platform/store/mod.ts';
import type { EventReports } from './event-reports.ts';
import { withCondition } from './scheduled-verdict.ts';
import {
  isBeingDeleted,
  metadataOf,
  nodeNameOf,
  podsByNode,
  putFacet,
  readFacet,
} from './stored-facets.ts';

const why = 'preempted to accommodate a pod of higher priority';

/** The victims that are still there, each with what asks it to end. */
export function victimChanges(
  store: Pick<StoreView, 'lookup'>,
  view: Pick<StoreView, 'get'>,
  nomination: Nomination | undefined,
  nowMs: number,
): readonly { readonly pod: StoredObject; readonly changes: readonly Change[] }[] {
  if (nomination === undefined || nomination.victims.length === 0) return [];
  const { nodeName, victims } = nomination;
  return store
    .lookup(podsByNode, nodeName)
    .filter(({ uid }) => victims.includes(uid))
    .flatMap(({ key, uid }) => {
      const now = view.get(key);
      const isThere = now?.uid === uid && nodeNameOf(now) === nodeName && !isBeingDeleted(now);
      return now !== undefined && isThere ? [{ pod: now, changes: ended(now, nowMs) }] : [];
    });
}

function ended(pod: StoredObject, nowMs: number): readonly Change[] {
  const intent = readFacet(pod, 'intent') ?? {};
  const spec = isJsonObject(intent['spec']) ? intent['spec'] : {};
  const graceSeconds = podGraceSecondsOf(spec['terminationGracePeriodSeconds']);
  const endTime = timestampOf(nowMs + graceSeconds * 1000);
  const metadata = withDeletion(metadataOf(pod), endTime, graceSeconds);
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'PreemptionByScheduler',
    message: `default-scheduler: ${why}`,
    lastTransitionTime: timestampOf(nowMs),
  };
  return [
    putFacet(pod, 'intent', { ...intent, metadata }),
    putFacet(pod, 'verdict', withCondition(readFacet(pod, 'verdict') ?? {}, condition)),
  ];
}

export function sayPreempted(events: EventReports, victim: StoredObject, by: StoredObject): void {
  const message = `Preempted by pod ${by.key.namespace}/${by.key.name} (${by.uid}) on node ${nodeNameOf(victim)}`;
  events.record('scheduler', victim, 'Normal', 'Preempted', message);
}
