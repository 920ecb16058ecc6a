/**
 * Nobody gives what they do not have: who writes a role must hold all its rules, who
 * binds one must hold all the rules of that role. The verb `escalate` on roles and
 * the verb `bind` on the role that is bound are the ways around.
 *
 * Invariant: what somebody holds is what the roles and bindings of the transaction's
 * own view say; what selvage:viewers and nodes may do by being what they are, they
 * cannot give.
 */
import {
  type ApiObject,
  type ClusterRole,
  equalJson,
  type PolicyRule,
  rbacGroup,
  type RoleBinding,
} from '#platform/api/mod.ts';
import { anonymousUser, type User } from '#platform/identity/mod.ts';
import { forbiddenError } from '../admission/forbidden.ts';
import type { AdmissionRequest, Admitter } from '../admission/types.ts';
import { isUnlimited } from '../authorization.ts';
import { policyIn } from './follow-policy.ts';
import type { Policy } from './policy.ts';
import { uncoveredRules } from './rules.ts';

/** How many rules a refusal names. */
const shownRulesMax = 10;

export const escalationAdmitter: Admitter = {
  name: 'role escalation',
  concerns: ({ group }) => group === rbacGroup,
  operations: ['create', 'update'],
  check(request, { view }) {
    const { user = anonymousUser, object, previous } = request;
    if (object === undefined || isUnlimited(user) || grantsTheSame(object, previous)) {
      return undefined;
    }
    const policy = policyIn(view);
    if (object.kind.endsWith('Binding'))
      requireMayBind(policy, user, request, object as RoleBinding);
    else requireHolds(policy, user, request, object);
    return undefined;
  },
};

/**
 * Annotations and the like may be changed by whoever may change the object. Labels of a
 * ClusterRole may not: with one, its rules become part of another role.
 */
function grantsTheSame(object: ApiObject, previous: ApiObject | undefined): boolean {
  if (previous === undefined) return false;
  const [labelsAfter = {}, labelsBefore = {}] = [object.metadata.labels, previous.metadata.labels];
  if (object.kind === 'ClusterRole' && !equalJson(labelsAfter, labelsBefore)) return false;
  const { metadata: _metadata, ...after } = object;
  const { metadata: _before, ...before } = previous;
  return equalJson(after as never, before as never);
}

function requireHolds(
  policy: Policy,
  user: User,
  request: AdmissionRequest,
  role: ClusterRole,
): void {
  const { definition, namespace, name } = request;
  const about = { group: rbacGroup, resource: definition.plural, subresource: '', namespace, name };
  if (policy.allows(user, { type: 'resource', verb: 'escalate', ...about }) !== undefined) return;
  const held = policy.rulesFor(user, namespace);
  // What is selected by labels can become anything.
  const wanted =
    role.aggregationRule === undefined ? (role.rules ?? []) : [...(role.rules ?? []), ...all];
  refuseUncovered(request, user, held, wanted);
}

const all: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

function requireMayBind(
  policy: Policy,
  user: User,
  request: AdmissionRequest,
  { roleRef }: RoleBinding,
): void {
  const { definition, namespace } = request;
  const isOfNamespace = roleRef.kind === 'Role';
  const about = {
    group: rbacGroup,
    resource: isOfNamespace ? 'roles' : 'clusterroles',
    subresource: '',
    namespace,
    name: roleRef.name,
  };
  if (policy.allows(user, { type: 'resource', verb: 'bind', ...about }) !== undefined) return;
  const rules = policy.rulesOf(roleRef, namespace);
  if (rules === undefined) {
    throw forbiddenError(
      definition,
      request.name,
      `${about.resource}.${rbacGroup} ${JSON.stringify(roleRef.name)} not found, and user ` +
        `${JSON.stringify(user.name)} may not bind roles that are not there yet (verb bind)`,
    );
  }
  refuseUncovered(request, user, policy.rulesFor(user, namespace), rules);
}

function refuseUncovered(
  { definition, name }: AdmissionRequest,
  user: User,
  held: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): void {
  const uncovered = uncoveredRules(held, wanted);
  if (uncovered === undefined) {
    throw forbiddenError(
      definition,
      name,
      'its rules name too many objects to be compared with those that you hold: make several roles of it',
    );
  }
  if (uncovered.length === 0) return;
  const groups = user.groups.map((group) => JSON.stringify(group)).join(' ');
  const shown = uncovered.slice(0, shownRulesMax).map(ruleText);
  const more = uncovered.length - shown.length;
  throw forbiddenError(
    definition,
    name,
    `user ${JSON.stringify(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions ` +
      `not currently held:\n${shown.join('\n')}${more === 0 ? '' : `\nand ${more} more`}`,
  );
}

function ruleText(rule: PolicyRule): string {
  const list = (words: readonly string[]): string =>
    `[${words.map((word) => JSON.stringify(word)).join(' ')}]`;
  const { apiGroups, resources, resourceNames, nonResourceURLs, verbs } = rule;
  const parts = [
    ...(apiGroups === undefined ? [] : [`APIGroups:${list(apiGroups)}`]),
    ...(resources === undefined ? [] : [`Resources:${list(resources)}`]),
    ...(resourceNames === undefined ? [] : [`ResourceNames:${list(resourceNames)}`]),
    ...(nonResourceURLs === undefined ? [] : [`NonResourceURLs:${list(nonResourceURLs)}`]),
    `Verbs:${list(verbs)}`,
  ];
  return `{${parts.join(', ')}}`;
}
