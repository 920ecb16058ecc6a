/**
 * Keys and certificates of this machine: ECDSA over P-256, which every TLS client
 * takes. What builds certificates is loaded when it is first needed, so that a
 * command which issues none does not carry it in memory.
 */
import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import type * as x509Types from '@peculiar/x509';
import { assert, errorText, SelvageError } from '#base/mod.ts';
import type { CertificateProfile, CertificateRequest, CertificateSubject, Keys } from '../keys.ts';
import { installReflectMetadata } from './reflect-metadata.ts';
import { createNodeRequesterKeys } from './requester-keys.ts';

type X509Library = typeof x509Types;
type CryptoKey = webcrypto.CryptoKey;

const requestMaxLength = 16_384;
const namesMax = 64;
/** P-256 as the system's library calls it. */
const curveOfKeys = 'prime256v1';
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

let loading: Promise<X509Library> | undefined;

function library(): Promise<X509Library> {
  loading ??= (async () => {
    installReflectMetadata();
    return import('@peculiar/x509');
  })();
  return loading;
}

function nameOf(x509: X509Library, subject: CertificateSubject): InstanceType<X509Library['Name']> {
  // As UTF8String, so that no character of a value means anything to the parser of names.
  return new x509.Name([
    { CN: [{ utf8String: subject.commonName }] },
    ...subject.organizations.map((organization) => ({ O: [{ utf8String: organization }] })),
  ]);
}

async function privateKeyOf(pem: string): Promise<CryptoKey> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}

async function publicKeyOf(pem: string): Promise<CryptoKey> {
  const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', der, algorithm, true, ['verify']);
}

/** Of any kind: nothing is verified with it here. */
function subjectKeyOf(x509: X509Library, pem: string): InstanceType<X509Library['PublicKey']> {
  return new x509.PublicKey(createPublicKey(pem).export({ type: 'spki', format: 'der' }));
}

const pemOf = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);

async function readRequest(
  requestPem: string,
  keyForm: 'own' | 'any' = 'own',
): Promise<CertificateRequest> {
  const refuse = (why: string, cause?: unknown): SelvageError =>
    new SelvageError('KEYS_BAD_REQUEST', `not a usable certificate request: ${why}`, { cause });
  if (requestPem.length > requestMaxLength) {
    throw refuse(`it is longer than ${requestMaxLength} characters`);
  }
  if (!/^-----BEGIN (NEW )?CERTIFICATE REQUEST-----\r?\n/.test(requestPem)) {
    throw refuse('it is not PEM of a CERTIFICATE REQUEST');
  }
  const x509 = await library();
  try {
    const request = new x509.Pkcs10CertificateRequest(requestPem);
    if (!(await request.verify(webcrypto))) throw new Error('its signature does not fit its key');
    const [commonName, ...moreNames] = request.subjectName.getField('CN');
    if (commonName === undefined || moreNames.length > 0) {
      throw new Error('its subject has not exactly one common name');
    }
    const publicKey = createPublicKey({
      key: Buffer.from(request.publicKey.rawData),
      format: 'der',
      type: 'spki',
    });
    requireKey(publicKey, keyForm);
    return {
      subject: { commonName, organizations: request.subjectName.getField('O') },
      publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    };
  } catch (thrown) {
    throw refuse(errorText(thrown), thrown);
  }
}

/** Throws where the key is not of a form that is believed here. */
function requireKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, form: string): void {
  const { namedCurve = '', modulusLength = 0 } = asymmetricKeyDetails ?? {};
  if (namedCurve === curveOfKeys) return;
  if (form === 'own') throw new Error('its key is not one of the curve P-256');
  const isGood =
    namedCurve === 'secp384r1' ||
    asymmetricKeyType === 'ed25519' ||
    (asymmetricKeyType === 'rsa' && modulusLength >= rsaBitsMin && modulusLength <= rsaBitsMax);
  if (isGood) return;
  throw new Error(
    `its key must be ECDSA over P-256 or P-384, Ed25519, or RSA of ${rsaBitsMin} to ${rsaBitsMax} bits`,
  );
}

