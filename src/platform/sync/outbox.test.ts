// What an outbox took arrives once, in order, or is declared: whatever happens to links,
// disks and acknowledgements on the way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf, utf8 } from '#base/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { openOutbox, type OutboxLimits } from './outbox.ts';
import { serveOutbox } from './serve-outbox.ts';
import { keyOf, type Link, SyncWorld } from './sync-world.contract.ts';
import type { Outbox, SequencedEntry, UpwardEntry } from './types.ts';

const event = (text: string): UpwardEntry => ({
  type: 'event',
  regarding: { key: keyOf('pods/a'), uid: 'uid-a', kind: 'Pod' },
  severity: 'Normal',
  reason: 'Test',
  message: text,
  atWallMs: 0,
});

const report = (name: string, value: number, uid = `uid-${name}`): UpwardEntry => ({
  type: 'report',
  key: keyOf(`pods/${name}`),
  uid,
  report: { value },
});

function shown({ entry }: SequencedEntry): string {
  if (entry.type === 'event') return entry.message;
  if (entry.type === 'gap') {
    return entry.cause === 'space' ? `gap of ${entry.droppedCount}` : 'gap of nobody knows';
  }
  return `${entry.key.name}=${String((entry.report as { value: number }).value)} ${entry.uid}`;
}

/** A parent that keeps what it applied, over any number of links. */
class Parent {
  readonly applied: SequencedEntry[] = [];
  readonly calls: number[] = [];
  readonly refused: string[] = [];
  lastApplied = 0;
  incarnation = '';
  /** Called after each batch is applied and before it is acknowledged. */
  afterApply = (): void => {};

  serve(stream: LinkStream, parameters: Readonly<Record<string, unknown>>): void {
    serveOutbox(stream, parameters, {
      lastApplied: (incarnation) => (incarnation === this.incarnation ? this.lastApplied : 0),
      apply: async (incarnation, entries, lastSequence) => {
        this.incarnation = incarnation;
        this.applied.push(...entries);
        this.calls.push(entries.length);
        this.lastApplied = lastSequence;
        this.afterApply();
      },
      onRefused: (_sequence, reason) => this.refused.push(reason),
    });
  }

  get told(): string[] {
    return this.applied.map(shown);
  }

  requireOrder(): void {
    const sequences = this.applied.map(({ sequence }) => sequence);
    assert.deepEqual(
      sequences,
      [...new Set(sequences)].sort((left, right) => left - right),
    );
  }
}

