import assert from 'node:assert/strict';
import test from 'node:test';
import type { Address, PlainConnection } from '#platform/io/mod.ts';
import { createWorld, type World } from '#platform/sim/mod.ts';
import { encodeQuery, recordTypes } from './dns-message.ts';
import { createUpstream, framed, type Upstream } from './upstream.ts';

const resolver: Address = { host: '127.0.0.8', port: 53 };
const question = encodeQuery(7, { name: 'example.org', type: recordTypes.A });

interface Opened {
  readonly world: World;
  readonly ports: ReturnType<World['host']>['ports'];
  readonly run: <Result>(work: Promise<Result>) => Promise<Result>;
  readonly upstream: Upstream;
}

/** Its questions carry the id 0, 1, 2, … */
function open(): Opened {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 6, drainMicrotasks });
  const { ports } = world.host('here');
  const run = <Result>(work: Promise<Result>): Promise<Result> => world.settle(work, 60_000);
  const { datagrams, plainNet, timers, random } = ports;
  const lowest = { ...random, below: () => 0 };
  const upstream = createUpstream({ datagrams, plainNet, timers, random: lowest }, [resolver]);
  return { world, ports, run, upstream };
}

test('what is shorter than the header of a message answers nothing and harms nobody', async () => {
  const { ports, run, upstream } = open();
  const socket = await run(ports.datagrams.bind({ address: resolver }));
  socket.onMessage((query, from) => {
    // Each of them begins with the id of the question.
    for (const length of [0, 1, 2, 11]) socket.send(query.slice(0, length), from);
    socket.send(query, from);
  });
  assert.deepEqual(await run(upstream.ask(question)), question);
  const listening = ports.plainNet.listen(
    { address: resolver, connectionsMax: 5 },
    (connection) => {
      connection.onData(() => connection.write(framed(question.slice(0, 1))));
    },
  );
  await run(listening);
  assert.equal(await run(upstream.askWhole(question)), undefined);
  await run(upstream.close());
  await socket.close();
});

test('of answers over streams a number is waited for at a time, and no further connection is made', async () => {
  const { world, ports, run, upstream } = open();
  const taken: PlainConnection[] = [];
  const listening = ports.plainNet.listen(
    { address: resolver, connectionsMax: 500 },
    (connection) => {
      connection.onData(() => taken.push(connection));
    },
  );
  await run(listening);
  const asked = Array.from({ length: 101 }, () => upstream.askWhole(question));
  assert.equal(await run(asked[100] ?? Promise.reject(new Error('it was asked'))), undefined);
  await world.run(world.clock.monotonicMs() + 100);
  assert.equal(taken.length, 100);
  for (const connection of taken.splice(0)) connection.write(framed(question));
  assert.deepEqual(await run(Promise.all(asked.slice(0, 100))), Array(100).fill(question));
  const next = upstream.askWhole(question);
  await world.run(world.clock.monotonicMs() + 100);
  taken[0]?.write(framed(question));
  assert.deepEqual(await run(next), question, 'there is room again');
  await run(upstream.close());
});
