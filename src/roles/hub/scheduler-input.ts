/** Stored nodes and pods in the terms of the scheduler engine. */
import { isJsonObject, type Json, type JsonObject, ownOf } from '#base/mod.ts';
import type {
  Amounts,
  SchedulerBudget,
  SchedulerNode,
  SchedulerNodeCondition,
  SchedulerNodeTerm,
  SchedulerNominee,
  SchedulerPlacedPod,
  SchedulerPod,
  SchedulerTaint,
  SchedulerToleration,
} from '#engines/scheduler/mod.ts';
import { labelsHold } from '#engines/scheduler/mod.ts';
import {
  foldObject,
  milliUnitsOf,
  type ResourceDefinition,
  tryParseQuantity,
} from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { listIn, objectIn, textIn, textsIn } from './json-fields.ts';
import {
  awayOf,
  conditionsOf,
  looksAtNamespaces,
  type NamespacesLike,
  neighbourWishes,
} from './scheduler-terms.ts';
import { containersOf, isBeingDeleted, metadataOf, readFacet } from './stored-facets.ts';

/** What the hub needs to know of a pod again and again; made once for each version. */
export interface PodFacts {
  readonly requests: Amounts;
  /** Its requests where nodes are compared: what asks for nothing counts too. */
  readonly load: Amounts;
  readonly ownerUid: string | undefined;
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  /** As its neighbours see it, but for wishes that depend on the labels of namespaces. */
  readonly placed: SchedulerPlacedPod;
  readonly looksAtNamespaces: boolean;
  /** Ended for good: it takes no room. */
  readonly isFinished: boolean;
}

const factsOf = new WeakMap<StoredObject, PodFacts>();

function podFacts(pod: StoredObject): PodFacts {
  let facts = factsOf.get(pod);
  if (facts === undefined) {
    const spec = specOf(pod);
    const requests = requestsOf(pod, requestOf);
    const load = requestsOf(pod, loadOf);
    const priority = typeof spec['priority'] === 'number' ? spec['priority'] : 0;
    const labels = labelsOf(pod);
    const { namespace } = pod.key;
    const isByNamespaces = looksAtNamespaces(spec);
    const away = isByNamespaces ? undefined : awayOf(spec, { namespace, labels }, () => []);
    facts = {
      requests,
      load,
      ownerUid: ownerOf(pod),
      isFinished: isFinished(pod),
      priority,
      labels,
      looksAtNamespaces: isByNamespaces,
      placed: {
        uid: pod.uid,
        namespace,
        labels,
        priority,
        requests,
        ...(away === undefined ? {} : { away }),
        isEnding: isBeingDeleted(pod),
        since: pod.facets.assignment?.revision ?? 0,
      },
    };
    factsOf.set(pod, facts);
  }
  return facts;
}

function specOf(pod: StoredObject): JsonObject {
  return objectIn(readFacet(pod, 'intent'), 'spec');
}

