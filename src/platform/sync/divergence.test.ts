// Followers and owners that do not have the same history, over real stores and links.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { concatBytes, type Uid, utf8 } from '#base/mod.ts';
import { silentLogger as logger, sleep } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeRandom,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { openStore, type OwnedStore } from '#platform/store/mod.ts';
import { createConnectionPair, openLink } from '#platform/wire/mod.ts';
import { openReplica } from './replica.ts';
import { createSliceServer } from './slice-server.ts';
import type { Replica } from './types.ts';

const clock = createNodeClock();
const timers = createNodeTimers();
const random = createNodeRandom();
const waitMaxMs = 8_000;

class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'selvage-diverged-'));
  readonly reasons: string[] = [];
  readonly #closing: (() => Promise<void>)[] = [];

  async store(name: string): Promise<OwnedStore> {
    const store = await openStore({
      disk: createNodeDisk(join(this.folder, name)),
      random,
      logger,
    });
    this.#closing.push(() => store.close());
    return store;
  }

  async replica(name: string): Promise<Replica> {
    const disk = createNodeDisk(join(this.folder, name));
    const replica = await openReplica({ disk, random, timers, logger });
    this.#closing.push(() => replica.close());
    return replica;
  }

  /** Lets the replica follow the store; answers what ends the link. */
  async link(store: OwnedStore, replica: Replica): Promise<() => void> {
    const server = createSliceServer({
      store,
      timers,
      rules: { slicesOf: () => ['all'], membersOf: () => store.list('pods') },
      epoch: () => store.formerIncarnations.length + 1,
      formerIncarnations: () => store.formerIncarnations,
      onDiverged: (_slice, reason) => this.reasons.push(reason),
    });
    const [parent, child] = createConnectionPair();
    const opened = openLink(
      { connection: parent, clock, timers, logger },
      {
        role: 'parent',
        product: 'owner',
        onStream: (method, parameters, stream) => {
          assert.equal(method, 'slice.follow');
          server.serve(stream, parameters, 'all');
        },
      },
    );
    const session = await openLink(
      { connection: child, clock, timers, logger },
      { role: 'child', product: 'follower', onStream: () => {} },
    );
    await opened;
    replica.follow(session);
    const end = (): void => session.close({ code: 'TEST_OVER', message: 'the test ended it' });
    this.#closing.push(async () => end());
    return end;
  }

  async remove(): Promise<void> {
    for (const close of this.#closing.toReversed()) await close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function write(store: OwnedStore, ...names: string[]): Promise<void> {
  for (const name of names) {
    const key = { resource: 'pods', namespace: 'default', name };
    const uid = `uid-${name}` as Uid;
    const bytes = utf8(`{"name":"${name}"}`);
    await store.transact(() => ({
      changes: [{ type: 'put', key, uid, facet: 'intent', bytes }],
      result: undefined,
    }));
  }
}

async function backUp(store: OwnedStore, folder: string): Promise<void> {
  const disk = createNodeDisk(folder);
  await disk.makeDirectory('log');
  for (const file of await store.copy()) {
    const parts: Uint8Array[] = [];
    for await (const part of file.read()) parts.push(part);
    await disk.writeFileAtomic(file.path, concatBytes(parts));
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = clock.monotonicMs() + waitMaxMs;
  while (!condition()) {
    assert.ok(clock.monotonicMs() < deadline, what);
    await sleep(timers, 5);
  }
}

const namesIn = (replica: Replica): string =>
  replica
    .list('pods')
    .map(({ key }) => key.name)
    .join();

/** A replica that has seen a, b and c; a store of the same history that ends at a. */
async function overtaken(place: Place) {
  const original = await place.store('original');
  await write(original, 'a');
  await backUp(original, join(place.folder, 'restored'));
  const replica = await place.replica('replica');
  const end = await place.link(original, replica);
  await write(original, 'b', 'c');
  await until('the replica follows', () => namesIn(replica) === 'a,b,c');
  end();
  await sleep(timers, 20);
  return { replica, restored: await place.store('restored') };
}

test('an owner behind its follower takes nothing away until a new incarnation begins', async () => {
  const place = new Place();
  try {
    const { replica, restored } = await overtaken(place);
    const changed: string[] = [];
    replica.onChange((changes) => {
      for (const { type, object } of changes) changed.push(`${type} ${object.key.name}`);
    });
    await place.link(restored, replica);
    await until('it is told', () => place.reasons.length > 0);
    assert.match(place.reasons[0] ?? '', /is at revision 3, this server is at 1/);
    // Also when the owner has come as far, by another way.
    await write(restored, 'x', 'y', 'z');
    await until('it asks again', () => place.reasons.length > 1);
    assert.match(place.reasons[1] ?? '', /revision 3 is another one/);
    assert.equal(namesIn(replica), 'a,b,c');
    assert.equal(changed.length, 0);

    await restored.beginIncarnation();
    await until('it follows again', () => namesIn(replica) === 'a,x,y,z');
    assert.deepEqual(replica.cursor, restored.head());
    assert.deepEqual(
      new Set(changed),
      // a is the same, byte for byte: its digest says so.
      new Set(['leave b', 'leave c', 'put x', 'put y', 'put z']),
    );
  } finally {
    await place.remove();
  }
});

test('a follower of an incarnation that the owner never had is not served', async () => {
  const place = new Place();
  try {
    const { replica, restored } = await overtaken(place);
    const other = await place.store('other');
    await write(other, 'q', 'r', 's', 't');
    await place.link(other, replica);
    await until('it is told', () => place.reasons.length > 0);
    assert.match(place.reasons[0] ?? '', /which this server never had/);
    assert.equal(namesIn(replica), 'a,b,c');
    assert.equal(restored.incarnation, replica.cursor?.incarnation);
  } finally {
    await place.remove();
  }
});

test('a follower that is current moves to a new incarnation with nothing lost', async () => {
  const place = new Place();
  try {
    const store = await place.store('store');
    await write(store, 'a', 'b');
    const replica = await place.replica('replica');
    await place.link(store, replica);
    await until('the replica follows', () => namesIn(replica) === 'a,b');
    await store.beginIncarnation();
    await write(store, 'c');
    await until('it has moved', () => namesIn(replica) === 'a,b,c');
    assert.deepEqual(replica.cursor, store.head());
    assert.deepEqual(place.reasons, []);
  } finally {
    await place.remove();
  }
});

test('who looks on hears of a new incarnation also where nothing else is new', async () => {
  const place = new Place();
  try {
    const store = await place.store('store');
    await write(store, 'a');
    const replica = await place.replica('replica');
    const end = await place.link(store, replica);
    await until('the replica follows', () => namesIn(replica) === 'a');
    end();
    await sleep(timers, 20);
    await store.beginIncarnation();
    const heard: unknown[] = [];
    replica.onChange((changes) => heard.push([replica.cursor?.incarnation, changes]));
    await place.link(store, replica);
    await until('it has moved', () => heard.length > 0);
    assert.deepEqual(heard, [[store.incarnation, []]]);
  } finally {
    await place.remove();
  }
});
