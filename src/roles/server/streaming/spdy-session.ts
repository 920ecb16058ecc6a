/**
 * The server's end of one SPDY/3.1 connection: streams that the client opens, each
 * with its headers and bytes both ways.
 *
 * Invariants:
 * 1. No stream is told of twice, and no more than `streamsMax` are open at once.
 * 2. Each direction of a stream ends by itself; it is over when both have, or when it is reset.
 * 3. While a listener works on bytes nothing more is read from the client.
 */
import { assert, concatBytes } from '#base/mod.ts';
import { StreamingError } from './errors.ts';
import {
  encodeControl,
  encodeData,
  flagFin,
  frameTypes,
  numberAt,
  SpdyDecoder,
  type SpdyFrame,
} from './spdy-frames.ts';
import { SpdyHeaderReader, SpdyHeaderWriter, uint32 } from './spdy-headers.ts';

/** Where the bytes of a session come from and go to. */
export interface ByteChannel {
  /** Resolves when the other side has taken enough for more. */
  send(bytes: Uint8Array): Promise<void>;
  onMessage(listener: (bytes: Uint8Array) => void | Promise<void>): void;
  onClose(listener: () => void): void;
  close(): void;
}

export interface SpdyStream {
  readonly headers: Readonly<Record<string, string>>;
  /** It was not ended in good order, by either side. */
  readonly isReset: boolean;
  send(bytes: Uint8Array): Promise<void>;
  /** Nothing more from this side. */
  end(): void;
  /** Over in both directions, at once. */
  reset(): void;
  onData(listener: (bytes: Uint8Array) => void | Promise<void>): void;
  /** The client sends nothing more; also when the stream or the session is over. */
  onEnd(listener: () => void): void;
  /** Called once, when it is over in both directions. */
  onClose(listener: () => void): void;
}

const streamsMax = 256;
const dataBytesMax = 1024 * 1024;
const pieceBytesMax = 64 * 1024;
const resetCancel = 5;
const resetRefused = 3;

class Stream implements SpdyStream {
  readonly id: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #session: Session;
  #onData: (bytes: Uint8Array) => void | Promise<void> = () => {};
  readonly #onEnd: (() => void)[] = [];
  readonly #onClose: (() => void)[] = [];
  hasEndedHere = false;
  hasEndedThere = false;
  isOver = false;
  isReset = false;

