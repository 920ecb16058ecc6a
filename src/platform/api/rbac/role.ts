/** Role: what its holders may do in one namespace. */
import type { ResourceDefinition } from '../definition.ts';
import { column } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import type { ApiObject } from '../object.ts';
import {
  freelyNamedSchema,
  type PolicyRule,
  policyRulesSchema,
  rbacTraits,
  validateRules,
} from './policy-rule.ts';

export interface Role extends ApiObject {
  rules?: PolicyRule[];
}

/** Since when there is such a role. */
export const createdAtColumn = column(
  'Created At',
  'date',
  'When the role was created.',
  (object) => object.metadata.creationTimestamp ?? '',
);

export const roleDefinition: ResourceDefinition = {
  ...rbacTraits,
  kind: 'Role',
  plural: 'roles',
  singular: 'role',
  namespaced: true,
  schema: freelyNamedSchema(
    objectSchema('What its holders may do in one namespace. A RoleBinding says who holds it.', {
      rules: policyRulesSchema,
    }),
  ),
  columns: [createdAtColumn],
  applyDefaults: dropIgnoredMetadata,
  validate: (object) => validateRules((object as Role).rules ?? [], true),
};
