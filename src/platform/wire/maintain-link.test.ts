import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger, type Connection, type Net } from '#platform/io/mod.ts';
import { createNodeTurns } from '#platform/io/node/mod.ts';
import { createWorld, wallEpochMs, type World } from '#platform/sim/mod.ts';
import { encodeFrame } from './frames.ts';
import { encodeHello, protocolVersion, protocolVersionOldest } from './handshake.ts';
import {
  defaultLinkLimits,
  heartbeatsUnansweredMax,
  maintainLink,
  openLink,
  type LinkSession,
} from './mod.ts';

const address = { host: 'hub', port: 7000 };
const connectMsMax = 60;

const openWorld = (seed: number): World =>
  createWorld({
    seed,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
    turns: createNodeTurns(),
  });

/** A hub that treats every connection as it is told, and a child that keeps a link to it. */
async function openFleet(world: World, beatEveryMs = 2_000) {
  const hub = world.host('hub');
  const { keys, net: hubNet } = hub.ports;
  const identities = async () => {
    const profile = {
      subject: { commonName: 'hub', organizations: [] },
      dnsNames: ['hub'],
      ipAddresses: [],
      uris: [],
      serialNumber: '01',
      notBeforeMs: wallEpochMs - 1000,
      notAfterMs: wallEpochMs + 1e12,
    };
    const pair = await keys.createKeyPair();
    const trustPem = await keys.issueAuthority({ ...profile, usage: 'authority' }, pair);
    const issuer = { certificatePem: trustPem, privateKeyPem: pair.privateKeyPem };
    const certificatePem = await keys.issueCertificate(
      { ...profile, usage: 'server-and-client' },
      pair.publicKeyPem,
      issuer,
    );
    return { trustPem, credentials: { certificatePem, privateKeyPem: pair.privateKeyPem } };
  };
  const { trustPem, credentials } = await world.settle(identities(), 1000);
  let treat: (connection: Connection) => void = () => {};
  const tls = { credentials, trustPem, clientCertificate: 'require' } as const;
  await world.settle(
    hubNet.listen({ address, connectionsMax: 1000, tls }, (connection) => treat(connection)),
    1000,
  );
  const child = world.host('child');
  const attemptsMs: number[] = [];
  const watched: Net = {
    listen: (options, onConnection) => child.ports.net.listen(options, onConnection),
    connect(options) {
      attemptsMs.push(child.ports.clock.monotonicMs());
      return child.ports.net.connect(options);
    },
  };
  const sessions: LinkSession[] = [];
  const closes: (string | undefined)[] = [];
  const link = maintainLink(
    { ...child.ports, net: watched, logger: silentLogger },
    {
      address,
      tls: () => ({ trustPem, credentials }),
      product: 'child',
      onStream: (_method, _parameters, stream) => stream.fail({ code: 'NO', message: 'none' }),
      onSession(session) {
        sessions.push(session);
        session.onClose((failure) => closes.push(failure?.code));
        session.beat({
          intervalMs: beatEveryMs,
          unansweredMax: heartbeatsUnansweredMax,
          onAnswered: () => {},
        });
      },
    },
  );
  return {
    link,
    hub,
    attemptsMs,
    sessions,
    closes,
    treatWith: (how: (connection: Connection) => void) => {
      treat = how;
    },
    /** What a parent does; `comeBackAfterMs` for one that is overloaded. */
    serve(connection: Connection, comeBackAfterMs?: number): void {
      openLink(
        { connection, clock: hub.ports.clock, timers: hub.ports.timers, logger: silentLogger },
        {
          role: 'parent',
          product: 'hub',
          onStream: () => {},
          ...(comeBackAfterMs === undefined ? {} : { comeBackAfterMs }),
        },
      ).catch(() => undefined);
    },
    gapsMs: (): number[] =>
      attemptsMs.slice(1).map((atMs, index) => atMs - (attemptsMs[index] ?? 0)),
  };
}

