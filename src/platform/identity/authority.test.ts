/** The authority over the real disk and keys, and its certificates over real TLS. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NetError, type Connection, type Credentials } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeKeys,
  createNodeNet,
  createNodeRandom,
} from '#platform/io/node/mod.ts';
import { nodeSubject, openCertificateAuthority, userOf, type CertificateAuthority } from './mod.ts';

const keys = createNodeKeys();
const clock = createNodeClock();
const hourMs = 3_600_000;

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'selvage-identity-'));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const openAt = (folder: string): Promise<CertificateAuthority> =>
  openCertificateAuthority({
    disk: createNodeDisk(folder),
    keys,
    clock,
    random: createNodeRandom(),
  });

async function nodeCredentials(
  authority: CertificateAuthority,
  nodeName: string,
): Promise<Credentials> {
  const pair = await keys.createKeyPair();
  const requestPem = await keys.createRequest(pair, nodeSubject(nodeName));
  return {
    certificatePem: await authority.issueNode(requestPem, nodeName, { lifetimeMs: hourMs }),
    privateKeyPem: pair.privateKeyPem,
  };
}

test('an authority is made once, kept for this user alone, and reopened as it was', () =>
  withFolder(async (folder) => {
    const first = await openAt(folder);
    assert.equal((await stat(join(folder, 'authority.json'))).mode & 0o777, 0o600);
    const again = await openAt(folder);
    assert.equal(again.caPem, first.caPem);
    const facts = keys.readCertificate(again.caPem);
    const yearsLeft = (facts.notAfterMs - clock.wallMs()) / (365 * 24 * hourMs);
    assert.ok(yearsLeft > 9.9 && yearsLeft < 10.1, String(yearsLeft));
  }));

test('what is on disk and is no authority is refused, never replaced', () =>
  withFolder(async (folder) => {
    for (const text of ['', '{}', '{"format":1,"certificatePem":"x","privateKeyPem":"y"}']) {
      await writeFile(join(folder, 'authority.json'), text);
      await assert.rejects(openAt(folder), { code: 'IDENTITY_AUTHORITY_BROKEN' });
    }
  }));

test('serial numbers are positive, 128 bits long and differ', () =>
  withFolder(async (folder) => {
    const authority = await openAt(folder);
    const serials = new Set<string>();
    for (let round = 0; round < 8; round += 1) {
      const issued = await authority.issueClient({ commonName: 'admin', organizations: [] });
      serials.add(keys.readCertificate(issued.certificatePem).serialNumber);
    }
    assert.equal(serials.size, 8);
    for (const serial of serials) assert.match(serial, /^[4-7][0-9a-f]{31}$/);
  }));

test('only issueNode makes a node, and no certificate outlives the authority', () =>
  withFolder(async (folder) => {
    const authority = await openAt(folder);
    await assert.rejects(
      authority.issueClient({ commonName: 'system:node:n1', organizations: [] }),
      /only issueNode/,
    );
    await assert.rejects(
      authority.issueClient({ commonName: 'n1', organizations: ['system:nodes'] }),
      /only issueNode/,
    );
    const long = await authority.issueClient({
      commonName: 'admin',
      organizations: ['system:masters'],
      lifetimeMs: 100 * 365 * 24 * hourMs,
    });
    assert.equal(
      keys.readCertificate(long.certificatePem).notAfterMs,
      keys.readCertificate(authority.caPem).notAfterMs,
    );
  }));

test('a node reaches a server over TLS by issued certificates; another fleet does not', () =>
  withFolder(async (folder) => {
    const authority = await openAt(join(folder, 'ours'));
    const stranger = await openAt(join(folder, 'theirs'));
    const net = createNodeNet();
    const arrived: Connection[] = [];
    const waiting = Promise.withResolvers<Connection>();
    const listener = await net.listen(
      {
        address: { host: '127.0.0.1', port: 0 },
        connectionsMax: 10,
        tls: {
          credentials: await authority.issueServer({
            dnsNames: ['localhost'],
            ipAddresses: ['127.0.0.1'],
          }),
          trustPem: authority.caPem,
          clientCertificate: 'require',
        },
      },
      (connection) => {
        arrived.push(connection);
        waiting.resolve(connection);
      },
    );
    const connect = (credentials: Credentials, trustPem = authority.caPem): Promise<Connection> =>
      net.connect({ address: listener.address, tls: { credentials, trustPem }, timeoutMs: 5_000 });

    const near = await connect(await nodeCredentials(authority, 'n1'));
    assert.equal(near.peer?.commonName, 'localhost');
    const { peer } = await waiting.promise;
    assert.deepEqual(peer?.uris, ['spiffe://selvage/node/n1']);
    assert.deepEqual(userOf(peer), {
      name: 'system:node:n1',
      groups: ['system:nodes', 'system:authenticated'],
      nodeName: 'n1',
    });

    const forged = await nodeCredentials(stranger, 'n1');
    await assert.rejects(connect(forged, stranger.caPem), { code: 'NET_UNTRUSTED' });
    // In TLS 1.3 a client may be through its handshake before it is turned away.
    await connect(forged).then(
      (connection) =>
        new Promise<unknown>((resolve) => {
          connection.onClose(resolve);
          connection.onData(() => {});
        }),
      (thrown: unknown) => assert.ok(thrown instanceof NetError, String(thrown)),
    );
    assert.equal(arrived.length, 1);
    await listener.close();
  }));

test('a user is what name and groups say together', () => {
  const peerOf = (commonName: string, organizations: readonly string[]) => ({
    commonName,
    organizations,
    uris: [],
    serialNumber: '40',
    notAfterMs: 0,
  });
  assert.deepEqual(userOf(undefined), {
    name: 'system:anonymous',
    groups: ['system:unauthenticated'],
  });
  assert.deepEqual(userOf(peerOf('admin', ['system:masters'])), {
    name: 'admin',
    groups: ['system:masters', 'system:authenticated'],
  });
  for (const peer of [
    peerOf('system:node:n1', ['system:masters']),
    peerOf('n1', ['system:nodes']),
    peerOf('system:node:', ['system:nodes']),
  ]) {
    assert.equal(userOf(peer).nodeName, undefined);
  }
});
