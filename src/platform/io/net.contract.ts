/** What every driver of the Net port must do. */
import assert from 'node:assert/strict';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import type { Clock } from './clock.ts';
import { contractCase, eventually, rejection, type TimedHarness } from './harness.contract.ts';
import { createTestAuthority, type TestAuthority } from './identities.contract.ts';
import type { Keys } from './keys.ts';
import { NetError, type ClientTls, type Connection, type Net, type ServerTls } from './net.ts';

export interface NetHarness extends TimedHarness {
  readonly serverNet: Net;
  readonly clientNet: Net;
  /** Where the server side listens and the client side finds it. */
  readonly host: string;
  readonly keys: Keys;
  readonly clock: Clock;
}

interface Recorded {
  readonly connection: Connection;
  readonly received: () => Uint8Array;
  readonly closes: (Error | undefined)[];
  readonly dataAfterClose: () => number;
}

function record(connection: Connection): Recorded {
  const parts: Uint8Array[] = [];
  const closes: (Error | undefined)[] = [];
  let dataAfterClose = 0;
  connection.onData((bytes) => {
    parts.push(bytes.slice());
    if (closes.length > 0) dataAfterClose += 1;
  });
  connection.onClose((error) => closes.push(error));
  return {
    connection,
    received: () => concatBytes(parts),
    closes,
    dataAfterClose: () => dataAfterClose,
  };
}

const pattern = (sizeBytes: number): Uint8Array =>
  Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 7 + (index >> 8)) % 256);

