// The contract of HTTP servers through a relay, and what a relay has beyond it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import { httpContract } from '../io/http.contract.ts';
import {
  type ByteSink,
  type HttpHandler,
  type HttpRequest,
  type HttpServer,
  type PlainConnection,
  readBody,
  silentLogger,
  sleep,
} from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeHttpClient,
  createNodeHttpServer,
  createNodeKeys,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { createConnectionPair, type LinkSession, openLink } from '#platform/wire/mod.ts';
import { createRelayFront, createRelayOwner, type RelayFront, relayLinkLimits } from './mod.ts';

const clock = createNodeClock();
const timers = createNodeTimers();
const link = { clock, timers, logger: silentLogger };

interface Relayed {
  readonly front: RelayFront;
  readonly session: LinkSession;
  readonly told: unknown[];
}

/** A front whose owner is `handler`, over a link within this process. */
async function relayed(handler: HttpHandler): Promise<Relayed> {
  const [near, far] = createConnectionPair();
  const told: unknown[] = [];
  const limits = relayLinkLimits;
  let owner: ReturnType<typeof createRelayOwner> | undefined;
  const ownerLink = openLink(
    { ...link, connection: near },
    {
      ...{ role: 'parent', product: 'owner', limits },
      onOpen(session) {
        owner = createRelayOwner(session, {
          ...{ handler, logger: silentLogger },
          onAsk: (question) => ({ asked: question }),
          onTell: (news) => told.push(news),
        });
      },
      onStream: (...opened) => assert.ok(owner?.takeStream(...opened)),
    },
  );
  const made: { front?: RelayFront } = {};
  const session = await openLink(
    { ...link, connection: far },
    {
      ...{ role: 'child', product: 'front', limits },
      onStream: (...opened) => assert.ok(made.front?.takeStream(...opened)),
    },
  );
  await ownerLink;
  const front = createRelayFront(session);
  made.front = front;
  return { front, session, told };
}

const nodeServer = createNodeHttpServer();
const relayingServer: HttpServer = {
  async listen(options, handler) {
    const { front, session } = await relayed(handler);
    const listener = await nodeServer.listen(options, (request) => front.handler(request));
    return {
      address: listener.address,
      async close() {
        await listener.close();
        session.close({ code: 'DONE', message: 'the test is over' });
      },
    };
  },
};

httpContract('node, through a relay', async () => ({
  ...{ server: relayingServer, client: createNodeHttpClient(), keys: createNodeKeys() },
  ...{ clock, host: '127.0.0.1', passTime: (durationMs) => sleep(timers, durationMs) },
  close: async () => {},
}));

function requestOf(given: Partial<HttpRequest>): HttpRequest {
  return {
    ...{ method: 'GET', path: '/', query: '', headers: { host: 'test' }, peer: undefined },
    ...{ remoteAddress: '192.0.2.7', onAbort() {} },
    body: (async function* () {})(),
    ...given,
  };
}

test('the owner sees who asks, from where and for what, as the front has seen it', async () => {
  const seen: unknown[] = [];
  const { front, session } = await relayed(async (request) => {
    const { method, path, query, headers, peer: asker, remoteAddress } = request;
    const body = textOf(await readBody(request.body, 1e6));
    seen.push({ method, path, query, headers: { ...headers }, peer: asker, remoteAddress, body });
    return { status: 201, headers: { 'x-made': 'yes' }, body: 'made: é' };
  });
  const peer = {
    ...{ commonName: 'eve', organizations: ['a', 'b'], uris: ['spiffe://x'] },
    ...{ serialNumber: '0a', notAfterMs: 7 },
  };
  const asked = { method: 'POST', path: '/a%20b', query: 'c=d', headers: { host: 'h' }, peer };
  const body = (async function* () {
    yield utf8('{"x"');
    yield utf8(':1}');
  })();
  for (let turn = 0; turn < 2; turn += 1) {
    const given = turn === 0 ? { ...asked, body } : asked;
    const answer = await front.handler(requestOf(given));
    assert.equal(answer.status, 201);
    assert.equal(answer.headers['x-made'], 'yes');
    assert.equal(textOf(answer.body as Uint8Array), 'made: é');
  }
  const told = { ...asked, remoteAddress: '192.0.2.7' };
  assert.deepEqual(seen, [
    { ...told, body: '{"x":1}' },
    { ...told, body: '' },
  ]);
  session.close({ code: 'DONE', message: '' });
});

