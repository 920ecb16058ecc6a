import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf, utf8 } from '#base/mod.ts';
import { NetError, sleep, type Connection, type HostTurns, type Keys } from '#platform/io/mod.ts';
import { createNodeTurns } from '#platform/io/node/mod.ts';
import { createWorld, seededRandom, SimulationError, wallEpochMs, type World } from './mod.ts';

const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const openWorld = (seed: number, turns?: HostTurns): World =>
  createWorld({ seed, drainMicrotasks, turns });

async function identities(keys: Keys) {
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
    { ...profile, serialNumber: '02', usage: 'server-and-client' },
    pair.publicKeyPem,
    issuer,
  );
  return { trustPem, credentials: { certificatePem, privateKeyPem: pair.privateKeyPem } };
}

/** A hub that counts what arrives, and a node that sends a byte a second to it. */
async function openLink(world: World) {
  const hub = world.host('hub');
  const node = world.host('node');
  const { trustPem, credentials } = await world.settle(identities(hub.ports.keys), 1000);
  const received: number[] = [];
  const hubCloses: (Error | undefined)[] = [];
  const address = { host: 'hub', port: 7000 };
  await world.settle(
    hub.ports.net.listen(
      {
        address,
        connectionsMax: 10,
        tls: { credentials, trustPem, clientCertificate: 'require' },
      },
      (connection) => {
        connection.onData((bytes) => received.push(...bytes));
        connection.onClose((error) => hubCloses.push(error));
      },
    ),
    1000,
  );
  const connect = (timeoutMs = 5000): Promise<Connection> =>
    node.ports.net.connect({ address, tls: { trustPem, credentials }, timeoutMs });
  const connection = await world.settle(connect(), 5000);
  let count = 0;
  const { timers } = node.ports;
  const tick = (): void => {
    count += 1;
    connection.write(Uint8Array.of(count));
    timers.after(1000, tick);
  };
  tick();
  return { hub, node, received, hubCloses, connect, connection };
}

async function busyTrace(seed: number, turns?: HostTurns): Promise<string> {
  const world = openWorld(seed, turns);
  const { node } = await openLink(world);
  const write = async (): Promise<void> => {
    const { disk, timers, random } = node.ports;
    const file = await disk.open('log', 'write');
    for (let index = 0; index < 50; index += 1) {
      await file.writeAt(index * 8, [random.bytes(8)]);
      if (index % 5 === 0) await file.sync();
      await sleep(timers, random.below(100));
    }
  };
  void write();
  await world.run(world.clock.monotonicMs() + 1500);
  node.crashMachine();
  node.boot();
  await world.run(world.clock.monotonicMs() + 60_000);
  return world.traceHash();
}

test('a seed gives the same trace every time, and another seed another one', async () => {
  const first = await busyTrace(7);
  assert.match(first, /^[0-9a-f]{64}$/);
  assert.equal(await busyTrace(7), first);
  assert.notEqual(await busyTrace(8), first);
});

test('microtasks that are run at once tell the same story as whole turns of the host', async () => {
  for (const seed of [7, 8, 9]) {
    assert.equal(await busyTrace(seed, createNodeTurns()), await busyTrace(seed));
  }
  // As many steps as anybody may take, between two events and not after them.
  const world = openWorld(1, createNodeTurns());
  const order: string[] = [];
  const walk = async (name: string, steps: number): Promise<void> => {
    for (let step = 0; step < steps; step += 1) await Promise.resolve();
    order.push(name);
  };
  world.timers.after(1, () => void walk('long', 1000));
  world.timers.after(1, () => void walk('short', 1));
  await world.run(2);
  assert.deepEqual(order, ['long', 'short']);
});

test('what an event throws ends the run with the seed and the place, also within one turn', async () => {
  const world = openWorld(3, createNodeTurns());
  world.timers.after(5, () => {
    throw new Error('planted');
  });
  await assert.rejects(world.run(10), /seed 3 at 5 ms.*planted/);
});

test('the streams of a seed are what they have always been, and differ by name', () => {
  const [one, other] = [seededRandom(1, 'net'), seededRandom(1, 'disk a')];
  assert.deepEqual(
    [one.uuid(), other.uuid()],
    ['6b667a68-c440-4e1d-b3a4-a9255dbc8d9b', '828d92cc-8d48-4ffe-9130-3dc98ef11c3a'],
  );
  const draws = Array.from({ length: 20_000 }, () => one.unit());
  const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
  assert.ok(Math.abs(mean - 0.5) < 0.01 && draws.every((draw) => draw >= 0 && draw < 1));
});

