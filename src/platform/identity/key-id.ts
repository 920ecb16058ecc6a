/**
 * The id of a node's key: what serial numbers of its certificates begin with. Made
 * of a hash, so that the key alone decides it and nobody has to keep a list of the
 * certificates that were ever issued for it.
 */
import { hash } from 'node:crypto';
import { assert } from '#base/mod.ts';

export const keyIdBytes = 8;
const keyIdDigits = keyIdBytes * 2;
/** 128 bits of a serial number, as hexadecimal digits. */
const serialDigits = 32;

/** Hexadecimal SHA-256 over the PEM of the public key, as the keys port writes it. */
export function publicKeyHashOf(publicKeyPem: string): string {
  return hash('sha256', publicKeyPem, 'hex');
}

/** 16 hexadecimal digits; as the start of a serial number positive and of full length. */
export function keyIdOf(publicKeyHash: string): string {
  assert(publicKeyHash.length > keyIdDigits, 'a hash is longer than the id made of it');
  const first = (Number.parseInt(publicKeyHash.slice(0, 2), 16) & 0x3f) | 0x40;
  return first.toString(16).padStart(2, '0') + publicKeyHash.slice(2, keyIdDigits);
}

/** The id of the key that a node's certificate was issued for; meaningless for others'. */
export function keyIdOfSerial(serialNumber: string): string {
  return serialNumber.padStart(serialDigits, '0').slice(0, keyIdDigits);
}
