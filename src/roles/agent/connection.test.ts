import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger, type Net } from '#platform/io/mod.ts';
import { createNodeTurns } from '#platform/io/node/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { createConnectionPair, openLink, streamsKeptFree } from '#platform/wire/mod.ts';
import { connectToHub } from './connection.ts';
import { carriedMax } from './services/away.ts';

const attemptsUntilBoundMs = 60_000;
/** No attempt follows another sooner, and the bound is for what is added to it. */
const pauseMs = 50;

/** The times between the attempts of an agent whose hub is away, once they grow no more. */
async function waitsMs(heartbeatIntervalMs: number): Promise<number[]> {
  const world = createWorld({
    seed: 11,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
    turns: createNodeTurns(),
  });
  const { ports } = world.host('node');
  const attemptsMs: number[] = [];
  const net: Net = {
    listen: (options, onConnection) => ports.net.listen(options, onConnection),
    connect() {
      attemptsMs.push(ports.clock.monotonicMs());
      return Promise.reject(new Error('the hub is away'));
    },
  };
  const connection = connectToHub(
    { ...ports, net, logger: silentLogger },
    {
      address: { host: 'hub', port: 7000 },
      tls: () => ({ trustPem: '' }),
      product: 'agent',
      heartbeatIntervalMs,
      onSession: () => assert.fail('there is no hub'),
      onStream: () => assert.fail('there is no hub'),
    },
  );
  await world.run(attemptsUntilBoundMs + 3_600_000);
  connection.close();
  const later = attemptsMs.filter((atMs) => atMs > attemptsUntilBoundMs);
  return later.slice(1).map((atMs, index) => atMs - (later[index] ?? 0));
}

test('an agent comes back within eight heartbeats, not below 2 s nor above 15 s', async () => {
  const cases = [
    { heartbeatIntervalMs: 200, withinMs: 2_000 },
    { heartbeatIntervalMs: 500, withinMs: 4_000 },
    { heartbeatIntervalMs: 2_000, withinMs: 15_000 },
    { heartbeatIntervalMs: 30_000, withinMs: 15_000 },
  ];
  for (const { heartbeatIntervalMs, withinMs } of cases) {
    const waits = await waitsMs(heartbeatIntervalMs);
    const longestMs = Math.max(...waits);
    const told = `${waits.length} waits, the longest ${longestMs} ms, for ${withinMs} ms`;
    assert.ok(longestMs <= withinMs + pauseMs && longestMs > 0.9 * withinMs, told);
    assert.ok(Math.min(...waits) < 0.2 * withinMs, `${told}: spread over all of it`);
  }
});

test('an agent lets the hub open all connections that it carries to its pods, and more for all else', async () => {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 12, drainMicrotasks });
  const { ports } = world.host('node');
  const [parent, child] = createConnectionPair();
  const { clock, timers } = ports;
  const opening = openLink(
    { connection: parent, clock, timers, logger: silentLogger },
    { role: 'parent', product: 'hub', onStream() {} },
  );
  const connection = connectToHub(
    {
      ...ports,
      net: { ...ports.net, connect: () => Promise.resolve(child) },
      logger: silentLogger,
    },
    {
      address: { host: 'hub', port: 7000 },
      tls: () => ({ trustPem: '' }),
      product: 'agent',
      heartbeatIntervalMs: 1_000,
      onSession() {},
      onStream() {},
    },
  );
  const hub = await world.settle(opening, 10_000);
  assert.ok(hub.streamsLeft() >= carriedMax + streamsKeptFree, `${hub.streamsLeft()} streams`);
  connection.close();
});
