/** What every driver of the PlainNet port must do. */
import assert from 'node:assert/strict';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import { contractCase, eventually, rejection, type TimedHarness } from './harness.contract.ts';
import { type Address, NetError } from './net.ts';
import type { PlainConnection, PlainNet } from './plain-net.ts';

export interface PlainNetHarness extends TimedHarness {
  readonly net: PlainNet;
  /** An address of this machine. */
  readonly host: string;
}

interface Recorded {
  readonly connection: PlainConnection;
  readonly received: () => Uint8Array;
  readonly said: string[];
}

function record(connection: PlainConnection): Recorded {
  const parts: Uint8Array[] = [];
  const said: string[] = [];
  connection.onData((bytes) => {
    parts.push(bytes.slice());
    if (said.at(-1) !== 'data') said.push('data');
  });
  connection.onEnd(() => said.push('end'));
  connection.onClose(() => said.push('close'));
  return { connection, received: () => concatBytes(parts), said };
}

const hasEnded = ({ said }: Recorded): boolean => said.includes('end') || said.includes('close');

const pattern = (sizeBytes: number): Uint8Array =>
  Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 7 + (index >> 8)) % 256);

/** Registers the cases of the PlainNet port. */
export function plainNetContract(name: string, open: () => Promise<PlainNetHarness>): void {
  const check = (behaviour: string, body: (opened: PlainNetHarness) => Promise<void>): void =>
    contractCase(`plain net (${name}): ${behaviour}`, open, body);

  async function serve(opened: PlainNetHarness, connectionsMax = 100) {
    const { net, host } = opened;
    const accepted: Recorded[] = [];
    const listener = await net.listen(
      { address: { host, port: 0 }, connectionsMax },
      (connection) => accepted.push(record(connection)),
    );
    const pair = async (): Promise<{ near: Recorded; far: Recorded }> => {
      const before = accepted.length;
      const near = record(await net.connect({ address: listener.address, timeoutMs: 5_000 }));
      await eventually(opened, 'it is accepted', () => accepted.length > before);
      const far = accepted[before];
      assert.ok(far !== undefined);
      return { near, far };
    };
    return { listener, accepted, pair };
  }

  check('bytes go both ways, and each direction ends by itself', async (opened) => {
    const { listener, pair } = await serve(opened);
    const { near, far } = await pair();
    assert.equal(near.connection.remoteAddress.port, listener.address.port);
    near.connection.write(utf8('a question'));
    near.connection.end();
    await eventually(opened, 'the question and its end', () => far.said.includes('end'));
    assert.equal(textOf(far.received()), 'a question');
    await opened.passTime(30);
    assert.deepEqual(far.said, ['data', 'end'], 'half open');
    const answer = pattern(300_000);
    far.connection.write(answer);
    far.connection.end();
    await eventually(opened, 'both closed', () =>
      [near, far].every(({ said }) => said.at(-1) === 'close'),
    );
    assert.deepEqual(near.received(), answer);
    assert.deepEqual(near.said, ['data', 'end', 'close']);
    await listener.close();
  });

  check('nobody listening is a refusal, a taken address is one too', async (opened) => {
    const { net } = opened;
    const { listener } = await serve(opened);
    const { address } = listener;
    const taken = await rejection(net.listen({ address, connectionsMax: 1 }, () => {}));
    assert.ok(taken instanceof NetError, String(taken));
    assert.equal(taken.code, 'NET_ADDRESS_IN_USE');
    await listener.close();
    const refused = await rejection(net.connect({ address, timeoutMs: 5_000 }));
    assert.ok(refused instanceof NetError, String(refused));
    assert.equal(refused.code, 'NET_REFUSED');
  });

  check('destroy is seen at the other end', async (opened) => {
    const { listener, pair } = await serve(opened);
    const { near, far } = await pair();
    far.connection.destroy();
    await eventually(opened, 'both closed', () =>
      [near, far].every(({ said }) => said.at(-1) === 'close'),
    );
    near.connection.write(utf8('into the void'));
    near.connection.end();
    await opened.passTime(20);
    assert.deepEqual(near.said.filter((word) => word === 'close').length, 1);
    await listener.close();
  });

  check('a reader that pauses makes the writer buffer, then drain', async (opened) => {
    const { listener, pair } = await serve(opened);
    const { near, far } = await pair();
    far.connection.pause();
    let drains = 0;
    near.connection.onDrain(() => {
      drains += 1;
    });
    const large = pattern(24_000_000);
    near.connection.write(large);
    await opened.passTime(200);
    assert.ok(near.connection.bufferedBytes() > 0, 'not all of it can have left');
    assert.equal(drains, 0);
    far.connection.resume();
    await eventually(opened, 'everything arrives', () => far.received().length === large.length);
    assert.deepEqual(far.received(), large);
    await eventually(opened, 'the writer hears of it', () => drains === 1);
    await listener.close();
    await eventually(opened, 'the listener took it along', () => hasEnded(near));
    near.connection.destroy();
  });

  check('connections beyond the maximum are turned away', async (opened) => {
    const { listener, accepted, pair } = await serve(opened, 1);
    const { near } = await pair();
    const { address } = listener;
    const attempt = async (): Promise<boolean> => {
      try {
        const extra = record(await opened.net.connect({ address, timeoutMs: 5_000 }));
        await eventually(opened, 'it is closed', () => hasEnded(extra));
        extra.connection.destroy();
        return extra.received().length === 0;
      } catch (thrown) {
        return thrown instanceof NetError;
      }
    };
    assert.ok(await attempt());
    assert.equal(accepted.length, 1);
    near.connection.destroy();
    await listener.close();
  });

  check('who shares an address takes over when the other leaves', async (opened) => {
    const { net, host } = opened;
    const took: string[] = [];
    const listenAs = (who: string, address: Address) =>
      net.listen({ address, connectionsMax: 10, isShared: true }, (connection) => {
        took.push(who);
        connection.end();
      });
    const first = await listenAs('first', { host, port: 0 });
    const second = await listenAs('second', first.address);
    await first.close();
    record(await net.connect({ address: first.address, timeoutMs: 5_000 })).connection.end();
    await eventually(opened, 'somebody takes it', () => took.length === 1);
    assert.deepEqual(took, ['second']);
    await second.close();
  });
}
