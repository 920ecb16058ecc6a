/**
 * What one who asks for certificates needs of keys: ECDSA over P-256, which every TLS
 * client takes. Apart from keys.ts, so that an agent, which issues nothing, has no
 * part of what does.
 */
import { generateKeyPair, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { errorText, SelvageError } from '#base/mod.ts';
import type { RequesterKeys } from '../keys.ts';
import { certificateRequestOf } from './certificate-request.ts';
import { certificateFactsOf } from './certificates.ts';

const generate = promisify(generateKeyPair);

export function createNodeRequesterKeys(): RequesterKeys {
  return {
    createKeyPair: async () => {
      const { publicKey, privateKey } = await generate('ec', {
        namedCurve: 'P-256',
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      });
      return { privateKeyPem: privateKey, publicKeyPem: publicKey };
    },
    createRequest: async (pair, subject) => certificateRequestOf(pair, subject),
    readCertificate: (certificatePem) => {
      try {
        return certificateFactsOf(new X509Certificate(certificatePem));
      } catch (thrown) {
        const message = `not a usable certificate: ${errorText(thrown)}`;
        throw new SelvageError('KEYS_BAD_CERTIFICATE', message, { cause: thrown });
      }
    },
  };
}
