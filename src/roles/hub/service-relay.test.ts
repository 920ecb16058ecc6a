import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf, type Uid, utf8 } from '#base/mod.ts';
import { encodeFacet } from '#platform/api/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { openStore, type Store } from '#platform/store/mod.ts';
import {
  createConnectionPair,
  type LinkLimits,
  type LinkSession,
  type LinkStream,
  openLink,
  type StreamHandler,
  streamsKeptFree,
} from '#platform/wire/mod.ts';
import { ServiceRelay } from './service-relay.ts';

const uid = 'u1' as Uid;

async function put(store: Store, resource: string, name: string, facets: object): Promise<void> {
  const key = { resource, namespace: 'shop', name };
  await store.transact(() => ({
    changes: Object.entries(facets).map(([facet, value]) => ({
      type: 'put' as const,
      key,
      uid: resource === 'pods' ? uid : (`${name}-uid` as Uid),
      facet: facet as 'intent',
      bytes: encodeFacet(value as never),
    })),
    result: undefined,
  }));
}

interface Opened {
  readonly run: <Result>(work: Promise<Result>) => Promise<Result>;
  readonly pass: (durationMs: number) => Promise<void>;
  readonly store: Store;
  /** Of the agent that asks. */
  readonly asking: LinkSession;
  /** Of the hub to the node of the pod. */
  readonly there: () => LinkSession | undefined;
  /** Takes the hub's link to the node of the pod away. */
  readonly disconnect: () => void;
  readonly connects: { parameters: Readonly<Record<string, unknown>>; stream: LinkStream }[];
}

/** A hub with two agents, which grant it that: `from`, which asks, and `there`, which has the pod. */
async function open(granted: Partial<LinkLimits> = {}): Promise<Opened> {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 3, drainMicrotasks });
  const { clock, timers, random, disk, logger } = world.host('hub').ports;
  const run = <Result>(work: Promise<Result>): Promise<Result> => world.settle(work, 60_000);
  const store = await run(openStore({ disk, random, clock, timers, logger }));
  await run(put(store, 'pods', 'web', { intent: {}, assignment: { nodeName: 'there' } }));
  await run(
    put(store, 'endpointslices.discovery.k8s.io', 'web-1', {
      intent: { endpoints: [{ targetRef: { kind: 'Pod', uid } }], ports: [{ port: 8080 }] },
    }),
  );
  const sessions = new Map<string, LinkSession>();
  const relay = new ServiceRelay(store, (name) => sessions.get(name));
  const link = async (name: string, onStream: StreamHandler): Promise<LinkSession> => {
    const [parent, child] = createConnectionPair();
    const parts = { clock, timers, logger: silentLogger };
    const [hub, agent] = await Promise.all([
      openLink(
        { ...parts, connection: parent },
        {
          role: 'parent',
          product: 'hub',
          onStream: (_method, parameters, stream) => relay.serve(name, parameters, stream),
        },
      ),
      openLink(
        { ...parts, connection: child },
        { role: 'child', product: name, onStream, limits: granted },
      ),
    ]);
    sessions.set(name, hub);
    return agent;
  };
  const connects: Opened['connects'] = [];
  const asking = await run(link('from', () => {}));
  await run(link('there', (_method, parameters, stream) => connects.push({ parameters, stream })));
  return {
    run,
    pass: (durationMs) => world.run(world.clock.monotonicMs() + durationMs),
    store,
    asking,
    there: () => sessions.get('there'),
    disconnect: () => sessions.delete('there'),
    connects,
  };
}

function dial(session: LinkSession, more: object = {}): { stream: LinkStream; heard: string[] } {
  const parameters = { namespace: 'shop', name: 'web', uid, port: 8080, ...more };
  const stream = session.open('bulk', 'service.dial', parameters);
  const heard: string[] = [];
  stream.onMessage((bytes) => {
    heard.push(bytes.length === 0 ? 'end' : textOf(bytes));
  });
  stream.onClose((failure) => heard.push(failure === undefined ? 'closed' : failure.code));
  return { stream, heard };
}

