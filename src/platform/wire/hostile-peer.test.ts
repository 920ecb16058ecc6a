import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionFailure } from '#base/mod.ts';
import type { Connection, Logger } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeKeys,
  createNodeNet,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { encodeFrame } from './frames.ts';
import { encodeHello } from './handshake.ts';
import { connectionBufferedBytesMax, signalBytesMax } from './limits.ts';
import {
  createConnectionPair,
  defaultLinkLimits,
  openLink,
  type LinkSession,
  type StreamFailure,
  type StreamHandler,
} from './mod.ts';

const clock = createNodeClock();
const timers = createNodeTimers();
const bye = { code: 'LINK_CLOSED', message: 'the test is over' };
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
async function until(what: string, isReached: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!isReached()) {
    assert.ok(performance.now() < endMs, `not within 10 s: ${what}`);
    await turn();
  }
}

async function credentialsFor(name: string) {
  const keys = createNodeKeys();
  const pair = await keys.createKeyPair();
  const profile = {
    subject: { commonName: name, organizations: [] },
    dnsNames: ['hub.test'],
    ipAddresses: [],
    uris: [],
    serialNumber: '01',
    notBeforeMs: Math.floor(Date.now() / 1000) * 1000 - 60_000,
    notAfterMs: Math.floor(Date.now() / 1000) * 1000 + 3_600_000,
  };
  const trustPem = await keys.issueAuthority({ ...profile, usage: 'authority' }, pair);
  const own = await keys.createKeyPair();
  const certificatePem = await keys.issueCertificate(
    { ...profile, serialNumber: '02', usage: 'server-and-client' },
    own.publicKeyPem,
    { certificatePem: trustPem, privateKeyPem: pair.privateKeyPem },
  );
  return { trustPem, credentials: { certificatePem, privateKeyPem: own.privateKeyPem } };
}

interface Parent {
  readonly session: LinkSession;
  readonly closes: (string | undefined)[];
}

/** A parent over real TLS sockets, and ways to reach it by the rules and by none. */
async function serve(onStream: StreamHandler) {
  const { trustPem, credentials } = await credentialsFor('hub');
  const errors: string[] = [];
  const logger: Logger = {
    log: (level, message) => {
      if (level === 'error') errors.push(message);
    },
    with: () => logger,
  };
  const parents: Parent[] = [];
  const net = createNodeNet();
  const listener = await net.listen(
    {
      address: { host: '127.0.0.1', port: 0 },
      connectionsMax: 100,
      tls: { credentials, trustPem, clientCertificate: 'require' },
    },
    (connection) => {
      openLink(
        { connection, clock, timers, logger },
        {
          role: 'parent',
          product: 'hub',
          onStream,
          onOpen(session) {
            const closes: (string | undefined)[] = [];
            parents.push({ session, closes });
            session.onClose((failure) => closes.push(failure?.code));
          },
        },
      ).catch(() => undefined);
    },
  );
  const connect = (): Promise<Connection> =>
    net.connect({
      address: listener.address,
      tls: { trustPem, serverName: 'hub.test', credentials },
      timeoutMs: 5000,
    });
  const openChild = async (): Promise<LinkSession> =>
    openLink(
      { connection: await connect(), clock, timers, logger },
      { role: 'child', product: 'child', onStream() {} },
    );
  return { connect, openChild, parents, errors, close: () => listener.close() };
}

const hello = encodeFrame(
  'hello',
  'control',
  0,
  encodeHello('child', 'hostile', defaultLinkLimits, undefined),
);

async function echo(session: LinkSession): Promise<number | undefined> {
  const answer = await session.request('control', 'echo', {}, Uint8Array.of(7), 5000);
  return answer[0];
}

test('a listener in which an assertion fails over what a peer sent ends that link and no other', async () => {
  const parent = await serve((method, _parameters, stream) => {
    if (method === 'in-the-handler') throw new AssertionFailure('planted: handler');
    stream.onMessage(async (message) => {
      if (method === 'at-once') throw new AssertionFailure('planted: at once');
      if (method === 'later') {
        await turn();
        throw new AssertionFailure('planted: later');
      }
      await stream.send(message);
      stream.end();
    });
  });
  const good = await parent.openChild();
  const methods = ['in-the-handler', 'at-once', 'later'];
  for (const [index, method] of methods.entries()) {
    const bad = await parent.openChild();
    const closed = new Promise<StreamFailure | undefined>((resolve) => bad.onClose(resolve));
    void bad.open('control', method, {}).send(Uint8Array.of(1));
    // What failed here is nothing that the other side can mend: it hears no more of it.
    assert.deepEqual(await closed, { code: 'LINK_FAILED', message: 'the other side failed' });
    assert.equal(parent.errors.length, index + 1, parent.errors.join());
    assert.match(parent.errors[index] ?? '', /an assertion failed: .*planted/);
    assert.equal(await echo(good), 7);
  }
  assert.equal(await echo(await parent.openChild()), 7);
  await parent.close();
});

