/**
 * The one door. Every request passes `authorize` with the row of the route table
 * that it matched; there is no other way to a handler.
 *
 * Who may what:
 * - system:masters and system:controllers: everything.
 * - selvage:viewers: get, list and watch of everything but secrets, pod logs, and
 *   what describes the API itself, the server's own metrics. No images.
 * - a node (system:node:NAME in system:nodes): its own Node, the pods assigned to
 *   it, and pulling images. Its lists must carry the selector that says so.
 * - everybody, also without credentials: health, version, joining by token, and renewing
 *   a node's certificate, which the request itself proves the key for.
 * - anybody else: nothing.
 */
import { unreachable } from '#base/mod.ts';
import { type FieldSelector, StatusError } from '#platform/api/mod.ts';
import type { User } from '#platform/identity/mod.ts';
import type { RouteSubject } from './route-table.ts';

const groupAdmins = 'system:masters';
const groupViewers = 'selvage:viewers';
const groupControllers = 'system:controllers';

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
  /** The node that a pod is assigned to now. */
  readonly nodeOfPod: (namespace: string, name: string) => string | undefined;
}

/** Throws StatusError 401 or 403, worded as Kubernetes words them. */
export function authorize(access: AccessRequest): void {
  if (isOpenToEverybody(access.subject)) return;
  const { user } = access;
  if (user === undefined) {
    throw new StatusError(
      'Unauthorized',
      'Unauthorized: this needs a client certificate signed by the authority of this fleet',
    );
  }
  if (!isAllowed(access, user)) throw refusal(access, user);
}

function isOpenToEverybody(subject: RouteSubject): boolean {
  return (
    subject.type === 'path' &&
    (subject.area === 'health' || subject.area === 'version' || subject.area === 'join')
  );
}

function isAllowed(access: AccessRequest, user: User): boolean {
  if (user.groups.includes(groupAdmins) || user.groups.includes(groupControllers)) return true;
  if (user.groups.includes(groupViewers) && isAllowedToViewers(access.subject)) return true;
  const { nodeName } = user;
  return nodeName !== undefined && isAllowedToNode(access, nodeName);
}

function isAllowedToViewers(subject: RouteSubject): boolean {
  switch (subject.type) {
    case 'resource':
      return isRead(subject) && !(subject.group === '' && subject.resource === 'secrets');
    case 'path':
      return subject.verb === 'get' && (subject.area === 'discovery' || subject.area === 'metrics');
    default:
      return unreachable(subject);
  }
}

function isAllowedToNode(access: AccessRequest, nodeName: string): boolean {
  const { subject } = access;
  if (subject.type === 'path') return subject.area === 'registry' && subject.verb === 'get';
  if (subject.group !== '' || subject.subresource !== undefined || !isRead(subject)) return false;
  const isSingle = subject.verb === 'get';
  switch (subject.resource) {
    case 'nodes':
      return isSingle ? access.name === nodeName : isSelected(access, 'metadata.name', nodeName);
    case 'pods':
      return isSingle
        ? access.nodeOfPod(access.namespace, access.name) === nodeName
        : isSelected(access, 'spec.nodeName', nodeName);
    default:
      return false;
  }
}

function isRead({ verb }: { readonly verb: string }): boolean {
  return verb === 'get' || verb === 'list' || verb === 'watch';
}

function isSelected(access: AccessRequest, field: string, value: string): boolean {
  return access
    .fieldSelector()
    .some(
      (requirement) =>
        requirement.field === field && requirement.equal && requirement.value === value,
    );
}

function refusal(access: AccessRequest, user: User): StatusError {
  const { subject, namespace, name } = access;
  const who = `User ${JSON.stringify(user.name)}`;
  if (subject.type === 'path') {
    return new StatusError(
      'Forbidden',
      `forbidden: ${who} cannot ${subject.verb} path ${JSON.stringify(access.path)}`,
    );
  }
  const resource =
    subject.subresource === undefined
      ? subject.resource
      : `${subject.resource}/${subject.subresource}`;
  const scope =
    namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const what = name === '' ? '' : ` ${JSON.stringify(name)}`;
  const qualified =
    subject.group === '' ? subject.resource : `${subject.resource}.${subject.group}`;
  return new StatusError(
    'Forbidden',
    `${qualified}${what} is forbidden: ${who} cannot ${subject.verb} resource ` +
      `${JSON.stringify(resource)} in API group ${JSON.stringify(subject.group)} ${scope}`,
    { kind: subject.resource, group: subject.group, ...(name === '' ? {} : { name }) },
  );
}