test('two nodes are joined for a pod and port that a service names, until both have ended', async () => {
  const { asking, connects, pass } = await open();
  const { stream, heard } = dial(asking);
  await pass(10);
  const [there] = connects;
  assert.ok(there !== undefined);
  assert.deepEqual(there.parameters, { podUid: uid, port: 8080 });
  const far: string[] = [];
  there.stream.onMessage((bytes) => {
    far.push(bytes.length === 0 ? 'end' : textOf(bytes));
  });
  there.stream.onClose((failure) => far.push(failure === undefined ? 'closed' : failure.code));
  void stream.send(utf8('hello'));
  void stream.send(new Uint8Array(0));
  await pass(10);
  void there.stream.send(utf8('and back'));
  void there.stream.send(new Uint8Array(0));
  await pass(10);
  assert.deepEqual(
    [far, heard],
    [
      ['hello', 'end'],
      ['and back', 'end'],
    ],
  );
  stream.end();
  there.stream.end();
  await pass(10);
  assert.deepEqual([far.at(-1), heard.at(-1)], ['closed', 'closed']);
});

test('what no service names is refused, and so is a node that is not connected', async () => {
  const { asking, connects, pass, disconnect, run, store } = await open();
  const refused = async (more: object): Promise<string[]> => {
    const { heard } = dial(asking, more);
    await pass(10);
    return heard;
  };
  for (const more of [{ port: 22 }, { uid: 'u2' }, { name: 'other' }, { namespace: 7 }]) {
    assert.deepEqual(await refused(more), ['SERVICE_REFUSED'], JSON.stringify(more));
  }
  disconnect();
  assert.deepEqual(await refused({}), ['NODE_UNREACHABLE']);
  assert.equal(connects.length, 0);
  await run(store.close());
});

test('one side that gives up ends the other, and its place is free again', async () => {
  const { asking, connects, pass } = await open();
  // More in turn than may be at one time.
  for (let round = 0; round < 600; round += 1) {
    const { stream, heard } = dial(asking);
    await pass(1);
    const there = connects.at(-1);
    assert.ok(there !== undefined && connects.length === round + 1, `round ${round}`);
    const far: (string | undefined)[] = [];
    there.stream.onMessage(() => {});
    there.stream.onClose((failure) => far.push(failure?.code));
    const giver = round % 2 === 0 ? stream : there.stream;
    giver.fail({ code: 'ENOUGH', message: 'no more' });
    await pass(1);
    if (round % 2 === 0) assert.deepEqual(far, ['ENOUGH']);
    else assert.deepEqual(heard, ['ENOUGH']);
  }
});

test('one node has the 500 connections that are said, and streams beside them', async () => {
  const { asking, connects, pass } = await open();
  const dialled = Array.from({ length: 501 }, () => dial(asking));
  await pass(50);
  assert.equal(connects.length, 500);
  assert.deepEqual(
    dialled.map(({ heard }) => heard).filter((heard) => heard.length > 0),
    [['SERVICE_BUSY']],
  );
  assert.ok(asking.streamsLeft() >= streamsKeptFree, `${asking.streamsLeft()} are left`);
});

test('connections to one node leave streams for what the hub asks of it, also of an older agent', async () => {
  const { asking, connects, pass, there } = await open({ streamsMax: 256 });
  const dialled = Array.from({ length: 193 }, () => dial(asking));
  await pass(50);
  assert.equal(connects.length, 192);
  assert.deepEqual(dialled.at(-1)?.heard, ['SERVICE_BUSY']);
  const hub = there();
  const refused: unknown[] = [];
  for (let count = 0; count < 64; count += 1) {
    hub?.open('telemetry', 'pod.logs', {}).onClose((failure) => refused.push(failure));
  }
  await pass(50);
  assert.deepEqual([connects.length, refused], [256, []]);
  dialled[0]?.stream.fail({ code: 'ENOUGH', message: 'no more' });
  for (const { stream } of connects.slice(192)) stream.fail({ code: 'ENOUGH', message: 'read' });
  await pass(50);
  dial(asking);
  await pass(50);
  assert.equal(connects.length, 257);
});