const rsaBitsMin = 2_048;
const rsaBitsMax = 8_192;

function extensionsOf(x509: X509Library, profile: CertificateProfile) {
  const isAuthority = profile.usage === 'authority';
  const { KeyUsageFlags, ExtendedKeyUsage } = x509;
  const usages: string[] = [];
  if (profile.usage.includes('server')) usages.push(ExtendedKeyUsage.serverAuth);
  if (profile.usage.includes('client')) usages.push(ExtendedKeyUsage.clientAuth);
  const names = [
    ...profile.dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...profile.ipAddresses.map((value) => ({ type: 'ip' as const, value })),
    ...profile.uris.map((value) => ({ type: 'url' as const, value })),
  ];
  assert(names.length <= namesMax, `a certificate has at most ${namesMax} names`);
  return [
    new x509.BasicConstraintsExtension(isAuthority, isAuthority ? 0 : undefined, true),
    new x509.KeyUsagesExtension(
      isAuthority
        ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign
        : KeyUsageFlags.digitalSignature,
      true,
    ),
    ...(usages.length > 0 ? [new x509.ExtendedKeyUsageExtension(usages)] : []),
    ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
  ];
}

async function issue(
  profile: CertificateProfile,
  publicKeyPem: string,
  issuer: { readonly certificatePem?: string; readonly privateKeyPem: string },
): Promise<string> {
  const x509 = await library();
  const publicKey = subjectKeyOf(x509, publicKeyPem);
  const authority =
    issuer.certificatePem === undefined
      ? undefined
      : new x509.X509Certificate(issuer.certificatePem);
  const authorityKey =
    authority === undefined
      ? await publicKeyOf(publicKeyPem)
      : await publicKeyOf(
          new X509Certificate(issuer.certificatePem ?? '').publicKey
            .export({
              type: 'spki',
              format: 'pem',
            })
            .toString(),
        );
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: profile.serialNumber,
      subject: nameOf(x509, profile.subject),
      issuer: authority?.subjectName ?? nameOf(x509, profile.subject),
      notBefore: new Date(profile.notBeforeMs),
      notAfter: new Date(profile.notAfterMs),
      publicKey,
      signingKey: await privateKeyOf(issuer.privateKeyPem),
      signingAlgorithm: algorithm,
      extensions: [
        ...extensionsOf(x509, profile),
        await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(authorityKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return pemOf(certificate.toString('pem'));
}

/** A server verifies with one key again and again. */
let lastPublicKey: { readonly pem: string; readonly key: KeyObject } | undefined;

function publicKeyObject(pem: string): KeyObject {
  if (lastPublicKey?.pem !== pem) lastPublicKey = { pem, key: createPublicKey(pem) };
  return lastPublicKey.key;
}

/** The form of signatures in JSON Web Signatures: two numbers, without their lengths. */
const signatureForm = { dsaEncoding: 'ieee-p1363' } as const;

export function createNodeKeys(): Keys {
  return {
    sign: async (privateKeyPem, message) =>
      sign('sha256', message, { key: createPrivateKey(privateKeyPem), ...signatureForm }),
    verify: (publicKeyPem, message, signature) =>
      verify(
        'sha256',
        message,
        { key: publicKeyObject(publicKeyPem), ...signatureForm },
        signature,
      ),
    publicKeyAsJson(publicKeyPem) {
      const {
        kty = '',
        crv = '',
        x = '',
        y = '',
      } = createPublicKey(publicKeyPem).export({
        format: 'jwk',
      });
      return { kty, crv, x, y };
    },
    ...createNodeRequesterKeys(),
    readRequest,
    issueCertificate: issue,
    issueAuthority: (profile, pair) => {
      assert(profile.usage === 'authority', 'an authority signs itself as one');
      return issue(profile, pair.publicKeyPem, { privateKeyPem: pair.privateKeyPem });
    },
  };
}
