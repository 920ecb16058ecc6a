export {
  nodeCertificateLifeMsDefault,
  nodeUri,
  openCertificateAuthority,
  type AuthorityDependencies,
  type AuthorityOptions,
  type CertificateAuthority,
} from './authority.ts';
export { IdentityError, type IdentityErrorCode } from './errors.ts';
export {
  createJoinTokens,
  joinTokenResource,
  type JoinTokens,
  type JoinTokensDependencies,
} from './join-tokens.ts';
export {
  createNodeCertificates,
  type NodeCertificates,
  type NodeCertificatesDependencies,
  type Revocation,
} from './node-certificates.ts';
export { nodeCertificateLifeMsMax, nodeIdentityResource } from './node-records.ts';
export {
  joinFleet,
  loadNodeIdentity,
  type JoinDirections,
  type NodeIdentity,
} from './node-identity.ts';
export { keepRenewed, type RenewalPorts, type RenewedIdentity } from './renewal.ts';
export {
  authorityPinOf,
  formatJoinToken,
  parseJoinToken,
  type JoinTokenText,
} from './token-text.ts';
export { anonymousUser, nodeSubject, userOf, type User } from './user.ts';
