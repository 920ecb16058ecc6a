/**
 * Node Leases, made on read from what the hub knows of a node's heartbeats. They
 * are in no store: heartbeats are soft state.
 */
import { type ApiObject, nodeLeaseNamespace } from '#platform/api/mod.ts';
import { microTimestampOf } from '#platform/io/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import type { ServerParts } from './dependencies.ts';

const leaseDurationSeconds = 40;

/** Undefined where there is no such node, or where it was never heard of since the start. */
export function leaseOf(
  parts: ServerParts,
  namespace: string,
  name: string,
): ApiObject | undefined {
  if (namespace !== nodeLeaseNamespace) return undefined;
  const node = parts.store.get({ resource: 'nodes', namespace: '', name });
  return node === undefined ? undefined : leaseOfNode(parts, node);
}

/** Sorted by name; all of them are in one namespace. */
export function listLeases(parts: ServerParts, namespace: string): readonly ApiObject[] {
  if (namespace !== '' && namespace !== nodeLeaseNamespace) return [];
  return parts.store.list('nodes').flatMap((node) => leaseOfNode(parts, node) ?? []);
}

function leaseOfNode(parts: ServerParts, node: StoredObject): ApiObject | undefined {
  const { name } = node.key;
  const liveness = parts.nodeLiveness(name);
  if (liveness === undefined) return undefined;
  const definition = parts.registry.byResource('', 'v1', 'nodes');
  const creationTimestamp =
    definition === undefined
      ? undefined
      : parts.served.of(definition, node).object.metadata.creationTimestamp;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name,
      namespace: nodeLeaseNamespace,
      uid: node.uid,
      resourceVersion: String(parts.store.revision),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid: node.uid }],
    },
    spec: {
      holderIdentity: name,
      leaseDurationSeconds,
      renewTime: microTimestampOf(liveness.lastHeartbeatWallMs),
    },
  };
}
