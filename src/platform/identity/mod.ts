export {
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
  joinFleet,
  loadNodeIdentity,
  type JoinDirections,
  type NodeIdentity,
} from './node-identity.ts';
export {
  authorityPinOf,
  formatJoinToken,
  parseJoinToken,
  type JoinTokenText,
} from './token-text.ts';
export { anonymousUser, nodeSubject, userOf, type User } from './user.ts';
