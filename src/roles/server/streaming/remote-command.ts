/**
 * The client's end of a command in a container, whichever protocol it speaks: its
 * standard input and the terminal's size on the way in, output, errors and the final
 * status on the way out.
 */
import { concatBytes, utf8, type JsonObject } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { HttpRequest, HttpResponse, PlainConnection, Timers } from '#platform/io/mod.ts';
import { serveSpdy, type ByteChannel, type SpdyStream } from './spdy-session.ts';
import { isWebSocketRequest, openWebSocket, webSocketAcceptance } from './websocket.ts';

export const channels = {
  input: 0,
  output: 1,
  errors: 2,
  status: 3,
  resize: 4,
  close: 255,
} as const;

export interface CommandClient {
  /** Resolves when the client has taken enough for more. */
  send(channel: 'output' | 'errors', bytes: Uint8Array): Promise<void>;
  /** How it went, as a Status; then everything is closed. */
  finish(status: JsonObject): Promise<void>;
  /** Set at once. More comes when the returned promise is done. */
  onInput(listener: (bytes: Uint8Array) => void | Promise<void>): void;
  onInputEnd(listener: () => void): void;
  /** The terminal's size as the client writes it, in JSON. */
  onResize(listener: (bytes: Uint8Array) => void | Promise<void>): void;
  /** The client has gone, or everything was said. */
  onClose(listener: () => void): void;
  /** Ends it without a word: the server goes down. */
  abandon(): void;
}

export interface CommandStreams {
  readonly input: boolean;
  readonly output: boolean;
  readonly errors: boolean;
  /** Output and errors are one, and the client says how large it is. */
  readonly terminal: boolean;
}

const messageBytesMax = 1024 * 1024;
const webSocketProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const spdyProtocol = 'v4.channel.k8s.io';
/** For a client to open the streams that it asked for. */
const streamsWithinMs = 30_000;

/** Answers an upgrade with the client's end of the command. Throws StatusError for what is none. */
export function commandUpgrade(
  request: HttpRequest,
  streams: CommandStreams,
  timers: Timers,
  onClient: (client: CommandClient) => void,
): HttpResponse {
  const body = new Uint8Array(0);
  if (isWebSocketRequest(request)) {
    const { headers, protocol } = webSocketAcceptance(request, webSocketProtocols);
    const upgrade = (connection: PlainConnection): void => {
      onClient(webSocketClient(connection, streams, timers, protocol === 'v5.channel.k8s.io'));
    };
    return { status: 101, headers, body, upgrade };
  }
  const headers = spdyAcceptance(request, spdyProtocol);
  const upgrade = (connection: PlainConnection): void => {
    spdyClient(channelOf(connection), streams, timers, onClient);
  };
  return { status: 101, headers, body, upgrade };
}

/** The headers of the 101 for a client that speaks SPDY/3.1 and `protocol` over it. */
export function spdyAcceptance(
  { headers }: HttpRequest,
  protocol: string,
): Readonly<Record<string, string>> {
  if ((headers['upgrade'] ?? '').toLowerCase() !== 'spdy/3.1') {
    throw new StatusError(
      'BadRequest',
      'Upgrade request required: this is served over a WebSocket or SPDY/3.1',
    );
  }
  const offered = (headers['x-stream-protocol-version'] ?? '').split(',').map((one) => one.trim());
  if (!offered.includes(protocol)) {
    throw new StatusError('BadRequest', `unable to upgrade: this server speaks ${protocol}`);
  }
  return {
    upgrade: 'SPDY/3.1',
    connection: 'Upgrade',
    'x-stream-protocol-version': protocol,
  };
}

