/**
 * The one door. Every request passes `authorize` with the row of the route table
 * that it matched; there is no other way to a handler.
 *
 * Who may what, in the order in which it is asked:
 * - everybody, also without credentials: health, version, joining by token, and renewing
 *   a node's certificate, which the request itself proves the key for.
 * - system:masters and system:controllers: everything, whatever roles there are, so
 *   that nobody can lock an administrator or the controllers of this process out.
 * - selvage:viewers: get, list and watch of everything but secrets, pod logs, and
 *   what describes the API itself, the server's own metrics. No images.
 * - a node (system:node:NAME in system:nodes): its own Node, the pods assigned to
 *   it, and pulling images. Its lists must carry the selector that says so.
 * - whoever holds a role that says so, by a RoleBinding or a ClusterRoleBinding.
 * - anybody else: nothing.
 */
import {
  type FieldSelector,
  type PolicyRule,
  type ResourceDefinition,
  StatusError,
} from '#platform/api/mod.ts';
import { anonymousUser, type User } from '#platform/identity/mod.ts';
import type { Policy } from './access/policy.ts';
import { type AskedAccess, ruleAllows } from './access/rules.ts';
import type { RouteSubject } from './route-table.ts';

const groupAdmins = 'system:masters';
const groupViewers = 'selvage:viewers';
const groupControllers = 'system:controllers';

/** What decisions are taken from. */
export interface AuthorizationSources {
  readonly policy: Policy;
  /** The node that a pod is assigned to now. */
  readonly nodeOfPod: (namespace: string, name: string) => string | undefined;
}

/** What the decision needs to know of a request beyond its row. */
export interface AccessRequest {
  readonly user: User | undefined;
  readonly subject: RouteSubject;
  readonly path: string;
  /** Empty outside of a namespace. */
  readonly namespace: string;
  /** Empty for collections. */
  readonly name: string;
  /** Of lists and watches; reads it only when asked, as it may be malformed. */
  readonly fieldSelector: () => FieldSelector;
}

/**
 * Gives the reason for which the request passes. Throws StatusError 401 or 403, worded as
 * Kubernetes words them.
 */
export function authorize(sources: AuthorizationSources, access: AccessRequest): string {
  const { user } = access;
  if (user !== undefined && isUnlimited(user)) return unlimitedReason(user);
  if (isOpenToEverybody(access.subject)) return 'open to everybody';
  const asked = askedOf(access);
  const decision = decide(sources, user ?? anonymousUser, asked, access.fieldSelector);
  if (decision.allowed) return decision.reason;
  if (user === undefined) {
    throw new StatusError(
      'Unauthorized',
      'Unauthorized: this needs a client certificate signed by the authority of this fleet, or the token of a ServiceAccount',
    );
  }
  throw refusal(user, asked);
}

export interface Decision {
  readonly allowed: boolean;
  /** What allowed it; empty where nothing did. */
  readonly reason: string;
}

const refused: Decision = { allowed: false, reason: '' };
const noFieldSelector = (): FieldSelector => [];

/** Whether a user may do it. `fieldSelector`: of a list or watch; none where absent. */
export function decide(
  { policy, nodeOfPod }: AuthorizationSources,
  user: User,
  asked: AskedAccess,
  fieldSelector: () => FieldSelector = noFieldSelector,
): Decision {
  if (isUnlimited(user)) return { allowed: true, reason: unlimitedReason(user) };
  if (user.groups.includes(groupViewers) && isAllowedToViewers(asked)) {
    return { allowed: true, reason: `the group ${groupViewers} may read` };
  }
  const { nodeName } = user;
  if (nodeName !== undefined && isAllowedToNode(nodeOfPod, nodeName, asked, fieldSelector)) {
    return { allowed: true, reason: 'nodes may read what is theirs' };
  }
  const grant = policy.allows(user, asked);
  if (grant === undefined) return refused;
  const kind = grant.namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding';
  const binding = grant.namespace === '' ? grant.binding : `${grant.binding}/${grant.namespace}`;
  return {
    allowed: true,
    reason:
      `RBAC: allowed by ${kind} ${JSON.stringify(binding)} of ` +
      `${grant.roleRef.kind} ${JSON.stringify(grant.roleRef.name)}`,
  };
}

/** Those whom no role limits. */
export function isUnlimited({ groups }: User): boolean {
  return groups.includes(groupAdmins) || groups.includes(groupControllers);
}

function unlimitedReason({ groups }: User): string {
  return groups.includes(groupAdmins) ? adminsReason : controllersReason;
}

// Made once: an open watch keeps its reason for the audit log.
const adminsReason = `the group ${groupAdmins} may do everything`;
const controllersReason = `the group ${groupControllers} may do everything`;

/**
 * All that a user holds in a namespace, in the terms of rules; what a node may do with
 * its own objects is not among it, as no rule can say it.
 */
export function rulesHeld(
  policy: Policy,
  definitions: readonly ResourceDefinition[],
  user: User,
  namespace: string,
): readonly PolicyRule[] {
  if (isUnlimited(user)) return unlimitedRules;
  const held = policy.rulesFor(user, namespace);
  return user.groups.includes(groupViewers) ? [...viewerRules(definitions), ...held] : held;
}

