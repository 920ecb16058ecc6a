/** What only a real machine can do to the drivers: raw bytes, silence, full disks, limits. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { createTestAuthority } from '../identities.contract.ts';
import { readBody, type HttpHandler, type HttpServer } from '../http.ts';
import { silentLogger } from '../log-sink.ts';
import type { Listener } from '../net.ts';
import { createNodeHttpServer as createHttpServer } from './http-server.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeHttpServer,
  createNodeKeys,
  createNodeNet,
} from './mod.ts';

const serverTimeoutMs = 10_000;

async function serve(
  handler: HttpHandler,
  server: HttpServer = createNodeHttpServer(),
): Promise<{ listener: Listener; dial: () => Promise<TLSSocket> }> {
  const authority = await createTestAuthority(createNodeKeys(), createNodeClock());
  const listener = await server.listen(
    {
      address: { host: '127.0.0.1', port: 0 },
      connectionsMax: 10,
      tls: {
        credentials: await authority.server('localhost'),
        trustPem: authority.trustPem,
        clientCertificate: 'request',
      },
    },
    handler,
  );
  const dial = async (): Promise<TLSSocket> => {
    const socket = connect({ ...listener.address, ca: authority.trustPem });
    socket.setTimeout(serverTimeoutMs, () => socket.destroy(new Error('no answer')));
    await once(socket, 'secureConnect');
    return socket;
  };
  return { listener, dial };
}

/** Everything that comes back until the server closes. */
async function answerOf(socket: TLSSocket): Promise<string> {
  let text = '';
  for await (const part of socket) text += String(part);
  return text;
}

test('large answers wait for clients that do not read up to a limit, and not for ever', async () => {
  const body = new Uint8Array(24 << 20).fill(97);
  const limits = { sizeBytesMin: 1 << 20, unsentBytesMax: 2 * body.length, stalledMs: 3_000 };
  const { listener, dial } = await serve(
    async ({ path }) => ({ status: 200, headers: {}, body: path === '/large' ? body : 'small' }),
    createHttpServer(silentLogger, limits),
  );
  const ask = async (path: string): Promise<TLSSocket> => {
    const socket = await dial();
    socket.on('error', () => {});
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    return socket;
  };
  const stalled = [await ask('/large'), await ask('/large')];
  for (const socket of stalled) {
    // The head is there, so the answer has begun; nothing more is read.
    await once(socket, 'readable');
  }
  assert.match(
    await answerOf(await ask('/large')),
    /^HTTP\/1\.1 503 [^]*"reason":"ServiceUnavailable"/,
  );
  assert.match(await answerOf(await ask('/small')), /^HTTP\/1\.1 200 [^]*small$/);
  let answer = '';
  while (!answer.startsWith('HTTP/1.1 200')) answer = await answerOf(await ask('/large'));
  assert.ok(answer.length > body.length);
  for (const socket of stalled) socket.destroy();
  await listener.close();
});

test('a request that could be read in two ways is refused before the handler', async () => {
  let handled = 0;
  const { listener, dial } = await serve(async () => {
    handled += 1;
    return { status: 200, headers: {}, body: new Uint8Array(0) };
  });
  const heads = [
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer 1\r\nauthorization: Bearer 2\r\n',
    'GET / HTTP/1.1\r\n',
    'GET http://elsewhere/ HTTP/1.1\r\nHost: a\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n',
    'NONSENSE\r\n',
  ];
  for (const head of heads) {
    const socket = await dial();
    socket.write(`${head}Connection: close\r\n\r\n`);
    const answer = await answerOf(socket);
    assert.match(answer, /^HTTP\/1\.1 400 /, head);
    assert.match(answer, /"kind":"Status"/, head);
  }
  const socket = await dial();
  socket.write(`GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n`);
  assert.match(await answerOf(socket), /^HTTP\/1\.1 431 /);
  assert.equal(handled, 0);
  await listener.close();
});

test('a sender that does not listen until it is done still finds the refusal', async () => {
  const { listener, dial } = await serve(async ({ body }) => {
    await readBody(body, 1_000).catch(() => {});
    return { status: 413, headers: {}, body: Buffer.from('too large') };
  });
  const socket = await dial();
  const sizeBytes = 20_000_000;
  socket.pause();
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${sizeBytes}\r\n\r\n`);
  await new Promise((resolve) => socket.write(Buffer.alloc(sizeBytes), resolve));
  const answer = await answerOf(socket);
  assert.match(answer, /^HTTP\/1\.1 413 /);
  assert.match(answer, /too large$/);
  await listener.close();
});

test('a client that waits for permission to send is refused without sending', async () => {
  const { listener, dial } = await serve(async ({ body, path }) => {
    if (path === '/read') {
      return { status: 200, headers: {}, body: await readBody(body, 100) };
    }
    return { status: 413, headers: {}, body: new Uint8Array(0) };
  });
  const head = 'HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n';
  const refused = await dial();
  refused.write(`POST /refuse ${head}`);
  const [first] = (await once(refused, 'data')) as [Buffer];
  assert.match(first.toString(), /^HTTP\/1\.1 413 /);
  refused.destroy();
  const accepted = await dial();
  accepted.write(`POST /read ${head}`);
  const [permission] = (await once(accepted, 'data')) as [Buffer];
  assert.match(permission.toString(), /^HTTP\/1\.1 100 /);
  accepted.write('four');
  const [answer] = (await once(accepted, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
  accepted.destroy();
  await listener.close();
});

test('a peer that accepts and stays silent is given up on', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const authority = await createTestAuthority(createNodeKeys(), createNodeClock());
  const dialled = createNodeNet().connect({
    address: { host: '127.0.0.1', port: (silent.address() as AddressInfo).port },
    tls: { trustPem: authority.trustPem },
    timeoutMs: 100,
  });
  await assert.rejects(dialled, { code: 'NET_TIMEOUT', retryable: true });
  silent.close();
});

test('a full disk is told as such, and files are for their owner alone', async () => {
  const root = await mkdtemp(join(tmpdir(), 'selvage-io-'));
  const disk = createNodeDisk(root);
  await symlink('/dev/full', join(root, 'full'));
  const file = await disk.open('full', 'write');
  await assert.rejects(file.writeAt(0, [Buffer.from('x')]), { code: 'DISK_NO_SPACE' });
  await file.close();
  await disk.makeDirectory('folder');
  await disk.writeFileAtomic('folder/key', Buffer.from('x'));
  await disk.writeFileAtomic('folder/public', Buffer.from('x'), 0o666);
  const modeOf = async (path: string): Promise<number> =>
    (await stat(join(root, path))).mode & 0o777;
  assert.deepEqual(
    [await modeOf('folder'), await modeOf('folder/key'), await modeOf('folder/public')],
    [0o700, 0o600, 0o666],
  );
  await rm(root, { recursive: true });
});