test('attempts come after random times below a bound that doubles to 15 seconds, from 50 ms on', async () => {
  const shares: number[] = [];
  for (let seed = 1; seed <= 40; seed += 1) {
    const world = openWorld(seed);
    const fleet = await openFleet(world);
    fleet.hub.crash();
    await world.run(120_000);
    const gaps = fleet.gapsMs();
    assert.ok(gaps.length >= 9, `${gaps.length} attempts in two minutes`);
    for (const [index, gapMs] of gaps.entries()) {
      const boundMs = Math.min(15_000, 500 * 2 ** index);
      assert.ok(gapMs >= 50 && gapMs < 50 + boundMs + connectMsMax, `${index}: ${gapMs} ms`);
      shares.push((gapMs - 50) / boundMs);
    }
    fleet.link.close();
  }
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  assert.ok(Math.abs(mean - 0.5) < 0.06, `the whole range is used, not its end: ${mean}`);
});

test('a link that held starts the back-off anew, one that broke at once does not', async () => {
  const world = openWorld(3);
  const fleet = await openFleet(world);
  let holdMs = 10;
  fleet.treatWith((connection) => {
    fleet.serve(connection);
    fleet.hub.ports.timers.after(connectMsMax + holdMs, () => connection.destroy());
  });
  await world.run(100_000);
  const hasty = fleet.attemptsMs.length;
  // Most of the waits are below 15 s by now, and not below half a second any more.
  assert.ok(hasty >= 10 && hasty <= 40, `${hasty} attempts`);
  holdMs = 6_000;
  await world.run(world.clock.monotonicMs() + 60_000);
  const before = fleet.attemptsMs.length;
  await world.run(world.clock.monotonicMs() + 60_000);
  const steady = fleet.gapsMs().slice(before - 1);
  for (const gapMs of steady) assert.ok(gapMs < 6_000 + 3 * connectMsMax + 550, `${gapMs} ms`);
  assert.ok(steady.length >= 8, `${steady.length} links of 6 s in a minute`);
  fleet.link.close();
});

test('told when to come back, a child waits that long and up to half as long again', async () => {
  const gaps: number[] = [];
  for (let seed = 1; seed <= 10; seed += 1) {
    const world = openWorld(seed);
    const fleet = await openFleet(world);
    fleet.treatWith((connection) => fleet.serve(connection, 7_000));
    await world.run(60_000);
    gaps.push(...fleet.gapsMs());
    assert.equal(fleet.sessions.length, 0);
    fleet.treatWith((connection) => fleet.serve(connection));
    await world.run(world.clock.monotonicMs() + 11_000);
    assert.equal(fleet.sessions.length, 1, 'it is let in when there is room');
    fleet.link.close();
  }
  for (const gapMs of gaps) {
    assert.ok(gapMs >= 7_000 && gapMs < 10_500 + 3 * connectMsMax, `${gapMs} ms`);
  }
  assert.ok(Math.max(...gaps) - Math.min(...gaps) > 2_000, 'not all at the same instant');
});

test('whatever bytes come instead of a parent, the child goes on trying and finds the right one', async () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const world = openWorld(seed);
    const fleet = await openFleet(world);
    const random = world.random('bytes');
    const hello = encodeFrame(
      'hello',
      'control',
      0,
      encodeHello('parent', 'p', defaultLinkLimits, undefined),
    );
    fleet.treatWith((connection) => {
      // Sometimes after a handshake, sometimes changed in one place, sometimes cut off.
      if (random.chance(0.5)) connection.write(hello);
      const bytes = random.chance(0.5) ? random.bytes(1 + random.below(300)) : hello.slice();
      bytes[random.below(bytes.length)] = random.below(256);
      connection.write(bytes);
      if (random.chance(0.3)) connection.end();
    });
    await world.run(120_000);
    assert.ok(fleet.attemptsMs.length >= 4, `seed ${seed}: ${fleet.attemptsMs.length} attempts`);
    fleet.treatWith((connection) => fleet.serve(connection));
    await world.run(world.clock.monotonicMs() + 60_000);
    const open = fleet.sessions.at(-1);
    let isOpen = open !== undefined;
    open?.onClose(() => (isOpen = false));
    assert.ok(isOpen, `seed ${seed}: the link stands`);
    fleet.link.close();
  }
});

