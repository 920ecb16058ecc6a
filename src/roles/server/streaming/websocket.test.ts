import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import type { HttpRequest, PlainConnection } from '#platform/io/mod.ts';
import { createNodeTimers } from '#platform/io/node/mod.ts';
import { StreamingError } from './errors.ts';
import { openWebSocket, webSocketAcceptance } from './websocket.ts';
import { encodeWebSocketFrame, WebSocketDecoder, type WebSocketFrame } from './websocket-frames.ts';

const mask = Uint8Array.of(0x12, 0xab, 0x00, 0xff);

/** As a client sends it. */
function frame(opcode: number, payload: Uint8Array, isFinal = true): Uint8Array {
  const size = payload.length;
  const length =
    size < 126
      ? [size]
      : size < 65_536
        ? [126, size >>> 8, size & 0xff]
        : [127, 0, 0, 0, 0, size >>> 24, (size >>> 16) & 0xff, (size >>> 8) & 0xff, size & 0xff];
  const head = Uint8Array.of(
    (isFinal ? 0x80 : 0) | opcode,
    (length[0] ?? 0) | 0x80,
    ...length.slice(1),
  );
  const masked = payload.map((byte, at) => byte ^ (mask[at & 3] ?? 0));
  return concatBytes([head, mask, masked]);
}

function decodeInPieces(
  bytes: Uint8Array,
  cuts: readonly number[],
  max = 1 << 20,
): WebSocketFrame[] {
  const decoder = new WebSocketDecoder(max);
  const frames: WebSocketFrame[] = [];
  let from = 0;
  for (const cut of [...cuts.map((one) => one % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  )) {
    frames.push(...decoder.push(bytes.subarray(from, cut)));
    from = cut;
  }
  return frames;
}

test('messages come back whole, however they are fragmented, interrupted and cut up', () => {
  const part = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(part, { minLength: 1, maxLength: 4 }), fc.boolean()), {
        maxLength: 6,
      }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (messages, cuts) => {
        const bytes = concatBytes(
          messages.flatMap(([parts, isPinged]) =>
            parts.flatMap((one, at) => [
              frame(at === 0 ? 2 : 0, one, at === parts.length - 1),
              ...(isPinged ? [frame(9, utf8('?'))] : []),
            ]),
          ),
        );
        const got = decodeInPieces(bytes, cuts).flatMap((one) =>
          one.type === 'message' ? [[...one.bytes]] : [],
        );
        assert.deepEqual(
          got,
          messages.map(([parts]) => [...concatBytes(parts)]),
        );
      },
    ),
  );
  const long = utf8('x'.repeat(70_000));
  assert.deepEqual(decodeInPieces(frame(2, long), [3, 9, 40_000]), [
    { type: 'message', isText: false, bytes: long },
  ]);
});

