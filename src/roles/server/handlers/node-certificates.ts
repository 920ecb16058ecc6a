/** Certificates of nodes: renewed by the nodes, revoked by an administrator. */
import type { NodeCertificates } from '#platform/identity/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { jsonAnswer } from '../answers.ts';
import type { RouteHandler } from '../route-table.ts';
import { fieldsOf, requiredText } from './small-body.ts';

/** POST {nodeName, certificateRequestPem} → {certificatePem}. The request proves the key. */
export function renewHandler(certificates: NodeCertificates): RouteHandler {
  return async ({ request }) => {
    const body = await fieldsOf(request, ['nodeName', 'certificateRequestPem']);
    const { certificatePem } = await certificates.renew({
      nodeName: requiredText(body, 'nodeName'),
      certificateRequestPem: requiredText(body, 'certificateRequestPem'),
      remoteAddress: request.remoteAddress,
    });
    return jsonAnswer(201, {
      kind: 'NodeRenewal',
      apiVersion: 'selvage.dev/v1',
      certificatePem,
    });
  };
}

/** POST {nodeName, reason?} → {nodeName, revokedAt, reason}. Repeating it changes nothing. */
export function revokeHandler(certificates: NodeCertificates): RouteHandler {
  return async ({ request }) => {
    const body = await fieldsOf(request, ['nodeName', 'reason']);
    const { reason } = body;
    if (reason !== undefined && typeof reason !== 'string') {
      throw new StatusError('BadRequest', 'reason must be a string');
    }
    const revocation = await certificates.revoke({
      nodeName: requiredText(body, 'nodeName'),
      ...(reason === undefined ? {} : { reason }),
    });
    return jsonAnswer(201, {
      kind: 'NodeRevocation',
      apiVersion: 'selvage.dev/v1',
      ...revocation,
    });
  };
}