test('nothing of a crashed incarnation ever acts again', async () => {
  const world = openWorld(11);
  const host = world.host('a');
  const old = host.ports;
  const acted: string[] = [];
  const oldWork = async (): Promise<void> => {
    for (;;) {
      await sleep(old.timers, 10);
      acted.push('old');
      await old.disk.writeFileAtomic('owner', utf8('old'));
    }
  };
  void oldWork();
  await world.run(100);
  assert.ok(acted.length > 3);
  host.crash();
  acted.length = 0;
  const { disk } = host.boot();
  // A continuation that was about to run asks the dead ports once more.
  void old.disk.writeFileAtomic('owner', utf8('stale')).then(() => acted.push('stale write'));
  void old.spawn.table().then(() => acted.push('stale table'));
  void old.keys.createKeyPair().then(() => acted.push('stale key'));
  old.timers.after(1, () => acted.push('stale timer'));
  await world.settle(disk.writeFileAtomic('owner', utf8('new')), 1000);
  await world.run(10_000);
  assert.deepEqual(acted, []);
  const found = await world.settle(disk.readFile('owner', 100), 1000);
  assert.equal(textOf(found ?? utf8('')), 'new');
});

test('a power cut takes what was not synced and leaves what was; a crash takes nothing', async () => {
  let losses = 0;
  for (let seed = 1; seed <= 20; seed += 1) {
    const world = openWorld(seed);
    const host = world.host('a');
    const write = async (): Promise<void> => {
      const file = await host.ports.disk.open('file', 'create');
      await file.writeAt(0, [utf8('synced|')]);
      await file.sync();
      await host.ports.disk.syncDirectory('');
      for (let index = 0; index < 10; index += 1) {
        await file.writeAt(7 + index * 4, [utf8('more')]);
      }
    };
    await world.settle(write(), 1000);
    host.crash();
    const afterCrash = await world.settle(host.boot().disk.readFile('file', 1000), 1000);
    assert.equal(textOf(afterCrash ?? utf8('')), `synced|${'more'.repeat(10)}`);
    host.crashMachine();
    const afterCut = await world.settle(host.boot().disk.readFile('file', 1000), 1000);
    const text = textOf(afterCut ?? utf8(''));
    assert.ok(text.startsWith('synced|'), text);
    if (text !== `synced|${'more'.repeat(10)}`) losses += 1;
  }
  assert.ok(losses >= 15, `${losses} of 20 seeds lost something`);
});

test('a name that was not synced may be gone after a power cut', async () => {
  const kept = new Set<boolean>();
  for (let seed = 1; seed <= 20; seed += 1) {
    const world = openWorld(seed);
    const host = world.host('a');
    const write = async (): Promise<void> => {
      const file = await host.ports.disk.open('file', 'create');
      await file.writeAt(0, [utf8('synced')]);
      await file.sync();
    };
    await world.settle(write(), 1000);
    host.crashMachine();
    kept.add((await world.settle(host.boot().disk.readFile('file', 9), 1000)) !== undefined);
  }
  assert.equal(kept.size, 2, 'kept for some seeds, gone for others');
});

test('power can be cut just when a write waits for its sync', async () => {
  let struck = 0;
  for (let seed = 1; seed <= 20; seed += 1) {
    const world = openWorld(seed);
    const host = world.host('a');
    const { disk, timers } = host.ports;
    const write = async (): Promise<void> => {
      const file = await disk.open('log', 'create');
      await disk.syncDirectory('');
      for (let index = 0; index < 100; index += 1) {
        await sleep(timers, 1000);
        await file.writeAt(index * 4, [utf8('word')]);
        await file.sync();
      }
    };
    void write();
    await world.run(5500);
    host.machineDisk.afterNextWrite(() => host.crashMachine());
    await world.run(20_000);
    assert.equal(host.isRunning, false);
    const found = await world.settle(host.boot().disk.readFile('log', 1000), 1000);
    assert.ok((found?.length ?? 0) >= 20, 'what was synced is there');
    const { lostWrites, tornWrites } = host.machineDisk.counts;
    struck += lostWrites + tornWrites;
  }
  assert.ok(struck >= 3, `${struck} of 20 cuts took a write`);
});

