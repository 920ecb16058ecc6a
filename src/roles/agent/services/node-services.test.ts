import assert from 'node:assert/strict';
import test from 'node:test';
import { concatBytes, type Revision, textOf, type Uid, utf8 } from '#base/mod.ts';
import { type Endpoint, encodeFacet } from '#platform/api/mod.ts';
import {
  type Address,
  NetError,
  type PlainConnection,
  silentLogger,
  sleep,
} from '#platform/io/mod.ts';
import { createWorld, type World } from '#platform/sim/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import type { Replica, ReplicaChange } from '#platform/sync/mod.ts';
import { decodeAnswerRecords, type DnsRecord, encodeQuery, recordTypes } from './dns-message.ts';
import { type NodeServices, startNodeServices } from './node-services.ts';
import { framed } from './upstream.ts';

const slicesResource = 'endpointslices.discovery.k8s.io';

/** A copy of a slice that a test writes itself. */
class Slice implements Replica {
  readonly cursor = undefined;
  readonly epoch = 1;
  readonly #objects = new Map<string, StoredObject>();
  readonly #listeners: ((changes: readonly ReplicaChange[]) => void)[] = [];

  put(resource: string, namespace: string, name: string, facets: Record<string, object>): void {
    const key = { resource, namespace, name };
    const revision = (this.#objects.size + 1) as Revision;
    const object: StoredObject = {
      key,
      uid: `${resource}/${name}` as Uid,
      createdRevision: revision,
      revision,
      facets: Object.fromEntries(
        Object.entries(facets).map(([facet, value]) => [
          facet,
          { revision, bytes: encodeFacet(value as never) },
        ]),
      ),
    };
    this.#objects.set(`${resource}/${namespace}/${name}`, object);
    for (const listener of this.#listeners) listener([{ type: 'put', object }]);
  }

  get({ resource, namespace, name }: StoredObject['key']): StoredObject | undefined {
    return this.#objects.get(`${resource}/${namespace}/${name}`);
  }

  list(resource: string): readonly StoredObject[] {
    return [...this.#objects.values()].filter(({ key }) => key.resource === resource);
  }

  onChange(listener: (changes: readonly ReplicaChange[]) => void): void {
    this.#listeners.push(listener);
  }

  follow(): void {}
  close(): Promise<void> {
    return Promise.resolve();
  }
}

const clusterIP = '127.129.0.9';
const dns: Address = { host: '127.1.3.254', port: 53 };

interface Opened {
  readonly world: World;
  readonly slice: Slice;
  readonly services: NodeServices;
  readonly ports: ReturnType<World['host']>['ports'];
  readonly run: <Result>(work: Promise<Result>) => Promise<Result>;
  readonly endpoints: (endpoints: readonly Endpoint[]) => void;
  readonly ask: (
    name: string,
    type?: number,
  ) => Promise<{ code: number; records: readonly DnsRecord[]; bytes: Uint8Array }>;
}

function open(options: { sharesMachine?: boolean; resolvers?: readonly Address[] } = {}): Opened {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed: 5, drainMicrotasks });
  const { ports } = world.host('here');
  const slice = new Slice();
  slice.put('nodes', '', 'here', {
    assignment: { region: 'north', site: 'mill', podCIDR: '127.1.3.0/24' },
  });
  const services = startNodeServices(
    { ...ports, replica: slice, logger: silentLogger, session: () => undefined },
    { nodeName: 'here', hostAddress: '127.0.0.1', sharesMachine: false, resolvers: [], ...options },
  );
  const service = (name: string, spec: object): void =>
    slice.put('services', 'shop', name, { intent: { kind: 'Service', metadata: { name }, spec } });
  service('web', {
    type: 'NodePort',
    clusterIP,
    ports: [{ name: 'http', port: 80, nodePort: 30_080 }],
  });
  service('pods', { clusterIP: 'None', ports: [{ name: 'http', port: 8080 }] });
  service('bare', { clusterIP: 'None' });
  service('away', { type: 'ExternalName', externalName: 'example.org' });
  const run = <Result>(work: Promise<Result>): Promise<Result> => world.settle(work, 60_000);
  return {
    world,
    slice,
    services,
    ports,
    run,
    endpoints(endpoints) {
      for (const name of ['web', 'pods', 'bare']) {
        slice.put(slicesResource, 'shop', `${name}-1`, {
          intent: {
            metadata: { labels: { 'kubernetes.io/service-name': name } },
            endpoints,
            ports: name === 'bare' ? [] : [{ name: 'http', port: 8080 }],
          },
        });
      }
    },
    async ask(name, type = recordTypes.A) {
      const socket = await ports.datagrams.bind({ address: { host: '127.0.0.1', port: 0 } });
      const answer = new Promise<Uint8Array>((resolve) => {
        socket.onMessage((bytes) => resolve(bytes.slice()));
      });
      socket.send(encodeQuery(77, { name, type }), dns);
      const bytes = await answer;
      await socket.close();
      return { code: (bytes[3] ?? 0) & 0x0f, records: decodeAnswerRecords(bytes), bytes };
    },
  };
}

function endpoint(
  address: string,
  [nodeName, zone, region]: readonly [string, string, string],
  conditions: Endpoint['conditions'] = { ready: true, serving: true },
): Endpoint {
  const deprecatedTopology = { 'topology.kubernetes.io/region': region };
  return { addresses: [address], nodeName, zone, deprecatedTopology, conditions };
}

const onNode = endpoint('127.1.3.1', ['here', 'mill', 'north']);
const atSite = endpoint('127.1.4.1', ['beside', 'mill', 'north']);
const inRegion = endpoint('127.1.5.1', ['near', 'harbour', 'north']);
const far = endpoint('127.1.6.1', ['far', 'depot', 'south']);

/** A pod that says who it is to whoever connects, and keeps the connection. */
async function pod({ ports }: Opened, host: string): Promise<PlainConnection[]> {
  const taken: PlainConnection[] = [];
  await ports.plainNet.listen(
    { address: { host, port: 8080 }, connectionsMax: 100 },
    (connection) => {
      taken.push(connection);
      connection.onEnd(() => connection.end());
      connection.write(utf8(host));
    },
  );
  return taken;
}

interface Call {
  readonly connection: PlainConnection;
  readonly said: () => string;
  readonly isOver: () => boolean;
}

/** Connects and waits for the first words, or the end. */
async function call({ ports, world }: Opened, address: Address): Promise<Call> {
  const connection = await ports.plainNet.connect({ address, timeoutMs: 1_000 });
  const parts: Uint8Array[] = [];
  const state = { isOver: false };
  connection.onData((bytes) => parts.push(bytes));
  connection.onClose(() => {
    state.isOver = true;
  });
  while (parts.length === 0 && !state.isOver) await sleep(world.timers, 1);
  return { connection, said: () => textOf(concatBytes(parts)), isOver: () => state.isOver };
}

const web: Address = { host: clusterIP, port: 80 };

test('connections go to the nearest pod that is ready, and on to the next where one does not answer', async () => {
  const opened = open({ sharesMachine: true });
  const { run, endpoints, world } = opened;
  const addresses = [onNode, atSite, inRegion, far].map((one) => one.addresses[0] ?? '');
  const pods = await run(Promise.all(addresses.map((host) => pod(opened, host))));
  const answers = async (): Promise<string> => (await run(call(opened, web))).said();
  endpoints([far, inRegion, atSite, onNode]);
  await world.run(world.clock.monotonicMs() + 100);
  assert.equal(await answers(), '127.1.3.1');
  endpoints([far, inRegion, atSite]);
  assert.equal(await answers(), '127.1.4.1');
  endpoints([far, inRegion, { ...atSite, conditions: { ready: false, serving: false } }]);
  assert.equal(await answers(), '127.1.5.1');
  endpoints([far]);
  assert.equal(await answers(), '127.1.6.1');
  // A pod that is said to be ready and is not there is passed over.
  endpoints([far, endpoint('127.1.3.99', ['here', 'mill', 'north'])]);
  assert.equal(await answers(), '127.1.6.1');
  // Nobody is ready: who still answers on the way out is better than nobody.
  endpoints([{ ...far, conditions: { ready: false, serving: true, terminating: true } }]);
  assert.equal(await answers(), '127.1.6.1');
  endpoints([]);
  const refused = await run(call(opened, web));
  assert.equal(refused.said(), '');
  assert.equal(refused.isOver(), true);
  assert.equal(opened.services.state().refused, 1);
  assert.equal((await run(call(opened, { host: '127.0.0.1', port: 30_080 }))).isOver(), true);
  endpoints([onNode]);
  assert.equal((await run(call(opened, { host: '127.0.0.1', port: 30_080 }))).said(), '127.1.3.1');
  assert.equal(pods[0]?.length, 2);
  await run(opened.services.close());
});

test('equally near pods take turns, and a client that is to stay with its pod does', async () => {
  const opened = open();
  const { run, endpoints, world, slice } = opened;
  const second = endpoint('127.1.3.2', ['here', 'mill', 'north']);
  await run(Promise.all(['127.1.3.1', '127.1.3.2'].map((host) => pod(opened, host))));
  endpoints([onNode, second]);
  await world.run(world.clock.monotonicMs() + 100);
  const said = async (): Promise<string[]> => {
    const all: string[] = [];
    for (let count = 0; count < 4; count += 1) all.push((await run(call(opened, web))).said());
    return all;
  };
  const turns = await said();
  assert.equal(new Set(turns).size, 2);
  assert.notEqual(turns[0], turns[1]);
  const spec = { clusterIP, ports: [{ name: 'http', port: 80 }], sessionAffinity: 'ClientIP' };
  slice.put('services', 'shop', 'web', { intent: { metadata: { name: 'web' }, spec } });
  assert.equal(new Set(await said()).size, 1);
  await run(opened.services.close());
});

test('what has begun with a pod that leaves goes on, each direction to its own end', async () => {
  const opened = open({ sharesMachine: true });
  const { run, endpoints, world } = opened;
  const taken = await run(pod(opened, '127.1.3.1'));
  await run(pod(opened, '127.1.4.1'));
  endpoints([onNode, atSite]);
  await world.run(world.clock.monotonicMs() + 100);
  const old = await run(call(opened, web));
  endpoints([
    { ...onNode, conditions: { ready: false, serving: true, terminating: true } },
    atSite,
  ]);
  assert.equal((await run(call(opened, web))).said(), '127.1.4.1');
  // Far more than any buffer holds, to a client that does not read for a while.
  const large = new Uint8Array(6_000_000).fill(65);
  old.connection.pause();
  taken[0]?.write(large);
  await world.run(world.clock.monotonicMs() + 500);
  assert.ok((taken[0]?.bufferedBytes() ?? 0) > 2_000_000, 'the pod is held back');
  let heard = '';
  taken[0]?.onData((bytes) => {
    heard += textOf(bytes);
  });
  old.connection.write(utf8('last words'));
  old.connection.end();
  old.connection.resume();
  await world.run(world.clock.monotonicMs() + 5_000);
  assert.equal(heard, 'last words');
  assert.equal(old.said().length, '127.1.3.1'.length + large.length);
  assert.equal(old.isOver(), true);
  assert.equal(opened.services.state().connections, 1);
  await run(opened.services.close());
});

test('names of services are addresses, of headless ones the pods, the nearest first', async () => {
  const opened = open();
  const { run, endpoints, ask, world } = opened;
  const named = { ...atSite, hostname: 'first' };
  endpoints([far, named, onNode, { ...inRegion, conditions: { ready: false } }]);
  await world.run(world.clock.monotonicMs() + 100);
  const addresses = async (name: string): Promise<unknown> => {
    const { code, records } = await run(ask(name));
    return code === 0
      ? records.map((record) => ('address' in record ? record.address : record.type))
      : code;
  };
  assert.deepEqual(await addresses('web.shop.svc'), [clusterIP]);
  assert.deepEqual(await addresses('WEB.shop.svc.Cluster.Local'), [clusterIP]);
  assert.deepEqual(await addresses('pods.shop.svc'), ['127.1.3.1', '127.1.4.1', '127.1.6.1']);
  assert.deepEqual(await addresses('first.pods.shop.svc'), ['127.1.4.1']);
  assert.deepEqual(await addresses('127-1-6-1.pods.shop.svc'), ['127.1.6.1']);
  // Also where the service names no ports.
  assert.deepEqual(await addresses('first.bare.shop.svc'), ['127.1.4.1']);
  assert.deepEqual(await addresses('bare.shop.svc'), ['127.1.3.1', '127.1.4.1', '127.1.6.1']);
  assert.deepEqual(await addresses('shop.svc'), []);
  for (const unknown of ['none.shop.svc', 'web.other.svc', 'x.web.shop.svc', 'a.b.cluster.local']) {
    assert.equal(await addresses(unknown), 3, unknown);
  }
  const six = await run(ask('web.shop.svc', recordTypes.AAAA));
  assert.deepEqual([six.code, six.records.length], [0, 0], 'there is such a name, without that');
  const srv = await run(ask('_http._tcp.pods.shop.svc', recordTypes.SRV));
  assert.equal(srv.bytes[7], 3, 'three answers');
  assert.equal(srv.bytes[11], 3, 'with their addresses');
  assert.equal(
    await addresses('example.org'),
    5,
    'without resolvers it says that it does not know',
  );
  const bad = await opened.ports.datagrams.bind({ address: { host: '127.0.0.1', port: 0 } });
  const replies: number[] = [];
  bad.onMessage((bytes) => replies.push((bytes[3] ?? 0) & 0x0f));
  bad.send(Uint8Array.of(1, 2, 3), dns);
  bad.send(Uint8Array.from([0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0]), dns);
  bad.send(Uint8Array.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63, 1]), dns);
  bad.send(Uint8Array.from([0, 1, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]), dns);
  await world.run(world.clock.monotonicMs() + 100);
  assert.deepEqual(replies, [1, 1, 4], 'nonsense does no harm');
  assert.deepEqual(await addresses('web.shop.svc'), [clusterIP]);
  await run(opened.services.close());
});

