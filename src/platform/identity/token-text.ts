/**
 * The text of a join token: `selvage-join.<id>.<secret>.<pin>`. The id finds it, the
 * secret proves it (the store keeps only its hash), and the pin is a hash of the
 * authority's certificate, by which a machine that knows nothing yet can tell the
 * right server.
 */
import { hash } from 'node:crypto';
import { IdentityError } from './errors.ts';

export const tokenIdBytes = 8;
export const tokenSecretBytes = 24;
const pinDigits = 32;
const tokenPattern = /^selvage-join\.([0-9a-f]{16})\.([0-9a-f]{48})\.([0-9a-f]{32})$/;
const certificatePattern = /-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/;

export interface JoinTokenText {
  readonly id: string;
  readonly secret: string;
  /** Of the authority that the server's certificate must be issued by. */
  readonly authorityPin: string;
}

/**
 * The first 32 hexadecimal digits of SHA-256 over the base64 text of the (first)
 * certificate, without line breaks. Throws IdentityError where there is none.
 */
export function authorityPinOf(caPem: string): string {
  const body = certificatePattern.exec(caPem)?.[1];
  if (body === undefined) {
    throw new IdentityError('IDENTITY_AUTHORITY_BROKEN', 'the text holds no certificate');
  }
  return hash('sha256', body.replaceAll(/\s/g, ''), 'hex').slice(0, pinDigits);
}

export function formatJoinToken(token: JoinTokenText): string {
  return `selvage-join.${token.id}.${token.secret}.${token.authorityPin}`;
}

/** Throws IdentityError IDENTITY_TOKEN_FORM; the message never holds the text. */
export function parseJoinToken(text: string): JoinTokenText {
  const [, id, secret, authorityPin] = tokenPattern.exec(text) ?? [];
  if (id === undefined || secret === undefined || authorityPin === undefined) {
    throw new IdentityError(
      'IDENTITY_TOKEN_FORM',
      'not a join token: it has the form selvage-join.<id>.<secret>.<pin>',
    );
  }
  return { id, secret, authorityPin };
}

/** What the store keeps of a secret. */
export function secretHashOf(secret: string): string {
  return hash('sha256', `selvage join token secret ${secret}`, 'hex');
}
