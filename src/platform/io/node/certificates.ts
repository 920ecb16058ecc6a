/**
 * Who a certificate stands for, and whether it is to be believed.
 *
 * Invariants:
 * 1. Trust is looked at here on every connection, by the certificate alone: what TLS
 *    reports of a resumed session tells of the past.
 * 2. A trusted certificate is signed directly by one of the given authorities, and
 *    both are within their time.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { assert } from '#base/mod.ts';
import type { CertificateFacts } from '../keys.ts';
import type { Credentials, PeerIdentity } from '../net.ts';

const clientUsage = '1.3.6.1.5.5.7.3.2';
const namesMaxLength = 8_192;

const listOf = (value: unknown): string[] =>
  value === undefined ? [] : (Array.isArray(value) ? value : [value]).map(String);

/** The URI names in the text form of subject alternative names, quoted or not. */
function urisOf(names: string): string[] {
  assert(names.length <= namesMaxLength, 'the names of a certificate are bounded');
  const uris: string[] = [];
  for (const match of names.matchAll(/(?:^|, )URI:("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const text = match[1] ?? '';
    uris.push(text.startsWith('"') ? String(JSON.parse(text)) : text);
  }
  return uris;
}

/** Throws where the subject has not exactly one common name. */
export function certificateFactsOf(certificate: X509Certificate): CertificateFacts {
  // The text form of the subject is escaped for people; this one has the plain values.
  const subject: Record<string, unknown> = { ...certificate.toLegacyObject().subject };
  const [commonName, ...moreNames] = listOf(subject['CN']);
  if (commonName === undefined || moreNames.length > 0) {
    throw new Error('its subject has not exactly one common name');
  }
  return {
    subject: { commonName, organizations: listOf(subject['O']) },
    uris: urisOf(certificate.subjectAltName ?? ''),
    serialNumber: certificate.serialNumber.toLowerCase(),
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    publicKeyPem: certificate.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

export function identityOf(facts: CertificateFacts): PeerIdentity {
  return {
    commonName: facts.subject.commonName,
    organizations: facts.subject.organizations,
    uris: facts.uris,
    serialNumber: facts.serialNumber,
    notAfterMs: facts.notAfterMs,
  };
}

const certificatePattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The authorities of a PEM text, parsed once for many connections. */
export function authoritiesOf(trustPem: string): readonly X509Certificate[] {
  const authorities = (trustPem.match(certificatePattern) ?? []).map(
    (pem) => new X509Certificate(pem),
  );
  assert(authorities.length > 0, 'the trust holds at least one certificate');
  return authorities;
}

export type Judgement =
  | { readonly trusted: true; readonly peer: PeerIdentity }
  | { readonly trusted: false; readonly why: string };

const withinTime = (certificate: X509Certificate, nowMs: number): boolean =>
  certificate.validFromDate.getTime() <= nowMs && nowMs < certificate.validToDate.getTime();

/** Judges a client's certificate against the authorities, by the wall clock's `nowMs`. */
export function judgeClient(
  certificate: X509Certificate,
  authorities: readonly X509Certificate[],
  nowMs: number,
): Judgement {
  if (!withinTime(certificate, nowMs)) {
    return { trusted: false, why: 'the certificate has expired or is not valid yet' };
  }
  const issuer = authorities.find(
    (authority) =>
      authority.ca &&
      withinTime(authority, nowMs) &&
      certificate.checkIssued(authority) &&
      certificate.verify(authority.publicKey),
  );
  if (issuer === undefined) {
    return { trusted: false, why: 'the certificate is of an authority that is not trusted here' };
  }
  if (certificate.ca || !(certificate.keyUsage ?? []).includes(clientUsage)) {
    return { trusted: false, why: 'the certificate is not one for clients' };
  }
  try {
    return { trusted: true, peer: identityOf(certificateFactsOf(certificate)) };
  } catch {
    return { trusted: false, why: 'the certificate does not name one user' };
  }
}

/** Fails early and clearly where key and certificate do not belong together. */
export function checkCredentials(credentials: Credentials): void {
  const certificate = new X509Certificate(credentials.certificatePem);
  const fits = certificate.checkPrivateKey(createPrivateKey(credentials.privateKeyPem));
  assert(fits, 'the private key belongs to the certificate');
}
