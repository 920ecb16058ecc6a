/**
 * The policy as the store has it: read once, then kept by watches on the four kinds
 * that it is made of, so that other writes pay nothing for it.
 */
import { decodeFacet } from '#platform/api/mod.ts';
import type { ApiObject } from '#platform/api/mod.ts';
import type { ObjectEvent, Store, StoredObject, StoreView, Watch } from '#platform/store/mod.ts';
import { Policy, policyResources } from './policy.ts';

export interface FollowedPolicy {
  readonly policy: Policy;
  close(): void;
}

export function followPolicy(store: Store): FollowedPolicy {
  const policy = policyIn(store);
  const watches: Watch[] = Object.values(policyResources).map((resource) =>
    store.watch(
      store.revision,
      ({ events }) => {
        for (const event of events) take(policy, event);
      },
      resource,
    ),
  );
  return {
    policy,
    close() {
      for (const watch of watches) watch.close();
    },
  };
}

/** The policy of one view. */
export function policyIn(view: StoreView): Policy {
  const policy = new Policy();
  for (const resource of Object.values(policyResources)) {
    for (const object of view.list(resource)) take(policy, { type: 'put', object });
  }
  return policy;
}

function take(policy: Policy, { type, object }: Pick<ObjectEvent, 'type' | 'object'>): void {
  const { resource, namespace, name } = object.key;
  const isGone = type === 'delete';
  switch (resource) {
    case policyResources.roles:
    case policyResources.clusterRoles:
      if (isGone) policy.removeRole(namespace, name);
      else policy.putRole(namespace, name, intentOf(object));
      return;
    case policyResources.roleBindings:
    case policyResources.clusterRoleBindings:
      if (isGone) policy.removeBinding(namespace, name);
      else policy.putBinding(namespace, name, intentOf(object));
      return;
    default:
      return;
  }
}

function intentOf({ facets }: StoredObject): ApiObject {
  const { intent } = facets;
  return (intent === undefined ? {} : decodeFacet(intent)) as unknown as ApiObject;
}
