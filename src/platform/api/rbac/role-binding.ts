/** RoleBinding: who holds a role in one namespace. */
import type { Column, FieldError, ResourceDefinition } from '../definition.ts';
import { ageColumn, column, wideColumn } from '../meta/columns.ts';
import { dropIgnoredMetadata, objectSchema } from '../meta/metadata.ts';
import type { ApiObject } from '../object.ts';
import {
  defaultSubjects,
  freelyNamedSchema,
  rbacGroup,
  rbacTraits,
  type RoleRef,
  roleRefSchema,
  type Subject,
  subjectsSchema,
  validateRoleRef,
  validateSubjects,
} from './policy-rule.ts';

/** Both kinds of bindings. */
export interface RoleBinding extends ApiObject {
  subjects?: Subject[];
  roleRef: RoleRef;
}

export const bindingColumns: readonly Column[] = [
  column('Role', 'string', 'The role that is given.', (object) => {
    const { kind, name } = (object as RoleBinding).roleRef;
    return `${kind}/${name}`;
  }),
  ageColumn,
  wideColumn('Users', 'string', 'People who hold it.', (object) => namesOf(object, 'User')),
  wideColumn('Groups', 'string', 'Groups that hold it.', (object) => namesOf(object, 'Group')),
  wideColumn('ServiceAccounts', 'string', 'ServiceAccounts that hold it.', (object) =>
    namesOf(object, 'ServiceAccount'),
  ),
];

function namesOf(object: ApiObject, kind: string): string {
  return ((object as RoleBinding).subjects ?? [])
    .filter((subject) => subject.kind === kind)
    .map(({ name, namespace }) => (namespace === undefined ? name : `${namespace}/${name}`))
    .join(', ');
}

export const bindingFields = { subjects: subjectsSchema, roleRef: roleRefSchema };

export function defaultBinding(object: ApiObject): void {
  dropIgnoredMetadata(object);
  const { subjects = [], roleRef } = object as RoleBinding;
  roleRef.apiGroup ??= rbacGroup;
  defaultSubjects(subjects);
}

/** `kinds`: of roles that the binding may give. */
export function validateBinding(
  object: ApiObject,
  previous: ApiObject | undefined,
  kinds: readonly string[],
): readonly FieldError[] {
  const { subjects = [], roleRef } = object as RoleBinding;
  const before = (previous as RoleBinding | undefined)?.roleRef;
  return [...validateRoleRef(roleRef, before, kinds), ...validateSubjects(subjects)];
}

export const roleBindingDefinition: ResourceDefinition = {
  ...rbacTraits,
  kind: 'RoleBinding',
  plural: 'rolebindings',
  singular: 'rolebinding',
  namespaced: true,
  schema: freelyNamedSchema(
    objectSchema(
      'Gives a role to people, groups or ServiceAccounts, in one namespace.',
      bindingFields,
      ['roleRef'],
    ),
  ),
  columns: bindingColumns,
  applyDefaults: defaultBinding,
  validate: (object, { previous }) => validateBinding(object, previous, ['Role', 'ClusterRole']),
};
