/**
 * Keys and certificates without cryptography: the same meaning (who issued it,
 * for whom, until when, and whether it was altered), made of hashes.
 *
 * A signature is a hash over the private key and the message. Checking it needs
 * the private key, which the world's key ring finds by the public one: a secret
 * that no role can reach, so that nobody can sign without holding the key.
 */
import { hash } from 'node:crypto';
import { bytesOfHex, hexOf, isJsonObject, SelvageError, textOf, utf8 } from '#base/mod.ts';
import type {
  CertificateFacts,
  CertificateProfile,
  CertificateSubject,
  Credentials,
  KeyPair,
  Keys,
  Random,
} from '#platform/io/mod.ts';

/** Private keys by public key, of the whole world. */
export type KeyRing = Map<string, string>;

const lineCharacters = 64;
const chainCertificatesMax = 8;

interface SignedCertificate {
  readonly profile: CertificateProfile;
  readonly publicKey: string;
  readonly issuerPublicKey: string;
  readonly signature: string;
}

interface SignedRequest {
  readonly subject: CertificateSubject;
  readonly publicKey: string;
  readonly signature: string;
}

function pemOf(label: string, bodyHex: string): string {
  const lines: string[] = [];
  for (let at = 0; at < bodyHex.length; at += lineCharacters) {
    lines.push(bodyHex.slice(at, at + lineCharacters));
  }
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The bodies of all blocks with that label, as hexadecimal digits. */
function pemBodies(label: string, pem: string): string[] {
  const bodies: string[] = [];
  const begin = `-----BEGIN ${label}-----\n`;
  const end = `-----END ${label}-----`;
  for (const block of pem.split(begin).slice(1)) {
    const [body, rest] = block.split(end);
    if (body !== undefined && rest !== undefined) bodies.push(body.replaceAll('\n', '').trim());
  }
  return bodies;
}

function jsonPem(label: string, value: object): string {
  const text = JSON.stringify(value);
  return pemOf(label, hexOf(utf8(hash('sha256', text, 'hex').slice(0, 8) + text)));
}

/** What jsonPem wrote, or undefined where the text is not whole. */
function jsonOf(bodyHex: string): unknown {
  try {
    const text = textOf(bytesOfHex(bodyHex));
    const json = text.slice(8);
    if (hash('sha256', json, 'hex').slice(0, 8) !== text.slice(0, 8)) return undefined;
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Texts and keys that are remembered; the same ones come with every handshake. */
const rememberedMax = 20_000;

/** The same function, which works each argument out once. */
function remembered<Result>(work: (text: string) => Result): (text: string) => Result {
  const known = new Map<string, Result>();
  return (text) => {
    let result = known.get(text);
    if (result === undefined) {
      if (known.size === rememberedMax) known.clear();
      result = work(text);
      known.set(text, result);
    }
    return result;
  };
}

const publicKeyOf = remembered((privateKey) =>
  hash('sha256', `public key of ${privateKey}`, 'hex'),
);

function sign(privateKey: string, message: unknown): string {
  return hash('sha256', `${privateKey} signs ${JSON.stringify(message)}`, 'hex');
}

function isSignedBy(
  ring: KeyRing,
  publicKey: string,
  message: unknown,
  signature: string,
): boolean {
  const privateKey = ring.get(publicKey);
  return privateKey !== undefined && sign(privateKey, message) === signature;
}

const certificatesOf = remembered((pem): readonly SignedCertificate[] =>
  pemBodies('CERTIFICATE', pem)
    .slice(0, chainCertificatesMax)
    .map(jsonOf)
    .filter((value) => isJsonObject(value))
    .map((value) => value as unknown as SignedCertificate),
);

function firstBody(label: string, pem: string): string | undefined {
  return pemBodies(label, pem)[0];
}

function badRequest(why: string): SelvageError {
  return new SelvageError('KEYS_BAD_REQUEST', `the certificate request is refused: ${why}`);
}

function factsOf(certificate: SignedCertificate): CertificateFacts {
  const { subject, uris, serialNumber, notBeforeMs, notAfterMs } = certificate.profile;
  return {
    subject,
    uris,
    serialNumber,
    notBeforeMs,
    notAfterMs,
    publicKeyPem: pemOf('PUBLIC KEY', certificate.publicKey),
  };
}

/** The Keys port of one process; `isAlive` turns false when that process dies. */
export function simKeys(ring: KeyRing, random: Random, isAlive: () => boolean): Keys {
  const never = new Promise<never>(() => {});
  const answer = async <Result>(work: () => Result): Promise<Result> =>
    isAlive() ? work() : never;

  const issue = (
    profile: CertificateProfile,
    publicKeyPem: string,
    issuerPublicKey: string,
    issuerPrivateKey: string,
  ): string => {
    const publicKey = firstBody('PUBLIC KEY', publicKeyPem);
    if (publicKey === undefined) throw new SelvageError('KEYS_BAD_KEY', 'not a public key');
    const signed = { profile, publicKey, issuerPublicKey };
    return jsonPem('CERTIFICATE', { ...signed, signature: sign(issuerPrivateKey, signed) });
  };
  const privateOf = (pem: string): string => {
    const privateKey = firstBody('PRIVATE KEY', pem);
    if (privateKey === undefined) throw new SelvageError('KEYS_BAD_KEY', 'not a private key');
    return privateKey;
  };

  return {
    createKeyPair: () =>
      answer((): KeyPair => {
        const privateKey = hexOf(random.bytes(32));
        const publicKey = publicKeyOf(privateKey);
        ring.set(publicKey, privateKey);
        return {
          privateKeyPem: pemOf('PRIVATE KEY', privateKey),
          publicKeyPem: pemOf('PUBLIC KEY', publicKey),
        };
      }),
    createRequest: (pair, subject) =>
      answer(() => {
        const signed = { subject, publicKey: firstBody('PUBLIC KEY', pair.publicKeyPem) };
        const signature = sign(privateOf(pair.privateKeyPem), signed);
        return jsonPem('CERTIFICATE REQUEST', { ...signed, signature });
      }),
    readRequest: (requestPem) =>
      answer(() => {
        const value = jsonOf(firstBody('CERTIFICATE REQUEST', requestPem) ?? '');
        if (!isJsonObject(value)) throw badRequest('it cannot be read');
        const { subject, publicKey, signature } = value as unknown as SignedRequest;
        if (!isSignedBy(ring, publicKey, { subject, publicKey }, signature)) {
          throw badRequest('its signature does not match its key');
        }
        return { subject, publicKeyPem: pemOf('PUBLIC KEY', publicKey) };
      }),
    issueCertificate: (profile, publicKeyPem, issuer) =>
      answer(() => {
        const authority = certificatesOf(issuer.certificatePem)[0];
        const issuerPrivateKey = privateOf(issuer.privateKeyPem);
        if (authority === undefined || authority.publicKey !== publicKeyOf(issuerPrivateKey)) {
          throw new SelvageError('KEYS_BAD_KEY', "the issuer's key is not that of its certificate");
        }
        return issue(profile, publicKeyPem, authority.publicKey, issuerPrivateKey);
      }),
    issueAuthority: (profile, pair) =>
      answer(() => {
        const privateKey = privateOf(pair.privateKeyPem);
        return issue(profile, pair.publicKeyPem, publicKeyOf(privateKey), privateKey);
      }),
    readCertificate: (certificatePem) => {
      const certificate = certificatesOf(certificatePem)[0];
      if (certificate === undefined) {
        throw new SelvageError('KEYS_BAD_CERTIFICATE', 'not a certificate');
      }
      return factsOf(certificate);
    },
    sign: (privateKeyPem, message) =>
      answer(() => bytesOfHex(sign(privateOf(privateKeyPem), hexOf(message)))),
    verify(publicKeyPem, message, signature) {
      const publicKey = firstBody('PUBLIC KEY', publicKeyPem) ?? '';
      return isSignedBy(ring, publicKey, hexOf(message), hexOf(signature));
    },
    publicKeyAsJson: (publicKeyPem) => ({
      kty: 'simulated',
      x: firstBody('PUBLIC KEY', publicKeyPem) ?? '',
    }),
  };
}

/** Certificates whose signature was found right, and among which keys. */
const verified = new WeakMap<SignedCertificate, KeyRing>();

/** What a handshake learns from the other side's certificate. */
export type Verification =
  | { readonly facts: CertificateFacts; readonly profile: CertificateProfile }
  | { readonly refusal: string };

/**
 * Checks a certificate as a TLS stack does: possession of its key, a chain to the
 * trust, validity at `wallMs`, and the usage.
 */
export function verifyCredentials(
  ring: KeyRing,
  credentials: Credentials,
  trustPem: string,
  usage: 'server' | 'client',
  wallMs: number,
): Verification {
  const chain = certificatesOf(credentials.certificatePem);
  const leaf = chain[0];
  if (leaf === undefined) return { refusal: 'no certificate' };
  const privateKey = firstBody('PRIVATE KEY', credentials.privateKeyPem) ?? '';
  if (publicKeyOf(privateKey) !== leaf.publicKey) {
    return { refusal: 'the private key is not that of the certificate' };
  }
  if (leaf.profile.usage !== usage && leaf.profile.usage !== 'server-and-client') {
    return { refusal: `the certificate is not for a ${usage}` };
  }
  const trusted = certificatesOf(trustPem);
  let current = leaf;
  for (let depth = 0; depth < chainCertificatesMax; depth += 1) {
    const { profile, publicKey, issuerPublicKey, signature } = current;
    if (wallMs < profile.notBeforeMs) return { refusal: 'the certificate is not valid yet' };
    if (wallMs > profile.notAfterMs) return { refusal: 'the certificate has expired' };
    if (verified.get(current) !== ring) {
      if (!isSignedBy(ring, issuerPublicKey, { profile, publicKey, issuerPublicKey }, signature)) {
        return { refusal: 'the signature of the certificate is wrong' };
      }
      verified.set(current, ring);
    }
    const anchor = trusted.find((one) => one.publicKey === issuerPublicKey);
    if (anchor !== undefined) {
      if (wallMs > anchor.profile.notAfterMs) return { refusal: 'the authority has expired' };
      return { facts: factsOf(leaf), profile: leaf.profile };
    }
    const issuer = chain.find((one) => one.publicKey === issuerPublicKey && one !== current);
    if (issuer === undefined || issuer.profile.usage !== 'authority') break;
    current = issuer;
  }
  return { refusal: 'the certificate is of an authority that is not trusted' };
}
