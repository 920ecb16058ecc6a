/** Digests as text: recognised, computed. */
import { hash } from 'node:crypto';
import { BlobError } from './errors.ts';
import type { Digest } from './types.ts';

const digestPattern = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && digestPattern.test(text);
}

/** Throws BLOB_DIGEST_INVALID for anything but `sha256:` and 64 lower-case hexadecimal digits. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new BlobError(
      'BLOB_DIGEST_INVALID',
      'a digest is "sha256:" followed by 64 lower-case hexadecimal digits',
    );
  }
  return text;
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}
