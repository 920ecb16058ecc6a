/**
 * What is to happen to the pods of one node, from its taints and from what was
 * last heard of it. A pure function of one view, asked again inside the
 * transaction that carries its answer out.
 *
 * Invariants:
 * 1. A pod on a node that is out of reach is given up (`lost`), never deleted: the
 *    object stays, and with it the knowledge that it may still run there. Its
 *    owner replaces it; the node starts nothing of it and says what became of it.
 * 2. Nothing is decided about a lost pod before its node has answered. It counts
 *    again where it still runs or where nobody has replaced it; else it goes.
 * 3. A pod that stops by itself when it is cut off is not given up before it has
 *    surely stopped, whatever it tolerates.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import { tolerates } from '#engines/scheduler/mod.ts';
import {
  podGraceSecondsOf,
  type PodCondition,
  type PodReport,
  type PodVerdict,
  stopAfterMsOf,
  type Taint,
  taintsOfIntent,
  taintsOfVerdict,
  type Toleration,
  unreachableTaintKey,
  withDeletion,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { Change, StoredObject } from '#platform/store/mod.ts';
import { tolerationOf } from './scheduler-input.ts';
import { isBeingDeleted, metadataOf, putFacet, readFacet } from './stored-facets.ts';

/** What the hub knows beside the store. Times are monotonic. */
export interface NodeOutlook {
  readonly nowMs: number;
  readonly wallMs: number;
  /** When each taint was first seen, by `taintId`; one that is not here is new. */
  readonly taintSinceMs: ReadonlyMap<string, number>;
  /** The last moment at which the node may have been in touch with this hub. */
  readonly lastContactMs: number;
  /** Nobody else is heard of either: there is nowhere to go, so nothing is given up. */
  readonly isHeld: boolean;
  /** Names a loss, so that the node's answer is to this one. */
  readonly lossId: string;
}

