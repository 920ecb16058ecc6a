/**
 * Who a certificate stands for. The common name is the user, the organizations
 * are the groups; a node is a user that both its name and its group call one.
 */
import type { CertificateSubject, PeerIdentity } from '#platform/io/mod.ts';

export const nodeUserPrefix = 'system:node:';
export const nodesGroup = 'system:nodes';
export const authenticatedGroup = 'system:authenticated';
const unauthenticatedGroup = 'system:unauthenticated';

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  /** Only for the identity of a node. */
  readonly nodeName?: string;
  /** Tells two users of one name apart, where that can be. */
  readonly uid?: string;
  /** What else is known of who it is, by key. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** The one who nobody knows. */
export const anonymousUser: User = { name: 'system:anonymous', groups: [unauthenticatedGroup] };

/** The subject of a node's certificate. */
export function nodeSubject(nodeName: string): CertificateSubject {
  return { commonName: `${nodeUserPrefix}${nodeName}`, organizations: [nodesGroup] };
}

/** What a node is called where it listens itself; no name that a server of the API could have. */
const nodeDnsSuffix = '.node.selvage.internal';
const dnsNameLengthMax = 253;

/** The names in a node's certificate; none where its own is too long to be one. */
export function nodeDnsNames(nodeName: string): readonly string[] {
  const name = `${nodeName}${nodeDnsSuffix}`;
  return name.length > dnsNameLengthMax ? [] : [name];
}

/** A connection brings one peer, and asks with it again and again. */
const users = new WeakMap<PeerIdentity, User>();

/** The user behind a connection; `peer` is undefined where it brought no certificate. */
export function userOf(peer: PeerIdentity | undefined): User {
  if (peer === undefined) return anonymousUser;
  let user = users.get(peer);
  if (user === undefined) {
    user = userIn(peer);
    users.set(peer, user);
  }
  return user;
}

function userIn(peer: PeerIdentity): User {
  return userNamed(peer.commonName, peer.organizations);
}

/** The user of that name in those groups, who is in the one of all that are known as well. */
export function userNamed(name: string, organizations: readonly string[]): User {
  // Nothing can make its holder one that nobody knows.
  const given = organizations.filter(
    (group) => group !== unauthenticatedGroup && group !== authenticatedGroup,
  );
  const nodeName =
    given.includes(nodesGroup) && name.startsWith(nodeUserPrefix)
      ? name.slice(nodeUserPrefix.length)
      : '';
  const groups = [...given, authenticatedGroup];
  return nodeName === '' ? { name, groups } : { name, groups, nodeName };
}
