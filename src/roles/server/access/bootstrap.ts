/**
 * Keeps the built-in roles and bindings: what is missing of them is made at every
 * start, in one transaction.
 *
 * Invariants:
 * 1. Nothing that people added to them is taken away: rules, subjects, labels.
 * 2. One whose annotation rbac.authorization.kubernetes.io/autoupdate says "false" is
 *    left as it is, once it is there.
 */
import type { Uid } from '#base/mod.ts';
import { copyJson } from '#base/mod.ts';
import {
  aggregatedRules,
  type ApiObject,
  type ClusterRole,
  equalJson,
  prepareForCreate,
  type ResourceDefinition,
  resourceName,
  type RoleBinding,
} from '#platform/api/mod.ts';
import type { Change, StoreView } from '#platform/store/mod.ts';
import type { ServerParts } from '../dependencies.ts';
import { draftCreate, draftUpdate } from '../writing.ts';
import {
  autoupdateAnnotation,
  builtInClusterRoleBindings,
  builtInClusterRoles,
} from './built-in-roles.ts';
import { policyResources } from './policy.ts';
import { uncoveredRules } from './rules.ts';

type Parts = Pick<ServerParts, 'store' | 'registry' | 'served' | 'clock' | 'random'>;

export async function keepBuiltInRoles(parts: Parts): Promise<void> {
  const roles = parts.registry.byStoreResource(policyResources.clusterRoles);
  const bindings = parts.registry.byStoreResource(policyResources.clusterRoleBindings);
  if (roles === undefined || bindings === undefined) return;
  const wantedRoles = builtInClusterRoles.map((role) => ({
    ...role,
    rules: aggregatedWhole(role),
  }));
  await parts.store.transact((view) => ({
    changes: [
      ...wantedRoles.flatMap((role) => changesFor(parts, roles, view, role, withMissingOfRole)),
      ...builtInClusterRoleBindings.flatMap((binding) =>
        changesFor(parts, bindings, view, binding, withMissingOfBinding),
      ),
    ],
    result: undefined,
  }));
}

/** So that they hold before the controller has looked: two steps reach from view to admin. */
function aggregatedWhole(role: ClusterRole): NonNullable<ClusterRole['rules']> {
  let roles = builtInClusterRoles;
  for (let step = 0; step < aggregationSteps; step += 1) {
    const known = roles;
    roles = known.map((one) => ({ ...one, rules: aggregatedRules(one, known) ?? one.rules ?? [] }));
  }
  return roles.find(({ metadata }) => metadata.name === role.metadata.name)?.rules ?? [];
}

const aggregationSteps = 3;

function changesFor<Kind extends ApiObject>(
  parts: Parts,
  definition: ResourceDefinition,
  view: StoreView,
  wanted: Kind,
  withMissing: (present: Kind, wanted: Kind) => Kind,
): readonly Change[] {
  const { name } = wanted.metadata;
  const key = { resource: resourceName(definition), namespace: '', name };
  const stored = view.get(key);
  if (stored === undefined) {
    const uid = parts.random.uuid() as Uid;
    const given = { uid, nowMs: parts.clock.wallMs(), namespace: '', generatedSuffix: '' };
    const object = prepareForCreate(definition, copyJson(wanted), given);
    return draftCreate(definition, key, uid, object).changes;
  }
  const present = parts.served.of(definition, stored).object as Kind;
  if (present.metadata.annotations?.[autoupdateAnnotation] === 'false') return [];
  const whole = withMissing(present, wanted);
  const metadata = {
    ...present.metadata,
    labels: { ...present.metadata.labels, ...wanted.metadata.labels },
    annotations: { ...wanted.metadata.annotations, ...present.metadata.annotations },
  };
  return draftUpdate(definition, stored, { ...whole, metadata }, 'main').changes;
}

function withMissingOfRole(present: ClusterRole, wanted: ClusterRole): ClusterRole {
  // What it is made of, the controller puts together.
  if (wanted.aggregationRule !== undefined) {
    return { ...present, aggregationRule: wanted.aggregationRule };
  }
  const rules = present.rules ?? [];
  const missing = uncoveredRules(rules, wanted.rules ?? []) ?? wanted.rules ?? [];
  return { ...present, rules: [...rules, ...missing] };
}

function withMissingOfBinding(present: RoleBinding, wanted: RoleBinding): RoleBinding {
  const subjects = present.subjects ?? [];
  const missing = (wanted.subjects ?? []).filter(
    (subject) => !subjects.some((known) => equalJson(known, subject)),
  );
  return { ...present, subjects: [...subjects, ...missing] };
}
