/**
 * Who asks: the holder of the connection's certificate, or of a bearer token where it
 * brought none; and as whom, where somebody acts for another.
 *
 * Invariants:
 * 1. Credentials that are not good refuse the request; they never count as none.
 * 2. No token is in any message or log.
 * 3. Acting for another takes the verb `impersonate` on every name that is taken on:
 *    the user, each group, the uid and each further value.
 */
import { StatusError } from '#platform/api/mod.ts';
import {
  anonymousUser,
  serviceAccountOf,
  serviceAccountUser,
  type ServiceAccountTokens,
  tokenLengthMax,
  type User,
  userNamed,
  userOf,
} from '#platform/identity/mod.ts';
import type { HttpRequest } from '#platform/io/mod.ts';
import type { AskedAccess } from './access/rules.ts';
import { type AuthorizationSources, decide, refusal } from './authorization.ts';

export interface AuthenticationSources extends AuthorizationSources {
  /** Absent: nobody is known by a token here. */
  readonly tokens: ServiceAccountTokens | undefined;
}

const bearerPattern = /^Bearer +([\x21-\x7e]+)$/i;

/** The user; undefined without credentials. Throws 401 for credentials that are not good. */
export function authenticate(
  { tokens }: AuthenticationSources,
  request: HttpRequest,
): User | undefined {
  if (request.peer !== undefined) return userOf(request.peer);
  const header = request.headers['authorization'];
  if (header === undefined || tokens === undefined) return undefined;
  const token = header.length > tokenLengthMax ? undefined : bearerPattern.exec(header)?.[1];
  if (token === undefined) {
    throw new StatusError(
      'Unauthorized',
      `Unauthorized: the header Authorization must be "Bearer <token>", of at most ${tokenLengthMax} characters`,
    );
  }
  const verdict = tokens.judge(token);
  if ('refusal' in verdict)
    throw new StatusError('Unauthorized', `Unauthorized: ${verdict.refusal}`);
  return verdict.user;
}

const impersonationPrefix = 'impersonate-';
const extraPrefix = 'impersonate-extra-';
const impersonatedNamesMax = 256;
const authenticationGroup = 'authentication.k8s.io';

/** Whether the request asks to be carried out as somebody else. */
export function isImpersonation(request: HttpRequest): boolean {
  for (const name in request.headers) if (name.startsWith(impersonationPrefix)) return true;
  return false;
}

/** The one that the request is to be carried out as. Throws 400 or 403. */
export function impersonated(
  sources: AuthorizationSources,
  user: User,
  request: HttpRequest,
): User {
  const { headers } = request;
  const name = headers['impersonate-user'] ?? '';
  if (name === '') {
    throw new StatusError('BadRequest', 'acting for another needs the header Impersonate-User');
  }
  const groups = valuesOf(headers['impersonate-group']);
  const uid = headers['impersonate-uid'];
  const extra: Record<string, string[]> = {};
  for (const header of Object.keys(headers)) {
    if (!header.startsWith(extraPrefix)) continue;
    extra[decodedKey(header.slice(extraPrefix.length))] = valuesOf(headers[header]);
  }
  const account = serviceAccountOf(name);
  const asked: AskedAccess[] = [
    account === undefined
      ? impersonationOf('', 'users', name)
      : { ...impersonationOf('', 'serviceaccounts', account.name), namespace: account.namespace },
    ...groups.map((group) => impersonationOf('', 'groups', group)),
    ...(uid === undefined ? [] : [impersonationOf(authenticationGroup, 'uids', uid)]),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => ({
        ...impersonationOf(authenticationGroup, 'userextras', value),
        subresource: key,
      })),
    ),
  ];
  if (asked.length > impersonatedNamesMax) {
    throw new StatusError('BadRequest', `at most ${impersonatedNamesMax} names can be taken on`);
  }
  for (const one of asked) {
    if (!decide(sources, user, one).allowed) throw refusal(user, one);
  }
  const known = {
    ...(uid === undefined ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
  if (name === anonymousUser.name) return { ...anonymousUser, ...known };
  if (account !== undefined && groups.length === 0) {
    return { ...serviceAccountUser(account.namespace, account.name), ...known };
  }
  return { ...userNamed(name, groups), ...known };
}

function impersonationOf(
  group: string,
  resource: string,
  name: string,
): Extract<AskedAccess, { type: 'resource' }> {
  const about = { group, resource, name, subresource: '', namespace: '' };
  return { type: 'resource', verb: 'impersonate', ...about };
}

/** Of a header that may be sent several times, which arrives as one. */
function valuesOf(header: string | undefined): string[] {
  return (header ?? '').split(', ').filter((value) => value !== '');
}

function decodedKey(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new StatusError(
      'BadRequest',
      'the name of a header Impersonate-Extra is not percent-encoded',
      {
        cause,
      },
    );
  }
}