test('other names are asked for elsewhere, also those that a service stands for', async () => {
  const silent = { host: '127.0.0.7', port: 53 };
  const resolver = { host: '127.0.0.8', port: 53 };
  const opened = open({ resolvers: [silent, resolver] });
  const { run, ports, ask, world } = opened;
  await ports.datagrams.bind({ address: silent });
  const upstream = await ports.datagrams.bind({ address: resolver });
  const asked: number[] = [];
  // Answers every question with one address, as in an answer of its own kind.
  const answerTo = (query: Uint8Array): Uint8Array => {
    asked.push(query.length);
    const answer = query.slice();
    answer.set([0x81, 0x80, 0, 1, 0, 1], 2);
    return concatBytes([
      answer,
      Uint8Array.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]),
    ]);
  };
  upstream.onMessage((query, from) => upstream.send(answerTo(query), from));
  await ports.plainNet.listen({ address: resolver, connectionsMax: 5 }, (connection) => {
    connection.onData((bytes) => connection.write(framed(answerTo(bytes.slice(2)))));
  });
  await world.run(100);
  const elsewhere = await run(ask('example.org'));
  assert.deepEqual([elsewhere.bytes[0], elsewhere.bytes[1]], [0, 77], 'the id of the question');
  assert.deepEqual(
    elsewhere.records.map((record) => 'address' in record && record.address),
    ['192.0.2.7'],
  );
  const alias = await run(ask('away.shop.svc'));
  assert.deepEqual(
    alias.records.map((record) => ('target' in record ? record.target : record.type)),
    ['example.org', 'A'],
  );
  const stream = await run(ports.plainNet.connect({ address: dns, timeoutMs: 1_000 }));
  let received: Uint8Array = new Uint8Array(0);
  stream.onData((bytes) => {
    received = concatBytes([received, bytes]);
  });
  stream.write(framed(encodeQuery(9, { name: 'example.org', type: recordTypes.A })));
  stream.write(framed(encodeQuery(8, { name: 'web.shop.svc', type: recordTypes.A })));
  await world.run(world.clock.monotonicMs() + 10_000);
  assert.ok(received.length > 80, 'both questions of the stream are answered');
  assert.equal(asked.length, 3);
  await run(opened.services.close());
  await assert.rejects(
    run(ports.plainNet.connect({ address: dns, timeoutMs: 1_000 })),
    (error) => error instanceof NetError && error.code === 'NET_REFUSED',
  );
});

