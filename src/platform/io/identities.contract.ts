/** An authority and identities for the suites of Net and HTTP, made by the Keys port. */
import type { Clock } from './clock.ts';
import type { Keys } from './keys.ts';
import type { Credentials } from './net.ts';

const hourMs = 3_600_000;

export interface TestAuthority {
  readonly trustPem: string;
  /** A server's credentials for `dnsName` and the loopback addresses. */
  server(dnsName: string): Promise<Credentials>;
  /** `lifetimeMs` may be negative: expired. */
  client(options: {
    readonly commonName: string;
    readonly organizations?: readonly string[];
    readonly uris?: readonly string[];
    readonly serialNumber?: string;
    readonly lifetimeMs?: number;
  }): Promise<Credentials>;
}

/** A fresh authority; `name` only tells several apart. */
export async function createTestAuthority(
  keys: Keys,
  clock: Clock,
  name = 'Selvage test authority',
): Promise<TestAuthority> {
  const nowMs = Math.floor(clock.wallMs() / 1000) * 1000;
  const authorityPair = await keys.createKeyPair();
  const common = { dnsNames: [], ipAddresses: [], uris: [], notBeforeMs: nowMs - 2 * hourMs };
  const trustPem = await keys.issueAuthority(
    {
      ...common,
      subject: { commonName: name, organizations: [] },
      serialNumber: '01',
      notAfterMs: nowMs + 24 * hourMs,
      usage: 'authority',
    },
    authorityPair,
  );
  const issuer = { certificatePem: trustPem, privateKeyPem: authorityPair.privateKeyPem };
  let issued = 0x10;
  const nextSerial = (): string => (issued += 1).toString(16);
  return {
    trustPem,
    server: async (dnsName) => {
      const pair = await keys.createKeyPair();
      const certificatePem = await keys.issueCertificate(
        {
          ...common,
          subject: { commonName: dnsName, organizations: [] },
          dnsNames: [dnsName],
          ipAddresses: ['127.0.0.1', '::1'],
          serialNumber: nextSerial(),
          notAfterMs: nowMs + hourMs,
          usage: 'server',
        },
        pair.publicKeyPem,
        issuer,
      );
      return { certificatePem, privateKeyPem: pair.privateKeyPem };
    },
    client: async (options) => {
      const pair = await keys.createKeyPair();
      const certificatePem = await keys.issueCertificate(
        {
          ...common,
          subject: {
            commonName: options.commonName,
            organizations: options.organizations ?? [],
          },
          uris: options.uris ?? [],
          serialNumber: options.serialNumber ?? nextSerial(),
          notAfterMs: nowMs + (options.lifetimeMs ?? hourMs),
          usage: 'client',
        },
        pair.publicKeyPem,
        issuer,
      );
      return { certificatePem, privateKeyPem: pair.privateKeyPem };
    },
  };
}
