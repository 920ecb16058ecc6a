import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import { NetError, type PlainConnection, silentLogger } from '#platform/io/mod.ts';
import { createWorld, type World } from '#platform/sim/mod.ts';
import {
  createConnectionPair,
  type LinkLimits,
  type LinkSession,
  openLink,
} from '#platform/wire/mod.ts';
import { createServiceCarrier, reachAway } from './away.ts';
import type { Backend } from './service-table.ts';

const backend: Backend = {
  address: '127.1.4.1',
  port: 8080,
  isReady: true,
  isServing: true,
  hostname: undefined,
  pod: { namespace: 'shop', name: 'web', uid: 'u1' },
  nodeName: 'there',
  site: undefined,
  region: undefined,
};

interface Opened {
  readonly world: World;
  /** Of the agent that asks; the other end of its link has the pod. */
  readonly session: LinkSession;
  readonly run: <Result>(work: Promise<Result>) => Promise<Result>;
  readonly dial: () => Promise<PlainConnection>;
  readonly pass: (durationMs: number) => Promise<void>;
  readonly ports: ReturnType<World['host']>['ports'];
}

/** Two agents and, in place of the hub between them, one link. */
async function open(limits: Partial<LinkLimits> = {}): Promise<Opened> {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 8, drainMicrotasks });
  const { ports } = world.host('there');
  const { clock, timers } = ports;
  const run = <Result>(work: Promise<Result>): Promise<Result> => world.settle(work, 60_000);
  const carrier = createServiceCarrier({
    plainNet: ports.plainNet,
    addressOf: (uid) => (uid === 'u1' ? backend.address : undefined),
  });
  const [parent, child] = createConnectionPair();
  const parts = { clock, timers, logger: silentLogger };
  const [session] = await run(
    Promise.all([
      openLink({ ...parts, connection: parent }, { role: 'parent', product: 'a', onStream() {} }),
      openLink(
        { ...parts, connection: child },
        {
          role: 'child',
          product: 'b',
          limits,
          onStream(method, { uid, port }, stream) {
            if (method === 'service.dial') carrier({ podUid: uid, port }, stream);
            else stream.onMessage((bytes) => void stream.send(bytes).then(() => stream.end()));
          },
        },
      ),
    ]),
  );
  const dial = (): Promise<PlainConnection> =>
    reachAway({ timers, session: () => session }, backend);
  const pass = (durationMs: number): Promise<void> =>
    world.run(world.clock.monotonicMs() + durationMs);
  return { world, session, run, dial, pass, ports };
}

function record(connection: PlainConnection): { bytes: () => Uint8Array; said: string[] } {
  const parts: Uint8Array[] = [];
  const said: string[] = [];
  connection.onData((bytes) => parts.push(bytes.slice()));
  connection.onEnd(() => said.push('end'));
  connection.onClose((error) => said.push(error === undefined ? 'close' : 'reset'));
  return { bytes: () => concatBytes(parts), said };
}

test('bytes go both ways over the link, and each direction ends by itself', async () => {
  const { run, dial, pass, ports } = await open();
  const taken: PlainConnection[] = [];
  const address = { host: backend.address, port: backend.port };
  await ports.plainNet.listen({ address, connectionsMax: 5 }, (one) => taken.push(one));
  const near = await run(dial());
  const heard = record(near);
  near.resume();
  await pass(10);
  const [far] = taken;
  assert.ok(far !== undefined);
  const asked = record(far);
  near.write(utf8('a question'));
  near.end();
  await pass(50);
  assert.equal(textOf(asked.bytes()), 'a question');
  assert.deepEqual(asked.said, ['end'], 'half open');
  const large = Uint8Array.from({ length: 12_000_000 }, (_, index) => index % 251);
  near.pause();
  far.write(large);
  await pass(2_000);
  assert.ok(far.bufferedBytes() > 5_000_000, 'what is not read here stays there');
  near.resume();
  far.end();
  await pass(20_000);
  assert.deepEqual(heard.bytes(), large);
  assert.deepEqual(heard.said, ['end', 'close']);
  assert.deepEqual(asked.said, ['end', 'close']);
});

test('a pod that does not listen, one that is not there, and a link that is gone are refusals', async () => {
  const { run, dial, session, ports } = await open();
  const refused = async (work: Promise<unknown>): Promise<string> => {
    const thrown = await run(
      work.then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    assert.ok(thrown instanceof NetError, String(thrown));
    return `${thrown.code} ${thrown.message}`;
  };
  assert.match(await refused(dial()), /NET_REFUSED .*nobody listens/u);
  const ask = (of: Backend, link: LinkSession | undefined): Promise<PlainConnection> =>
    reachAway({ timers: ports.timers, session: () => link }, of);
  const other = { ...backend, pod: { namespace: 'shop', name: 'x', uid: 'u2' } };
  assert.match(await refused(ask(other, session)), /no such pod here/u);
  assert.match(await refused(ask(backend, undefined)), /hub is not connected/u);
  assert.match(await refused(ask({ ...backend, pod: undefined }, session)), /no pod of the fleet/u);
});

test('a reset on either side, and the end of the link, reach the other side', async () => {
  const { run, dial, pass, session, ports } = await open();
  const taken: PlainConnection[] = [];
  const address = { host: backend.address, port: backend.port };
  await ports.plainNet.listen({ address, connectionsMax: 5 }, (one) => taken.push(one));
  const both = async (): Promise<{
    near: PlainConnection;
    far: PlainConnection;
    said: [string[], string[]];
  }> => {
    const near = await run(dial());
    await pass(10);
    const far = taken.at(-1);
    assert.ok(far !== undefined);
    const said: [string[], string[]] = [record(near).said, record(far).said];
    near.resume();
    return { near, far, said };
  };
  const first = await both();
  first.far.destroy();
  await pass(100);
  assert.deepEqual(first.said, [['reset'], ['close']]);
  const second = await both();
  second.near.destroy();
  await pass(100);
  assert.deepEqual(second.said, [['close'], ['reset']]);
  const third = await both();
  session.close({ code: 'LINK_CLOSED', message: 'the link is cut' });
  await pass(100);
  assert.deepEqual(third.said, [['reset'], ['reset']]);
});

test('connections leave streams of the link for what the agent itself asks, also of an older hub', async () => {
  const { run, dial, session, ports, pass } = await open({ streamsMax: 256 });
  const address = { host: backend.address, port: backend.port };
  await ports.plainNet.listen({ address, connectionsMax: 500 }, () => {});
  const held: PlainConnection[] = [];
  for (let count = 0; count < 192; count += 1) held.push(await run(dial()));
  await assert.rejects(
    run(dial()),
    (error) => error instanceof NetError && /as many connections as it can/u.test(error.message),
  );
  const own = Array.from({ length: 64 }, (_, index) =>
    session.request('status', 'pod.token', {}, Uint8Array.of(index), 5_000),
  );
  const answers = await run(Promise.all(own));
  assert.deepEqual(
    answers.map(([first]) => first),
    answers.map((_, index) => index),
  );
  held[0]?.destroy();
  await pass(10);
  await run(dial());
});
