/** Join tokens, made by an administrator, and the nodes that join with them. */
import { StatusError } from '#platform/api/mod.ts';
import type { JoinTokens } from '#platform/identity/mod.ts';
import { type Address, timestampOf } from '#platform/io/mod.ts';
import { jsonAnswer } from '../answers.ts';
import type { ServerParts } from '../dependencies.ts';
import type { RouteHandler } from '../route-table.ts';
import { fieldsOf, requiredText } from './small-body.ts';

const expiresInSecondsMax = 30 * 24 * 3600;

/** POST {site, expiresInSeconds?} → {token, expiresAt}. */
export function createTokenHandler(parts: ServerParts, joinTokens: JoinTokens): RouteHandler {
  return async ({ request }) => {
    const body = await fieldsOf(request, ['site', 'expiresInSeconds']);
    const site = requiredText(body, 'site');
    const { expiresInSeconds } = body;
    if (
      expiresInSeconds !== undefined &&
      !(
        Number.isSafeInteger(expiresInSeconds) &&
        (expiresInSeconds as number) > 0 &&
        (expiresInSeconds as number) <= expiresInSecondsMax
      )
    ) {
      throw new StatusError(
        'BadRequest',
        `expiresInSeconds must be a whole number from 1 to ${expiresInSecondsMax}`,
      );
    }
    const region = regionOfSite(parts, site);
    const { token, expiresAtMs } = await joinTokens.createJoinToken({
      site,
      region,
      ...(expiresInSeconds === undefined
        ? {}
        : { expiresInMs: (expiresInSeconds as number) * 1000 }),
    });
    return jsonAnswer(201, {
      kind: 'JoinToken',
      apiVersion: 'selvage.dev/v1',
      token,
      expiresAt: timestampOf(expiresAtMs),
    });
  };
}

/** POST {nodeName, certificateRequestPem} with a bearer token → certificate, trust and the way in. */
export function redeemTokenHandler(
  joinTokens: JoinTokens,
  linkAddress: () => Address,
): RouteHandler {
  return async ({ request }) => {
    const match = /^Bearer ([\x21-\x7e]{1,1024})$/i.exec(request.headers['authorization'] ?? '');
    const token = match?.[1];
    if (token === undefined) {
      throw new StatusError(
        'Unauthorized',
        'Unauthorized: joining needs the header "Authorization: Bearer <join token>"',
      );
    }
    const body = await fieldsOf(request, ['nodeName', 'certificateRequestPem']);
    const { certificatePem, caPem } = await joinTokens.redeemJoinToken({
      token,
      nodeName: requiredText(body, 'nodeName'),
      certificateRequestPem: requiredText(body, 'certificateRequestPem'),
    });
    const { host, port } = linkAddress();
    return jsonAnswer(201, {
      kind: 'NodeJoin',
      apiVersion: 'selvage.dev/v1',
      certificatePem,
      caPem,
      linkAddress: { host, port },
    });
  };
}

function regionOfSite(parts: ServerParts, site: string): string {
  const definition = parts.registry.byResource('selvage.dev', 'v1', 'sites');
  const stored = parts.store.get({ resource: 'sites.selvage.dev', namespace: '', name: site });
  if (definition === undefined || stored === undefined) {
    throw new StatusError(
      'NotFound',
      `sites.selvage.dev ${JSON.stringify(site)} not found: create the site first`,
      { kind: 'sites', group: 'selvage.dev', name: site },
    );
  }
  const region = parts.served.of(definition, stored).object.spec?.['region'];
  if (typeof region === 'string' && region !== '') return region;
  throw new StatusError('BadRequest', `site ${site} names no region in spec.region`);
}