/** Registers the cases of the Net port. */
export function netContract(name: string, open: () => Promise<NetHarness>): void {
  const check = (
    behaviour: string,
    body: (opened: NetHarness, authority: TestAuthority) => Promise<void>,
  ): void =>
    contractCase(`net (${name}): ${behaviour}`, open, async (opened) => {
      await body(opened, await createTestAuthority(opened.keys, opened.clock));
    });

  /** A listener that records what reaches it, and a way to connect to it. */
  async function serve(
    opened: NetHarness,
    authority: TestAuthority,
    changes: Partial<ServerTls> = {},
    connectionsMax = 100,
  ) {
    const accepted: Recorded[] = [];
    const listener = await opened.serverNet.listen(
      {
        address: { host: opened.host, port: 0 },
        connectionsMax,
        tls: {
          credentials: await authority.server('hub.test'),
          trustPem: authority.trustPem,
          clientCertificate: 'require',
          ...changes,
        },
      },
      (connection) => accepted.push(record(connection)),
    );
    const connect = (tls: Partial<ClientTls>): Promise<Connection> =>
      opened.clientNet.connect({
        address: listener.address,
        tls: { trustPem: authority.trustPem, serverName: 'hub.test', ...tls },
        timeoutMs: 5_000,
      });
    /** Connects where the server must turn the client away: it rejects or it closes. */
    const turnedAway = async (tls: Partial<ClientTls>): Promise<void> => {
      const before = accepted.length;
      try {
        const connection = record(await connect(tls));
        await eventually(opened, 'the server closes', () => connection.closes.length > 0);
        assert.equal(connection.received().length, 0);
      } catch (thrown) {
        assert.ok(thrown instanceof NetError, String(thrown));
      }
      await opened.passTime(20);
      assert.equal(accepted.length, before, 'it never reaches onConnection');
    };
    /** Connects and gives both ends. */
    const pair = async (tls: Partial<ClientTls>): Promise<{ near: Recorded; far: Recorded }> => {
      const before = accepted.length;
      const near = record(await connect(tls));
      await eventually(opened, 'the server accepts', () => accepted.length > before);
      const far = accepted[before];
      assert.ok(far !== undefined);
      return { near, far };
    };
    return { listener, accepted, connect, turnedAway, pair };
  }

  check('each side knows who the other is, and bytes go both ways', async (opened, authority) => {
    const { listener, pair } = await serve(opened, authority);
    const uris = ['spiffe://selvage/node/n1'];
    const credentials = await authority.client({
      commonName: 'system:node:n1',
      organizations: ['system:nodes', 'a, b'],
      uris,
      serialNumber: '0a0b0c0d',
    });
    const { near, far } = await pair({ credentials });
    assert.deepEqual(far.connection.peer, {
      commonName: 'system:node:n1',
      organizations: ['system:nodes', 'a, b'],
      uris,
      serialNumber: '0a0b0c0d',
      notAfterMs: opened.keys.readCertificate(credentials.certificatePem).notAfterMs,
    });
    assert.equal(near.connection.peer?.commonName, 'hub.test');
    assert.ok(far.connection.remoteAddress !== '');
    const large = pattern(300_000);
    near.connection.write(utf8('up'));
    far.connection.write(large.subarray(0, 100_000));
    far.connection.write(large.subarray(100_000));
    await eventually(opened, 'all bytes arrive', () => near.received().length >= large.length);
    assert.deepEqual(near.received(), large);
    await eventually(opened, 'the few bytes arrive', () => far.received().length >= 2);
    assert.equal(textOf(far.received()), 'up');
    await listener.close();
    await eventually(opened, 'the listener took its connections along', () =>
      [near, far].every((side) => side.closes.length === 1),
    );
  });

  check(
    'a required certificate is required: none, expired, of another authority',
    async (...of) => {
      const [opened, authority] = of;
      const { listener, turnedAway, pair } = await serve(opened, authority);
      const stranger = await createTestAuthority(opened.keys, opened.clock, 'Another authority');
      const namesake = await createTestAuthority(opened.keys, opened.clock);
      await turnedAway({});
      await turnedAway({ credentials: await stranger.client({ commonName: 'system:node:n1' }) });
      await turnedAway({ credentials: await namesake.client({ commonName: 'system:node:n1' }) });
      await turnedAway({
        credentials: await authority.client({ commonName: 'system:node:n1', lifetimeMs: -60_000 }),
      });
      // And none of that harmed the listener.
      await pair({ credentials: await authority.client({ commonName: 'system:node:n1' }) });
      await listener.close();
    },
  );

  check('without a certificate the peer is unknown where one is only asked for', async (...of) => {
    const [opened, authority] = of;
    const { listener, pair, turnedAway } = await serve(opened, authority, {
      clientCertificate: 'request',
    });
    const { far } = await pair({});
    assert.equal(far.connection.peer, undefined);
    const known = await pair({ credentials: await authority.client({ commonName: 'admin' }) });
    assert.equal(known.far.connection.peer?.commonName, 'admin');
    const stranger = await createTestAuthority(opened.keys, opened.clock, 'Another authority');
    await turnedAway({ credentials: await stranger.client({ commonName: 'admin' }) });
    await listener.close();
  });

  check('revocation holds from the next connection on', async (opened, authority) => {
    const revoked = new Set<string>();
    const { listener, pair, turnedAway } = await serve(opened, authority, {
      isRevoked: (serialNumber) => revoked.has(serialNumber),
    });
    const credentials = await authority.client({ commonName: 'n1', serialNumber: 'abcdef01' });
    const { near } = await pair({ credentials });
    near.connection.end();
    await eventually(opened, 'closed', () => near.closes.length === 1);
    revoked.add('abcdef01');
    await turnedAway({ credentials });
    await listener.close();
  });

  check('a server that cannot be trusted is refused by the client', async (opened, authority) => {
    const { listener, connect } = await serve(opened, authority, { clientCertificate: 'request' });
    const stranger = await createTestAuthority(opened.keys, opened.clock, 'Another authority');
    for (const tls of [{ trustPem: stranger.trustPem }, { serverName: 'elsewhere.test' }]) {
      const thrown = await rejection(connect(tls));
      assert.ok(thrown instanceof NetError, String(thrown));
      assert.equal(thrown.code, 'NET_UNTRUSTED');
    }
    await listener.close();
  });

  check('nobody listening is a refusal', async (opened, authority) => {
    const { listener, connect } = await serve(opened, authority);
    await listener.close();
    const thrown = await rejection(connect({}));
    assert.ok(thrown instanceof NetError, String(thrown));
    assert.equal(thrown.code, 'NET_REFUSED');
    assert.equal(thrown.retryable, true);
  });

  check('end sends what is queued first; both sides close once', async (opened, authority) => {
    const { listener, pair } = await serve(opened, authority);
    const credentials = await authority.client({ commonName: 'n1' });
    const { near, far } = await pair({ credentials });
    const large = pattern(2_000_000);
    near.connection.write(large);
    near.connection.end();
    await eventually(opened, 'both sides closed', () =>
      [near, far].every((side) => side.closes.length > 0),
    );
    assert.deepEqual(far.received(), large);
    near.connection.destroy();
    far.connection.destroy();
    await opened.passTime(20);
    for (const side of [near, far]) {
      assert.equal(side.closes.length, 1);
      assert.equal(side.dataAfterClose(), 0);
    }
    await listener.close();
  });

  check('destroy closes both sides', async (opened, authority) => {
    const { listener, pair } = await serve(opened, authority);
    const credentials = await authority.client({ commonName: 'n1' });
    const { near, far } = await pair({ credentials });
    far.connection.destroy();
    await eventually(opened, 'both sides closed', () =>
      [near, far].every((side) => side.closes.length === 1),
    );
    // Writing to what is closed is harmless: the writer learns of it by onClose.
    near.connection.write(utf8('into the void'));
    near.connection.end();
    await opened.passTime(20);
    assert.equal(near.closes.length, 1);
    await listener.close();
  });

  check('a reader that pauses makes the writer buffer, then drain', async (opened, authority) => {
    const { listener, pair } = await serve(opened, authority);
    const credentials = await authority.client({ commonName: 'n1' });
    const { near, far } = await pair({ credentials });
    far.connection.pause();
    await opened.passTime(20);
    let drains = 0;
    near.connection.onDrain(() => {
      drains += 1;
    });
    const large = pattern(24_000_000);
    near.connection.write(large);
    await opened.passTime(200);
    assert.ok(near.connection.bufferedBytes() > 0, 'not all of it can have left');
    assert.equal(drains, 0);
    const receivedWhilePaused = far.received().length;
    await opened.passTime(50);
    assert.equal(far.received().length, receivedWhilePaused);
    far.connection.resume();
    await eventually(opened, 'everything arrives', () => far.received().length === large.length);
    assert.deepEqual(far.received(), large);
    await eventually(opened, 'the writer hears of it', () => drains === 1);
    assert.equal(near.connection.bufferedBytes(), 0);
    await listener.close();
  });

  check('connections beyond the maximum are turned away', async (opened, authority) => {
    const { listener, pair, turnedAway } = await serve(opened, authority, {}, 2);
    const credentials = await authority.client({ commonName: 'n1' });
    const one = await pair({ credentials });
    await pair({ credentials });
    await turnedAway({ credentials });
    one.near.connection.destroy();
    await eventually(opened, 'a place is free', () => one.far.closes.length === 1);
    await pair({ credentials });
    await listener.close();
  });
}
