/**
 * A certificate request (PKCS #10, RFC 2986) over an ECDSA key, written by hand: it is
 * one small structure, and the library that also builds certificates would be the
 * greatest part of an agent that asks for one a day.
 *
 * Invariant: lengths are in the shortest form (DER), and each part of the subject
 * is a set of its own, in the order given.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { CertificateSubject, KeyPair } from '../keys.ts';

const sequence = 0x30;
const set = 0x31;
const integer = 0x02;
const bitString = 0x03;
const utf8String = 0x0c;
/** `[0]`, constructed: the attributes of a request, of which ours has none. */
const attributes = 0xa0;

// Whole, with tag and length.
const objectIdentifiers = {
  commonName: Buffer.from('0603550403', 'hex'),
  organization: Buffer.from('060355040a', 'hex'),
  ecdsaWithSha256: Buffer.from('06082a8648ce3d040302', 'hex'),
} as const;

const base64LineLength = 64;

function lengthOf(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.of(bytes);
  const digits: number[] = [];
  for (let left = bytes; left > 0; left = Math.floor(left / 256)) digits.unshift(left % 256);
  return Buffer.of(0x80 | digits.length, ...digits);
}

function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag), lengthOf(content.length), content]);
}

function namePart(type: Uint8Array, value: string): Buffer {
  return element(set, element(sequence, type, element(utf8String, Buffer.from(value, 'utf8'))));
}

/** PEM of a request for `subject`, signed by the pair. */
export function certificateRequestOf(pair: KeyPair, subject: CertificateSubject): string {
  const information = element(
    sequence,
    element(integer, Buffer.of(0)),
    element(
      sequence,
      namePart(objectIdentifiers.commonName, subject.commonName),
      ...subject.organizations.map((name) => namePart(objectIdentifiers.organization, name)),
    ),
    createPublicKey(pair.publicKeyPem).export({ type: 'spki', format: 'der' }),
    element(attributes),
  );
  const signature = sign('sha256', information, {
    key: createPrivateKey(pair.privateKeyPem),
    dsaEncoding: 'der',
  });
  const unusedBits = Buffer.of(0);
  const request = element(
    sequence,
    information,
    element(sequence, objectIdentifiers.ecdsaWithSha256),
    element(bitString, unusedBits, signature),
  ).toString('base64');
  const lines = request.match(new RegExp(`.{1,${base64LineLength}}`, 'g')) ?? [];
  return [
    '-----BEGIN CERTIFICATE REQUEST-----',
    ...lines,
    '-----END CERTIFICATE REQUEST-----',
    '',
  ].join('\n');
}