test('one stream has one question at a time at the resolver, and an answer to each before it ends', async () => {
  const resolver = { host: '127.0.0.8', port: 53 };
  const opened = open({ resolvers: [resolver] });
  const { run, ports, world } = opened;
  let [now, most, asked] = [0, 0, 0];
  const listening = ports.plainNet.listen(
    { address: resolver, connectionsMax: 1_000 },
    (connection) => {
      now += 1;
      most = Math.max(most, now);
      connection.onClose(() => {
        now -= 1;
      });
      connection.onData((query) => {
        asked += 1;
        connection.write(query);
      });
    },
  );
  await run(listening);
  await world.run(100);
  const stream = await run(ports.plainNet.connect({ address: dns, timeoutMs: 1_000 }));
  const parts: Uint8Array[] = [];
  let hasEnded = false;
  stream.onData((bytes) => parts.push(bytes.slice()));
  stream.onEnd(() => {
    hasEnded = true;
  });
  const questions = Array.from({ length: 300 }, (_, id) =>
    framed(encodeQuery(id, { name: 'example.org', type: recordTypes.A })),
  );
  stream.write(concatBytes(questions));
  stream.end();
  await world.run(world.clock.monotonicMs() + 30_000);
  assert.deepEqual([most, asked, hasEnded], [1, 300, true]);
  assert.deepEqual(concatBytes(parts), concatBytes(questions), 'in their order');
  const large = await run(ports.plainNet.connect({ address: dns, timeoutMs: 1_000 }));
  const closed = new Promise<boolean>((resolve) => large.onClose(() => resolve(true)));
  large.write(framed(new Uint8Array(5_000)));
  assert.equal(await run(closed), true, 'no query is that large');
  await run(opened.services.close());
});