async function pair(limits: Partial<OutboxLimits> = {}, seed = 1) {
  const world = new SyncWorld(seed);
  const hub = world.host('hub');
  const node = world.host('node');
  const parent = new Parent();
  const open = async (): Promise<Outbox> => {
    const { random, logger, clock } = node.ports;
    const disk = await world.disk(node, 'outbox');
    return world.run(openOutbox({ disk, random, logger, clock }, limits));
  };
  const deliver = async (outbox: Outbox): Promise<Link> => {
    const link = await world.connect(hub, node, (method, parameters, stream) => {
      assert.equal(method, 'outbox.deliver');
      parent.serve(stream, parameters);
    });
    outbox.deliver(link.session);
    return link;
  };
  const fill = async (outbox: Outbox, ...entries: UpwardEntry[]): Promise<void> => {
    for (const entry of entries) await world.run(outbox.put(entry));
  };
  return { world, hub, node, parent, open, deliver, fill };
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

test('lost acknowledgements: everything arrives, in order, and is applied once', async () => {
  const { world, parent, open, deliver, fill } = await pair();
  const outbox = await open();
  await fill(outbox, ...numbers(1, 100).map(event));
  // Each link breaks right after something was applied, before that was acknowledged.
  let link: Link | undefined;
  parent.afterApply = () => link?.end();
  for (let attempt = 0; attempt < 12 && parent.applied.length < 100; attempt += 1) {
    link = await deliver(outbox);
    await world.pass(300);
  }
  parent.afterApply = () => {};
  assert.deepEqual(parent.told, numbers(1, 100));
  parent.requireOrder();
  await deliver(outbox);
  await fill(outbox, event('more'));
  await world.until('it is empty', () => outbox.pendingCount === 0);
  assert.deepEqual(parent.told.slice(100), ['more']);
});

test('a newer report takes the place of one that was not delivered, of the same uid only', async () => {
  const { world, parent, open, deliver, fill } = await pair();
  const outbox = await open();
  await fill(outbox, report('a', 1), event('between'), report('b', 1), report('a', 2));
  await fill(outbox, report('a', 3, 'uid-another'), report('a', 4));
  await deliver(outbox);
  await world.until('it is empty', () => outbox.pendingCount === 0);
  assert.deepEqual(parent.told, ['between', 'b=1 uid-b', 'a=3 uid-another', 'a=4 uid-a']);
});

test('what had to be dropped is declared: events and gaps add up, and the newest are there', async () => {
  const { world, parent, open, deliver, fill } = await pair({ eventsMax: 10 });
  let outbox = await open();
  await fill(outbox, report('a', 1), ...numbers(1, 25).map(event));
  await world.run(outbox.close());
  outbox = await open();
  await fill(outbox, ...numbers(26, 40).map(event));
  await deliver(outbox);
  await world.until('it is empty', () => outbox.pendingCount === 0);
  assert.deepEqual(parent.told, ['a=1 uid-a', 'gap of 30', ...numbers(31, 40)]);
  // Beyond the budget of bytes too.
  const {
    world: other,
    parent: second,
    open: openOther,
    deliver: deliverOther,
    fill: fillOther,
  } = await pair({ eventBytesMax: 4_000 });
  const small = await openOther();
  await fillOther(small, ...numbers(1, 20).map((n) => event(`${n}${'x'.repeat(900)}`)));
  await deliverOther(small);
  await other.until('it is empty', () => small.pendingCount === 0);
  const gap = second.told.filter((text) => text.startsWith('gap'));
  const dropped = Number(/\d+/.exec(gap[0] ?? '')?.[0]);
  assert.equal(gap.length, 1);
  assert.equal(dropped + second.applied.length - 1, 20);
  assert.ok(second.told.at(-1)?.startsWith('20x'));
});

test('what is on its way is not dropped, however much comes behind it', async () => {
  const { world, parent, open, deliver, fill } = await pair({ eventsMax: 5 });
  const outbox = await open();
  await fill(outbox, ...numbers(1, 5).map(event));
  let releases: (() => void)[] = [];
  parent.afterApply = () => {};
  // The parent takes its time over the first.
  const serve = parent.serve.bind(parent);
  parent.serve = (stream, parameters) => {
    const { onMessage } = { onMessage: stream.onMessage.bind(stream) };
    stream.onMessage = (listener) =>
      onMessage(async (message) => {
        await new Promise<void>((resolve) => releases.push(resolve));
        await listener(message);
      });
    serve(stream, parameters);
  };
  await deliver(outbox);
  await world.until('they are on their way', () => releases.length > 0);
  await fill(outbox, ...numbers(6, 30).map(event));
  for (let turn = 0; turn < 50 && outbox.pendingCount > 0; turn += 1) {
    for (const release of releases.splice(0)) release();
    await world.pass(50);
  }
  releases = [];
  assert.deepEqual(parent.told.slice(0, 5), numbers(1, 5));
  const gaps = parent.applied.filter(({ entry }) => entry.type === 'gap');
  const dropped = gaps.reduce(
    (sum, { entry }) =>
      sum + (entry.type === 'gap' && entry.cause === 'space' ? entry.droppedCount : 0),
    0,
  );
  assert.equal(dropped + parent.applied.length - gaps.length, 30);
  assert.equal(parent.told.at(-1), '30');
  parent.requireOrder();
});

test('what was said to be kept arrives, whenever the power goes', async () => {
  for (let seed = 1; seed <= 15; seed += 1) {
    const { world, node, parent, open, deliver } = await pair({}, seed);
    const outbox = await open();
    const kept: string[] = [];
    let isOff = false;
    for (let index = 0; index < 30; index += 1) {
      if (index === seed) {
        node.machineDisk.afterNextWrite(() => {
          isOff = true;
          node.crashMachine();
        });
      }
      void outbox.put(event(String(index))).then(() => kept.push(String(index)));
      if (index % 3 === 0) await world.pass(2);
      if (isOff) break;
    }
    await world.until('the power goes', () => isOff);
    node.boot();
    const reopened = await open();
    await deliver(reopened);
    await world.until('it is empty', () => reopened.pendingCount === 0);
    const told = new Set(parent.told);
    assert.deepEqual(
      kept.filter((text) => !told.has(text)),
      [],
      `seed ${seed}`,
    );
    assert.equal(told.size, parent.applied.length);
    parent.requireOrder();
  }
});

test('a disk that lost the end of an outbox hides nothing of what is put later', async () => {
  const { world, node, parent, open, deliver, fill } = await pair();
  const first = await open();
  await deliver(first);
  await fill(first, ...numbers(1, 20).map(event));
  await world.until('it is empty', () => first.pendingCount === 0);
  await world.run(first.close());
  await loseHalf(world, node);
  const second = await open();
  // More than was lost, so that the numbers alone would say nothing.
  await fill(second, ...numbers(21, 40).map(event));
  const link = await deliver(second);
  await world.until('it is empty', () => second.pendingCount === 0);
  const lost = 'gap of nobody knows';
  assert.deepEqual(parent.told, [...numbers(1, 40), lost]);
  link.end();
  await world.run(second.close());
  const third = await open();
  await fill(third, event('41'));
  await deliver(third);
  await world.until('it is empty', () => third.pendingCount === 0);
  assert.deepEqual(parent.told, [...numbers(1, 40), lost, '41']);
});

test('what others know to have been put and the disk has lost is declared, once', async () => {
  const { world, node, parent, open, deliver, fill } = await pair();
  const first = await open();
  const known = [];
  for (const text of numbers(1, 20)) known.push(await world.run(first.put(event(text))));
  await world.run(first.close());
  const whole = await open();
  await world.run(whole.declareLoss(known));
  assert.equal(whole.pendingCount, 20, 'nothing was lost');
  await world.run(whole.close());
  await loseHalf(world, node);
  const second = await open();
  const kept = second.pendingCount;
  assert.ok(kept > 5 && kept < 15, `${kept} are left`);
  // Of an outbox that was set aside: that says nothing of this one.
  await world.run(second.declareLoss([{ incarnation: 'another', sequence: 1_000 }]));
  assert.equal(second.pendingCount, kept);
  for (let time = 0; time < 2; time += 1) await world.run(second.declareLoss(known));
  await fill(second, event('later'));
  await deliver(second);
  await world.until('it is empty', () => second.pendingCount === 0);
  assert.deepEqual(parent.told, [...numbers(1, kept), 'gap of nobody knows', 'later']);
});

/** Of the bytes of the log, as a disk does that has lied. */
async function loseHalf(world: SyncWorld, node: Parameters<SyncWorld['disk']>[0]): Promise<void> {
  const disk = await world.disk(node, 'outbox/log');
  const segment = (await world.run(disk.list(''))).find(({ name }) => name.endsWith('.log'));
  const file = await world.run(disk.open(segment?.name ?? '', 'write'));
  await world.run(file.truncate(Math.floor((await world.run(file.sizeBytes())) / 2)));
  await world.run(file.close());
}

test('a full disk refuses what it cannot keep and loses nothing else', async () => {
  const { world, node, parent, open, deliver, fill } = await pair();
  const outbox = await open();
  await fill(outbox, event('before'), report('a', 1));
  const capacity = node.faults.capacityBytes;
  node.faults.capacityBytes = 1;
  await assert.rejects(world.run(outbox.put(event('refused'))), /space|full/i);
  await assert.rejects(world.run(outbox.put(report('a', 2))), /space|full/i);
  node.faults.capacityBytes = capacity;
  await fill(outbox, event('after'));
  await deliver(outbox);
  await world.until('it is empty', () => outbox.pendingCount === 0);
  assert.deepEqual(parent.told, ['before', 'a=1 uid-a', 'after']);
  parent.requireOrder();
});

test('an outbox outgrows its log many times and still knows what is pending', async () => {
  const { world, parent, open, deliver, fill } = await pair();
  let outbox = await open();
  const link = await deliver(outbox);
  await fill(outbox, event('first'));
  const large = 'x'.repeat(60_000);
  for (let value = 0; value < 60; value += 1) {
    const entry = { ...report('big', value), report: { value, large } } as UpwardEntry;
    await fill(outbox, entry);
    if (value === 30) link.end();
  }
  await fill(outbox, event('last'));
  await world.run(outbox.close());
  outbox = await open();
  await deliver(outbox);
  await world.until('it is empty', () => outbox.pendingCount === 0);
  assert.equal(parent.told.at(-1), 'last');
  assert.equal(parent.told.at(-2), 'big=59 uid-big');
  assert.equal(parent.told.filter((text) => text === 'first').length, 1);
  parent.requireOrder();
});

/** What a parent says to a child that talks nonsense. */
async function saidTo(message: Uint8Array): Promise<{ code: string; parent: Parent }> {
  const { world, hub, node, parent } = await pair();
  const link = await world.connect(hub, node, (_method, parameters, stream) =>
    parent.serve(stream, parameters),
  );
  const stream = link.session.open('status', 'outbox.deliver', { outboxIncarnation: 'x' });
  let code = '';
  stream.onMessage(() => {});
  stream.onClose((failure) => (code = failure?.code ?? 'ended'));
  await world.run(stream.send(message));
  await world.pass(200);
  return { code, parent };
}

test('nonsense from a child ends the stream or is passed over, and is never applied', async () => {
  const good = JSON.stringify(event('good'));
  for (const text of ['?', '{}', '[[1]', `[[2,${good}],[1,${good}]]`, `[["1",${good}]]`]) {
    const { code, parent } = await saidTo(utf8(text));
    assert.equal(code, 'SYNC_MALFORMED', text);
    assert.deepEqual(parent.applied, [], text);
  }
  const many = `[${Array.from({ length: 65 }, (_, n) => `[${n + 1},${good}]`).join()}]`;
  assert.equal((await saidTo(utf8(many))).code, 'SYNC_MALFORMED');
  const { code, parent } = await saidTo(utf8(`[[1,7],[2,${good}],[3,{"type":"event"}]]`));
  assert.equal(code, '');
  assert.deepEqual(parent.told, ['good']);
  assert.equal(parent.refused.length, 2);
  assert.equal(parent.lastApplied, 3);
});

test('an entry that comes twice is applied once', async () => {
  const { world, hub, node, parent } = await pair();
  const link = await world.connect(hub, node, (_method, parameters, stream) =>
    parent.serve(stream, parameters),
  );
  const stream = link.session.open('status', 'outbox.deliver', { outboxIncarnation: 'x' });
  const answers: string[] = [];
  stream.onMessage((message) => void answers.push(textOf(message)));
  stream.onClose(() => {});
  const entry = (sequence: number): string =>
    `[${sequence},${JSON.stringify(event(`${sequence}`))}]`;
  for (const list of [[1, 2], [1, 2], [2, 3], [3]]) {
    await world.run(stream.send(utf8(`[${list.map(entry).join()}]`)));
    await world.pass(50);
  }
  assert.deepEqual(parent.told, ['1', '2', '3']);
  assert.deepEqual(
    answers,
    [0, 2, 2, 3, 3].map((applied) => JSON.stringify({ applied })),
  );
});

test('nonsense from a parent ends the link after a few tries, and nothing is forgotten', async () => {
  const { world, hub, node, parent, open, deliver, fill } = await pair();
  const outbox = await open();
  await fill(outbox, event('kept'));
  for (const answer of ['?', '{"applied":-1}', '{"applied":"1"}', '[]']) {
    let streams = 0;
    let ended = '';
    const link = await world.connect(hub, node, (_method, _parameters, stream) => {
      streams += 1;
      stream.onMessage(() => {});
      stream.send(utf8(answer)).catch(() => undefined);
    });
    link.session.onClose((failure) => (ended = failure?.code ?? 'over'));
    outbox.deliver(link.session);
    await world.until('it gives up', () => ended !== '');
    assert.ok(streams <= 4, `${streams} tries`);
    assert.equal(outbox.pendingCount, 1);
  }
  await deliver(outbox);
  await world.until('it is empty', () => outbox.pendingCount === 0);
  assert.deepEqual(parent.told, ['kept']);
});
