/**
 * NodeMetrics and PodMetrics, made on read from what the nodes answer: first they are
 * asked (`prepare…`), then everything that they said is put together in one go.
 */
import type {
  ApiObject,
  NodeMetrics,
  NodeUsage,
  Pod,
  PodMetrics,
  UsageAmounts,
} from '#platform/api/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import type { ServerParts } from './dependencies.ts';

/** Implemented by the hub. */
export interface UsageSource {
  /** Asks those nodes where what is known of them is not fresh; who does not answer is passed over. */
  refresh(nodeNames: readonly string[]): Promise<void>;
  /** Undefined for a node that did not answer. */
  of(nodeName: string): NodeUsage | undefined;
}

export async function prepareNodeMetrics(
  parts: ServerParts,
  _namespace: string,
  name: string | undefined,
): Promise<void> {
  await parts.usage.refresh(
    name === undefined ? parts.store.list('nodes').map(({ key }) => key.name) : [name],
  );
}

export function nodeMetricsOf(
  parts: ServerParts,
  _namespace: string,
  name: string,
): ApiObject | undefined {
  const node = parts.store.get({ resource: 'nodes', namespace: '', name });
  return node === undefined ? undefined : metricsOfNode(parts, node);
}

export function listNodeMetrics(parts: ServerParts): readonly ApiObject[] {
  return parts.store.list('nodes').flatMap((node) => metricsOfNode(parts, node) ?? []);
}

function metricsOfNode(parts: ServerParts, node: StoredObject): NodeMetrics | undefined {
  const usage = parts.usage.of(node.key.name);
  const definition = parts.registry.byResource('', 'v1', 'nodes');
  if (usage === undefined || definition === undefined) return undefined;
  const { metadata } = parts.served.of(definition, node).object;
  return {
    apiVersion: 'metrics.k8s.io/v1beta1',
    kind: 'NodeMetrics',
    metadata: {
      name: node.key.name,
      ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
      creationTimestamp: timestampOf(usage.atWallMs),
    },
    ...measuredAt(usage),
    usage: amountsOf(usage),
  };
}

/** Only nodes that have pods of that namespace, or that pod, are asked. */
export async function preparePodMetrics(
  parts: ServerParts,
  namespace: string,
  name: string | undefined,
): Promise<void> {
  const pods = podsOf(parts, namespace);
  const wanted = name === undefined ? pods : pods.filter(({ metadata }) => metadata.name === name);
  await parts.usage.refresh(wanted.flatMap(({ spec }) => spec.nodeName ?? []));
}

export function podMetricsOf(
  parts: ServerParts,
  namespace: string,
  name: string,
): ApiObject | undefined {
  return listPodMetrics(parts, namespace).find(({ metadata }) => metadata.name === name);
}

export function listPodMetrics(parts: ServerParts, namespace: string): readonly ApiObject[] {
  const byPod = new Map<string, NodeUsage['containers'][number][]>();
  const pods = podsOf(parts, namespace);
  for (const nodeName of new Set(pods.map(({ spec }) => spec.nodeName ?? ''))) {
    for (const container of parts.usage.of(nodeName)?.containers ?? []) {
      const others = byPod.get(container.podUid);
      if (others === undefined) byPod.set(container.podUid, [container]);
      else others.push(container);
    }
  }
  return pods.flatMap((pod) => {
    const { name, namespace: home = '', labels, uid = '' } = pod.metadata;
    const usage = parts.usage.of(pod.spec.nodeName ?? '');
    const containers = byPod.get(uid);
    if (usage === undefined || containers === undefined) return [];
    const metrics: PodMetrics = {
      apiVersion: 'metrics.k8s.io/v1beta1',
      kind: 'PodMetrics',
      metadata: {
        name,
        namespace: home,
        ...(labels === undefined ? {} : { labels }),
        creationTimestamp: timestampOf(usage.atWallMs),
      },
      ...measuredAt(usage),
      containers: containers.map((one) => ({ name: one.container, usage: amountsOf(one) })),
    };
    return [metrics];
  });
}

/** Those that have a node. */
function podsOf(parts: ServerParts, namespace: string): readonly Pod[] {
  const definition = parts.registry.byResource('', 'v1', 'pods');
  if (definition === undefined) return [];
  const stored = namespace === '' ? parts.store.list('pods') : parts.store.list('pods', namespace);
  return stored
    .map((one) => parts.served.of(definition, one).object as Pod)
    .filter(({ spec }) => spec.nodeName !== undefined);
}

function measuredAt({ atWallMs, windowMs }: NodeUsage): { timestamp: string; window: string } {
  return { timestamp: timestampOf(atWallMs), window: `${windowMs / 1_000}s` };
}

function amountsOf(usage: Pick<NodeUsage, 'cpuNanoCores' | 'memoryBytes'>): UsageAmounts {
  return { cpu: `${usage.cpuNanoCores}n`, memory: `${Math.ceil(usage.memoryBytes / 1_024)}Ki` };
}