test('where nodes share a machine each has an address of its own for a service, beside the common one', async () => {
  const opened = open({ sharesMachine: true });
  const { run, endpoints, ask, world } = opened;
  await run(pod(opened, '127.1.3.1'));
  endpoints([onNode]);
  await world.run(world.clock.monotonicMs() + 100);
  const { records } = await run(ask('web.shop.svc'));
  assert.deepEqual(
    records.map((record) => 'address' in record && record.address),
    ['127.129.3.9'],
  );
  for (const host of ['127.129.3.9', clusterIP]) {
    assert.equal((await run(call(opened, { host, port: 80 }))).said(), '127.1.3.1');
  }
  // Another node of the machine takes the common address too.
  const beside = opened.ports.plainNet.listen(
    { address: web, connectionsMax: 1, isShared: true },
    () => {},
  );
  await (await run(beside)).close();
  assert.deepEqual(opened.services.resolverFor('shop'), {
    nameserver: '127.1.3.254',
    searches: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
  });
  await run(opened.services.close());
});

test('a pod of another machine is out of reach without the hub, and the others are used', async () => {
  const opened = open();
  const { run, endpoints, world } = opened;
  await run(Promise.all(['127.1.3.1', '127.1.4.1'].map((host) => pod(opened, host))));
  endpoints([atSite, { ...onNode, nodeName: 'here', zone: 'elsewhere' }]);
  await world.run(world.clock.monotonicMs() + 100);
  assert.equal((await run(call(opened, web))).said(), '127.1.3.1');
  // That address is here too, and is somebody else's.
  endpoints([atSite]);
  const refused = await run(call(opened, web));
  assert.deepEqual([refused.said(), refused.isOver()], ['', true]);
  await run(opened.services.close());
});

