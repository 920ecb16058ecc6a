// A follower obeys one epoch at a time: what a superseded owner says is not heard any
// more, after restarts too, whatever it claims.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from '#platform/sim/mod.ts';
import type { OwnedStore } from '#platform/store/mod.ts';
import { encodeSliceMessage } from './slice-messages.ts';
import { createSliceServer } from './slice-server.ts';
import {
  assertSame,
  backUp,
  everything,
  heldBy,
  put,
  remove,
  SyncWorld,
} from './sync-world.contract.ts';
import type { Replica, SliceServer } from './types.ts';

interface Owner {
  readonly host: Host;
  readonly store: OwnedStore;
  readonly server: SliceServer;
  epoch: number;
  readonly diverged: { reason: string; epoch: number }[];
}

function ownerOf(host: Host, store: OwnedStore): Owner {
  const diverged: { reason: string; epoch: number }[] = [];
  const owner: Owner = {
    host,
    store,
    epoch: 1,
    diverged,
    server: createSliceServer({
      store,
      timers: host.ports.timers,
      rules: everything(store),
      epoch: () => owner.epoch,
      formerIncarnations: () => store.formerIncarnations,
      onDiverged: (_slice, reason, epoch) => diverged.push({ reason, epoch }),
    }),
  };
  return owner;
}

/** A follower that obeys the second of two owners, which was restored from the first's backup. */
async function superseded() {
  const world = new SyncWorld();
  const first = world.host('first');
  const old = ownerOf(first, await world.store(first));
  await world.write(old.store, put('pods/a', {}), put('pods/b', {}));
  const second = world.host('second');
  const disk = await world.disk(second, 'store');
  await world.run(backUp(old.store, disk));
  const present = ownerOf(second, await world.store(second));

  const node = world.host('n1');
  const replica = await world.replica(node);
  const link = await world.follow(first, old.server, node, replica);
  await world.until('it follows the first', () => heldBy(replica) === 'pods/a pods/b');
  assert.equal(replica.epoch, 1);
  link.end();
  await world.pass(100);
  present.epoch = 2;
  await world.run(present.store.beginIncarnation());
  await world.write(present.store, remove('pods/b'), put('pods/c', {}));
  const next = await world.follow(second, present.server, node, replica);
  await world.until('it follows the second', () => heldBy(replica) === 'pods/a pods/c');
  assert.equal(replica.epoch, 2);
  next.end();
  await world.pass(100);
  return { world, old, present, node, replica };
}

async function refuses(world: SyncWorld, old: Owner, node: Host, replica: Replica): Promise<void> {
  const before = heldBy(replica);
  const { cursor } = replica;
  const count = old.diverged.length;
  const link = await world.follow(old.host, old.server, node, replica);
  await world.until('the old owner hears of it', () => old.diverged.length > count);
  assert.equal(old.diverged.at(-1)?.epoch, 2);
  assert.match(old.diverged.at(-1)?.reason ?? '', /obeys epoch 2, this server's is 1/);
  await world.until('the follower knows', () => replica.isOwnerSuperseded === true);
  await world.write(old.store, put('pods/d', { count }), put('pods/a', { count }));
  await world.pass(8_000);
  assert.equal(heldBy(replica), before);
  assert.deepEqual(replica.cursor, cursor);
  link.end();
  await world.pass(100);
}

test('an owner that was superseded is not obeyed, also after restarts, and is told so', async () => {
  const { world, old, node, replica } = await superseded();
  await refuses(world, old, node, replica);
  node.crashMachine();
  node.boot();
  const reopened = await world.replica(node);
  assert.equal(reopened.epoch, 2);
  await refuses(world, old, node, reopened);
});

test('an owner that does not look at epochs is refused by the follower itself', async () => {
  const { world, old, node, replica } = await superseded();
  const before = heldBy(replica);
  const codes: string[] = [];
  const link = await world.connect(old.host, node, (_method, parameters, stream) => {
    stream.onMessage(() => undefined);
    stream.onClose((failure) => codes.push(failure?.code ?? 'ended'));
    const { incarnation, sequence, chainHash } = parameters['cursor'] as NonNullable<
      Replica['cursor']
    >;
    const message = encodeSliceMessage({
      type: 'batch',
      isReset: true,
      part: 0,
      hasMore: false,
      ...{ incarnation, epoch: 1, after: 0, sequence: sequence + 1, chainHash },
      changes: [],
    });
    stream.send(message).catch(() => undefined);
  });
  replica.follow(link.session);
  await world.until('it refuses', () => codes.length > 0);
  assert.deepEqual([...new Set(codes)], ['SYNC_SUPERSEDED']);
  assert.equal(heldBy(replica), before);
});

test('a higher epoch is on disk before anything of it is shown, also where nothing changes', async () => {
  const { world, present, node, replica } = await superseded();
  present.epoch = 3;
  await world.follow(present.host, present.server, node, replica);
  await world.until('it has heard', () => replica.epoch === 3);
  assert.equal(replica.isOwnerSuperseded, false);
  // Without any goodbye.
  node.crashMachine();
  node.boot();
  const reopened = await world.replica(node);
  assert.equal(reopened.epoch, 3);
  assertSame(reopened, present.store.list('pods'));
});

test('where the disk is full the old epoch stands, and nothing of the new one is shown', async () => {
  const { world, present, node, replica } = await superseded();
  present.epoch = 3;
  await world.write(present.store, put('pods/e', {}));
  const before = heldBy(replica);
  const capacity = node.faults.capacityBytes;
  node.faults.capacityBytes = 1;
  let isOver = false;
  const link = await world.follow(present.host, present.server, node, replica);
  link.session.onClose(() => (isOver = true));
  await world.until('it gives up', () => isOver);
  assert.equal(replica.epoch, 2);
  assert.equal(heldBy(replica), before);
  node.faults.capacityBytes = capacity;
  await world.follow(present.host, present.server, node, replica);
  await world.until('it follows', () => heldBy(replica).includes('pods/e'));
  assert.equal(replica.epoch, 3);
});
