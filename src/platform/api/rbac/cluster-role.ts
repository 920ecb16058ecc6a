/** ClusterRole: what its holders may do everywhere, or in the namespace where it is bound. */
import type { ResourceDefinition } from '../definition.ts';
import { type LabelSelector, validateLabelSelector } from '../meta/label-selector.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import type { ApiObject } from '../object.ts';
import {
  aggregationRuleSchema,
  freelyNamedSchema,
  type PolicyRule,
  policyRulesSchema,
  rbacTraits,
  validateRules,
} from './policy-rule.ts';
import { createdAtColumn } from './role.ts';

export interface ClusterRole extends ApiObject {
  rules?: PolicyRule[];
  aggregationRule?: { clusterRoleSelectors?: LabelSelector[] };
}

export const clusterRoleDefinition: ResourceDefinition = {
  ...rbacTraits,
  kind: 'ClusterRole',
  plural: 'clusterroles',
  singular: 'clusterrole',
  namespaced: false,
  schema: freelyNamedSchema(
    objectSchema(
      'What its holders may do: everywhere where a ClusterRoleBinding gives it, in one namespace where a RoleBinding does.',
      { rules: policyRulesSchema, aggregationRule: aggregationRuleSchema },
    ),
  ),
  columns: [createdAtColumn],
  applyDefaults: dropIgnoredMetadata,
  validate(object) {
    const { rules = [], aggregationRule } = object as ClusterRole;
    const selectors = aggregationRule?.clusterRoleSelectors;
    const field = 'aggregationRule.clusterRoleSelectors';
    return [
      ...validateRules(rules, false),
      ...(aggregationRule !== undefined && (selectors ?? []).length === 0
        ? [
            {
              field,
              reason: 'FieldValueRequired' as const,
              message:
                'Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
            },
          ]
        : []),
      ...(selectors ?? []).flatMap((selector, index) =>
        validateLabelSelector(selector, `${field}[${index}]`),
      ),
    ];
  },
};
