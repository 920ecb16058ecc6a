/** What every driver of the Keys port must do. */
import assert from 'node:assert/strict';
import { SelvageError, utf8 } from '#base/mod.ts';
import type { CertificateProfile, Keys } from './keys.ts';
import { contractCase, rejection, type Harness } from './harness.contract.ts';

export interface KeysHarness extends Harness {
  readonly keys: Keys;
}

const hourMs = 3_600_000;
const profileOf = (changes: Partial<CertificateProfile>): CertificateProfile => ({
  subject: { commonName: 'Selvage test authority', organizations: [] },
  dnsNames: [],
  ipAddresses: [],
  uris: [],
  serialNumber: '01',
  // Whole seconds: certificates carry no finer time.
  notBeforeMs: 1_800_000_000_000,
  notAfterMs: 1_800_000_000_000 + hourMs,
  usage: 'authority',
  ...changes,
});

/** Registers the cases of the Keys port. */
export function keysContract(name: string, open: () => Promise<KeysHarness>): void {
  const check = (behaviour: string, body: (opened: KeysHarness) => Promise<void>): void =>
    contractCase(`keys (${name}): ${behaviour}`, open, body);

  check('two pairs differ, and a private key is PEM', async ({ keys }) => {
    const [one, two] = [await keys.createKeyPair(), await keys.createKeyPair()];
    assert.notEqual(one.privateKeyPem, two.privateKeyPem);
    assert.notEqual(one.publicKeyPem, two.publicKeyPem);
    assert.match(one.privateKeyPem, /^-----BEGIN PRIVATE KEY-----\n/);
    assert.match(one.publicKeyPem, /^-----BEGIN PUBLIC KEY-----\n/);
  });

  check('a request says who asks, for which key', async ({ keys }) => {
    const pair = await keys.createKeyPair();
    const subject = { commonName: 'system:node:n1', organizations: ['system:nodes', 'a, b=c'] };
    const requestPem = await keys.createRequest(pair, subject);
    assert.match(requestPem, /^-----BEGIN CERTIFICATE REQUEST-----\n/);
    assert.deepEqual(await keys.readRequest(requestPem), {
      subject,
      publicKeyPem: pair.publicKeyPem,
    });
  });

  check('a request that is broken or signed by another key is refused', async ({ keys }) => {
    const pair = await keys.createKeyPair();
    const other = await keys.createKeyPair();
    const forged = await keys.createRequest(
      { publicKeyPem: other.publicKeyPem, privateKeyPem: pair.privateKeyPem },
      { commonName: 'system:node:n1', organizations: [] },
    );
    const good = await keys.createRequest(pair, { commonName: 'n1', organizations: [] });
    const lines = good.split('\n');
    const cut = [...lines.slice(0, 2), ...lines.slice(3)].join('\n');
    for (const requestPem of [forged, cut, '', 'nonsense', pair.publicKeyPem]) {
      const thrown = await rejection(keys.readRequest(requestPem));
      assert.ok(thrown instanceof SelvageError, String(thrown));
      assert.equal(thrown.code, 'KEYS_BAD_REQUEST');
    }
  });

  check('an issued certificate carries exactly what its profile says', async ({ keys }) => {
    const authorityPair = await keys.createKeyPair();
    const authorityPem = await keys.issueAuthority(profileOf({}), authorityPair);
    assert.match(authorityPem, /^-----BEGIN CERTIFICATE-----\n/);
    const pair = await keys.createKeyPair();
    const profile = profileOf({
      subject: { commonName: 'system:node:n1', organizations: ['system:nodes', 'Ünï, x+y'] },
      dnsNames: ['n1.example'],
      ipAddresses: ['127.0.0.1', '::1'],
      uris: ['spiffe://selvage/node/n1'],
      serialNumber: '7f00ab00000000000000000000000001',
      usage: 'server-and-client',
    });
    const certificatePem = await keys.issueCertificate(profile, pair.publicKeyPem, {
      certificatePem: authorityPem,
      privateKeyPem: authorityPair.privateKeyPem,
    });
    assert.deepEqual(keys.readCertificate(certificatePem), {
      subject: profile.subject,
      uris: profile.uris,
      serialNumber: profile.serialNumber,
      notBeforeMs: profile.notBeforeMs,
      notAfterMs: profile.notAfterMs,
      publicKeyPem: pair.publicKeyPem,
    });
    assert.deepEqual(keys.readCertificate(authorityPem).subject, profileOf({}).subject);
  });

  check('a signature is good for its message and its key, and no others', async ({ keys }) => {
    const [pair, other] = [await keys.createKeyPair(), await keys.createKeyPair()];
    const message = utf8('header.payload');
    const signature = await keys.sign(pair.privateKeyPem, message);
    assert.deepEqual(
      [
        keys.verify(pair.publicKeyPem, message, signature),
        keys.verify(pair.publicKeyPem, utf8('header.other'), signature),
        keys.verify(other.publicKeyPem, message, signature),
        keys.verify(pair.publicKeyPem, message, signature.slice(1)),
        keys.verify(pair.publicKeyPem, message, new Uint8Array(0)),
      ],
      [true, false, false, false, false],
    );
    const shown = keys.publicKeyAsJson(pair.publicKeyPem);
    assert.notDeepEqual(shown, keys.publicKeyAsJson(other.publicKeyPem));
    assert.equal(typeof shown['kty'], 'string');
    assert.equal(shown['d'], undefined, 'nothing of the private key');
  });

  check('what is no certificate is refused', async ({ keys }) => {
    for (const text of ['', 'nonsense', (await keys.createKeyPair()).publicKeyPem]) {
      assert.throws(
        () => keys.readCertificate(text),
        (thrown) => thrown instanceof SelvageError && thrown.code === 'KEYS_BAD_CERTIFICATE',
      );
    }
  });
}
