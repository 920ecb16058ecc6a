/** The rules of a role that is made of others. */
import { equalJson } from '../field-errors.ts';
import { selectsLabels } from '../meta/label-selector.ts';
import type { ClusterRole } from './cluster-role.ts';
import type { PolicyRule } from './policy-rule.ts';

/**
 * The rules of all other roles that an aggregation rule selects, in the order of their
 * names and each once; undefined for a role that is made of no others.
 */
export function aggregatedRules(
  role: ClusterRole,
  roles: readonly ClusterRole[],
): PolicyRule[] | undefined {
  const selectors = role.aggregationRule?.clusterRoleSelectors;
  if (selectors === undefined) return undefined;
  const rules: PolicyRule[] = [];
  const selected = roles
    .filter(
      ({ metadata }) =>
        metadata.name !== role.metadata.name &&
        selectors.some((selector) => selectsLabels(selector, metadata.labels)),
    )
    .toSorted((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1));
  for (const rule of selected.flatMap((one) => one.rules ?? [])) {
    if (!rules.some((known) => equalJson(known, rule))) rules.push(rule);
  }
  return rules;
}