  constructor(session: Session, id: number, headers: Readonly<Record<string, string>>) {
    this.#session = session;
    this.id = id;
    this.headers = headers;
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += pieceBytesMax) {
      if (this.hasEndedHere || this.isOver) return;
      const piece = bytes.subarray(at, at + pieceBytesMax);
      await this.#session.write(encodeData(this.id, piece, false));
    }
  }

  end(): void {
    if (this.hasEndedHere || this.isOver) return;
    this.hasEndedHere = true;
    void this.#session.write(encodeData(this.id, new Uint8Array(0), true));
    this.#session.settle(this);
  }

  reset(): void {
    if (this.isOver) return;
    const bytes = concatBytes([uint32(this.id), uint32(resetCancel)]);
    void this.#session.write(encodeControl(frameTypes.rstStream, bytes));
    this.over();
  }

  onData(listener: (bytes: Uint8Array) => void | Promise<void>): void {
    this.#onData = listener;
  }

  onEnd(listener: () => void): void {
    if (this.hasEndedThere || this.isOver) listener();
    else this.#onEnd.push(listener);
  }

  onClose(listener: () => void): void {
    if (this.isOver) listener();
    else this.#onClose.push(listener);
  }

  async take(bytes: Uint8Array, isLast: boolean): Promise<void> {
    if (bytes.length > 0 && !this.hasEndedThere) await this.#onData(bytes);
    if (isLast) this.endThere();
  }

  endThere(): void {
    if (this.hasEndedThere) return;
    this.hasEndedThere = true;
    for (const listener of this.#onEnd.splice(0)) listener();
    this.#session.settle(this);
  }

  over(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.isReset = !this.hasEndedHere || !this.hasEndedThere;
    for (const listener of this.#onEnd.splice(0)) listener();
    for (const listener of this.#onClose.splice(0)) listener();
    this.#session.forget(this);
  }
}

class Session {
  readonly #channel: ByteChannel;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #decoder = new SpdyDecoder(dataBytesMax);
  readonly #reader = new SpdyHeaderReader();
  readonly #writer = new SpdyHeaderWriter();
  readonly #streams = new Map<number, Stream>();
  #lastId = 0;

  constructor(channel: ByteChannel, onStream: (stream: SpdyStream) => void) {
    this.#channel = channel;
    this.#onStream = onStream;
    channel.onMessage((bytes) => this.#take(bytes));
    channel.onClose(() => this.#end());
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#channel.send(bytes);
  }

  settle(stream: Stream): void {
    if (stream.hasEndedHere && stream.hasEndedThere) stream.over();
  }

  forget(stream: Stream): void {
    this.#streams.delete(stream.id);
  }

  #end(): void {
    for (const stream of Array.from(this.#streams.values())) stream.over();
  }

  async #take(bytes: Uint8Array): Promise<void> {
    try {
      for (const frame of this.#decoder.push(bytes)) await this.#frame(frame);
    } catch (error) {
      if (!(error instanceof StreamingError)) throw error;
      this.#channel.close();
      this.#end();
    }
  }

  async #frame(frame: SpdyFrame): Promise<void> {
    if (frame.kind === 'data') {
      await this.#streams.get(frame.streamId)?.take(frame.bytes, frame.isLast);
      return;
    }
    const { type, flags, bytes } = frame;
    switch (type) {
      case frameTypes.synStream:
        await this.#open(bytes, flags);
        return;
      case frameTypes.rstStream:
        this.#streams.get(numberAt(bytes, 0, 4))?.over();
        return;
      case frameTypes.headers:
        // Read for what later blocks refer to; streams to pods have headers once.
        this.#reader.read(bytes.subarray(4));
        if ((flags & flagFin) !== 0) this.#streams.get(numberAt(bytes, 0, 4))?.endThere();
        return;
      case frameTypes.ping:
        // Odd ones are the client's.
        if (numberAt(bytes, 0, 4) % 2 === 1) await this.write(encodeControl(type, bytes));
        return;
      case frameTypes.goAway:
      case frameTypes.settings:
      case frameTypes.windowUpdate:
        // What this side sends is held back by the connection below.
        return;
      default:
        throw new StreamingError('SPDY_PROTOCOL', `a frame of type ${type}`);
    }
  }

  async #open(bytes: Uint8Array, flags: number): Promise<void> {
    const id = numberAt(bytes, 0, 4);
    if (id % 2 !== 1 || id <= this.#lastId || bytes.length < 10) {
      throw new StreamingError('SPDY_PROTOCOL', `${id} is no stream that a client opens now`);
    }
    this.#lastId = id;
    const headers = this.#reader.read(bytes.subarray(10));
    if (this.#streams.size >= streamsMax) {
      const refusal = concatBytes([uint32(id), uint32(resetRefused)]);
      await this.write(encodeControl(frameTypes.rstStream, refusal));
      return;
    }
    const stream = new Stream(this, id, headers);
    assert(!this.#streams.has(id), 'a stream is opened once');
    this.#streams.set(id, stream);
    const block = this.#writer.write({});
    await this.write(encodeControl(frameTypes.synReply, concatBytes([uint32(id), block])));
    this.#onStream(stream);
    if ((flags & flagFin) !== 0) stream.endThere();
  }
}

/** `onStream` is told of each stream once, and sets its listeners at once. */
export function serveSpdy(channel: ByteChannel, onStream: (stream: SpdyStream) => void): void {
  // It lives by the listeners that it has set.
  void new Session(channel, onStream);
}
