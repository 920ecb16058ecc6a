/** What every pair of drivers of the HttpServer and HttpClient ports must do. */
import assert from 'node:assert/strict';
import { concatBytes, isJsonObject, textOf, utf8 } from '#base/mod.ts';
import type { Clock } from './clock.ts';
import { contractCase, eventually, rejection, type TimedHarness } from './harness.contract.ts';
import {
  BodyTooLargeError,
  readBody,
  type ByteSink,
  type HttpClient,
  type HttpClientRequest,
  type HttpClientResponse,
  type HttpHandler,
  type HttpRequest,
  type HttpServer,
  type RefusedRequest,
} from './http.ts';
import { createTestAuthority, type TestAuthority } from './identities.contract.ts';
import type { Keys } from './keys.ts';
import { NetError, type ServerTls } from './net.ts';

export interface HttpHarness extends TimedHarness {
  readonly server: HttpServer;
  readonly client: HttpClient;
  /** Where the server listens and the client finds it. */
  readonly host: string;
  readonly keys: Keys;
  readonly clock: Clock;
}

const bodyMaxBytes = 1 << 26;
const textBody = async (response: HttpClientResponse): Promise<string> =>
  textOf(await readBody(response.body, bodyMaxBytes));

async function* chunksOf(count: number, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index += 1) {
    yield new Uint8Array(sizeBytes).fill(97 + (index % 26));
  }
}