test('a parent that says nothing, and one that stops answering, are given up in a bounded time', async () => {
  const world = openWorld(5);
  const fleet = await openFleet(world);
  // Accepts, and is never heard of.
  await world.run(100_000);
  for (const gapMs of fleet.gapsMs()) {
    assert.ok(gapMs >= 10_000 && gapMs < 10_000 + 15_000 + 200, `${gapMs} ms`);
  }
  fleet.treatWith((connection) => fleet.serve(connection));
  await world.run(world.clock.monotonicMs() + 30_000);
  assert.equal(fleet.sessions.length, 1);
  // A box in the middle forgets the connection: both ends believe in it, nothing passes.
  world.faults.silenceConnections('hub', 'child');
  const cutMs = world.clock.monotonicMs();
  assert.ok(await world.runUntil(() => fleet.closes.length === 1, 60_000));
  assert.deepEqual(fleet.closes, ['LINK_HEARTBEAT_LOST']);
  const tookMs = world.clock.monotonicMs() - cutMs;
  assert.ok(tookMs >= 6_000 && tookMs <= 10_100, `four heartbeats of two seconds: ${tookMs} ms`);
  await world.run(world.clock.monotonicMs() + 2_000);
  assert.equal(fleet.sessions.length, 2, 'a new connection works');
  fleet.link.close();
});

test('a parent of an unknown newer version is asked again, ever less often, and never misread', async () => {
  const world = openWorld(6);
  const fleet = await openFleet(world);
  const text = new TextDecoder().decode(encodeHello('parent', 'p', defaultLinkLimits, undefined));
  const newer = text
    .replace(`"versionOldest":${protocolVersionOldest.parent}`, '"versionOldest":90')
    .replace(`"versionNewest":${protocolVersion}`, '"versionNewest":91,"novelty":{"a":[1]}');
  fleet.treatWith((connection) => {
    connection.write(encodeFrame('hello', 'control', 0, new TextEncoder().encode(newer)));
  });
  await world.run(300_000);
  assert.equal(fleet.sessions.length, 0);
  const later = fleet.gapsMs().slice(6);
  const meanMs = later.reduce((sum, gapMs) => sum + gapMs, 0) / later.length;
  assert.ok(meanMs > 4_000, `${later.length} gaps of ${meanMs} ms`);
  // The next one knows this version too.
  const both = newer.replace(
    '"versionOldest":90',
    `"versionOldest":${protocolVersionOldest.parent}`,
  );
  fleet.treatWith((connection) => {
    connection.write(encodeFrame('hello', 'control', 0, new TextEncoder().encode(both)));
  });
  await world.run(world.clock.monotonicMs() + 16_000);
  assert.equal(fleet.sessions[0]?.remote.protocolVersion, protocolVersion);
  fleet.link.close();
});

test('heartbeats keep an idle link: nothing else passes, however slow they are', async () => {
  for (const beatEveryMs of [200, 2_000, 5_000]) {
    const world = openWorld(7);
    const fleet = await openFleet(world, beatEveryMs);
    let arrivedBytes = 0;
    let arrivals = 0;
    fleet.treatWith((connection) => {
      fleet.serve(connection);
      connection.onData((bytes) => {
        arrivedBytes += bytes.length;
        arrivals += 1;
      });
    });
    await world.run(10_000);
    const [bytesBefore, arrivalsBefore] = [arrivedBytes, arrivals];
    await world.run(610_000);
    const beats = 600_000 / beatEveryMs;
    assert.ok(Math.abs(arrivals - arrivalsBefore - beats) <= 1, `${arrivals} arrivals`);
    assert.equal(arrivedBytes - bytesBefore, (arrivals - arrivalsBefore) * 12);
    assert.deepEqual([fleet.sessions.length, fleet.closes.length], [1, 0]);
    fleet.link.close();
  }
});
