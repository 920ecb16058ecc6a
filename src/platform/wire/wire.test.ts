import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { silentLogger, type Connection } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { encodeFrame } from './frames.ts';
import { encodeHello, protocolVersion, protocolVersionOldest } from './handshake.ts';
import { createConnectionPair, defaultLinkLimits, openLink } from './mod.ts';
import type {
  LinkDependencies,
  LinkLimits,
  LinkSession,
  StreamFailure,
  StreamHandler,
} from './mod.ts';

const clock = {
  monotonicMs: () => performance.now(),
  bootMs: () => performance.now(),
  wallMs: () => Date.now(),
};
const timers = {
  after(delayMs: number, run: () => void) {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
const ports = { clock, timers, logger: silentLogger };

async function openPair(
  handlers: {
    parent?: StreamHandler;
    child?: StreamHandler;
    limits?: Partial<LinkLimits>;
    ports?: Pick<LinkDependencies, 'clock' | 'timers' | 'logger'>;
  } = {},
): Promise<{ parent: LinkSession; child: LinkSession; ends: [Connection, Connection] }> {
  const ends = createConnectionPair();
  const refuse: StreamHandler = (_method, _parameters, stream) =>
    stream.fail({ code: 'NO_METHOD', message: 'nothing is served here' });
  const limits = handlers.limits ?? {};
  const { clock, timers, logger } = handlers.ports ?? ports;
  const [parent, child] = await Promise.all([
    openLink(
      { clock, timers, logger, connection: ends[0] },
      { role: 'parent', product: 'test', onStream: handlers.parent ?? refuse, limits },
    ),
    openLink(
      { clock, timers, logger, connection: ends[1] },
      { role: 'child', product: 'test', onStream: handlers.child ?? refuse, limits },
    ),
  ]);
  return { parent, child, ends };
}

const bye = { code: 'LINK_CLOSED', message: 'the test is over' };
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
async function until(isReached: () => boolean): Promise<void> {
  while (!isReached()) await turn();
}

test('messages of every size arrive whole, in order and once, and both ends see the stream end', async () => {
  const received: Uint8Array[] = [];
  const closes: (StreamFailure | undefined)[] = [];
  const { parent, child } = await openPair({
    parent: (method, parameters, stream) => {
      assert.deepEqual({ method, parameters }, { method: 'take', parameters: { from: 3 } });
      stream.onMessage(async (message) => {
        received.push(message);
        await turn();
      });
      stream.onClose((failure) => closes.push(failure));
      stream.end();
    },
  });
  const stream = child.open('bulk', 'take', { from: 3 });
  const ended = new Promise<void>((resolve) => {
    stream.onClose((failure) => {
      closes.push(failure);
      resolve();
    });
  });
  const sizes = [0, 1, 16_384, 16_385, 100_000, 1024 * 1024, 7];
  const sent = sizes.map((size, index) => new Uint8Array(size).fill(index + 1));
  for (const message of sent) await stream.send(message);
  stream.end();
  await ended;
  await until(() => closes.length === 2);
  assert.deepEqual(received, sent);
  assert.deepEqual(closes, [undefined, undefined]);
  child.close(bye);
  parent.close(bye);
});

test('a request is answered, times out without an answer, and carries the failure of the other side', async () => {
  const { parent, child } = await openPair({
    child: (method, _parameters, stream) => {
      if (method === 'double') {
        stream.onMessage((message) => {
          void stream.send(message.map((byte) => byte * 2));
          stream.end();
        });
      } else if (method === 'refuse') stream.fail({ code: 'POD_NOT_FOUND', message: 'no pod' });
    },
  });
  const body = Uint8Array.of(1, 2, 3);
  assert.deepEqual(
    await parent.request('control', 'double', {}, body, 1000),
    Uint8Array.of(2, 4, 6),
  );
  await assert.rejects(parent.request('control', 'refuse', {}, body, 1000), {
    code: 'POD_NOT_FOUND',
  });
  await assert.rejects(parent.request('control', 'silence', {}, body, 20), {
    code: 'LINK_TIMEOUT',
  });
  child.close(bye);
  await assert.rejects(parent.request('control', 'double', {}, body, 1000), {
    code: 'LINK_CLOSED',
  });
});

test('a control message overtakes bulk that was queued before it', async () => {
  const order: string[] = [];
  const { parent, child, ends } = await openPair({
    parent: (method, _parameters, stream) => stream.onMessage(() => void order.push(method)),
  });
  ends[0].pause();
  const bulk = child.open('bulk', 'bulk', {});
  for (let count = 0; count < 20; count += 1) void bulk.send(new Uint8Array(100_000));
  await turn();
  const control = child.open('control', 'control', {});
  await control.send(new Uint8Array(10));
  ends[0].resume();
  await until(() => order.length === 21);
  assert.equal(order[0], 'control');
  child.close(bye);
  parent.close(bye);
});

test('a sender whose receiver stalls stops within its credit and goes on when the receiver does', async () => {
  let release = (): void => {};
  const stalled = new Promise<void>((resolve) => (release = resolve));
  let receivedBytes = 0;
  const { parent, child } = await openPair({
    parent: (_method, _parameters, stream) =>
      stream.onMessage(async (message) => {
        await stalled;
        receivedBytes += message.length;
      }),
  });
  const stream = child.open('telemetry', 'flood', {});
  let sentBytes = 0;
  const total = 3_000_000;
  const flood = (async () => {
    while (sentBytes < total) {
      await stream.send(new Uint8Array(10_000));
      sentBytes += 10_000;
    }
  })();
  for (let count = 0; count < 200; count += 1) await turn();
  assert.ok(sentBytes <= defaultLinkLimits.streamCreditBytes + 10_000, `${sentBytes} were sent`);
  assert.ok(sentBytes >= defaultLinkLimits.streamCreditBytes / 2, `${sentBytes} were sent`);
  release();
  await flood;
  await until(() => receivedBytes === total);
  child.close(bye);
  parent.close(bye);
});

test('what is unconfirmed is capped over all streams even where the connection takes everything', async () => {
  const limits = { unacknowledgedBytesMax: 128 * 1024 };
  const { parent, child, ends } = await openPair({
    limits,
    parent: (_method, _parameters, stream) => stream.onMessage(() => {}),
  });
  let writtenBytes = 0;
  const write = ends[1].write.bind(ends[1]);
  // A connection like TLS on Node: it takes all that it is given.
  ends[1].bufferedBytes = () => 0;
  ends[1].write = (bytes) => {
    writtenBytes += bytes.length;
    write(bytes);
  };
  ends[0].pause();
  for (let count = 0; count < 8; count += 1)
    void child.open('status', 's', {}).send(new Uint8Array(200_000));
  for (let count = 0; count < 50; count += 1) await turn();
  assert.ok(writtenBytes < 128 * 1024 + 17_000, `${writtenBytes} were written`);
  ends[0].resume();
  await until(() => writtenBytes > 1_600_000);
  child.close(bye);
  parent.close(bye);
});

test('an idle link is kept by a word now and then; one that has gone silent is closed on both sides', async () => {
  const world = createWorld({ seed: 1, drainMicrotasks: turn });
  const { clock: worldClock, timers: worldTimers } = world;
  const { parent, child, ends } = await openPair({
    parent: () => {},
    limits: { livenessTimeoutMs: 15_000 },
    ports: { clock: worldClock, timers: worldTimers, logger: silentLogger },
  });
  const closes: (string | undefined)[] = [];
  parent.onClose((failure) => closes.push(failure?.code));
  child.onClose((failure) => closes.push(failure?.code));
  child.open('control', 'x', {}).onClose((failure) => closes.push(`stream ${failure?.code}`));
  await world.run(600_000);
  assert.deepEqual(closes, [], 'nothing was said for ten minutes but that they are there');
  ends[1].pause();
  ends[0].pause();
  await world.run(614_000);
  assert.deepEqual(closes, []);
  await world.run(625_000);
  assert.deepEqual(new Set(closes), new Set(['LINK_IDLE', 'stream LINK_IDLE']));
  assert.equal(closes.length, 3);
});

test('too old a version, a wrong role and an overloaded parent end the handshake with a clear code', async () => {
  const attempt = async (hello: Uint8Array): Promise<unknown> => {
    const [parent, child] = createConnectionPair();
    child.onData(() => {});
    const opened = openLink(
      { ...ports, connection: parent },
      { role: 'parent', product: 'p', onStream() {} },
    );
    child.write(encodeFrame('hello', 'control', 0, hello));
    return opened.then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
  };
  const text = new TextDecoder().decode(encodeHello('child', 'p', defaultLinkLimits, undefined));
  const encode = (changed: string): Uint8Array => new TextEncoder().encode(changed);
  const future = text.replace(
    `"versionOldest":${protocolVersionOldest.child},"versionNewest":${protocolVersion}`,
    '"versionOldest":8,"versionNewest":9',
  );
  assert.notEqual(future, text);
  assert.equal(await attempt(encode(future)), 'LINK_VERSION');
  assert.equal(
    await attempt(encode(text.replace('"role":"child"', '"role":"parent"'))),
    'LINK_PROTOCOL',
  );
  assert.equal(await attempt(encode(text.replace('SLVG', 'HTTP'))), 'LINK_PROTOCOL');

  const [parent, child] = createConnectionPair();
  const busy = openLink(
    { ...ports, connection: parent },
    { role: 'parent', product: 'p', onStream() {}, comeBackAfterMs: 7000 },
  );
  const refused = openLink(
    { ...ports, connection: child },
    { role: 'child', product: 'p', onStream() {} },
  );
  await assert.rejects(refused, { code: 'LINK_REFUSED', comeBackAfterMs: 7000 });
  await assert.rejects(busy, { code: 'LINK_REFUSED' });
});

test('more streams than allowed are refused one by one and the link lives', async () => {
  const { parent, child } = await openPair({
    limits: { streamsMax: 2 },
    parent: (_method, _parameters, stream) => stream.onMessage((message) => stream.send(message)),
  });
  const first = child.open('control', 'a', {});
  child.open('control', 'b', {});
  const third = child.open('control', 'c', {});
  const code = await new Promise((resolve) => third.onClose((failure) => resolve(failure?.code)));
  assert.equal(code, 'LINK_TOO_MANY_STREAMS');
  const echoed = new Promise((resolve) => first.onMessage(resolve));
  await first.send(Uint8Array.of(9));
  assert.deepEqual(await echoed, Uint8Array.of(9));
  parent.close(bye);
});

test('a listener that fails ends its own stream and no other', async () => {
  const { parent, child } = await openPair({
    parent: (method, _parameters, stream) =>
      stream.onMessage((message) => {
        if (method === 'bad') throw new Error('cannot use this');
        return stream.send(message);
      }),
  });
  const bad = child.open('control', 'bad', {});
  const good = child.open('control', 'good', {});
  void bad.send(new Uint8Array(1));
  const code = await new Promise((resolve) => bad.onClose((failure) => resolve(failure?.code)));
  assert.equal(code, 'LINK_LISTENER_FAILED');
  const echoed = new Promise((resolve) => good.onMessage(resolve));
  await good.send(Uint8Array.of(5));
  assert.deepEqual(await echoed, Uint8Array.of(5));
  await assert.rejects(bad.send(new Uint8Array(1)), { code: 'LINK_LISTENER_FAILED' });
  parent.close(bye);
});

test('bytes that are no frames close the link and nothing is thrown', async () => {
  const kind = fc.integer({ min: 0, max: 255 });
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    // Likely headers, so that what lies behind them is reached as well.
    fc
      .array(fc.tuple(kind, fc.integer({ min: 0, max: 5 }), fc.uint8Array({ maxLength: 40 })))
      .map((frames) =>
        Uint8Array.from(
          frames.flatMap(([first, id, body]) => [
            first & 63,
            0,
            0,
            body.length,
            0,
            0,
            0,
            id,
            ...body,
          ]),
        ),
      ),
  );
  await fc.assert(
    fc.asyncProperty(garbage, fc.boolean(), async (bytes, afterHandshake) => {
      const [parent, child] = createConnectionPair();
      child.onData(() => {});
      const opened = openLink(
        { ...ports, connection: parent },
        {
          role: 'parent',
          product: 'p',
          onStream: (_method, _parameters, stream) =>
            stream.onMessage((message) => stream.send(message)),
        },
      ).catch(() => undefined);
      const hello = encodeFrame(
        'hello',
        'control',
        0,
        encodeHello('child', 'p', defaultLinkLimits, undefined),
      );
      if (afterHandshake) child.write(hello);
      child.write(bytes);
      for (let count = 0; count < 3; count += 1) await turn();
      child.destroy();
      const session = await opened;
      const failure = await new Promise((resolve) => {
        if (session === undefined) resolve({ code: 'refused' });
        else session.onClose(resolve);
      });
      assert.ok(failure !== undefined);
    }),
    { numRuns: 300, seed: 42 },
  );
});
