// Trust is looked at on every connection, also on one that resumes a TLS session: what TLS
// remembers of the first one tells of the past.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { createTestAuthority } from '../identities.contract.ts';
import type { Address, Credentials } from '../net.ts';
import { createNodeClock, createNodeHttpServer, createNodeKeys, createNodeNet } from './mod.ts';

const silentMsMax = 5_000;

interface Attempt {
  /** What the server wrote before it closed. */
  readonly text: string;
  readonly isReused: boolean;
  readonly session: Buffer | undefined;
}

/** One connection until the server has closed it, or has answered `until`. */
function attempt(
  address: Address,
  tls: { readonly trustPem: string; readonly credentials: Credentials },
  options: { readonly session?: Buffer; readonly say?: string; readonly until: RegExp },
): Promise<Attempt> {
  return new Promise((resolve) => {
    let text = '';
    let session: Buffer | undefined;
    let isReused = false;
    const socket: TLSSocket = connect({
      ...{ host: address.host, port: address.port, servername: 'hub.test' },
      ca: tls.trustPem,
      cert: tls.credentials.certificatePem,
      key: tls.credentials.privateKeyPem,
      ...(options.session === undefined ? {} : { session: options.session }),
    });
    const finish = (): void => {
      const hasTicket = session !== undefined || options.session !== undefined;
      if (hasTicket && options.until.test(text)) socket.destroy();
    };
    socket.on('secureConnect', () => {
      isReused = socket.isSessionReused();
      if (options.say !== undefined) socket.write(options.say);
    });
    socket.on('session', (ticket) => {
      session = ticket;
      finish();
    });
    socket.on('data', (bytes) => {
      text += bytes.toString('utf8');
      finish();
    });
    // What the server says nothing to is held against what it should have said.
    socket.setTimeout(silentMsMax, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => resolve({ text, isReused, session }));
  });
}

async function place() {
  const revoked = new Set<string>();
  const authority = await createTestAuthority(createNodeKeys(), createNodeClock());
  const { trustPem } = authority;
  const credentials = await authority.client({ commonName: 'n1', serialNumber: 'abcdef01' });
  return {
    revoked,
    client: { trustPem, credentials },
    listening: {
      address: { host: '127.0.0.1', port: 0 },
      connectionsMax: 10,
      tls: {
        credentials: await authority.server('hub.test'),
        trustPem,
        clientCertificate: 'require' as const,
        isRevoked: (serialNumber: string) => revoked.has(serialNumber),
      },
    },
  };
}

test('a link that resumes a session is known by its certificate, and refused once that is revoked', async () => {
  const { revoked, client, listening } = await place();
  const peers: (string | undefined)[] = [];
  const listener = await createNodeNet().listen(listening, (connection) => {
    peers.push(connection.peer?.commonName);
    connection.write(Buffer.from('welcome'));
  });
  const until = /welcome/;
  const first = await attempt(listener.address, client, { until });
  const session = first.session ?? Buffer.alloc(0);
  const resumed = await attempt(listener.address, client, { session, until });
  assert.deepEqual([first.isReused, resumed.isReused], [false, true], 'there is a session to try');
  assert.deepEqual(peers, ['n1', 'n1']);
  revoked.add('abcdef01');
  const refused = await attempt(listener.address, client, { session, until });
  assert.deepEqual([refused.isReused, refused.text], [true, '']);
  assert.equal(peers.length, 2, 'it never gets in');
  await listener.close();
});

test('a request over a resumed session is nobody’s once the certificate is revoked', async () => {
  const { revoked, client, listening } = await place();
  const peers: (string | undefined)[] = [];
  const listener = await createNodeHttpServer().listen(listening, async (request) => {
    peers.push(request.peer?.commonName);
    return { status: 200, headers: {}, body: Buffer.from('answered') };
  });
  const say = 'GET / HTTP/1.1\r\nhost: hub.test\r\n\r\n';
  const until = /answered/;
  const first = await attempt(listener.address, client, { say, until });
  const session = first.session ?? Buffer.alloc(0);
  const resumed = await attempt(listener.address, client, { session, say, until });
  assert.deepEqual([first.isReused, resumed.isReused], [false, true], 'there is a session to try');
  assert.deepEqual(peers, ['n1', 'n1']);
  revoked.add('abcdef01');
  const refused = await attempt(listener.address, client, { session, say, until: /^HTTP.* / });
  assert.equal(refused.isReused, true);
  assert.doesNotMatch(refused.text, /answered/);
  assert.ok(!peers.slice(2).includes('n1'), 'it is not taken for the node');
  await listener.close();
});
