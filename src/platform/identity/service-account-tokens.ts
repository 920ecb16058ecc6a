/**
 * Tokens of ServiceAccounts: what is in them, and whether one is good now.
 *
 * Invariants:
 * 1. A token is good while its ServiceAccount is there with the same uid, and what it
 *    is bound to as well; deleting either ends it, whatever its own end says.
 * 2. A token is good for those it names and for nobody else.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import type { Clock, Random } from '#platform/io/mod.ts';
import type { StoreView } from '#platform/store/mod.ts';
import type { TokenSigner } from './token-signer.ts';
import { authenticatedGroup, type User } from './user.ts';

export const serviceAccountUserPrefix = 'system:serviceaccount:';
const serviceAccountsGroup = 'system:serviceaccounts';

/** No token is good for longer, whatever was asked for. */
export const tokenLifeSecondsMax = 30 * 24 * 3_600;

/** An object with which a token ends. */
export interface TokenBinding {
  readonly kind: 'Pod' | 'Secret';
  readonly name: string;
  readonly uid: string;
}

export interface TokenOrder {
  readonly namespace: string;
  readonly name: string;
  /** Of the ServiceAccount. */
  readonly uid: string;
  /** Empty: the API itself. */
  readonly audiences: readonly string[];
  readonly lifeSeconds: number;
  readonly binding?: TokenBinding | undefined;
  /** Where the pod that it is bound to runs. */
  readonly nodeName?: string | undefined;
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresAtMs: number;
}

/** What came of looking at a token. `refusal` is for whoever showed it, and tells no secrets. */
export type TokenVerdict =
  | { readonly user: User; readonly audiences: readonly string[] }
  | { readonly refusal: string };

export interface ServiceAccountTokens {
  /** Who issues them: the name under which others find the keys. */
  readonly issuer: string;
  readonly publicKeys: TokenSigner['publicKeys'];
  issue(order: TokenOrder): Promise<IssuedToken>;
  /** `audiences`: one of which the token must be for; the API itself where empty. */
  judge(token: string, audiences?: readonly string[]): TokenVerdict;
}

export interface ServiceAccountTokenParts {
  readonly store: StoreView;
  readonly signer: TokenSigner;
  readonly clock: Clock;
  readonly random: Random;
  readonly issuer: string;
}

const resourceOfBinding = { Pod: 'pods', Secret: 'secrets' } as const;

export function createServiceAccountTokens(parts: ServiceAccountTokenParts): ServiceAccountTokens {
  const { signer, clock, random, issuer } = parts;
  return {
    issuer,
    publicKeys: signer.publicKeys,
    async issue(order) {
      const { namespace, name, uid, binding, nodeName } = order;
      const nowSeconds = Math.floor(clock.wallMs() / 1000);
      const expiresAt = nowSeconds + Math.min(order.lifeSeconds, tokenLifeSecondsMax);
      const about: JsonObject = { namespace, serviceaccount: { name, uid } };
      if (binding !== undefined) {
        about[binding.kind.toLowerCase()] = { name: binding.name, uid: binding.uid };
      }
      if (nodeName !== undefined) about['node'] = { name: nodeName };
      const token = await signer.sign({
        iss: issuer,
        sub: `${serviceAccountUserPrefix}${namespace}:${name}`,
        aud: order.audiences.length === 0 ? [issuer] : [...order.audiences],
        exp: expiresAt,
        iat: nowSeconds,
        nbf: nowSeconds,
        jti: random.uuid(),
        'kubernetes.io': about,
      });
      return { token, expiresAtMs: expiresAt * 1000 };
    },
    judge: (token, audiences = []) => judge(parts, token, audiences),
  };
}

function judge(
  { store, signer, clock, issuer }: ServiceAccountTokenParts,
  token: string,
  asked: readonly string[],
): TokenVerdict {
  const claims = signer.claimsIn(token);
  if (claims === undefined || claims['iss'] !== issuer) {
    return { refusal: 'the token is not one that this fleet has signed' };
  }
  const nowSeconds = clock.wallMs() / 1000;
  if (!(nowSeconds < Number(claims['exp']))) return { refusal: 'the token has expired' };
  if (!(nowSeconds >= Number(claims['nbf']))) return { refusal: 'the token is not good yet' };
  const wanted = asked.length === 0 ? [issuer] : asked;
  const given = Array.isArray(claims['aud']) ? claims['aud'] : [];
  const audiences = wanted.filter((audience) => given.includes(audience));
  if (audiences.length === 0) return { refusal: 'the token is for another audience' };
  const about = claims['kubernetes.io'];
  if (!isJsonObject(about)) return { refusal: 'the token names no ServiceAccount' };
  const namespace = textIn(about, 'namespace');
  const account = referenceIn(about, 'serviceaccount');
  if (!isThere(store, 'serviceaccounts', namespace, account)) {
    return { refusal: 'the ServiceAccount of the token has been deleted' };
  }
  for (const kind of ['Pod', 'Secret'] as const) {
    const bound = referenceIn(about, kind.toLowerCase());
    if (bound === undefined) continue;
    if (!isThere(store, resourceOfBinding[kind], namespace, bound)) {
      return { refusal: `the ${kind} that the token was made for has been deleted` };
    }
  }
  return { user: userIn(claims, about, namespace, account), audiences };
}

function textIn(object: JsonObject, field: string): string {
  const value = object[field];
  return typeof value === 'string' ? value : '';
}

interface Reference {
  readonly name: string;
  readonly uid: string;
}

function referenceIn(about: JsonObject, field: string): Reference | undefined {
  const value = about[field];
  if (!isJsonObject(value)) return undefined;
  return { name: textIn(value, 'name'), uid: textIn(value, 'uid') };
}

function isThere(
  store: StoreView,
  resource: string,
  namespace: string,
  reference: Reference | undefined,
): reference is Reference {
  return (
    reference !== undefined &&
    store.get({ resource, namespace, name: reference.name })?.uid === reference.uid
  );
}

function userIn(
  claims: JsonObject,
  about: JsonObject,
  namespace: string,
  account: Reference,
): User {
  const pod = referenceIn(about, 'pod');
  const node = about['node'];
  const extra: Record<string, readonly string[]> = {
    'authentication.kubernetes.io/credential-id': [`JTI=${textIn(claims, 'jti')}`],
  };
  if (pod !== undefined) {
    extra['authentication.kubernetes.io/pod-name'] = [pod.name];
    extra['authentication.kubernetes.io/pod-uid'] = [pod.uid];
  }
  if (isJsonObject(node)) {
    extra['authentication.kubernetes.io/node-name'] = [textIn(node, 'name')];
  }
  return { ...serviceAccountUser(namespace, account.name), uid: account.uid, extra };
}

/** Who a ServiceAccount is, in the terms of roles. */
export function serviceAccountUser(namespace: string, name: string): User {
  return {
    name: `${serviceAccountUserPrefix}${namespace}:${name}`,
    groups: [serviceAccountsGroup, `${serviceAccountsGroup}:${namespace}`, authenticatedGroup],
  };
}

/** The ServiceAccount that a user of that name is. */
export function serviceAccountOf(
  userName: string,
): { readonly namespace: string; readonly name: string } | undefined {
  if (!userName.startsWith(serviceAccountUserPrefix)) return undefined;
  const [namespace = '', name = '', ...more] = userName
    .slice(serviceAccountUserPrefix.length)
    .split(':');
  return namespace === '' || name === '' || more.length > 0 ? undefined : { namespace, name };
}
