/** Puts the rules of ClusterRoles together that are made of others. */
import { aggregatedRules, equalJson, resources, StatusError } from '#platform/api/mod.ts';
import type { ReconcileResult } from '#platform/reconcile/mod.ts';
import type { ControllerContext } from '../shared/context.ts';

export function watchForClusterRoles({ informers, queue }: ControllerContext): void {
  informers.clusterRoles.onChange(() => {
    // Whose labels a selector selects, or no longer does, only looking at all tells.
    for (const role of informers.clusterRoles.list()) {
      if (role.aggregationRule !== undefined) queue.add(role.metadata.name);
    }
  });
}

export function clusterRoleReconciler({
  client,
  informers,
}: ControllerContext): (name: string) => Promise<ReconcileResult | void> {
  return async (name) => {
    const role = informers.clusterRoles.get(name);
    if (role === undefined || role.metadata.deletionTimestamp !== undefined) return undefined;
    const rules = aggregatedRules(role, informers.clusterRoles.list());
    if (rules === undefined || equalJson(rules, role.rules ?? [])) return undefined;
    const { resourceVersion = '' } = role.metadata;
    try {
      const patch = { metadata: { resourceVersion }, rules };
      informers.clusterRoles.observe(
        await client.mergePatch(resources.clusterRoles, '', name, patch),
      );
    } catch (error) {
      if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error;
    }
    return undefined;
  };
}