/** Registers the cases of the HTTP ports. */
export function httpContract(name: string, open: () => Promise<HttpHarness>): void {
  const check = (
    behaviour: string,
    body: (opened: HttpHarness, authority: TestAuthority) => Promise<void>,
  ): void =>
    contractCase(`http (${name}): ${behaviour}`, open, async (opened) => {
      await body(opened, await createTestAuthority(opened.keys, opened.clock));
    });

  async function serve(
    opened: HttpHarness,
    authority: TestAuthority,
    handler: HttpHandler,
    changes: Partial<ServerTls> = {},
    onRefused?: (refused: RefusedRequest) => void,
  ) {
    const listener = await opened.server.listen(
      {
        address: { host: opened.host, port: 0 },
        connectionsMax: 50,
        ...(onRefused === undefined ? {} : { onRefused }),
        tls: {
          credentials: await authority.server('api.test'),
          trustPem: authority.trustPem,
          clientCertificate: 'request',
          ...changes,
        },
      },
      handler,
    );
    const ask = (
      method: string,
      target: string,
      options: Partial<HttpClientRequest> = {},
    ): Promise<HttpClientResponse> =>
      opened.client.request({
        address: listener.address,
        method,
        target,
        headers: {},
        timeoutMs: 10_000,
        ...options,
        tls: { trustPem: authority.trustPem, serverName: 'api.test', ...options.tls },
      });
    return { listener, ask };
  }

  check('a request and its answer arrive as they were sent', async (opened, authority) => {
    const seen: Omit<HttpRequest, 'body' | 'onAbort' | 'remoteAddress'>[] = [];
    const { listener, ask } = await serve(opened, authority, async (request) => {
      const { method, path, query, headers, peer } = request;
      seen.push({ method, path, query, headers, peer });
      const body = await readBody(request.body, bodyMaxBytes);
      return {
        status: 201,
        headers: { 'content-type': 'text/plain', 'x-test': 'yes' },
        body: concatBytes([utf8('got '), body]),
      };
    });
    const credentials = await authority.client({
      commonName: 'admin',
      organizations: ['system:masters'],
    });
    const response = await ask('POST', '/a%20b/c?x=1&y=%2F', {
      headers: { 'content-type': 'application/json', 'x-custom': 'value' },
      body: utf8('the body'),
      tls: { trustPem: authority.trustPem, serverName: 'api.test', credentials },
    });
    assert.equal(response.status, 201);
    assert.equal(response.headers['x-test'], 'yes');
    assert.equal(await textBody(response), 'got the body');
    const request = seen[0];
    assert.ok(request !== undefined);
    assert.deepEqual(
      [request.method, request.path, request.query, request.headers['x-custom']],
      ['POST', '/a%20b/c', 'x=1&y=%2F', 'value'],
    );
    assert.ok((request.headers['host'] ?? '') !== '');
    assert.equal(request.peer?.commonName, 'admin');
    assert.deepEqual(request.peer?.organizations, ['system:masters']);
    const head = await ask('HEAD', '/only/the/head');
    assert.deepEqual([head.status, await textBody(head)], [201, '']);
    assert.equal(seen[1]?.query, '');
    assert.equal(seen[1]?.peer, undefined, 'no certificate, no identity');
    await listener.close();
    const refused = await rejection(ask('GET', '/'));
    assert.ok(refused instanceof NetError, String(refused));
  });

  check('a certificate that is not believed is a 401, not an anonymous user', async (...of) => {
    const [opened, authority] = of;
    let handled = 0;
    const refused: string[] = [];
    const revoked = new Set<string>();
    const { listener, ask } = await serve(
      opened,
      authority,
      async () => {
        handled += 1;
        return { status: 200, headers: {}, body: utf8('ok') };
      },
      { isRevoked: (serialNumber) => revoked.has(serialNumber) },
      ({ method, path, query, why }) => {
        assert.ok(why.length > 0);
        refused.push(`${method} ${path} ${query}`);
      },
    );
    const stranger = await createTestAuthority(opened.keys, opened.clock, 'Another authority');
    const good = await authority.client({ commonName: 'admin', serialNumber: 'abcdef02' });
    const known = { trustPem: authority.trustPem, serverName: 'api.test', credentials: good };
    assert.equal((await ask('GET', '/', { tls: known })).status, 200);
    revoked.add('abcdef02');
    for (const credentials of [
      await stranger.client({ commonName: 'admin', organizations: ['system:masters'] }),
      await authority.client({ commonName: 'admin', lifetimeMs: -60_000 }),
      good,
    ]) {
      const response = await ask('GET', '/told?a=b', {
        tls: { trustPem: authority.trustPem, serverName: 'api.test', credentials },
      });
      assert.equal(response.status, 401);
      assert.match(response.headers['content-type'] ?? '', /^application\/json/);
      const status: unknown = JSON.parse(await textBody(response));
      assert.ok(isJsonObject(status));
      assert.deepEqual(
        [status['kind'], status['reason'], status['code']],
        ['Status', 'Unauthorized', 401],
      );
    }
    assert.equal(handled, 1);
    assert.deepEqual(refused, Array(3).fill('GET /told a=b'));
    await listener.close();
  });

  check('a handler that throws is a 500 that tells nothing', async (opened, authority) => {
    const { listener, ask } = await serve(opened, authority, async () => {
      throw new Error('the password is swordfish');
    });
    const response = await ask('GET', '/');
    assert.equal(response.status, 500);
    const text = await textBody(response);
    assert.ok(!text.includes('swordfish'), text);
    const status: unknown = JSON.parse(text);
    assert.ok(isJsonObject(status) && status['kind'] === 'Status' && status['code'] === 500);
    await listener.close();
  });

  check('an answer can be streamed, and is read as it comes', async (opened, authority) => {
    const sinks: ByteSink[] = [];
    const { listener, ask } = await serve(opened, authority, async () => ({
      status: 200,
      headers: { 'content-type': 'text/plain' },
      body: (sink) => {
        sinks.push(sink);
        sink.write(utf8('one\n'));
      },
    }));
    const response = await ask('GET', '/watch');
    const parts = response.body[Symbol.asyncIterator]();
    assert.equal(textOf((await parts.next()).value ?? utf8('')), 'one\n');
    sinks[0]?.write(utf8('two\n'));
    assert.equal(textOf((await parts.next()).value ?? utf8('')), 'two\n');
    sinks[0]?.end();
    assert.equal((await parts.next()).done, true);
    await listener.close();
  });

  check('an answer that is cut off is not taken for complete', async (opened, authority) => {
    const { listener, ask } = await serve(opened, authority, async () => ({
      status: 200,
      headers: {},
      body: (sink) => {
        sink.write(utf8('half'));
        sink.onDrain(() => sink.destroy());
      },
    }));
    const thrown = await rejection(ask('GET', '/').then(textBody));
    assert.ok(thrown instanceof NetError, String(thrown));
    await listener.close();
  });

  check('a client that goes away is noticed', async (opened, authority) => {
    let aborts = 0;
    let closes = 0;
    const { listener, ask } = await serve(opened, authority, async (request) => {
      request.onAbort(() => {
        aborts += 1;
      });
      return {
        status: 200,
        headers: {},
        body: (sink) => {
          sink.onClose(() => {
            closes += 1;
          });
          sink.write(utf8('first'));
        },
      };
    });
    const response = await ask('GET', '/watch');
    assert.equal(response.status, 200);
    response.cancel();
    await eventually(opened, 'the server notices', () => aborts > 0 && closes > 0);
    await opened.passTime(20);
    assert.deepEqual([aborts, closes], [1, 1]);
    await listener.close();
  });

  check('a completed answer is not an abort', async (opened, authority) => {
    let aborts = 0;
    let closes = 0;
    const { listener, ask } = await serve(opened, authority, async (request) => {
      request.onAbort(() => {
        aborts += 1;
      });
      return {
        status: 200,
        headers: {},
        body: (sink) => {
          sink.onClose(() => {
            closes += 1;
          });
          sink.write(utf8('all of it'));
          sink.end();
        },
      };
    });
    assert.equal(await textBody(await ask('GET', '/')), 'all of it');
    await eventually(opened, 'the sink closes', () => closes === 1);
    await listener.close();
    await opened.passTime(20);
    assert.deepEqual([aborts, closes], [0, 1]);
  });

  check('a slow reader shows in bufferedBytes, and a drain is told', async (opened, authority) => {
    const sinks: ByteSink[] = [];
    let drains = 0;
    const { listener, ask } = await serve(opened, authority, async () => ({
      status: 200,
      headers: {},
      body: (sink) => {
        sinks.push(sink);
        sink.onDrain(() => {
          drains += 1;
        });
        for (let index = 0; index < 32; index += 1) sink.write(new Uint8Array(1 << 20));
      },
    }));
    const response = await ask('GET', '/large');
    await opened.passTime(200);
    const sink = sinks[0];
    assert.ok(sink !== undefined && sink.bufferedBytes() > 0, 'not all of it can have left');
    assert.equal(drains, 0);
    const reading = readBody(response.body, bodyMaxBytes);
    await eventually(opened, 'a drain', () => drains === 1);
    assert.equal(sink.bufferedBytes(), 0);
    sink.end();
    assert.equal((await reading).length, 32 << 20);
    await listener.close();
  });

  check('a body streams in as it is sent', async (opened, authority) => {
    const { listener, ask } = await serve(opened, authority, async (request) => {
      let sizeBytes = 0;
      for await (const part of request.body) sizeBytes += part.length;
      return { status: 200, headers: {}, body: utf8(String(sizeBytes)) };
    });
    const response = await ask('PUT', '/upload', { body: chunksOf(64, 100_000) });
    assert.equal(await textBody(response), '6400000');
    await listener.close();
  });

  check('a refusal of a body that is too large reaches the one who sends it', async (...of) => {
    const [opened, authority] = of;
    const { listener, ask } = await serve(opened, authority, async (request) => {
      try {
        await readBody(request.body, 1_000);
      } catch (thrown) {
        if (!(thrown instanceof BodyTooLargeError)) throw thrown;
        return { status: 413, headers: {}, body: utf8(thrown.message) };
      }
      return { status: 200, headers: {}, body: utf8('ok') };
    });
    for (const body of [new Uint8Array(10_000_000), chunksOf(100, 100_000)]) {
      const response = await ask('POST', '/', { body });
      assert.equal(response.status, 413);
      assert.match(await textBody(response), /limit of 1000 bytes/);
    }
    const small = await ask('POST', '/', { body: utf8('small') });
    assert.deepEqual([small.status, await textBody(small)], [200, 'ok']);
    await listener.close();
  });

  check('a body that nobody reads does no harm', async (opened, authority) => {
    const { listener, ask } = await serve(opened, authority, async () => ({
      status: 200,
      headers: {},
      body: utf8('did not look'),
    }));
    for (let round = 0; round < 3; round += 1) {
      const response = await ask('POST', '/', { body: new Uint8Array(500_000) });
      assert.equal(await textBody(response), 'did not look');
    }
    await listener.close();
  });

  check('an answer that stays a part is given up on', async (opened, authority) => {
    const { listener, ask } = await serve(opened, authority, async () => ({
      status: 200,
      headers: {},
      body: (sink) => sink.write(utf8('the beginning')),
    }));
    const response = await ask('GET', '/', { bodyTimeoutMs: 300 });
    const thrown = await rejection(textBody(response));
    assert.ok(thrown instanceof NetError, String(thrown));
    assert.equal(thrown.code, 'NET_TIMEOUT');
    await listener.close();
  });

  check('a server that does not answer is given up on', async (opened, authority) => {
    let aborts = 0;
    const { listener, ask } = await serve(
      opened,
      authority,
      (request) =>
        new Promise(() => {
          request.onAbort(() => {
            aborts += 1;
          });
        }),
    );
    const thrown = await rejection(ask('GET', '/', { timeoutMs: 200 }));
    assert.ok(thrown instanceof NetError, String(thrown));
    assert.equal(thrown.code, 'NET_TIMEOUT');
    await eventually(opened, 'the server notices', () => aborts === 1);
    await listener.close();
  });
}