test('an address that is taken is had as soon as it is free', async () => {
  const opened = open();
  const { run, endpoints, world, slice, ports } = opened;
  await run(pod(opened, '127.1.3.1'));
  const address = { host: '127.129.0.77', port: 80 };
  const other = await ports.plainNet.listen({ address, connectionsMax: 1 }, () => {});
  const spec = { clusterIP: address.host, ports: [{ name: 'http', port: 80 }] };
  slice.put('services', 'shop', 'late', { intent: { metadata: { name: 'late' }, spec } });
  slice.put(slicesResource, 'shop', 'late-1', {
    intent: {
      metadata: { labels: { 'kubernetes.io/service-name': 'late' } },
      endpoints: [onNode],
      ports: [{ name: 'http', port: 8080 }],
    },
  });
  endpoints([onNode]);
  await world.run(world.clock.monotonicMs() + 1_000);
  assert.equal((await run(call(opened, web))).said(), '127.1.3.1', 'others are not held up');
  await other.close();
  await world.run(world.clock.monotonicMs() + 6_000);
  assert.equal((await run(call(opened, address))).said(), '127.1.3.1');
  await run(opened.services.close());
});

const udpEndpoint = (address: string, nodeName: string, isReady = true): Endpoint => ({
  addresses: [address],
  conditions: { ready: isReady, serving: isReady },
  nodeName,
});

