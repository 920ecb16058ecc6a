export { adoptedRecordChanges, provedKeyHash } from './adopted-node.ts';
export {
  nodeCertificateLifeMsDefault,
  openCertificateAuthority,
  type CertificateAuthority,
} from './authority.ts';
export { createJoinTokens, joinTokenResource, type JoinTokens } from './join-tokens.ts';
export { createNodeCertificates, type NodeCertificates } from './node-certificates.ts';
export { nodeIdentityResource } from './node-records.ts';
export {
  joinFleet,
  loadNodeIdentity,
  type NodeIdentity,
  readCertificateRequest,
} from './node-identity.ts';
export { followRevocations, type Revocations } from './revocations.ts';
export { keepRenewed, type RenewedIdentity } from './renewal.ts';
export { authorityPinOf, parseJoinToken } from './token-text.ts';
export {
  createServiceAccountTokens,
  type IssuedToken,
  serviceAccountOf,
  serviceAccountUser,
  type ServiceAccountTokens,
  type TokenBinding,
  tokenLifeSecondsMax,
} from './service-account-tokens.ts';
export { openTokenSigner, tokenLengthMax } from './token-signer.ts';
export { anonymousUser, nodeSubject, userNamed, userOf, type User } from './user.ts';
