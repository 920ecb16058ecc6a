/**
 * The key with which the server signs the tokens of ServiceAccounts, and the tokens as
 * texts: JSON Web Signatures in their short form (RFC 7515), ES256.
 *
 * Invariants:
 * 1. The key is on disk, readable by this user alone, before anything is signed with it.
 * 2. What comes out of `claimsIn` was signed with this key; nothing else in the text
 *    chooses how it is checked.
 */
import { hash } from 'node:crypto';
import { isJsonObject, type JsonObject, strictTextOf, textOf, utf8 } from '#base/mod.ts';
import { base64Of, bytesOfBase64 } from '#platform/api/mod.ts';
import type { Disk, KeyPair, Keys } from '#platform/io/mod.ts';
import { IdentityError } from './errors.ts';

/** Of a whole token. */
export const tokenLengthMax = 8 * 1024;
const fileName = 'service-account-key.json';
const fileFormat = 1;
const fileMaxBytes = 16 * 1024;
/** Tokens whose signatures were found right, by their hash. */
const verifiedMax = 4_096;
const partsPattern = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

export interface TokenSigner {
  /** The public part, as others may fetch it. */
  readonly publicKeys: { readonly keys: readonly JsonObject[] };
  sign(claims: JsonObject): Promise<string>;
  /** Undefined where the text is no token, or another key signed it. */
  claimsIn(token: string): JsonObject | undefined;
}

/** The signer of this folder; its key is made at the first start. Throws IdentityError. */
export async function openTokenSigner({
  disk,
  keys,
}: {
  readonly disk: Disk;
  readonly keys: Keys;
}): Promise<TokenSigner> {
  const bytes = await disk.readFile(fileName, fileMaxBytes);
  const pair = bytes === undefined ? await createFile(disk, keys) : parseFile(bytes);
  const shown = keys.publicKeyAsJson(pair.publicKeyPem);
  const keyId = base64UrlOf(Uint8Array.from(hash('sha256', JSON.stringify(shown), 'buffer')));
  const header = base64UrlOf(utf8(JSON.stringify({ alg: 'ES256', kid: keyId, typ: 'JWT' })));
  const verified = new Map<string, JsonObject>();
  return {
    publicKeys: { keys: [{ ...shown, use: 'sig', alg: 'ES256', kid: keyId }] },
    async sign(claims) {
      const signed = `${header}.${base64UrlOf(utf8(JSON.stringify(claims)))}`;
      const signature = await keys.sign(pair.privateKeyPem, utf8(signed));
      return `${signed}.${base64UrlOf(signature)}`;
    },
    claimsIn(token) {
      if (token.length > tokenLengthMax) return undefined;
      const [, head, body = '', signature = ''] = partsPattern.exec(token) ?? [];
      // One key, one form: whatever else a head may say, it is not ours.
      if (head !== header) return undefined;
      const name = hash('sha256', token, 'hex');
      const known = verified.get(name);
      if (known !== undefined) return known;
      const isOurs = keys.verify(
        pair.publicKeyPem,
        utf8(`${head}.${body}`),
        bytesOfBase64Url(signature),
      );
      if (!isOurs) return undefined;
      const claims: unknown = JSON.parse(textOf(bytesOfBase64Url(body)));
      if (!isJsonObject(claims)) return undefined;
      if (verified.size >= verifiedMax) verified.clear();
      verified.set(name, claims);
      return claims;
    },
  };
}

async function createFile(disk: Disk, keys: Keys): Promise<KeyPair> {
  const { privateKeyPem, publicKeyPem } = await keys.createKeyPair();
  const file = { format: fileFormat, privateKeyPem, publicKeyPem };
  await disk.writeFileAtomic(fileName, utf8(`${JSON.stringify(file, undefined, 2)}\n`), 0o600);
  return file;
}

function parseFile(bytes: Uint8Array): KeyPair {
  const broken = (why: string, cause?: unknown): IdentityError =>
    new IdentityError('IDENTITY_AUTHORITY_BROKEN', `${fileName} ${why}`, { cause });
  let parsed: unknown;
  try {
    parsed = JSON.parse(strictTextOf(bytes));
  } catch (cause) {
    throw broken('is not JSON; restore it from a backup, or remove it: then all tokens end', cause);
  }
  if (isJsonObject(parsed) && parsed['format'] === fileFormat) {
    const { privateKeyPem, publicKeyPem } = parsed;
    if (typeof privateKeyPem === 'string' && typeof publicKeyPem === 'string') {
      return { privateKeyPem, publicKeyPem };
    }
  }
  throw broken(`is no key of format ${fileFormat}; restore it from a backup`);
}

function base64UrlOf(bytes: Uint8Array): string {
  return base64Of(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function bytesOfBase64Url(text: string): Uint8Array {
  return bytesOfBase64(text.replaceAll('-', '+').replaceAll('_', '/'));
}
