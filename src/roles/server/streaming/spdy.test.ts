import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { constants, createDeflate, createInflate, type Deflate } from 'node:zlib';
import fc from 'fast-check';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import { StreamingError } from './errors.ts';
import { spdyDictionary } from './spdy-dictionary.ts';
import { encodeControl, encodeData, frameTypes, SpdyDecoder } from './spdy-frames.ts';
import { SpdyHeaderReader, SpdyHeaderWriter, uint32 } from './spdy-headers.ts';
import { serveSpdy, type ByteChannel, type SpdyStream } from './spdy-session.ts';

/** The other end as everybody else has it: zlib as one stream. */
function client() {
  const deflate: Deflate = createDeflate({ dictionary: spdyDictionary });
  const inflate = createInflate({ dictionary: spdyDictionary });
  const through = (stream: Deflate | typeof inflate, bytes: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      const parts: Uint8Array[] = [];
      const collect = (part: Uint8Array): void => void parts.push(part);
      stream.on('data', collect);
      stream.once('error', reject);
      stream.write(bytes);
      stream.flush(constants.Z_SYNC_FLUSH, () => {
        stream.off('data', collect);
        resolve(concatBytes(parts));
      });
    });
  return {
    async block(headers: Record<string, string>): Promise<Uint8Array> {
      const words = Object.entries(headers).flatMap(([name, value]) => {
        return [name, value].flatMap((word) => [uint32(utf8(word).length), utf8(word)]);
      });
      return through(deflate, concatBytes([uint32(Object.keys(headers).length), ...words]));
    },
    read: (block: Uint8Array) => through(inflate, block),
    async open(id: number, headers: Record<string, string>, flags = 0): Promise<Uint8Array> {
      const head = concatBytes([uint32(id), uint32(0), Uint8Array.of(0, 0)]);
      const bytes = concatBytes([head, await this.block(headers)]);
      return encodeControl(frameTypes.synStream, bytes, flags);
    },
  };
}

const wordArbitrary = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' });

test('the dictionary is the one of the protocol', () => {
  assert.equal(spdyDictionary.length, 1423);
  assert.equal(
    hash('sha256', spdyDictionary, 'hex'),
    '51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02',
  );
});

test('blocks of headers of any other zlib are read, and ours are read by it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.dictionary(wordArbitrary, wordArbitrary, { maxKeys: 5 }), { maxLength: 5 }),
      async (blocks) => {
        const other = client();
        const reader = new SpdyHeaderReader();
        const writer = new SpdyHeaderWriter();
        for (const headers of blocks) {
          const lower = Object.fromEntries(
            Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
          );
          assert.deepEqual({ ...reader.read(await other.block(lower)) }, lower);
          const text = textOf(await other.read(writer.write(lower)));
          for (const [name, value] of Object.entries(lower)) {
            assert.ok(text.includes(name) && text.includes(value));
          }
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('no bytes make the decoder or the reader fail in any other way than a StreamingError', () => {
  const survives = (run: () => unknown): void => {
    try {
      run();
    } catch (error) {
      assert.ok(error instanceof StreamingError, String(error));
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      survives(() => new SpdyDecoder(100).push(bytes));
      survives(() => new SpdyHeaderReader().read(bytes));
      survives(() =>
        new SpdyHeaderReader().read(concatBytes([Uint8Array.of(0x78, 0x20, 0, 0, 0, 0), bytes])),
      );
    }),
    { numRuns: 2000 },
  );
  // A block that becomes far more than it is.
  const bomb = createDeflate({ dictionary: spdyDictionary });
  const parts: Uint8Array[] = [];
  bomb.on('data', (part: Uint8Array) => void parts.push(part));
  return new Promise<void>((resolve) => {
    bomb.write(new Uint8Array(10_000_000));
    bomb.flush(constants.Z_SYNC_FLUSH, () => {
      assert.throws(() => new SpdyHeaderReader().read(concatBytes(parts)), {
        code: 'SPDY_PROTOCOL',
      });
      resolve();
    });
  });
});

function sessionOf() {
  const sent: Uint8Array[] = [];
  const opened: SpdyStream[] = [];
  const log: string[] = [];
  let onMessage: (bytes: Uint8Array) => void | Promise<void> = () => {};
  let onClose = (): void => {};
  let isClosed = false;
  const channel: ByteChannel = {
    send(bytes) {
      sent.push(bytes);
      return Promise.resolve();
    },
    onMessage(listener) {
      onMessage = listener;
    },
    onClose(listener) {
      onClose = listener;
    },
    close() {
      isClosed = true;
      onClose();
    },
  };
  serveSpdy(channel, (stream) => {
    opened.push(stream);
    const name = stream.headers['streamtype'] ?? '?';
    stream.onData((bytes) => void log.push(`${name}: ${textOf(bytes)}`));
    stream.onEnd(() => void log.push(`${name} ended`));
    stream.onClose(() => void log.push(`${name} ${stream.isReset ? 'reset' : 'over'}`));
  });
  return {
    opened,
    log,
    isClosed: () => isClosed,
    receive: async (bytes: Uint8Array) => onMessage(bytes),
    close: () => channel.close(),
    frames: () => {
      const decoder = new SpdyDecoder(1 << 20);
      return sent.splice(0).flatMap((bytes) => decoder.push(bytes));
    },
  };
}

test('streams carry bytes both ways and end each direction by itself', async () => {
  const other = client();
  const session = sessionOf();
  await session.receive(await other.open(1, { streamtype: 'data', port: '80' }));
  await session.receive(await other.open(3, { streamtype: 'error' }, 1));
  const replies = session.frames();
  assert.deepEqual(
    replies.map((frame) => (frame.kind === 'control' ? frame.type : 0)),
    [frameTypes.synReply, frameTypes.synReply],
  );
  await session.receive(encodeData(1, utf8('in'), false));
  await session.receive(encodeData(1, utf8('!'), true));
  const [data, error] = session.opened;
  await data?.send(utf8('out'));
  data?.end();
  error?.end();
  assert.deepEqual(session.log, [
    'error ended',
    'data: in',
    'data: !',
    'data ended',
    'data over',
    'error over',
  ]);
  assert.deepEqual(
    session
      .frames()
      .map((frame) =>
        frame.kind === 'data' ? [frame.streamId, textOf(frame.bytes), frame.isLast] : [],
      ),
    [
      [1, 'out', false],
      [1, '', true],
      [3, '', true],
    ],
  );
  await session.receive(encodeControl(frameTypes.ping, uint32(7)));
  assert.equal(session.frames()[0]?.kind, 'control');
});

test('a stream that is reset, or a session that breaks, ends everything once', async () => {
  const other = client();
  const session = sessionOf();
  await session.receive(await other.open(1, { streamtype: 'a' }));
  await session.receive(await other.open(3, { streamtype: 'b' }));
  await session.receive(encodeControl(frameTypes.rstStream, concatBytes([uint32(1), uint32(5)])));
  assert.deepEqual(session.log, ['a ended', 'a reset']);
  await session.receive(encodeData(1, utf8('late'), false));
  // A number that was there before is no new stream.
  await session.receive(await other.open(3, { streamtype: 'c' }));
  assert.equal(session.isClosed(), true);
  assert.deepEqual(session.log, ['a ended', 'a reset', 'b ended', 'b reset']);
});