export interface PodEvent {
  readonly pod: StoredObject;
  readonly severity: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export interface NodePodsPlan {
  readonly changes: readonly Change[];
  readonly events: readonly PodEvent[];
  /** When to look again even if nothing changes; undefined for never. */
  readonly nextMs: number | undefined;
}

/** Clocks of hub and node may differ in speed by one in this many. */
const driftPart = 100;
/** For the agent to notice, and for the kernel to end what it was told to end. */
const stopMarginMs = 3_000;
const lostReason = 'NodeLost';

export function taintId({ key, value = '', effect }: Taint): string {
  return `${key}=${value}:${effect}`;
}

/** Those that end pods: users' and the hub's own. */
export function executingTaints(node: StoredObject): readonly Taint[] {
  return [
    ...taintsOfIntent(readFacet(node, 'intent')),
    ...taintsOfVerdict(readFacet(node, 'verdict')),
  ].filter(({ effect }) => effect === 'NoExecute');
}

/** `pods` are those that are assigned to the node. */
export function planNodePods(
  node: StoredObject,
  pods: readonly StoredObject[],
  outlook: NodeOutlook,
): NodePodsPlan {
  const taints = executingTaints(node);
  const isReady = readFacet(node, 'verdict')?.['ready'] === 'True';
  const changes: Change[] = [];
  const events: PodEvent[] = [];
  let nextMs: number | undefined;
  const lookAgainAt = (atMs: number): void => {
    nextMs = Math.min(nextMs ?? Infinity, atMs);
  };
  for (const pod of pods) {
    if (isBeingDeleted(pod) || (hasEnded(pod) && !isReady)) continue;
    const fate = fateOf(pod, node.key.name, taints, isReady, outlook, lookAgainAt);
    if (fate === undefined) continue;
    changes.push(...fate.changes);
    events.push(...fate.events.map((event) => ({ pod, ...event })));
  }
  return { changes, events, nextMs };
}

interface Fate {
  readonly changes: readonly Change[];
  readonly events: readonly Omit<PodEvent, 'pod'>[];
}

function fateOf(
  pod: StoredObject,
  nodeName: string,
  taints: readonly Taint[],
  isReady: boolean,
  outlook: NodeOutlook,
  lookAgainAt: (atMs: number) => void,
): Fate | undefined {
  const tainted = dueOf(
    pod,
    taints.filter(({ key }) => key !== unreachableTaintKey),
    outlook,
  );
  if (tainted !== undefined && tainted.atMs <= outlook.nowMs) {
    const { taint, seconds } = tainted;
    const what = `${pod.key.namespace}/${pod.key.name}`;
    const length = seconds === 0 ? '' : ` for more than ${seconds} s`;
    const message = `Marking for deletion Pod ${what}: node ${nodeName} has the taint ${taintId(taint)}, which it does not tolerate${length}`;
    return deletion(pod, outlook, graceSecondsOf(pod), 'TaintManagerEviction', message);
  }
  if (tainted !== undefined) lookAgainAt(tainted.atMs);
  const unreachable = taints.find(({ key }) => key === unreachableTaintKey);
  if (unreachable !== undefined) {
    return fateOnLoss(pod, nodeName, unreachable, outlook, lookAgainAt);
  }
  return isReady ? fateOnReturn(pod, nodeName, outlook) : undefined;
}

/** Nobody knows whether it runs: it is not Ready, and it is given up when its time has come. */
function fateOnLoss(
  pod: StoredObject,
  nodeName: string,
  taint: Taint,
  outlook: NodeOutlook,
  lookAgainAt: (atMs: number) => void,
): Fate | undefined {
  const verdict = verdictOf(pod);
  if (verdict.lost !== undefined) return undefined;
  const message = `node ${nodeName} is not heard of; whether the pod runs is not known`;
  const isNews = !hasLostCondition(verdict);
  const events: Omit<PodEvent, 'pod'>[] = isNews
    ? [{ severity: 'Warning', reason: 'NodeNotReady', message: `Node is not ready: ${message}` }]
    : [];
  const dueMs = unreachableDueOf(pod, taint, outlook);
  if (dueMs !== undefined && dueMs <= outlook.nowMs && !outlook.isHeld) {
    const what = `${pod.key.namespace}/${pod.key.name}`;
    const given = `Pod ${what} is given up with node ${nodeName} and replaced where something owns it; the node says what became of it when it is back`;
    events.push({ severity: 'Warning', reason: 'TaintManagerEviction', message: given });
    return { changes: [put(pod, withLoss(verdict, outlook, message, outlook.lossId))], events };
  }
  if (dueMs !== undefined && dueMs > outlook.nowMs) lookAgainAt(dueMs);
  return isNews ? { changes: [put(pod, withLoss(verdict, outlook, message))], events } : undefined;
}

/** The node is back: what it answered decides. */
function fateOnReturn(pod: StoredObject, nodeName: string, outlook: NodeOutlook): Fate | undefined {
  const verdict = verdictOf(pod);
  if (verdict.lost === undefined || hasEnded(pod)) {
    return hasLostCondition(verdict)
      ? { changes: [put(pod, withoutLoss(verdict))], events: [] }
      : undefined;
  }
  const answer = (readFacet(pod, 'report') as PodReport | undefined)?.answersLost;
  if (answer?.id !== verdict.lost.id) return undefined;
  if (answer.isRunning || !hasController(pod)) {
    const message = answer.isRunning
      ? `node ${nodeName} is back and the pod has run all the time: it counts again`
      : `node ${nodeName} is back; nothing has replaced the pod, so it starts there again`;
    return {
      changes: [put(pod, withoutLoss(verdict))],
      events: [{ severity: 'Normal', reason: 'NodeReturned', message }],
    };
  }
  const message = `node ${nodeName} is back and nothing of the pod runs any more; it was replaced meanwhile`;
  return deletion(pod, outlook, 0, 'ReplacedWhileLost', message);
}

/** The first moment at which a taint of anybody's ends the pod, and which; undefined for never. */
function dueOf(
  pod: StoredObject,
  taints: readonly Taint[],
  outlook: NodeOutlook,
): { readonly taint: Taint; readonly atMs: number; readonly seconds: number } | undefined {
  const tolerations = tolerationsOf(pod);
  let first: { taint: Taint; atMs: number; seconds: number } | undefined;
  for (const taint of taints) {
    const seconds = toleratedSeconds(tolerations, taint);
    if (seconds === undefined) continue;
    const sinceMs = outlook.taintSinceMs.get(taintId(taint)) ?? outlook.nowMs;
    const atMs = sinceMs + seconds * 1000;
    if (first === undefined || atMs < first.atMs) first = { taint, atMs, seconds };
  }
  return first;
}

/** When a pod on a node out of reach may be given up; undefined for never. */
function unreachableDueOf(
  pod: StoredObject,
  taint: Taint,
  outlook: NodeOutlook,
): number | undefined {
  const due = dueOf(pod, [taint], outlook);
  if (due === undefined) return undefined;
  const stopAfterMs = stopAfterMsOf(annotationsOf(pod));
  if (stopAfterMs === undefined) return due.atMs;
  const stopsWithinMs =
    Math.ceil(stopAfterMs * (1 + 1 / driftPart)) + graceSecondsOf(pod) * 1000 + stopMarginMs;
  return Math.max(due.atMs, outlook.lastContactMs + stopsWithinMs);
}

/** How long the pod stays with this taint; undefined for ever, 0 where it is not tolerated. */
export function toleratedSeconds(
  tolerations: readonly Toleration[],
  { key, value = '', effect }: Taint,
): number | undefined {
  const matching = tolerations.filter((toleration) =>
    tolerates([tolerationOf(toleration as JsonObject)], { key, value, effect }),
  );
  let seconds = 0;
  for (const { tolerationSeconds } of matching) {
    if (tolerationSeconds === undefined) return undefined;
    seconds = Math.max(seconds, tolerationSeconds);
  }
  return seconds;
}

function deletion(
  pod: StoredObject,
  { wallMs }: NodeOutlook,
  graceSeconds: number,
  reason: string,
  message: string,
): Fate {
  const intent = readFacet(pod, 'intent') ?? {};
  const endTime = timestampOf(wallMs + graceSeconds * 1000);
  const metadata = withDeletion(metadataOf(pod), endTime, graceSeconds);
  return {
    changes: [putFacet(pod, 'intent', { ...intent, metadata })],
    events: [{ severity: 'Normal', reason, message }],
  };
}

function verdictOf(pod: StoredObject): PodVerdict {
  return readFacet(pod, 'verdict') ?? {};
}

function put(pod: StoredObject, verdict: PodVerdict): Change {
  return putFacet(pod, 'verdict', verdict);
}

function withLoss(
  verdict: PodVerdict,
  { wallMs }: NodeOutlook,
  message: string,
  lossId?: string,
): PodVerdict {
  const before = (verdict.conditions ?? []).find(isLostCondition);
  const unready: PodCondition = {
    type: 'Ready',
    status: 'False',
    reason: lostReason,
    message,
    lastTransitionTime: before?.lastTransitionTime ?? timestampOf(wallMs),
  };
  return {
    ...verdict,
    conditions: [...otherConditions(verdict), unready],
    ...(lossId === undefined
      ? {}
      : { lost: { id: lossId }, status: { reason: lostReason, message } }),
  };
}

function withoutLoss(verdict: PodVerdict): PodVerdict {
  const { lost: _answered, status: _status, ...rest } = verdict;
  return { ...rest, conditions: otherConditions(verdict) };
}

function otherConditions({ conditions = [] }: PodVerdict): PodCondition[] {
  return conditions.filter((condition) => !isLostCondition(condition));
}

function hasLostCondition({ conditions = [] }: PodVerdict): boolean {
  return conditions.some(isLostCondition);
}

function isLostCondition({ type, reason }: PodCondition): boolean {
  return type === 'Ready' && reason === lostReason;
}

function hasEnded(pod: StoredObject): boolean {
  const status = (readFacet(pod, 'report') as PodReport | undefined)?.status;
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

function hasController(pod: StoredObject): boolean {
  const owners = metadataOf(pod)['ownerReferences'];
  return (
    Array.isArray(owners) &&
    owners.some((owner) => isJsonObject(owner) && owner['controller'] === true)
  );
}

function annotationsOf(pod: StoredObject): JsonObject | undefined {
  const { annotations } = metadataOf(pod);
  return isJsonObject(annotations) ? annotations : undefined;
}

function specOf(pod: StoredObject): JsonObject {
  const spec = readFacet(pod, 'intent')?.['spec'];
  return isJsonObject(spec) ? spec : {};
}

function tolerationsOf(pod: StoredObject): readonly Toleration[] {
  const { tolerations } = specOf(pod);
  return Array.isArray(tolerations) ? tolerations.filter(isJsonObject) : [];
}

function graceSecondsOf(pod: StoredObject): number {
  return podGraceSecondsOf(specOf(pod)['terminationGracePeriodSeconds']);
}
