/**
 * Who holds which rules: the roles and bindings of the store, indexed by subject.
 *
 * Invariants:
 * 1. Looking up what somebody may do costs as much as they hold, however many
 *    roles and bindings there are.
 * 2. A binding of a role that is not there gives nothing, until it is.
 */
import type { ApiObject, PolicyRule, RoleBinding, RoleRef, Subject } from '#platform/api/mod.ts';
import type { User } from '#platform/identity/mod.ts';
import { type AskedAccess, ruleAllows } from './rules.ts';

export const policyResources = {
  roles: 'roles.rbac.authorization.k8s.io',
  clusterRoles: 'clusterroles.rbac.authorization.k8s.io',
  roleBindings: 'rolebindings.rbac.authorization.k8s.io',
  clusterRoleBindings: 'clusterrolebindings.rbac.authorization.k8s.io',
} as const;

const serviceAccountPrefix = 'system:serviceaccount:';

/** Which binding gives which role; for people who ask why. */
export interface Grant {
  readonly binding: string;
  readonly roleRef: RoleRef;
  /** Of a RoleBinding; empty for the whole fleet. */
  readonly namespace: string;
}

/** By namespace (empty: everywhere), subject and name of the binding. */
type Grants = Map<string, Map<string, Map<string, Grant>>>;

const noRules: readonly PolicyRule[] = [];

export class Policy {
  /** By `namespace/name`; a ClusterRole has an empty namespace. */
  readonly #roles = new Map<string, readonly PolicyRule[]>();
  readonly #bindings = new Map<string, { readonly subjects: readonly string[] }>();
  readonly #grants: Grants = new Map();

  putRole(namespace: string, name: string, role: ApiObject): void {
    this.#roles.set(`${namespace}/${name}`, (role['rules'] as PolicyRule[] | undefined) ?? noRules);
  }

  removeRole(namespace: string, name: string): void {
    this.#roles.delete(`${namespace}/${name}`);
  }

  putBinding(namespace: string, name: string, object: ApiObject): void {
    this.removeBinding(namespace, name);
    const { subjects = [], roleRef } = object as RoleBinding;
    const keys = [...new Set(subjects.map(subjectKey))];
    this.#bindings.set(`${namespace}/${name}`, { subjects: keys });
    const ofNamespace = entryOf(this.#grants, namespace, () => new Map());
    const grant: Grant = { binding: name, roleRef, namespace };
    for (const key of keys) entryOf(ofNamespace, key, () => new Map()).set(name, grant);
  }

  removeBinding(namespace: string, name: string): void {
    const binding = this.#bindings.get(`${namespace}/${name}`);
    const ofNamespace = this.#grants.get(namespace);
    if (binding === undefined || ofNamespace === undefined) return;
    this.#bindings.delete(`${namespace}/${name}`);
    for (const key of binding.subjects) {
      const ofSubject = ofNamespace.get(key);
      ofSubject?.delete(name);
      if (ofSubject?.size === 0) ofNamespace.delete(key);
    }
    if (ofNamespace.size === 0) this.#grants.delete(namespace);
  }

  /** The rules of a role; undefined where there is none. `namespace`: of the binding. */
  rulesOf(
    roleRef: Pick<RoleRef, 'kind' | 'name'>,
    namespace: string,
  ): readonly PolicyRule[] | undefined {
    return this.#roles.get(`${roleRef.kind === 'Role' ? namespace : ''}/${roleRef.name}`);
  }

  /** The grant that allows it. */
  allows(user: User, asked: AskedAccess): Grant | undefined {
    const namespace = asked.type === 'resource' ? asked.namespace : '';
    for (const grant of this.#grantsTo(user, namespace)) {
      const rules = this.rulesOf(grant.roleRef, grant.namespace) ?? noRules;
      for (const rule of rules) if (ruleAllows(rule, asked)) return grant;
    }
    return undefined;
  }

  /** All that a user holds in a namespace, with what holds everywhere; that alone where it is empty. */
  rulesFor(user: User, namespace: string): readonly PolicyRule[] {
    const rules: PolicyRule[] = [];
    for (const grant of this.#grantsTo(user, namespace)) {
      rules.push(...(this.rulesOf(grant.roleRef, grant.namespace) ?? noRules));
    }
    return rules;
  }

  *#grantsTo(user: User, namespace: string): Generator<Grant> {
    for (const scope of namespace === '' ? [''] : ['', namespace]) {
      const ofNamespace = this.#grants.get(scope);
      if (ofNamespace === undefined) continue;
      const ofUser = ofNamespace.get(`u:${user.name}`);
      if (ofUser !== undefined) yield* ofUser.values();
      for (const group of user.groups) {
        const ofGroup = ofNamespace.get(`g:${group}`);
        if (ofGroup !== undefined) yield* ofGroup.values();
      }
    }
  }
}

/** A ServiceAccount is a user of that name. */
function subjectKey({ kind, name, namespace = '' }: Subject): string {
  if (kind === 'Group') return `g:${name}`;
  return kind === 'User' ? `u:${name}` : `u:${serviceAccountPrefix}${namespace}:${name}`;
}

function entryOf<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