test('a failed sync and a full disk are errors that the caller sees', async () => {
  const world = openWorld(3);
  const host = world.host('a');
  const { disk } = host.ports;
  const file = await world.settle(disk.open('file', 'create'), 1000);
  host.faults.failSyncs = 1;
  await world.settle(file.writeAt(0, [utf8('x')]), 1000);
  await assert.rejects(world.settle(file.sync(), 1000), { code: 'DISK_IO' });
  await world.settle(file.sync(), 1000);
  host.faults.capacityBytes = 3;
  await assert.rejects(world.settle(file.writeAt(1, [utf8('four')]), 1000), {
    code: 'DISK_NO_SPACE',
  });
  await world.settle(file.writeAt(1, [utf8('ab')]), 1000);
  assert.equal(await world.settle(disk.freeBytes(), 1000), 0);
});

test('while a link is cut nothing passes, and after it is healed all comes in order', async () => {
  const world = openWorld(5);
  const { received, connect } = await openLink(world);
  await world.run(5500);
  const before = received.length;
  assert.ok(before >= 5);
  world.faults.partition('node', 'hub', 'one-way');
  await world.run(20_000);
  assert.ok(received.length <= before + 1);
  await assert.rejects(world.settle(connect(), 10_000), { code: 'NET_TIMEOUT' });
  world.faults.heal('node', 'hub');
  await world.run(40_000);
  assert.deepEqual(
    received,
    received.map((_, index) => index + 1),
  );
  assert.ok(received.length >= 35, `${received.length}`);
});

test('a dead process resets its connections, a dead machine is only missed', async () => {
  const world = openWorld(6);
  const { hub, node, connection, hubCloses, connect } = await openLink(world);
  await world.run(2000);
  const closes: (Error | undefined)[] = [];
  connection.onClose((error) => closes.push(error));
  hub.crashMachine();
  await world.run(60_000);
  assert.equal(closes.length, 0, 'nobody told it yet');
  await assert.rejects(world.settle(connect(1000), 5000), { code: 'NET_TIMEOUT' });
  hub.boot();
  await world.run(70_000);
  assert.equal(closes.length, 1);
  assert.ok(closes[0] instanceof NetError);
  await assert.rejects(world.settle(connect(1000), 5000), { code: 'NET_REFUSED' });
  assert.equal(hubCloses.length, 0, 'it died without a word');
  node.crash();
});

test('resetConnections closes both sides with an error', async () => {
  const world = openWorld(9);
  const { hubCloses, connection } = await openLink(world);
  const closes: (Error | undefined)[] = [];
  connection.onClose((error) => closes.push(error));
  await world.run(1000);
  assert.equal(world.faults.resetConnections('hub', 'node'), 1);
  await world.run(1100);
  assert.ok(closes[0] instanceof NetError && hubCloses[0] instanceof NetError);
});

test('processes survive the crash of the one that started them, not that of the machine', async () => {
  const world = openWorld(12);
  const host = world.host('a');
  const spec = {
    program: '/usr/bin/anything',
    arguments: [],
    environment: {},
    workingDirectory: '/',
  };
  const handle = await world.settle(host.ports.spawn.start(spec), 1000);
  host.crash();
  const { spawn } = host.boot();
  await world.run(1000);
  assert.equal(
    (await world.settle(spawn.inspect(handle.pid), 1000))?.startTicks,
    handle.startTicks,
  );
  assert.equal(await world.settle(spawn.signal(handle, 'SIGTERM'), 1000), true);
  await world.run(2000);
  assert.equal(await world.settle(spawn.inspect(handle.pid), 1000), undefined, 'it ended itself');
  await world.settle(spawn.start(spec), 1000);
  host.crashMachine();
  assert.deepEqual(await world.settle(host.boot().spawn.table(), 1000), []);
});

test('an exception in an event stops the run and names the seed', async () => {
  const world = openWorld(99);
  world.host('a').ports.timers.after(5, () => {
    throw new Error('boom');
  });
  await assert.rejects(world.run(10), (thrown) => {
    assert.ok(thrown instanceof SimulationError);
    assert.match(thrown.message, /seed 99 at 5 ms, a timer: an event threw: boom/);
    return true;
  });
});

test('a clock that runs too fast shows a date that is ever more wrong, until it is set', async () => {
  const world = openWorld(1);
  const host = world.host('n1');
  const aheadMs = (): number => host.wallMs() - world.clock.wallMs();
  host.setClockRate(1.02);
  await world.run(100_000);
  assert.equal(aheadMs(), 2_000);
  host.crashMachine();
  host.boot();
  assert.equal(aheadMs(), 2_000, 'also over a restart');
  host.setClockRate(1);
  await world.run(200_000);
  assert.equal(aheadMs(), 2_000, 'right speed, wrong date');
  host.setWallOffset(0);
  assert.equal(aheadMs(), 0);
});