function webSocketClient(
  connection: PlainConnection,
  streams: CommandStreams,
  timers: Timers,
  hasCloseChannel: boolean,
): CommandClient {
  const socket = openWebSocket(connection, { messageBytesMax, timers });
  let onInput: (bytes: Uint8Array) => void | Promise<void> = () => {};
  let onInputEnd: () => void = () => {};
  let onResize: (bytes: Uint8Array) => void | Promise<void> = () => {};
  socket.onMessage((message) => {
    const [channel, closed] = message;
    if (channel === channels.input && streams.input) return onInput(message.subarray(1));
    if (channel === channels.resize && streams.terminal) return onResize(message.subarray(1));
    if (channel === channels.close && hasCloseChannel && closed === channels.input) onInputEnd();
    return undefined;
  });
  const send = (channel: number, bytes: Uint8Array): Promise<void> =>
    socket.send(concatBytes([Uint8Array.of(channel), bytes]));
  // So that a client which waits for a first byte knows that it is connected.
  if (streams.output) void send(channels.output, new Uint8Array(0));
  return {
    send: (channel, bytes) =>
      streams[channel] ? send(channels[channel], bytes) : Promise.resolve(),
    async finish(status) {
      await send(channels.status, utf8(JSON.stringify(status)));
      socket.close(1000);
    },
    onInput(listener) {
      onInput = listener;
    },
    onInputEnd(listener) {
      onInputEnd = listener;
    },
    onResize(listener) {
      onResize = listener;
    },
    onClose: (listener) => socket.onClose(listener),
    abandon: () => socket.close(1001),
  };
}

/** Bytes of a connection that was handed over, as a channel. */
export function channelOf(connection: PlainConnection): ByteChannel {
  const unsentBytesHigh = 256 * 1024;
  const waiting: (() => void)[] = [];
  const wakeAll = (): void => {
    for (const wake of waiting.splice(0)) wake();
  };
  connection.onDrain(wakeAll);
  connection.onEnd(() => connection.end());
  connection.onClose(wakeAll);
  return {
    send(bytes) {
      connection.write(bytes);
      if (connection.bufferedBytes() < unsentBytesHigh) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.push(resolve);
      });
    },
    onMessage(listener) {
      let handling = Promise.resolve();
      connection.onData((bytes) => {
        connection.pause();
        handling = handling
          .then(() => listener(bytes))
          .then(
            () => connection.resume(),
            () => connection.destroy(),
          );
      });
    },
    onClose: (listener) => connection.onClose(() => listener()),
    close: () => connection.end(),
  };
}

/** Tells of the client once all its streams are there; one that opens too few is cut off. */
function spdyClient(
  channel: ByteChannel,
  wanted: CommandStreams,
  timers: Timers,
  onClient: (client: CommandClient) => void,
): void {
  const names = [
    'error',
    ...(wanted.input ? ['stdin'] : []),
    ...(wanted.output ? ['stdout'] : []),
    ...(wanted.errors ? ['stderr'] : []),
    ...(wanted.terminal ? ['resize'] : []),
  ];
  const streams = new Map<string, SpdyStream>();
  const timer = timers.after(streamsWithinMs, () => channel.close());
  channel.onClose(() => timer.cancel());
  serveSpdy(channel, (stream) => {
    const name = stream.headers['streamtype'] ?? '';
    if (!names.includes(name) || streams.has(name)) {
      if (name !== 'resize') stream.reset();
      return;
    }
    streams.set(name, stream);
    if (streams.size < names.length) return;
    timer.cancel();
    onClient({
      send: (to, bytes) =>
        streams.get(to === 'output' ? 'stdout' : 'stderr')?.send(bytes) ?? Promise.resolve(),
      async finish(status) {
        await streams.get('error')?.send(utf8(JSON.stringify(status)));
        for (const one of streams.values()) one.end();
        channel.close();
      },
      onInput: (listener) => streams.get('stdin')?.onData(listener),
      onInputEnd: (listener) => streams.get('stdin')?.onEnd(listener),
      onResize: (listener) => streams.get('resize')?.onData(listener),
      onClose: (listener) => channel.onClose(listener),
      abandon: () => channel.close(),
    });
  });
}
