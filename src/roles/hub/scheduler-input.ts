/** Stored nodes and pods in the terms of the scheduler engine. */
import { isJsonObject, type Json, type JsonObject } from '#base/mod.ts';
import type {
  Amounts,
  SchedulerNode,
  SchedulerNodeCondition,
  SchedulerNodeTerm,
  SchedulerPod,
  SchedulerTaint,
  SchedulerToleration,
} from '#engines/scheduler/mod.ts';
import {
  foldObject,
  milliUnitsOf,
  type ResourceDefinition,
  tryParseQuantity,
} from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { containersOf, metadataOf, readFacet } from './stored-facets.ts';

/** What the hub needs to know of a pod again and again; made once for each version. */
export interface PodFacts {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
  readonly ownerUid: string | undefined;
  /** Ended for good: it takes no room. */
  readonly isFinished: boolean;
}

const factsOf = new WeakMap<StoredObject, PodFacts>();

function podFacts(pod: StoredObject): PodFacts {
  let facts = factsOf.get(pod);
  if (facts === undefined) {
    const { cpuMilli, memoryBytes } = requestsOf(pod);
    facts = {
      cpuMilli,
      memoryBytes,
      ownerUid: ownerOf(pod),
      isFinished: isFinished(pod),
    };
    factsOf.set(pod, facts);
  }
  return facts;
}

/** Ended for good, as its agent reports it. */
export function isFinished(pod: StoredObject): boolean {
  const { phase } = objectIn(readFacet(pod, 'report'), 'status');
  return phase === 'Succeeded' || phase === 'Failed';
}

/**
 * The most that its containers ask for at any one time: sidecars run with all that
 * comes after them, other init containers with those before them alone.
 */
function requestsOf(pod: StoredObject): Amounts {
  let sidecars: Amounts = { cpuMilli: 0, memoryBytes: 0 };
  let highest = sidecars;
  for (const container of containersOf(pod, 'initContainers')) {
    const together = sumOf(sidecars, requestOf(container));
    if (container['restartPolicy'] === 'Always') sidecars = together;
    highest = highestOf(highest, together);
  }
  const running = containersOf(pod).map(requestOf).reduce(sumOf, sidecars);
  return highestOf(highest, running);
}

function requestOf(container: JsonObject): Amounts {
  const requests = objectIn(container['resources'], 'requests');
  return {
    cpuMilli: milliOf(requests['cpu']),
    memoryBytes: Math.ceil(milliOf(requests['memory']) / 1_000),
  };
}

function sumOf(left: Amounts, right: Amounts): Amounts {
  return {
    cpuMilli: left.cpuMilli + right.cpuMilli,
    memoryBytes: left.memoryBytes + right.memoryBytes,
  };
}

function highestOf(left: Amounts, right: Amounts): Amounts {
  return {
    cpuMilli: Math.max(left.cpuMilli, right.cpuMilli),
    memoryBytes: Math.max(left.memoryBytes, right.memoryBytes),
  };
}

/** `assigned` are the pods that the node has now. */
export function schedulerNode(
  definition: ResourceDefinition,
  node: StoredObject,
  assigned: readonly StoredObject[],
): SchedulerNode {
  const { metadata, spec = {}, status = {} } = foldObject(definition, node);
  const allocatable = objectIn(status, 'allocatable');
  const requested = { cpuMilli: 0, memoryBytes: 0, pods: 0 };
  const podsByOwner: Record<string, number> = {};
  for (const pod of assigned) {
    const facts = podFacts(pod);
    if (facts.isFinished) continue;
    requested.cpuMilli += facts.cpuMilli;
    requested.memoryBytes += facts.memoryBytes;
    requested.pods += 1;
    if (facts.ownerUid !== undefined) {
      podsByOwner[facts.ownerUid] = (podsByOwner[facts.ownerUid] ?? 0) + 1;
    }
  }
  const place = readFacet(node, 'assignment') ?? {};
  const report = readFacet(node, 'report') ?? {};
  return {
    name: node.key.name,
    isReady: readFacet(node, 'verdict')?.['ready'] === 'True',
    isUnschedulable: spec['unschedulable'] === true || metadata.deletionTimestamp !== undefined,
    taints: listIn(spec['taints']).map(taintOf),
    labels: metadata.labels ?? {},
    platforms: textsIn(report['platforms']),
    allocatable: {
      cpuMilli: milliOf(allocatable['cpu']),
      memoryBytes: Math.floor(milliOf(allocatable['memory']) / 1_000),
      podsMax: Math.floor(milliOf(allocatable['pods']) / 1_000),
    },
    requested,
    region: textIn(place['region']),
    site: textIn(place['site']),
    podsByOwner,
  };
}

