/** ClusterRoleBinding: who holds a ClusterRole everywhere. */
import type { ResourceDefinition } from '../definition.ts';
import { objectSchema } from '../meta/metadata.ts';
import { freelyNamedSchema, rbacTraits } from './policy-rule.ts';
import { bindingColumns, bindingFields, defaultBinding, validateBinding } from './role-binding.ts';

export const clusterRoleBindingDefinition: ResourceDefinition = {
  ...rbacTraits,
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  singular: 'clusterrolebinding',
  namespaced: false,
  schema: freelyNamedSchema(
    objectSchema(
      'Gives a ClusterRole to people, groups or ServiceAccounts, in the whole fleet.',
      bindingFields,
      ['roleRef'],
    ),
  ),
  columns: bindingColumns,
  applyDefaults: defaultBinding,
  validate: (object, { previous }) => validateBinding(object, previous, ['ClusterRole']),
};