test('datagrams reach a pod of this machine and come back from where they were sent', async () => {
  const { slice, services, ports, run } = open();
  const address = { host: '127.129.0.53', port: 53 };
  slice.put('services', 'shop', 'names', {
    intent: {
      kind: 'Service',
      metadata: { name: 'names' },
      spec: {
        type: 'NodePort',
        clusterIP: address.host,
        ports: [
          { name: 'udp', port: 53, nodePort: 30_053, protocol: 'UDP' },
          { name: 'tcp', port: 53, nodePort: 30_053, protocol: 'TCP' },
        ],
      },
    },
  });
  const put = (endpoints: readonly Endpoint[]): void =>
    slice.put(slicesResource, 'shop', 'names-1', {
      intent: {
        metadata: { labels: { 'kubernetes.io/service-name': 'names' } },
        endpoints,
        ports: [{ name: 'udp', port: 5353, protocol: 'UDP' }],
      },
    });
  const pods = await run(
    Promise.all(
      ['127.1.3.1', '127.1.3.2'].map(async (host) => {
        const socket = await ports.datagrams.bind({ address: { host, port: 5353 } });
        socket.onMessage((bytes, from) => socket.send(utf8(`${textOf(bytes)} by ${host}`), from));
        return socket;
      }),
    ),
  );
  put([udpEndpoint('127.1.3.1', 'here'), udpEndpoint('127.1.9.9', 'elsewhere')]);
  const clientOf = async () => {
    const socket = await ports.datagrams.bind({ address: { host: '127.0.0.1', port: 0 } });
    const heard: string[] = [];
    socket.onMessage((bytes, from) =>
      heard.push(`${textOf(bytes)} from ${from.host}:${from.port}`),
    );
    return { socket, heard };
  };
  const client = await run(clientOf());
  const say = async (text: string, to = address): Promise<string | undefined> => {
    const count = client.heard.length;
    client.socket.send(utf8(text), to);
    await run(sleep(ports.timers, 200));
    return client.heard.length > count ? client.heard.at(-1) : undefined;
  };
  await run(sleep(ports.timers, 100));
  assert.equal(await say('one'), 'one by 127.1.3.1 from 127.129.0.53:53');
  assert.equal(
    await say('two', { host: '127.0.0.1', port: 30_053 }),
    'two by 127.1.3.1 from 127.0.0.1:30053',
  );
  // Only the pod that was asked can answer.
  const stranger = await run(clientOf());
  stranger.socket.send(utf8('forged'), address);
  await run(sleep(ports.timers, 200));
  assert.ok(client.heard.every((line) => !line.includes('forged')));
  // It stays with its pod while that serves, and goes to another once it does not.
  put([udpEndpoint('127.1.3.2', 'here'), udpEndpoint('127.1.3.1', 'here')]);
  assert.equal(await say('three'), 'three by 127.1.3.1 from 127.129.0.53:53');
  put([udpEndpoint('127.1.3.2', 'here'), udpEndpoint('127.1.3.1', 'here', false)]);
  assert.equal(await say('four'), 'four by 127.1.3.2 from 127.129.0.53:53');
  // Whose pods are all on other machines is not reached, and that is counted.
  const before = services.state().refused;
  put([udpEndpoint('127.1.9.9', 'elsewhere')]);
  assert.equal(await say('five'), undefined);
  assert.equal(services.state().refused, before + 1);
  // Clients that fall silent are forgotten.
  assert.ok(services.state().connections > 0);
  await run(sleep(ports.timers, 45_000));
  await run(sleep(ports.timers, 30_000));
  assert.equal(services.state().connections, 0);
  for (const socket of [...pods, client.socket, stranger.socket]) await run(socket.close());
  await run(services.close());
});

test('many clients at a time are bounded: the silent ones make room', async () => {
  const { slice, services, ports, run } = open();
  const address = { host: '127.129.0.54', port: 9 };
  slice.put('services', 'shop', 'many', {
    intent: {
      kind: 'Service',
      metadata: { name: 'many' },
      spec: { clusterIP: address.host, ports: [{ port: 9, protocol: 'UDP' }] },
    },
  });
  slice.put(slicesResource, 'shop', 'many-1', {
    intent: {
      metadata: { labels: { 'kubernetes.io/service-name': 'many' } },
      endpoints: [udpEndpoint('127.1.3.1', 'here')],
      ports: [{ port: 9, protocol: 'UDP' }],
    },
  });
  await run(sleep(ports.timers, 100));
  for (let count = 0; count < 2_100; count += 1) {
    const socket = await run(ports.datagrams.bind({ address: { host: '127.0.0.1', port: 0 } }));
    socket.send(utf8('x'), address);
  }
  await run(sleep(ports.timers, 500));
  assert.equal(services.state().connections, 2_000);
  await run(services.close());
});