/** `platformsByContainer` in the order of the containers; `dataNode` keeps the data of its claims. */
export function schedulerPod(
  pod: StoredObject,
  platformsByContainer: readonly (readonly string[])[],
  dataNode?: string,
): SchedulerPod {
  const spec = objectIn(readFacet(pod, 'intent'), 'spec');
  const { cpuMilli, memoryBytes, ownerUid } = podFacts(pod);
  const selector = objectIn(spec, 'nodeSelector');
  return {
    key: `${pod.key.namespace}/${pod.key.name}`,
    uid: pod.uid,
    requests: { cpuMilli, memoryBytes },
    nodeSelector: Object.fromEntries(
      Object.entries(selector).map(([key, value]) => [key, textIn(value)]),
    ),
    ...onDataNode(affinityOf(spec), dataNode),
    tolerations: listIn(spec['tolerations']).map(tolerationOf),
    platformsByContainer,
    ownerUid,
  };
}

/** Whatever else the pod asks for, it can only go there. */
function onDataNode(
  affinity: ReturnType<typeof affinityOf>,
  dataNode: string | undefined,
): ReturnType<typeof affinityOf> {
  if (dataNode === undefined) return affinity;
  const there: SchedulerNodeCondition = {
    on: 'name',
    key: 'metadata.name',
    operator: 'In',
    values: [dataNode],
  };
  const terms = affinity.nodesRequired ?? [[]];
  // A term without conditions of its own means no node, and goes on to do so.
  const isAny = affinity.nodesRequired === undefined;
  const nodesRequired = terms.map((term) =>
    term.length === 0 && !isAny ? term : [...term, there],
  );
  return { ...affinity, nodesRequired };
}

function affinityOf(spec: JsonObject): Pick<SchedulerPod, 'nodesRequired' | 'nodesPreferred'> {
  const affinity = objectIn(objectIn(spec, 'affinity'), 'nodeAffinity');
  const required = affinity['requiredDuringSchedulingIgnoredDuringExecution'];
  const preferred = listIn(affinity['preferredDuringSchedulingIgnoredDuringExecution']);
  return {
    ...(isJsonObject(required)
      ? { nodesRequired: listIn(required['nodeSelectorTerms']).map(termOf) }
      : {}),
    ...(preferred.length === 0
      ? {}
      : {
          nodesPreferred: preferred.map((one) => ({
            weight: Number(one['weight']),
            term: termOf(objectIn(one, 'preference')),
          })),
        }),
  };
}

function termOf(term: JsonObject): SchedulerNodeTerm {
  const conditions = (list: Json | undefined, on: 'label' | 'name'): SchedulerNodeCondition[] =>
    listIn(list).map((condition) => ({
      on,
      key: textIn(condition['key']),
      operator: textIn(condition['operator']) as SchedulerNodeCondition['operator'],
      values: textsIn(condition['values']),
    }));
  return [
    ...conditions(term['matchExpressions'], 'label'),
    ...conditions(term['matchFields'], 'name'),
  ];
}

function ownerOf(pod: StoredObject): string | undefined {
  const owners = listIn(metadataOf(pod)['ownerReferences']);
  const controller = owners.find((owner) => owner['controller'] === true);
  return typeof controller?.['uid'] === 'string' ? controller['uid'] : undefined;
}

function taintOf(taint: JsonObject): SchedulerTaint {
  const { effect } = taint;
  return {
    key: textIn(taint['key']),
    value: textIn(taint['value']),
    effect: effect === 'PreferNoSchedule' || effect === 'NoExecute' ? effect : 'NoSchedule',
  };
}

/** A toleration of a pod as the engine takes it. */
export function tolerationOf(toleration: JsonObject): SchedulerToleration {
  const { key, value, effect } = toleration;
  return {
    operator: toleration['operator'] === 'Exists' ? 'Exists' : 'Equal',
    ...(typeof key === 'string' && key !== '' ? { key } : {}),
    ...(typeof value === 'string' ? { value } : {}),
    ...(effect === 'NoSchedule' || effect === 'PreferNoSchedule' || effect === 'NoExecute'
      ? { effect }
      : {}),
  };
}

/** Thousandths of a quantity; 0 for what is none, which validation keeps out. */
function milliOf(value: unknown): number {
  if (typeof value !== 'string' && typeof value !== 'number') return 0;
  const quantity = tryParseQuantity(String(value));
  return quantity === undefined ? 0 : milliUnitsOf(quantity);
}

function objectIn(value: unknown, field: string): JsonObject {
  const found = isJsonObject(value) ? value[field] : undefined;
  return isJsonObject(found) ? found : {};
}

function listIn(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
