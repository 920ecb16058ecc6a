/** What others need to check tokens of ServiceAccounts themselves (OpenID Connect Discovery). */
import type { ServiceAccountTokens } from '#platform/identity/mod.ts';
import type { Address } from '#platform/io/mod.ts';
import { jsonAnswer } from '../answers.ts';
import type { RouteRow } from '../route-table.ts';

const keysPath = '/openid/v1/jwks';

export function issuerRows(
  tokens: ServiceAccountTokens,
  apiAddress: (() => Address) | undefined,
): readonly RouteRow[] {
  const row = (pattern: string, body: () => unknown, contentType: string): RouteRow => ({
    method: 'GET',
    pattern,
    watch: false,
    subject: { type: 'path', verb: 'get', area: 'issuer' },
    handler: async () => jsonAnswer(200, body(), { contentType }),
  });
  return [
    row(
      '/.well-known/openid-configuration',
      () => documentOf(tokens, apiAddress),
      'application/json',
    ),
    row(keysPath, () => tokens.publicKeys, 'application/jwk-set+json'),
  ];
}

function documentOf(
  { issuer }: ServiceAccountTokens,
  apiAddress: (() => Address) | undefined,
): unknown {
  const address = apiAddress?.();
  const base = address === undefined ? issuer : `https://${address.host}:${address.port}`;
  return {
    issuer,
    jwks_uri: `${base}${keysPath}`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  };
}
