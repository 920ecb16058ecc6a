// What nodes use, as the hub asks them over the real link in virtual time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { createConnectionPair, openLink } from '#platform/wire/mod.ts';
import { createUsage, parseUsage } from './usage.ts';

const limitMs = 60_000;

test('a node is asked when somebody wants to know, once for all who ask in a short while', async () => {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 3, drainMicrotasks });
  const { clock, timers } = world;
  const { logger } = world.host('hub').ports;
  const asked: string[] = [];
  const answers: Record<string, string | undefined> = {
    a: JSON.stringify({ windowMs: 1_000, node: [5, 6], containers: [['u', 'main', 1, 2]] }),
    broken: 'no',
  };
  const connect = (name: string) => {
    const [parent, child] = createConnectionPair();
    const ports = { clock, timers, logger };
    const hubSide = openLink(
      { connection: parent, ...ports },
      { role: 'parent', product: 'hub', onStream() {} },
    );
    const nodeSide = openLink(
      { connection: child, ...ports },
      {
        role: 'child',
        product: 'agent',
        onStream(method, _parameters, stream) {
          asked.push(`${name} ${method}`);
          stream.onMessage(() => undefined);
          stream.onClose(() => undefined);
          const answer = answers[name];
          if (answer === undefined) stream.fail({ code: 'USAGE_UNKNOWN', message: 'not here' });
          else void stream.send(utf8(answer)).then(() => stream.end());
        },
      },
    );
    return world.settle(
      nodeSide.then(() => hubSide),
      limitMs,
    );
  };
  const links = new Map([
    ['a', await connect('a')],
    ['broken', await connect('broken')],
    ['mute', await connect('mute')],
  ]);
  const usage = createUsage({ clock, timers, session: (name) => links.get(name) });
  const refresh = (...names: string[]): Promise<void> =>
    world.settle(usage.refresh(names), limitMs);

  assert.equal(usage.of('a'), undefined);
  await world.settle(Promise.all([usage.refresh(['a']), usage.refresh(['a', 'away'])]), limitMs);
  assert.deepEqual(asked, ['a node.usage']);
  assert.deepEqual(usage.of('a'), {
    atWallMs: clock.wallMs(),
    windowMs: 1_000,
    cpuNanoCores: 5,
    memoryBytes: 6,
    containers: [{ podUid: 'u', container: 'main', cpuNanoCores: 1, memoryBytes: 2 }],
  });
  await refresh('a', 'broken', 'mute');
  assert.deepEqual([usage.of('broken'), usage.of('mute')], [undefined, undefined]);
  assert.equal(asked.filter((line) => line.startsWith('a')).length, 1);
  await world.run(clock.monotonicMs() + 11_000);
  assert.equal(usage.of('a'), undefined, 'what is old is not told');
  await refresh('a');
  assert.equal(asked.filter((line) => line.startsWith('a')).length, 2);
});

test('what is no answer is not taken for one', () => {
  const wrong = [
    '{}',
    '[]',
    '{"windowMs":1,"node":[1],"containers":[]}',
    '{"windowMs":1,"node":[1,-2],"containers":[]}',
    '{"windowMs":1,"node":[1,2],"containers":[["u","c",1]]}',
    '{"windowMs":1,"node":[1,2],"containers":[["u",3,1,2]]}',
    '{"windowMs":1e999,"node":[1,2],"containers":[]}',
  ];
  for (const text of wrong) assert.equal(parseUsage(utf8(text)), undefined, text);
});
