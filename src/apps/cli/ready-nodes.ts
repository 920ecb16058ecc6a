/** Which nodes of the fleet can take work now, as the API says. */
import { nodeLeaseNamespace, resources } from '#platform/api/mod.ts';
import type { ApiAccess } from './api-access.ts';

/**
 * Names of the nodes that are ready and that this very server has heard: what it says
 * of the others is what it last knew before it was started.
 */
export async function readyNodesHeard(access: ApiAccess): Promise<Set<string>> {
  const leases = await access.client.list(resources.leases, { namespace: nodeLeaseNamespace });
  const heard = new Set(leases.items.map(({ metadata }) => metadata.name));
  return new Set([...(await readyNodes(access))].filter((name) => heard.has(name)));
}

/** Names of the nodes whose Ready condition is True now. */
export async function readyNodes(access: ApiAccess): Promise<Set<string>> {
  const list = await access.client.list(resources.nodes);
  const ready = new Set<string>();
  for (const node of list.items) {
    const conditions = (node.status?.['conditions'] ?? []) as { type: string; status: string }[];
    if (conditions.some((entry) => entry.type === 'Ready' && entry.status === 'True')) {
      ready.add(node.metadata.name);
    }
  }
  return ready;
}