const unlimitedRules: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

const readVerbs = ['get', 'list', 'watch'];

const viewerPaths: PolicyRule = {
  verbs: ['get'],
  nonResourceURLs: [
    '/api',
    '/api/*',
    '/apis',
    '/apis/*',
    '/openapi/*',
    '/metrics',
    '/.well-known/openid-configuration',
    '/openid/v1/jwks',
  ],
};

function viewerRules(definitions: readonly ResourceDefinition[]): PolicyRule[] {
  const ofGroup = new Map<string, string[]>();
  for (const { group, plural, subresources } of definitions) {
    if (isSecret(group, plural)) continue;
    const resources = ofGroup.get(group) ?? [];
    ofGroup.set(group, resources);
    resources.push(plural, ...subresources.map((subresource) => `${plural}/${subresource}`));
  }
  const rules = Array.from(ofGroup, ([group, resources]): PolicyRule => {
    return { verbs: readVerbs, apiGroups: [group], resources };
  });
  return [...rules, viewerPaths];
}

function isOpenToEverybody(subject: RouteSubject): boolean {
  return (
    subject.type === 'path' &&
    (subject.area === 'health' || subject.area === 'version' || subject.area === 'join')
  );
}

/** What a request asks, in the terms of rules. */
function askedOf(access: AccessRequest): AskedAccess {
  const { subject, path, namespace, name } = access;
  if (subject.type === 'path') return { type: 'path', verb: subject.verb, path };
  const { verb, group, resource, subresource = '' } = subject;
  // A namespace is in itself, so that who holds a role there may look at it.
  const isNamespace = group === '' && resource === 'namespaces' && name !== '';
  const within = isNamespace ? name : namespace;
  // To read the one object of a name is to list it: kubectl waits for an object so.
  const isListed = name === '' && (verb === 'list' || verb === 'watch');
  const about = isListed ? nameSelected(access) : name;
  return { type: 'resource', verb, group, resource, subresource, namespace: within, name: about };
}

/** The only name that a list or watch can show; empty where it may show others. */
function nameSelected({ fieldSelector }: AccessRequest): string {
  try {
    const selected = fieldSelector().find(({ field, equal }) => field === 'metadata.name' && equal);
    return selected?.value ?? '';
  } catch (error) {
    // It names nothing. Whoever may list all the same is told by the list what is wrong with it.
    if (error instanceof StatusError && error.reason === 'BadRequest') return '';
    throw error;
  }
}

function isAllowedToViewers(asked: AskedAccess): boolean {
  if (asked.type === 'path') return ruleAllows(viewerPaths, asked);
  return readVerbs.includes(asked.verb) && !isSecret(asked.group, asked.resource);
}

function isSecret(group: string, resource: string): boolean {
  return group === '' && resource === 'secrets';
}

const registryPath = '/v2/';

function isAllowedToNode(
  nodeOfPod: AuthorizationSources['nodeOfPod'],
  nodeName: string,
  asked: AskedAccess,
  fieldSelector: () => FieldSelector,
): boolean {
  if (asked.type === 'path') return asked.verb === 'get' && asked.path.startsWith(registryPath);
  const { verb, group, resource, subresource, namespace, name } = asked;
  if (group !== '' || subresource !== '' || !readVerbs.includes(verb)) return false;
  const isSingle = verb === 'get';
  switch (resource) {
    case 'nodes':
      return isSingle ? name === nodeName : isSelected(fieldSelector(), 'metadata.name', nodeName);
    case 'pods':
      return isSingle
        ? nodeOfPod(namespace, name) === nodeName
        : isSelected(fieldSelector(), 'spec.nodeName', nodeName);
    default:
      return false;
  }
}

function isSelected(selector: FieldSelector, field: string, value: string): boolean {
  return selector.some(
    (requirement) =>
      requirement.field === field && requirement.equal && requirement.value === value,
  );
}

/** 403 for what a user asked. */
export function refusal(user: User, asked: AskedAccess): StatusError {
  const who = `User ${JSON.stringify(user.name)}`;
  if (asked.type === 'path') {
    const path = JSON.stringify(asked.path);
    return new StatusError('Forbidden', `forbidden: ${who} cannot ${asked.verb} path ${path}`);
  }
  const { verb, group, namespace, name } = asked;
  const resource =
    asked.subresource === '' ? asked.resource : `${asked.resource}/${asked.subresource}`;
  const scope =
    namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const what = name === '' ? '' : ` ${JSON.stringify(name)}`;
  const qualified = group === '' ? asked.resource : `${asked.resource}.${group}`;
  return new StatusError(
    'Forbidden',
    `${qualified}${what} is forbidden: ${who} cannot ${verb} resource ` +
      `${JSON.stringify(resource)} in API group ${JSON.stringify(group)} ${scope}`,
    { kind: asked.resource, group, ...(name === '' ? {} : { name }) },
  );
}
