/** Kinds that are in no store: made on read, each from what it is about. */
import type { ApiObject, ResourceDefinition } from '#platform/api/mod.ts';
import type { ServerParts } from './dependencies.ts';
import { endpointsOf, listEndpoints } from './endpoints.ts';
import { leaseOf, listLeases } from './leases.ts';
import { listPersistentVolumes, persistentVolumeOf } from './persistent-volumes.ts';
import {
  listNodeMetrics,
  listPodMetrics,
  nodeMetricsOf,
  podMetricsOf,
  prepareNodeMetrics,
  preparePodMetrics,
} from './usage-metrics.ts';

interface Source {
  /** Gathers what is not at hand; `name` undefined for a list. */
  readonly prepare?: (
    parts: ServerParts,
    namespace: string,
    name: string | undefined,
  ) => Promise<void>;
  readonly get: (parts: ServerParts, namespace: string, name: string) => ApiObject | undefined;
  /** Sorted by namespace and name; `namespace` empty means all of them. */
  readonly list: (parts: ServerParts, namespace: string) => readonly ApiObject[];
}

const sources: Readonly<Record<string, Source>> = {
  Lease: { get: leaseOf, list: listLeases },
  PersistentVolume: { get: persistentVolumeOf, list: listPersistentVolumes },
  NodeMetrics: { prepare: prepareNodeMetrics, get: nodeMetricsOf, list: listNodeMetrics },
  PodMetrics: { prepare: preparePodMetrics, get: podMetricsOf, list: listPodMetrics },
  Endpoints: { get: endpointsOf, list: listEndpoints },
  ReplicationController: { get: () => undefined, list: () => [] },
};

export function synthesizedSource({ kind }: ResourceDefinition): Source {
  const source = sources[kind];
  if (source === undefined) throw new RangeError(`nothing makes a ${kind}`);
  return source;
}
