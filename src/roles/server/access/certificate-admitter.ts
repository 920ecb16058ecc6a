/**
 * What a CertificateSigningRequest may become: it says who really asked, whoever
 * writes it; approving takes the verb `approve` on its signer, writing a certificate
 * into it the verb `sign`.
 */
import {
  type ApiObject,
  certificatesGroup,
  type CertificateSigningRequest,
  type Condition,
  equalJson,
} from '#platform/api/mod.ts';
import { anonymousUser, type User } from '#platform/identity/mod.ts';
import { forbiddenError } from '../admission/forbidden.ts';
import type { AdmissionRequest, Admitter } from '../admission/types.ts';
import { isUnlimited } from '../authorization.ts';
import { policyIn } from './follow-policy.ts';

const decisions = ['Approved', 'Denied'];

export const certificateAdmitter: Admitter = {
  name: 'certificate signing',
  concerns: ({ group, kind }) =>
    group === certificatesGroup && kind === 'CertificateSigningRequest',
  operations: ['create', 'update'],
  endpoints: ['main', 'status', 'approval'],
  shape(object, { operation, user = anonymousUser }) {
    if (operation !== 'create') return undefined;
    const { spec } = object as CertificateSigningRequest;
    const { username: _name, uid: _uid, groups: _groups, extra: _extra, ...asked } = spec;
    object.spec = { ...asked, ...identityOf(user) };
    return { isChanged: true };
  },
  check(request, { view }) {
    const { object, previous, subresource, user = anonymousUser } = request;
    if (object === undefined || previous === undefined || subresource === undefined) {
      return undefined;
    }
    const isApproval = subresource === 'approval';
    const signer = (previous as CertificateSigningRequest).spec.signerName;
    refuseOtherChanges(request, object, previous, isApproval);
    if (isUnlimited(user)) return undefined;
    const policy = policyIn(view);
    const domain = signer.slice(0, signer.indexOf('/'));
    const verb = isApproval ? 'approve' : 'sign';
    const about = { group: certificatesGroup, resource: 'signers', subresource: '', namespace: '' };
    const isAllowed = [signer, `${domain}/*`].some(
      (name) => policy.allows(user, { type: 'resource', verb, ...about, name }) !== undefined,
    );
    if (isAllowed) return undefined;
    throw forbiddenError(
      request.definition,
      request.name,
      `user not permitted to ${verb} requests with signerName ${JSON.stringify(signer)}`,
    );
  },
};

function identityOf({
  name,
  uid,
  groups,
  extra,
}: User): Partial<CertificateSigningRequest['spec']> {
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    groups: [...groups],
    ...(extra === undefined
      ? {}
      : {
          extra: Object.fromEntries(
            Object.entries(extra).map(([key, values]) => [key, [...values]]),
          ),
        }),
  };
}

/** Who decides does not sign, and who signs does not decide. A certificate that is there stays. */
function refuseOtherChanges(
  { definition, name }: AdmissionRequest,
  object: ApiObject,
  previous: ApiObject,
  isApproval: boolean,
): void {
  const [after, before] = [object, previous].map(
    (one) => (one as CertificateSigningRequest).status,
  );
  const decided = (status: typeof after): Condition[] =>
    (status?.conditions ?? []).filter(({ type }) => decisions.includes(type));
  const isSameDecision = equalJson(decided(after), decided(before));
  const isSameCertificate = after?.certificate === before?.certificate;
  if (isApproval && !isSameCertificate) {
    throw forbiddenError(definition, name, 'the certificate is written through its status');
  }
  if (isApproval && decided(before).length > 0 && !isSameDecision) {
    throw forbiddenError(definition, name, 'it has been approved or denied already, for good');
  }
  if (!isApproval && !isSameDecision) {
    throw forbiddenError(definition, name, 'it is approved and denied through its approval');
  }
  if (!isSameCertificate && before?.certificate !== undefined) {
    throw forbiddenError(definition, name, 'it has its certificate already, for good');
  }
}
