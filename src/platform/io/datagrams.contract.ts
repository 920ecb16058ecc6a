/** What every driver of the Datagrams port must do. */
import assert from 'node:assert/strict';
import { textOf, utf8 } from '#base/mod.ts';
import type { Datagrams } from './datagrams.ts';
import { contractCase, eventually, rejection, type TimedHarness } from './harness.contract.ts';
import { NetError } from './net.ts';

export interface DatagramsHarness extends TimedHarness {
  readonly datagrams: Datagrams;
  /** An address of this machine. */
  readonly host: string;
}

/** Registers the cases of the Datagrams port. */
export function datagramsContract(name: string, open: () => Promise<DatagramsHarness>): void {
  const check = (behaviour: string, body: (opened: DatagramsHarness) => Promise<void>): void =>
    contractCase(`datagrams (${name}): ${behaviour}`, open, body);

  check('a message arrives whole with the address to answer to', async (opened) => {
    const { datagrams, host } = opened;
    const server = await datagrams.bind({ address: { host, port: 0 } });
    const client = await datagrams.bind({ address: { host, port: 0 } });
    const large = new Uint8Array(4_000).fill(7);
    const sizes: number[] = [];
    server.onMessage((bytes, from) => {
      sizes.push(bytes.length);
      if (bytes.length < 100) server.send(utf8(`${textOf(bytes)} back`), from);
    });
    const answers: string[] = [];
    client.onMessage((bytes, from) => answers.push(`${textOf(bytes)} from ${from.port}`));
    client.send(utf8('there and'), server.address);
    client.send(large, server.address);
    await eventually(opened, 'both arrive', () => answers.length === 1 && sizes.length === 2);
    assert.deepEqual(answers, [`there and back from ${server.address.port}`]);
    assert.deepEqual(sizes, [9, 4_000]);
    await client.close();
    await server.close();
  });

  check('a message to nobody is lost and harms nobody', async (opened) => {
    const { datagrams, host } = opened;
    const gone = await datagrams.bind({ address: { host, port: 0 } });
    await gone.close();
    const client = await datagrams.bind({ address: { host, port: 0 } });
    client.send(utf8('hello?'), gone.address);
    client.send(utf8('hello?'), { host, port: 0 });
    await opened.passTime(20);
    const server = await datagrams.bind({ address: gone.address });
    let count = 0;
    server.onMessage(() => {
      count += 1;
    });
    client.send(utf8('hello!'), server.address);
    await eventually(opened, 'the second arrives', () => count === 1);
    await server.close();
    await client.close();
  });

  check('an address that is taken is refused', async (opened) => {
    const { datagrams, host } = opened;
    const first = await datagrams.bind({ address: { host, port: 0 } });
    const thrown = await rejection(datagrams.bind({ address: first.address }));
    assert.ok(thrown instanceof NetError, String(thrown));
    assert.equal(thrown.code, 'NET_ADDRESS_IN_USE');
    await first.close();
    await (await datagrams.bind({ address: first.address })).close();
  });
}
