// Seeds that once found a fault of the program, kept with what it was.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/mod.ts';
import { resources } from '#platform/api/mod.ts';
import { createClient, httpTransport } from '#platform/client/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { openLog } from '#platform/log/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { createTestAuthority } from '../../src/platform/io/identities.contract.ts';

const limitMs = 60_000;

test('a log that was opened after a failed sync survives the next power cut whole', async () => {
  // Found by seeds 7 and 11: what a failed sync had left unwritten read well after the
  // restart, was built upon, and was missing in the middle once the power had gone.
  for (let seed = 1; seed <= 20; seed += 1) {
    const world = createWorld({
      seed,
      drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
    });
    const host = world.host('server');
    const open = () =>
      openLog({ disk: host.ports.disk, random: host.ports.random, logger: silentLogger });
    const life = async (): Promise<number> => {
      const first = await open();
      await first.appendDurably(utf8('one'));
      host.faults.failSyncs = 1;
      await assert.rejects(first.appendDurably(utf8('two')));
      host.crash();
      host.boot();
      const second = await open();
      const { sequence } = await second.appendDurably(utf8('three'));
      host.crashMachine();
      host.boot();
      const third = await open();
      assert.equal(third.head().sequence, sequence, `seed ${seed}`);
      await third.close();
      return sequence;
    };
    assert.ok((await world.settle(life(), limitMs)) >= 2);
  }
});

test('a client does not wait for ever for the rest of an answer that will not come', async () => {
  // Found on the way to what seeds 20372 and 400045 had shown (a fault of the simulator's
  // own): a server that loses power between the head of an answer and its end. Nobody
  // tells the client, whose request neither failed nor ended.
  const world = createWorld({
    seed: 20_372,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
  const [server, reader] = [world.host('server'), world.host('reader')];
  const ask = async (): Promise<void> => {
    const { keys, clock, httpServer } = server.ports;
    const authority = await createTestAuthority(keys, clock);
    const credentials = await authority.server('server');
    const address = { host: 'server', port: 443 };
    const { trustPem } = authority;
    await httpServer.listen(
      {
        address,
        connectionsMax: 10,
        tls: { credentials, trustPem, clientCertificate: 'request' },
      },
      async () => ({
        status: 200,
        headers: {},
        body: (sink) => {
          sink.write(utf8('{"items":'));
          world.timers.after(100, () => server.crashMachine());
        },
      }),
    );
    const transport = httpTransport(reader.ports.httpClient, { address, tls: { trustPem } });
    await createClient(transport, { userAgent: 'test' }).list(resources.pods);
  };
  await assert.rejects(world.settle(ask(), 600_000), { code: 'NET_TIMEOUT' });
});
