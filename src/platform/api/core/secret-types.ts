/**
 * What secrets of the types that Kubernetes knows have to hold, so that who forgot a key
 * hears of it from the API and not from the program that reads it.
 *
 * Invariant: nothing of what a secret holds is ever part of an error.
 */
import { isJsonObject, textOf } from '#base/mod.ts';
import type { FieldError } from '../definition.ts';
import { fieldInvalid, fieldRequired } from '../field-errors.ts';
import { bytesOfBase64 } from '../meta/base64.ts';
import type { Secret } from './secret.ts';

const accountAnnotation = 'kubernetes.io/service-account.name';
const accountTokenType = 'kubernetes.io/service-account-token';

/** Keys that must be there, by type; their values may be empty unless it is said below. */
const requiredKeys: ReadonlyMap<string, readonly string[]> = new Map([
  ['kubernetes.io/tls', ['tls.crt', 'tls.key']],
  ['kubernetes.io/ssh-auth', ['ssh-privatekey']],
  ['kubernetes.io/dockerconfigjson', ['.dockerconfigjson']],
  ['kubernetes.io/dockercfg', ['.dockercfg']],
]);
const jsonTypes: ReadonlySet<string> = new Set([
  'kubernetes.io/dockerconfigjson',
  'kubernetes.io/dockercfg',
]);

export function validateSecretType({ type = '', data = {}, metadata }: Secret): FieldError[] {
  const errors: FieldError[] = [];
  for (const key of requiredKeys.get(type) ?? []) {
    const field = `data[${key}]`;
    const value = Object.hasOwn(data, key) ? data[key] : undefined;
    const isEmpty = type === 'kubernetes.io/ssh-auth' && value === '';
    if (value === undefined || isEmpty) {
      errors.push(fieldRequired(field, `a secret of type ${type} has it`));
    } else if (jsonTypes.has(type) && !isJsonText(value)) {
      errors.push(fieldInvalid(field, '<not shown>', 'must be a JSON object in base64'));
    }
  }
  if (type === 'kubernetes.io/basic-auth' && !('username' in data) && !('password' in data)) {
    errors.push(fieldRequired('data[username]', 'or data[password], for basic-auth'));
  }
  if (type === accountTokenType && (metadata.annotations?.[accountAnnotation] ?? '') === '') {
    const field = `metadata.annotations[${accountAnnotation}]`;
    errors.push(fieldRequired(field, 'whose token it is to hold'));
  }
  return errors;
}

/** Tokens that never end are not made; who waits for one is told what to use. */
export function secretTypeWarnings({ type, data = {} }: Secret): readonly string[] {
  if (type !== accountTokenType || 'token' in data) return [];
  return [
    `type ${accountTokenType}: no token is put into it; use 'kubectl create token', or the token that pods have`,
  ];
}

function isJsonText(base64: string): boolean {
  try {
    return isJsonObject(JSON.parse(textOf(bytesOfBase64(base64))));
  } catch {
    return false;
  }
}