test('no bytes make the decoder fail in any other way than a StreamingError', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      (bytes, cuts) => {
        try {
          for (const one of decodeInPieces(bytes, cuts, 1000)) {
            assert.ok(one.type !== 'message' || one.bytes.length <= 1000);
          }
        } catch (error) {
          assert.ok(error instanceof StreamingError, String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('what breaks the protocol is refused: each rule', () => {
  const refused: Record<string, Uint8Array> = {
    unmasked: Uint8Array.of(0x82, 0x01, 0x00),
    reserved: Uint8Array.of(0xc2, 0x80),
    opcode: frame(3, new Uint8Array(0)),
    'control opcode': frame(11, new Uint8Array(0)),
    'control in parts': frame(9, new Uint8Array(0), false),
    'long control': frame(9, new Uint8Array(126)),
    'continuation of nothing': frame(0, new Uint8Array(1)),
    'begun twice': concatBytes([frame(2, new Uint8Array(1), false), frame(2, new Uint8Array(1))]),
    'close code of one byte': frame(8, new Uint8Array(1)),
    'length not the shortest': Uint8Array.of(0x82, 0xfe, 0x00, 0x05),
    'length beyond all': Uint8Array.of(0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  };
  for (const [name, bytes] of Object.entries(refused)) {
    assert.throws(
      () => new WebSocketDecoder(1 << 20).push(bytes),
      { code: 'WEBSOCKET_PROTOCOL' },
      name,
    );
  }
  // Before its bytes have come: nobody is to keep them.
  const announced = Uint8Array.of(0x82, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0);
  assert.throws(() => new WebSocketDecoder(1000).push(announced), { code: 'WEBSOCKET_TOO_LARGE' });
  const pieces = concatBytes([frame(2, new Uint8Array(600), false), frame(0, new Uint8Array(600))]);
  assert.throws(() => new WebSocketDecoder(1000).push(pieces), { code: 'WEBSOCKET_TOO_LARGE' });
});

/** A connection whose other end is the test. */
function connectionOf() {
  const sent: Uint8Array[] = [];
  const drains: (() => void)[] = [];
  const closes: (() => void)[] = [];
  let onData: (bytes: Uint8Array) => void = () => {};
  const state = { buffered: 0, isPaused: false, isEnded: false };
  const connection: PlainConnection = {
    remoteAddress: { host: '127.0.0.1', port: 1 },
    write: (bytes) => void sent.push(bytes),
    bufferedBytes: () => state.buffered,
    onData: (listener) => {
      onData = listener;
    },
    onDrain: (listener) => void drains.push(listener),
    onEnd() {},
    onClose: (listener) => void closes.push(() => listener(undefined)),
    pause: () => {
      state.isPaused = true;
    },
    resume: () => {
      state.isPaused = false;
    },
    end: () => {
      state.isEnded = true;
      for (const close of closes.splice(0)) close();
    },
    destroy: () => {
      for (const close of closes.splice(0)) close();
    },
  };
  return {
    connection,
    state,
    receive: (bytes: Uint8Array) => onData(bytes),
    drain: () => drains.forEach((drain) => drain()),
    sent: () => sent.splice(0).map((bytes) => [bytes[0], bytes[1]]),
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a socket answers pings and closes at once, also while a message waits for its listener', async () => {
  const { connection, receive, sent, state } = connectionOf();
  const socket = openWebSocket(connection, {
    messageBytesMax: 1 << 20,
    timers: createNodeTimers(),
  });
  const got: string[] = [];
  let release = (): void => {};
  socket.onMessage((bytes) => {
    got.push(textOf(bytes));
    return new Promise((resolve) => {
      release = resolve;
    });
  });
  let closedTimes = 0;
  socket.onClose(() => {
    closedTimes += 1;
  });
  receive(concatBytes([frame(2, utf8('one')), frame(2, utf8('two')), frame(9, utf8('p'))]));
  await turn();
  assert.deepEqual(got, ['one']);
  assert.deepEqual(sent(), [[0x8a, 1]], 'the pong does not wait');
  release();
  await turn();
  assert.deepEqual(got, ['one', 'two']);
  receive(frame(2, new Uint8Array(1 << 20)));
  assert.equal(state.isPaused, true, 'so much waits that nothing more is read');
  release();
  await turn();
  assert.equal(state.isPaused, false);
  receive(frame(8, Uint8Array.of(3, 232)));
  assert.deepEqual(sent(), [[0x88, 2]]);
  assert.equal(state.isEnded, true);
  assert.equal(closedTimes, 1);
  await socket.send(utf8('late'));
  assert.deepEqual(sent(), []);
});

test('a sender waits while the client reads nothing, and a client that talks nonsense is cut off', async () => {
  const { connection, receive, sent, drain, state } = connectionOf();
  const socket = openWebSocket(connection, { messageBytesMax: 1000, timers: createNodeTimers() });
  state.buffered = 1 << 20;
  let isSent = false;
  void socket.send(utf8('x')).then(() => {
    isSent = true;
  });
  await turn();
  assert.equal(isSent, false);
  state.buffered = 0;
  drain();
  await turn();
  assert.equal(isSent, true);
  sent();
  receive(Uint8Array.of(0x82, 0x01, 0x00));
  assert.deepEqual(sent(), [[0x88, 2]]);
  assert.equal(state.isEnded, true);
});

test('only a handshake as RFC 6455 has it is accepted, with the protocol that both know', () => {
  const request = (headers: Record<string, string>, method = 'GET') =>
    ({
      method,
      headers: {
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-protocol': 'v4.channel.k8s.io, v5.channel.k8s.io',
        ...headers,
      },
    }) as unknown as HttpRequest;
  const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
  const accepted = webSocketAcceptance(request({}), protocols);
  assert.equal(accepted.protocol, 'v5.channel.k8s.io');
  // The example of the RFC.
  assert.equal(accepted.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  // Libraries for WebSockets name the server itself, some without minding the scheme.
  for (const origin of ['https://api.example', 'http://api.example']) {
    webSocketAcceptance(request({ origin, host: 'api.example' }), protocols);
  }
  for (const wrong of [
    request({ 'sec-websocket-version': '8' }),
    request({ 'sec-websocket-key': 'short' }),
    request({ 'sec-websocket-protocol': 'chat' }),
    request({}, 'POST'),
    request({ origin: 'https://elsewhere.example', host: 'api.example:6443' }),
    request({ origin: 'null', host: 'api.example:6443' }),
    request({ origin: 'http://api.example', host: 'api.example', 'user-agent': 'Mozilla/5.0' }),
  ]) {
    assert.throws(() => webSocketAcceptance(wrong, protocols), { name: 'StatusError' });
  }
  assert.deepEqual(
    [...encodeWebSocketFrame('binary', new Uint8Array(130))].slice(0, 4),
    [0x82, 126, 0, 130],
  );
});