test('a peer that makes the other side speak and does not read loses its link within a bound', async () => {
  const parent = await serve((_method, _parameters, stream) => {
    stream.onMessage(async (message) => {
      await stream.send(message);
      stream.end();
    });
  });
  const good = await parent.openChild();
  const connection = await parent.connect();
  connection.onData(() => {});
  connection.write(hello);
  await until('the handshake', () => parent.parents.length === 2);
  const isOver = (): boolean => parent.parents[1]?.closes.length === 1;
  connection.pause();
  // Every stream beyond the allowed ones is refused with a frame of its own.
  let id = 1;
  const flood = async (): Promise<void> => {
    while (!isOver() && id < 2_000_001) {
      const frames: Uint8Array[] = [];
      for (let count = 0; count < 500; count += 1) {
        frames.push(encodeFrame('open', 'control', id, new TextEncoder().encode(openText)));
        id += 2;
      }
      connection.write(Buffer.concat(frames));
      await until('the flood is taken', () => isOver() || connection.bufferedBytes() < 1_000_000);
    }
  };
  const openText = '{"method":"echo","parameters":{}}';
  const before = process.memoryUsage().rss;
  await flood();
  assert.deepEqual(parent.parents[1]?.closes, ['LINK_QUEUE_FULL'], `after ${id / 2} streams`);
  const grownBytes = process.memoryUsage().rss - before;
  assert.ok(grownBytes < 150_000_000, `${grownBytes} bytes more`);
  assert.equal(await echo(good), 7);
  connection.destroy();
  await parent.close();
});

test('a listener that fails when the peer goes away keeps no other from hearing of it', async () => {
  const heard: string[] = [];
  let streams = 0;
  const parent = await serve((method, _parameters, stream) => {
    streams += 1;
    stream.onMessage(() => undefined);
    stream.onClose(() => {
      heard.push(method);
      throw new AssertionFailure('planted: at the end');
    });
  });
  try {
    const good = await parent.openChild();
    const bad = await parent.openChild();
    for (const method of ['a', 'b']) bad.open('control', method, {});
    await until('both streams are open', () => streams === 2);
    parent.parents[1]?.session.onClose(() => heard.push('session'));
    bad.close(bye);
    await until('all have heard', () => heard.includes('session'));
    assert.deepEqual(heard, ['a', 'b', 'session']);
    assert.equal(parent.errors.length, 2);
    assert.equal(parent.parents[0]?.closes.length, 0);
    good.close(bye);
  } finally {
    await parent.close();
  }
});

test('what waits for a side that does not read stays within its bound, in the connection and here', async () => {
  const [parent, child] = createConnectionPair();
  let session: LinkSession | undefined;
  const closes: (string | undefined)[] = [];
  let writtenBytes = 0;
  const write = parent.write.bind(parent);
  parent.write = (bytes) => {
    writtenBytes += bytes.length;
    write(bytes);
  };
  const logger: Logger = { log: () => {}, with: () => logger };
  const opened = openLink(
    { connection: parent, clock, timers, logger },
    {
      role: 'parent',
      product: 'hub',
      onStream() {},
      onOpen(open) {
        session = open;
        open.onClose((failure) => closes.push(failure?.code));
      },
    },
  );
  child.write(hello);
  await opened;
  // The child takes nothing: all that the parent says stays in its connection.
  child.pause();
  child.onData(() => {});
  const beat = encodeFrame('beat', 'control', 0, Uint8Array.of(0, 0, 0, 1));
  let beats = 0;
  while (closes.length === 0 && beats < 1_000_000) {
    for (let count = 0; count < 1000; count += 1) child.write(beat);
    beats += 1000;
    await turn();
  }
  assert.deepEqual(closes, ['LINK_QUEUE_FULL']);
  assert.ok(writtenBytes < 2 * connectionBufferedBytesMax, `${writtenBytes} were written`);
  const saidBytes = beats * beat.length;
  assert.ok(saidBytes > signalBytesMax && saidBytes < 1.2 * signalBytesMax, `${saidBytes}`);
  // From this side, streams are refused one by one before that.
  assert.ok(session !== undefined);
  await assert.rejects(session.request('control', 'x', {}, new Uint8Array(0), 1000), {
    code: 'LINK_QUEUE_FULL',
  });
});

test('bytes without sense over real sockets end their links, and the others go on', async () => {
  const parent = await serve((_method, _parameters, stream) => {
    stream.onMessage(async (message) => {
      await stream.send(message);
      stream.end();
    });
  });
  const good = await parent.openChild();
  let state = 12_345;
  const random = (bound: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % bound;
  };
  for (let round = 0; round < 60; round += 1) {
    const connection = await parent.connect();
    let isClosed = false;
    connection.onData(() => {});
    connection.onClose(() => (isClosed = true));
    if (round % 2 === 0) connection.write(hello);
    const parts = Array.from({ length: 1 + random(6) }, () => {
      const kind = random(14);
      const payload = Uint8Array.from({ length: random(20) }, () => random(256));
      return [kind | (random(4) << 4), 0, 0, payload.length, 0, 0, 0, random(6), ...payload];
    });
    connection.write(Uint8Array.from(parts.flat()));
    if (round % 3 === 0) await turn();
    connection.end();
    await until('the parent ends it too', () => isClosed);
    if (round % 10 === 0) assert.equal(await echo(good), 7);
  }
  assert.equal(await echo(good), 7);
  assert.deepEqual(parent.errors, []);
  good.close(bye);
  await parent.close();
});