function labelsOf(object: StoredObject): Readonly<Record<string, string>> {
  return objectIn(metadataOf(object), 'labels') as Record<string, string>;
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
function requestsOf(pod: StoredObject, amountsOf: (container: JsonObject) => Amounts): Amounts {
  let sidecars = nothing;
  let highest = sidecars;
  for (const container of containersOf(pod, 'initContainers')) {
    const together = sumOf(sidecars, amountsOf(container));
    if (container['restartPolicy'] === 'Always') sidecars = together;
    highest = highestOf(highest, together);
  }
  const running = containersOf(pod).map(amountsOf).reduce(sumOf, sidecars);
  return sumOf(highestOf(highest, running), amountsIn(specOf(pod)['overhead']));
}

function requestOf(container: JsonObject): Amounts {
  return amountsIn(objectIn(container['resources'], 'requests'));
}

/** As much as Kubernetes counts for a container that does not say what it needs. */
const unsaid: Amounts = { cpuMilli: 100, memoryBytes: 200 * 2 ** 20 };

/** Nothing is what was asked for only where it was written. */
function loadOf(container: JsonObject): Amounts {
  const { cpu, memory } = objectIn(container['resources'], 'requests');
  const asked = requestOf(container);
  return {
    cpuMilli: cpu === undefined ? unsaid.cpuMilli : asked.cpuMilli,
    memoryBytes: memory === undefined ? unsaid.memoryBytes : asked.memoryBytes,
  };
}

function amountsIn(amounts: unknown): Amounts {
  if (!isJsonObject(amounts)) return nothing;
  return {
    cpuMilli: milliOf(amounts['cpu']),
    memoryBytes: Math.ceil(milliOf(amounts['memory']) / 1_000),
  };
}

const nothing: Amounts = { cpuMilli: 0, memoryBytes: 0 };

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
  namespacesLike: NamespacesLike,
): SchedulerNode {
  const { metadata, spec = {}, status = {} } = foldObject(definition, node);
  const allocatable = objectIn(status, 'allocatable');
  const requested = { cpuMilli: 0, memoryBytes: 0, pods: 0 };
  const load = { cpuMilli: 0, memoryBytes: 0 };
  const podsByOwner: Record<string, number> = {};
  const pods: SchedulerPlacedPod[] = [];
  for (const pod of assigned) {
    const facts = podFacts(pod);
    if (facts.isFinished) continue;
    requested.cpuMilli += facts.requests.cpuMilli;
    requested.memoryBytes += facts.requests.memoryBytes;
    requested.pods += 1;
    load.cpuMilli += facts.load.cpuMilli;
    load.memoryBytes += facts.load.memoryBytes;
    pods.push(facts.looksAtNamespaces ? withAway(pod, facts, namespacesLike) : facts.placed);
    if (facts.ownerUid !== undefined) {
      podsByOwner[facts.ownerUid] = (ownOf(podsByOwner, facts.ownerUid) ?? 0) + 1;
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
    load,
    region: textIn(place['region']),
    site: textIn(place['site']),
    podsByOwner,
    pods,
    runtimes: textsIn(report['runtimes']),
  };
}

function withAway(
  pod: StoredObject,
  { placed }: PodFacts,
  namespacesLike: NamespacesLike,
): SchedulerPlacedPod {
  const away = awayOf(specOf(pod), placed, namespacesLike);
  return away === undefined ? placed : { ...placed, away };
}

/** What was found out about a pod before it is planned. */
export interface FoundOut {
  /** Of its images, in the order of the containers. */
  readonly platforms: readonly (readonly string[])[];
  /** The runtime that its class names. */
  readonly runtime: string | undefined;
  /** Where the data of its claims is. */
  readonly dataNode: string | undefined;
}

export function schedulerPod(
  pod: StoredObject,
  { platforms, runtime, dataNode }: FoundOut,
  namespacesLike: NamespacesLike,
): SchedulerPod {
  const spec = specOf(pod);
  const { requests, load, ownerUid, priority, labels } = podFacts(pod);
  const { namespace } = pod.key;
  const nominatedNode = nominatedNodeOf(pod);
  const selector = objectIn(spec, 'nodeSelector');
  return {
    key: `${pod.key.namespace}/${pod.key.name}`,
    uid: pod.uid,
    namespace,
    labels,
    priority,
    mayPreempt: spec['preemptionPolicy'] !== 'Never',
    ...(nominatedNode === undefined ? {} : { nominatedNode }),
    requests,
    load,
    nodeSelector: Object.fromEntries(
      Object.entries(selector).map(([key, value]) => [key, textIn(value)]),
    ),
    ...onDataNode(affinityOf(spec), dataNode),
    ...neighbourWishes(spec, { namespace, labels }, namespacesLike),
    ...(runtime === undefined ? {} : { runtime }),
    tolerations: listIn(spec['tolerations']).map(tolerationOf),
    platformsByContainer: platforms,
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

export function priorityOf(pod: StoredObject): number {
  return podFacts(pod).priority;
}

/** Where room is being made for the pod. */
export function nominatedNodeOf(pod: StoredObject): string | undefined {
  const name = objectIn(readFacet(pod, 'verdict'), 'status')['nominatedNodeName'];
  return typeof name === 'string' && name !== '' ? name : undefined;
}

export function nomineeOf(pod: StoredObject): SchedulerNominee | undefined {
  const nodeName = nominatedNodeOf(pod);
  if (nodeName === undefined) return undefined;
  const { priority, requests } = podFacts(pod);
  return { uid: pod.uid, nodeName, priority, requests };
}

/** Whether a change of other pods may let the pod run, beside the room that they leave. */
export function hasNeighbourWishes(pod: StoredObject): boolean {
  const spec = specOf(pod);
  const affinity = objectIn(spec, 'affinity');
  const wishes = ['podAffinity', 'podAntiAffinity'].map((name) => affinity[name]);
  return [...wishes, spec['topologySpreadConstraints']].some((wish) => wish !== undefined);
}

export function budgetOf(budget: StoredObject): SchedulerBudget | undefined {
  const selector = conditionsOf(objectIn(readFacet(budget, 'intent'), 'spec')['selector']);
  if (selector === undefined) return undefined;
  const { disruptionsAllowed } = objectIn(readFacet(budget, 'report'), 'status');
  const allowed = typeof disruptionsAllowed === 'number' ? disruptionsAllowed : 0;
  return { namespace: budget.key.namespace, selector, allowed };
}

/** Which of the stored namespaces have such labels. */
export function namespacesIn(namespaces: () => readonly StoredObject[]): NamespacesLike {
  return (conditions) =>
    namespaces()
      .filter((namespace) => labelsHold(labelsOf(namespace), conditions))
      .map(({ key }) => key.name);
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
