/**
 * Owners and followers on simulated machines: real stores, copies, outboxes and links
 * over disks that can be cut off from power, with every byte between them counted.
 */
import assert from 'node:assert/strict';
import { concatBytes, type JsonObject, type Uid, utf8 } from '#base/mod.ts';
import type { Connection, Disk } from '#platform/io/mod.ts';
import { createWorld, type Host, type World } from '#platform/sim/mod.ts';
import {
  type Change,
  type ObjectKey,
  openStore,
  type OwnedStore,
  type Store,
  type StoredObject,
  type StoreOptions,
} from '#platform/store/mod.ts';
import {
  createConnectionPair,
  type LinkSession,
  openLink,
  type StreamHandler,
} from '#platform/wire/mod.ts';
import { openReplica } from './replica.ts';
import { createSliceServer } from './slice-server.ts';
import type { Replica, SliceRules, SliceServer } from './types.ts';

const settleMs = 120_000;

export interface Link {
  readonly session: LinkSession;
  /** Moved so far, to the follower and from it. */
  readonly down: () => number;
  readonly up: () => number;
  end(): void;
}

export class SyncWorld {
  readonly world: World;

  constructor(seed = 1) {
    this.world = createWorld({
      seed,
      drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
    });
  }

  host(name: string): Host {
    return this.world.host(name);
  }

  run<Result>(work: Promise<Result>): Promise<Result> {
    return this.world.settle(work, settleMs);
  }

  async disk(host: Host, folder: string): Promise<Disk> {
    await this.run(host.ports.disk.makeDirectory(folder));
    return host.ports.disk.within(folder);
  }

  async store(host: Host, options: StoreOptions = {}, folder = 'store'): Promise<OwnedStore> {
    const { random, logger, clock } = host.ports;
    const disk = await this.disk(host, folder);
    return this.run(openStore({ disk, random, logger, clock }, options));
  }

  async replica(host: Host): Promise<Replica> {
    const { random, logger, timers } = host.ports;
    const disk = await this.disk(host, 'replica');
    return this.run(openReplica({ disk, random, timers, logger }));
  }

  /** A link whose parent answers with `serve`; both ends see every byte as it is. */
  async connect(parentHost: Host, childHost: Host, serve: StreamHandler): Promise<Link> {
    const [parent, child] = createConnectionPair();
    let down = 0;
    let up = 0;
    const opened = openLink(
      { connection: counted(parent, (bytes) => (down += bytes)), ...parentHost.ports },
      { role: 'parent', product: 'owner', onStream: serve },
    );
    const session = await this.run(
      openLink(
        { connection: counted(child, (bytes) => (up += bytes)), ...childHost.ports },
        { role: 'child', product: 'follower', onStream: () => {} },
      ),
    );
    await this.run(opened);
    return {
      session,
      down: () => down,
      up: () => up,
      end: () => session.close({ code: 'TEST_OVER', message: 'the test ended it' }),
    };
  }

  /** Lets the copy follow that slice of the server. */
  async follow(
    owner: Host,
    server: SliceServer,
    follower: Host,
    replica: Replica,
    slice = 'all',
  ): Promise<Link> {
    const link = await this.connect(owner, follower, (method, parameters, stream) => {
      assert.equal(method, 'slice.follow');
      server.serve(stream, parameters, slice);
    });
    replica.follow(link.session);
    return link;
  }

  async until(what: string, condition: () => boolean, limitMs = 30_000): Promise<void> {
    assert.ok(await this.world.runUntil(condition, limitMs), what);
  }

  async pass(durationMs: number): Promise<void> {
    await this.world.run(this.world.clock.monotonicMs() + durationMs);
  }

  async write(store: Store, ...changes: Change[]): Promise<void> {
    await this.run(store.transact(() => ({ changes, result: undefined })));
  }
}

function counted(connection: Connection, count: (bytes: number) => void): Connection {
  return {
    peer: connection.peer,
    remoteAddress: connection.remoteAddress,
    write(bytes) {
      count(bytes.length);
      connection.write(bytes);
    },
    bufferedBytes: () => connection.bufferedBytes(),
    onData: (listener) => connection.onData(listener),
    onDrain: (listener) => connection.onDrain(listener),
    onClose: (listener) => connection.onClose(listener),
    pause: () => connection.pause(),
    resume: () => connection.resume(),
    end: () => connection.end(),
    destroy: () => connection.destroy(),
  };
}

/** `pods/a` and the like, all in one namespace. */
export function keyOf(text: string): ObjectKey {
  const [resource = '', name = ''] = text.split('/');
  return { resource, namespace: 'default', name };
}

export function put(text: string, intent: JsonObject, uid = `uid-${text}`): Change {
  const bytes = utf8(JSON.stringify(intent));
  return { type: 'put', key: keyOf(text), uid: uid as Uid, facet: 'intent', bytes };
}

export function remove(text: string, uid = `uid-${text}`): Change {
  return { type: 'delete', key: keyOf(text), uid: uid as Uid };
}

/** Everything that the copy holds, as `resource/name`. */
export function heldBy(replica: Replica, resources = ['configmaps', 'pods', 'secrets']): string {
  return resources
    .flatMap((resource) => replica.list(resource).map(({ key }) => `${resource}/${key.name}`))
    .join(' ');
}

/** Every pod for whoever follows. */
export function everything(store: Store): SliceRules {
  return { slicesOf: () => ['all'], membersOf: () => store.list('pods') };
}

export function serverOf(host: Host, store: OwnedStore, rules = everything(store)): SliceServer {
  const { timers } = host.ports;
  return createSliceServer({
    store,
    timers,
    rules,
    formerIncarnations: () => store.formerIncarnations,
  });
}

/** What the copy holds is byte for byte what `objects` are. */
export function assertSame(replica: Replica, objects: readonly StoredObject[]): void {
  const resources = [...new Set(objects.map(({ key }) => key.resource))];
  const held = resources.flatMap((resource) => replica.list(resource));
  assert.deepEqual(
    held.map((object) => plain(object)).sort(),
    objects.map((object) => plain(object)).sort(),
  );
}

function plain({ key, uid, revision, createdRevision, facets }: StoredObject): string {
  const values = Object.entries(facets).map(([name, value]) => [
    name,
    value.revision,
    [...value.bytes].join(),
  ]);
  return JSON.stringify([key, uid, revision, createdRevision, values]);
}

/** Copies what is a backup of `store` to a folder of a machine. */
export async function backUp(from: OwnedStore, disk: Disk): Promise<void> {
  await disk.makeDirectory('log');
  for (const file of await from.copy()) {
    const parts: Uint8Array[] = [];
    for await (const part of file.read()) parts.push(part);
    await disk.writeFileAtomic(file.path, concatBytes(parts));
  }
}