test('many requests are under way at once, and each gets its own answer', async () => {
  const { front, session } = await relayed(async ({ path }) => {
    await sleep(timers, Number(path.slice(1)) % 7);
    return { status: 200, headers: {}, body: path };
  });
  const paths = Array.from({ length: 500 }, (_, at) => `/${at}`);
  const answers = await Promise.all(paths.map((path) => front.handler(requestOf({ path }))));
  assert.deepEqual(
    answers.map(({ body }) => textOf(body as Uint8Array)),
    paths,
  );
  session.close({ code: 'DONE', message: '' });
});

test('questions are answered, news are taken, and both end with the relay', async () => {
  const { front, session, told } = await relayed(() => new Promise(() => {}));
  assert.deepEqual(await front.ask({ what: 'revision' }), { asked: { what: 'revision' } });
  front.tell([1]);
  assert.deepEqual(await front.ask(2), { asked: 2 });
  assert.deepEqual(told, [[1]]);
  const refused = assert.rejects(front.handler(requestOf({})), /the relay has ended/);
  // What was asked is on its way before the end.
  await sleep(timers, 10);
  session.close({ code: 'DONE', message: 'over' });
  await refused;
  await assert.rejects(front.handler(requestOf({})), /the relay has ended/);
  await assert.rejects(front.ask(3), /the relay has ended/);
});

test('a stream ends at the owner when its client is gone, and waits for a slow one', async () => {
  let sink: ByteSink | undefined;
  const owner = { isClosed: false };
  const { front, session } = await relayed(async () => ({
    ...{ status: 200, headers: {} },
    body: (given) => {
      sink = given;
      given.onClose(() => (owner.isClosed = true));
    },
  }));
  const answer = await front.handler(requestOf({}));
  let leave = (): void => {};
  let drain = (): void => {};
  const client = { takenBytes: 0, heldBytes: 0 };
  assert.ok(typeof answer.body === 'function');
  answer.body({
    write(bytes) {
      client.takenBytes += bytes.length;
      client.heldBytes += bytes.length;
    },
    bufferedBytes: () => client.heldBytes,
    onDrain: (listener) => (drain = listener),
    onClose: (listener) => (leave = listener),
    end() {},
    destroy() {},
  });
  const allBytes = 8 * 1024 * 1024;
  for (let sent = 0; sent < allBytes; sent += 65_536) sink?.write(new Uint8Array(65_536));
  await sleep(timers, 50);
  assert.ok(
    client.takenBytes < allBytes / 2,
    `${client.takenBytes} were read for a client that takes none`,
  );
  assert.ok((sink?.bufferedBytes() ?? 0) > allBytes / 4);
  while (client.takenBytes < allBytes) {
    client.heldBytes = 0;
    drain();
    await sleep(timers, 1);
  }
  leave();
  while (!owner.isClosed) await sleep(timers, 1);
  session.close({ code: 'DONE', message: '' });
});

test('an upgraded connection goes both ways, each direction with an end of its own', async () => {
  const { front, session } = await relayed(async () => ({
    ...{ status: 101, headers: { upgrade: 'websocket' }, body: '' },
    upgrade(connection) {
      connection.onData((bytes) => connection.write(concatBytes([utf8('echo '), bytes])));
      connection.onEnd(() => connection.end());
      connection.resume();
    },
  }));
  const { status, upgrade } = await front.handler(requestOf({}));
  assert.equal(status, 101);
  const data: ((bytes: Uint8Array) => void)[] = [];
  let end = (): void => {};
  let text = '';
  const ended = new Promise<void>((resolve) => {
    const client: PlainConnection = {
      ...{ remoteAddress: { host: 'client', port: 1 }, bufferedBytes: () => 0 },
      write: (bytes) => (text += textOf(bytes)),
      onData: (listener) => data.push(listener),
      ...{ onDrain() {}, onClose() {}, pause() {}, resume() {}, destroy() {} },
      onEnd: (listener) => (end = listener),
      end: resolve,
    };
    upgrade?.(client);
  });
  data[0]?.(utf8('one;'));
  data[0]?.(utf8('two;'));
  end();
  await ended;
  assert.equal(text, 'echo one;echo two;');
  session.close({ code: 'DONE', message: '' });
});
