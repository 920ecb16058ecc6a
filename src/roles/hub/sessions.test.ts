// What a hub hears of its nodes, over the real link and the real store in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import type { Connection } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { openStore, type StoredObject } from '#platform/store/mod.ts';
import { createConnectionPair, openLink } from '#platform/wire/mod.ts';
import { Sessions, type SessionsDependencies } from './sessions.ts';
import { hubIndexes, nodeKey } from './stored-facets.ts';

const limitMs = 60_000;

async function openHub() {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 7, drainMicrotasks });
  const { clock, timers, random, disk, logger } = world.host('server').ports;
  const opening = openStore({ disk: disk.within('log'), random, logger }, { indexes: hubIndexes });
  const store = await world.settle(opening, limitMs);
  const uid = random.uuid() as StoredObject['uid'];
  const intent = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } };
  const bytes = utf8(JSON.stringify(intent));
  const change = { type: 'put', key: nodeKey('n'), uid, facet: 'intent', bytes } as const;
  await world.settle(
    store.transact(() => ({ changes: [change], result: undefined })),
    limitMs,
  );
  const alive: string[] = [];
  // What heartbeats have nothing to do with is left out.
  const dependencies: Partial<SessionsDependencies> = {
    ...{ store, clock, timers, logger, product: 'hub', heartbeatIntervalMs: 2_000 },
    onAlive: (name) => alive.push(name),
  };
  const sessions = new Sessions(dependencies as SessionsDependencies);
  const connect = (): Connection => {
    const [parent, child] = createConnectionPair({
      child: {
        ...{ commonName: 'system:node:n', organizations: ['system:nodes'] },
        ...{ uris: [], serialNumber: '01', notAfterMs: 2e12 },
      },
    });
    sessions.accept(parent);
    return child;
  };
  return { world, sessions, alive, connect };
}

test('a node is heard of with every heartbeat, and over a new link in the same place', async () => {
  const { world, sessions, alive, connect } = await openHub();
  const { clock, timers } = world;
  const logger = world.host('server').ports.logger;
  const heartbeat = { intervalMs: 2_000, unansweredMax: 4, onAnswered: () => {} };
  const link = () =>
    openLink(
      { connection: connect(), clock, timers, logger },
      { role: 'child', product: 'agent', onStream() {} },
    );
  assert.equal(sessions.lastHeartbeat('n'), undefined);
  const first = await world.settle(link(), limitMs);
  first.beat(heartbeat);
  const startMs = clock.monotonicMs();
  await world.run(startMs + 5_000);
  assert.equal(sessions.lastHeartbeat('n')?.monotonicMs, startMs + 4_000);
  assert.deepEqual(alive, ['n'], 'told once for a link');
  const second = await world.settle(link(), limitMs);
  second.beat(heartbeat);
  await world.run(startMs + 6_000);
  assert.deepEqual(alive, ['n', 'n']);
  assert.ok((sessions.lastHeartbeat('n')?.monotonicMs ?? 0) >= startMs + 5_000);
  sessions.forget('n');
  await world.run(startMs + 20_000);
  assert.equal(sessions.lastHeartbeat('n'), undefined);
});

test('an agent of link version 1, whose heartbeats are on a stream, is heard of and answered', async () => {
  const { world, sessions, alive, connect } = await openHub();
  const connection = connect();
  const received: Uint8Array[] = [];
  connection.onData((bytes) => received.push(bytes));
  const frame = (kind: number, streamId: number, payload: Uint8Array): Uint8Array =>
    concatBytes([
      Uint8Array.of(kind, 0, payload.length >> 8, payload.length & 255, 0, 0, 0, streamId),
      payload,
    ]);
  const hello = {
    ...{ role: 'child', versionOldest: 1, versionNewest: 1, product: 'selvage-agent/0.1.0' },
    ...{ messageBytesMax: 1_048_576, streamsMax: 256, streamCreditBytes: 262_144 },
    ...{ bulkCreditBytes: 32_768, livenessTimeoutMs: 15_000 },
  };
  connection.write(frame(0, 0, utf8(`SLVG${JSON.stringify(hello)}`)));
  connection.write(frame(1, 1, utf8('{"method":"node.heartbeat","parameters":{}}')));
  for (const counter of [1, 2]) {
    connection.write(frame(3, 1, Uint8Array.of(0, 0, 0, counter)));
    await world.run(world.clock.monotonicMs() + 2_000);
    assert.equal(sessions.lastHeartbeat('n')?.monotonicMs, world.clock.monotonicMs() - 2_000);
  }
  assert.deepEqual(alive, ['n']);
  const answers = concatBytes(received);
  const text = textOf(answers);
  assert.match(text, /"versionOldest":1,"versionNewest":2/);
  assert.deepEqual(
    answers.subarray(-24),
    concatBytes([1, 2].map((counter) => frame(3, 1, Uint8Array.of(0, 0, 0, counter)))),
  );
  // What is no heartbeat ends the stream.
  connection.write(frame(3, 1, Uint8Array.of(1)));
  await world.run(world.clock.monotonicMs() + 100);
  assert.match(textOf(concatBytes(received)), /HEARTBEAT_MALFORMED/);
});
