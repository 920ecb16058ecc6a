/** ClusterRoleBinding: who holds a ClusterRole everywhere. */
import type { ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { objectSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import { freelyNamedSchema, rbacGroup, validateRoleRef, validateSubjects } from './policy-rule.ts';
import { bindingColumns, bindingFields, defaultBinding, type RoleBinding } from './role-binding.ts';

export const clusterRoleBindingDefinition: ResourceDefinition = {
  group: rbacGroup,
  version: 'v1',
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  singular: 'clusterrolebinding',
  shortNames: [],
  categories: [],
  namespaced: false,
  nameForm: 'path-segment',
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  schema: freelyNamedSchema(
    objectSchema(
      'Gives a ClusterRole to people, groups or ServiceAccounts, in the whole fleet.',
      bindingFields,
      ['roleRef'],
    ),
  ),
  columns: bindingColumns,
  selectableFields: {},
  facets: defaultFacetLayout(),
  applyDefaults: defaultBinding,
  validate(object, { previous }) {
    const { subjects = [], roleRef } = object as RoleBinding;
    const before = (previous as RoleBinding | undefined)?.roleRef;
    return [...validateRoleRef(roleRef, before, ['ClusterRole']), ...validateSubjects(subjects)];
  },
};
