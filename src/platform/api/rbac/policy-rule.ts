/** What a role lets people do: verbs on resources, or on paths beside them. */
import { ownOf } from '#base/mod.ts';
import type { FieldError, ResourceDefinition } from '../definition.ts';
import { defaultFacetLayout } from '../facets.ts';
import { fieldInvalid, fieldRequired, indexPath } from '../field-errors.ts';
import { atomicList, record, text } from '../meta/build.ts';
import { labelSelectorSchema } from '../meta/label-selector.ts';
import { metadataSchema } from '../meta/metadata.ts';
import { allVerbs } from '../meta/resources.ts';
import type { Schema } from '../schema.ts';

export const rbacGroup = 'rbac.authorization.k8s.io';

/** What all kinds of this group have in common. */
export const rbacTraits = {
  group: rbacGroup,
  version: 'v1',
  shortNames: [],
  categories: [],
  nameForm: 'path-segment',
  verbs: allVerbs,
  subresources: [],
  storage: 'main',
  selectableFields: {},
  facets: defaultFacetLayout(),
} satisfies Partial<ResourceDefinition>;

/** Absent lists count as empty. `*` stands for all. */
export type PolicyRule = {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
};

const rulesMax = 512;
const wordsMax = 256;
const resourceNamesMax = 1_000;
const wordLengthMax = 253;
const subjectsMax = 1_000;

function words(description: string, each: string, maxItems = wordsMax): Schema {
  return atomicList(description, text(each, { maxLength: wordLengthMax }), { maxItems });
}

export const policyRulesSchema = atomicList(
  'What is allowed. Whatever one of the rules allows is allowed; nothing is ever denied by a rule.',
  record(
    'Verbs, and what they may be used on: resources, or paths beside the resources.',
    {
      verbs: words('What may be done.', 'A verb, such as get, list, create or delete; * for all.'),
      apiGroups: words(
        'The API groups of the resources.',
        'A group; empty for the one of pods and services; * for all.',
      ),
      resources: words(
        'The kinds of objects by their plural names.',
        'Such as pods, or pods/log for a part of one; * for all.',
      ),
      resourceNames: words(
        'Only objects of these names; all of them where this is empty. A list of a collection has no name.',
        'The name of an object.',
        resourceNamesMax,
      ),
      nonResourceURLs: words(
        'Paths that are no resources, such as /metrics. Only a ClusterRole can give them.',
        'A path; a * at its end stands for whatever follows.',
      ),
    },
    ['verbs'],
  ),
  { maxItems: rulesMax },
);

export const aggregationRuleSchema = record(
  'Makes the rules of this role out of those of others. What is written into rules is replaced.',
  {
    clusterRoleSelectors: atomicList(
      'The roles whose rules are taken: those that one of the selectors selects by their labels.',
      labelSelectorSchema('Labels of a ClusterRole.'),
      { maxItems: wordsMax },
    ),
  },
);

/** Who is given a role. */
export type Subject = { kind: string; apiGroup?: string; name: string; namespace?: string };
export type RoleRef = { apiGroup: string; kind: string; name: string };

export const subjectsSchema = atomicList(
  'Who is given the role.',
  record(
    'A person, a group, or a ServiceAccount.',
    {
      kind: text('User, Group or ServiceAccount.', { minLength: 1 }),
      apiGroup: text(
        'rbac.authorization.k8s.io for users and groups, empty for a ServiceAccount. Filled in where it is left out.',
      ),
      name: text('The name of the user, group or ServiceAccount.', {
        minLength: 1,
        maxLength: wordLengthMax,
      }),
      namespace: text('Of a ServiceAccount.', { format: 'dns-label' }),
    },
    ['kind', 'name'],
  ),
  { maxItems: subjectsMax },
);

export const roleRefSchema = record(
  'The role that is given. Cannot be changed: delete the binding and make another.',
  {
    apiGroup: text('Always rbac.authorization.k8s.io. Filled in where it is left out.'),
    kind: text('Role or ClusterRole.', { minLength: 1 }),
    name: text('The name of the role.', { minLength: 1, maxLength: wordLengthMax }),
  },
  ['kind', 'name'],
);

/** The same schema for a kind whose names may be any segment of a path, such as `system:discovery`. */
export function freelyNamedSchema(schema: Schema): Schema {
  const metadata: Schema = {
    ...metadataSchema,
    properties: {
      ...metadataSchema.properties,
      name: text('Unique among objects of this kind in the namespace. Cannot be changed.', {
        maxLength: wordLengthMax,
      }),
    },
  };
  return { ...schema, properties: { ...schema.properties, metadata } };
}

