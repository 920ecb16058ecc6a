/**
 * Key generation, signing and certificates. Private keys are PEM text that
 * only this port and the disk ever see.
 */

export interface KeyPair {
  readonly privateKeyPem: string;
  readonly publicKeyPem: string;
}

export interface CertificateSubject {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

export interface CertificateRequest {
  readonly subject: CertificateSubject;
  readonly publicKeyPem: string;
}

export interface CertificateProfile {
  readonly subject: CertificateSubject;
  /** DNS names, IP addresses and SPIFFE URIs. */
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly usage: 'authority' | 'server' | 'client' | 'server-and-client';
}

export interface CertificateFacts {
  readonly subject: CertificateSubject;
  readonly uris: readonly string[];
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKeyPem: string;
}

export interface Keys {
  createKeyPair(): Promise<KeyPair>;
  /** PEM of a PKCS#10 request signed by the pair. */
  createRequest(pair: KeyPair, subject: CertificateSubject): Promise<string>;
  /**
   * Parses and verifies the request's own signature; throws SelvageError KEYS_BAD_REQUEST.
   * `any`: also keys that `createKeyPair` does not make, as people's tools do: ECDSA over
   * P-384, Ed25519, RSA of 2048 bits and more.
   */
  readRequest(requestPem: string, keyForm?: 'own' | 'any'): Promise<CertificateRequest>;
  /** PEM of a certificate over `publicKeyPem`, signed by the issuer (self-signed where absent). */
  issueCertificate(
    profile: CertificateProfile,
    publicKeyPem: string,
    issuer: { readonly certificatePem: string; readonly privateKeyPem: string },
  ): Promise<string>;
  issueAuthority(profile: CertificateProfile, pair: KeyPair): Promise<string>;
  readCertificate(certificatePem: string): CertificateFacts;
  /**
   * The signature of a message by a key of `createKeyPair`, as JSON Web Signatures carry
   * it (ES256: the two numbers of ECDSA over SHA-256, 32 bytes each).
   */
  sign(privateKeyPem: string, message: Uint8Array): Promise<Uint8Array>;
  /** Whether it is such a signature, by the key that belongs to `publicKeyPem`. */
  verify(publicKeyPem: string, message: Uint8Array, signature: Uint8Array): boolean;
  /** The public key as a JSON Web Key, with the fields that say what it is and no others. */
  publicKeyAsJson(publicKeyPem: string): Readonly<Record<string, string>>;
}

/** The part of it that one who asks for certificates, and issues none, needs. */
export type RequesterKeys = Pick<Keys, 'createKeyPair' | 'createRequest' | 'readCertificate'>;