/** `isNamespaced`: of a Role, which gives nothing beside the resources of its namespace. */
export function validateRules(rules: readonly PolicyRule[], isNamespaced: boolean): FieldError[] {
  return rules.flatMap((rule, index) => ruleErrors(rule, indexPath('rules', index), isNamespaced));
}

function ruleErrors(rule: PolicyRule, at: string, isNamespaced: boolean): FieldError[] {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const errors: FieldError[] = [];
  if (verbs.length === 0) {
    errors.push(fieldRequired(`${at}.verbs`, 'verbs must contain at least one value'));
  }
  if (nonResourceURLs.length > 0) {
    if (isNamespaced) {
      const why = 'namespaced rules cannot apply to non-resource URLs: use a ClusterRole';
      errors.push(fieldInvalid(`${at}.nonResourceURLs`, nonResourceURLs.join(' '), why));
    }
    if (apiGroups.length + resources.length + resourceNames.length > 0) {
      const why = 'rules cannot apply to both regular resources and non-resource URLs';
      errors.push(fieldInvalid(`${at}.nonResourceURLs`, nonResourceURLs.join(' '), why));
    }
    for (const [index, path] of nonResourceURLs.entries()) {
      const star = path.indexOf('*');
      if ((path.startsWith('/') || path === '*') && (star < 0 || star === path.length - 1))
        continue;
      const why = "must be '*', or a path that begins with '/' and has a '*' at its end only";
      errors.push(fieldInvalid(`${at}.nonResourceURLs[${index}]`, path, why));
    }
    return errors;
  }
  if (apiGroups.length === 0) {
    const mend = 'resource rules must supply at least one api group';
    errors.push(fieldRequired(`${at}.apiGroups`, mend));
  }
  if (resources.length === 0) {
    const mend = 'resource rules must supply at least one resource';
    errors.push(fieldRequired(`${at}.resources`, mend));
  }
  return errors;
}

const apiGroupOfSubject: Readonly<Record<string, string>> = {
  User: rbacGroup,
  Group: rbacGroup,
  ServiceAccount: '',
};

export function defaultSubjects(subjects: readonly Subject[]): void {
  for (const subject of subjects) {
    const group = ownOf(apiGroupOfSubject, subject.kind) ?? '';
    if (group !== '') subject.apiGroup ??= group;
    if (subject.apiGroup === '') delete subject.apiGroup;
  }
}

export function validateSubjects(subjects: readonly Subject[]): FieldError[] {
  return subjects.flatMap(({ kind, apiGroup = '', namespace = '' }, index) => {
    const at = indexPath('subjects', index);
    const group = ownOf(apiGroupOfSubject, kind);
    if (group === undefined) {
      return [fieldInvalid(`${at}.kind`, kind, 'must be User, Group or ServiceAccount')];
    }
    const errors: FieldError[] = [];
    if (apiGroup !== group) {
      const right = group === '' ? 'must be empty for a ServiceAccount' : `must be ${group}`;
      errors.push(fieldInvalid(`${at}.apiGroup`, apiGroup, right));
    }
    if (kind === 'ServiceAccount' && namespace === '') {
      errors.push(fieldRequired(`${at}.namespace`, 'a ServiceAccount lives in a namespace'));
    }
    if (kind !== 'ServiceAccount' && namespace !== '') {
      errors.push(
        fieldInvalid(`${at}.namespace`, namespace, `a ${kind} lives in no namespace: leave it out`),
      );
    }
    return errors;
  });
}

export function validateRoleRef(
  roleRef: RoleRef,
  previous: RoleRef | undefined,
  kinds: readonly string[],
): FieldError[] {
  const errors: FieldError[] = [];
  if (roleRef.apiGroup !== rbacGroup) {
    errors.push(fieldInvalid('roleRef.apiGroup', roleRef.apiGroup, `must be ${rbacGroup}`));
  }
  if (!kinds.includes(roleRef.kind)) {
    errors.push(fieldInvalid('roleRef.kind', roleRef.kind, `must be ${kinds.join(' or ')}`));
  }
  const isSame =
    previous === undefined || (previous.kind === roleRef.kind && previous.name === roleRef.name);
  if (!isSame) {
    const why = 'cannot change roleRef: delete the binding and create it again';
    errors.push(fieldInvalid('roleRef', `${roleRef.kind}/${roleRef.name}`, why));
  }
  return errors;
}
