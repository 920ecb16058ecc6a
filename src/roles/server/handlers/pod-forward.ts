/**
 * Connections to ports of a pod, tunnelled through the client's: `port-forward`.
 * SPDY/3.1, either over a WebSocket (kubectl since 1.31) or by itself; or plain channels
 * of a WebSocket (pod-forward-channels.ts).
 *
 * Invariants:
 * 1. A connection is a pair of streams with one request id: one for its bytes, one
 *    for what went wrong. Both are ended when the connection is.
 * 2. What one side leaves unread is not read from the other.
 */
import { utf8 } from '#base/mod.ts';
import { type Pod, type ResourceDefinition, StatusError } from '#platform/api/mod.ts';
import type {
  HttpRequest,
  HttpResponse,
  PlainConnection,
  Timer,
  Timers,
} from '#platform/io/mod.ts';
import type { ServerParts } from '../dependencies.ts';
import { concurrentPodStreamsMax } from '../limits.ts';
import { knownStreams, type PodStreamSource } from '../pod-streams.ts';
import { readObject } from '../reading.ts';
import type { RouteHandler } from '../route-table.ts';
import { channelOf, spdyAcceptance } from '../streaming/remote-command.ts';
import { serveSpdy, type ByteChannel, type SpdyStream } from '../streaming/spdy-session.ts';
import {
  isWebSocketRequest,
  openWebSocket,
  type WebSocket,
  webSocketAcceptance,
} from '../streaming/websocket.ts';
import { channelProtocol, forwardChannels, portsOf } from './pod-forward-channels.ts';

const messageBytesMax = 4 * 1024 * 1024;
const protocol = 'portforward.k8s.io';
const tunnelProtocol = `SPDY/3.1+${protocol}`;
/** For the second stream of a pair to come. */
const pairWithinMs = 30_000;
const portMax = 65_535;

export function podForwardHandler(
  parts: ServerParts,
  definition: ResourceDefinition,
): RouteHandler {
  const open = new Set<OpenChannel>();
  return async ({ request, parameters, query }) => {
    const { namespace = '', name = '' } = parameters;
    const pod = readObject(parts, definition, namespace, name).object as Pod;
    const nodeName = pod.spec.nodeName ?? '';
    if (nodeName === '') {
      throw new StatusError(
        'BadRequest',
        `pod ${pod.metadata.name} does not have a host assigned: it waits for a node`,
      );
    }
    if (open.size >= concurrentPodStreamsMax) {
      throw new StatusError(
        'TooManyRequests',
        `${concurrentPodStreamsMax} clients have ports forwarded, which is the most at one time`,
        { retryAfterSeconds: 5 },
      );
    }
    const source = knownStreams(parts.podStreams);
    const podUid = pod.metadata.uid ?? '';
    const holdOpen = (channel: OpenChannel): void => {
      open.add(channel);
      const forgetClosing = parts.onClosing(() => channel.close());
      channel.onClose(() => {
        open.delete(channel);
        forgetClosing();
      });
    };
    if (wantsChannels(request)) {
      const ports = portsOf(query);
      return webSocketUpgrade(request, parts.timers, channelProtocol, (socket) => {
        holdOpen({
          onClose: (listener) => socket.onClose(listener),
          close: () => socket.close(1001),
        });
        forwardChannels(source, socket, { nodeName, uid: podUid }, ports);
      });
    }
    return forwardUpgrade(request, parts.timers, (channel) => {
      holdOpen(channel);
      forward(parts.timers, source, channel, nodeName, podUid);
    });
  };
}

/** What is ended when the server closes. */
type OpenChannel = Pick<ByteChannel, 'close' | 'onClose'>;

/** A client that offers the tunnel of kubectl gets it. */
function wantsChannels(request: HttpRequest): boolean {
  const offered = request.headers['sec-websocket-protocol'] ?? '';
  return (
    isWebSocketRequest(request) &&
    offered.includes(channelProtocol) &&
    !offered.includes(tunnelProtocol)
  );
}

function webSocketUpgrade(
  request: HttpRequest,
  timers: Timers,
  wanted: string,
  onSocket: (socket: WebSocket) => void,
): HttpResponse {
  const { headers } = webSocketAcceptance(request, [wanted]);
  return {
    status: 101,
    headers,
    body: new Uint8Array(0),
    upgrade: (connection: PlainConnection) =>
      onSocket(openWebSocket(connection, { messageBytesMax, timers })),
  };
}

function forwardUpgrade(
  request: HttpRequest,
  timers: Timers,
  onChannel: (channel: ByteChannel) => void,
): HttpResponse {
  if (!isWebSocketRequest(request)) {
    const headers = spdyAcceptance(request, protocol);
    const upgrade = (connection: PlainConnection): void => onChannel(channelOf(connection));
    return { status: 101, headers, body: new Uint8Array(0), upgrade };
  }
  return webSocketUpgrade(request, timers, tunnelProtocol, (socket) =>
    onChannel({ ...socket, close: () => socket.close(1000) }),
  );
}

interface Pair {
  readonly streams: Map<string, SpdyStream>;
  readonly timer: Timer;
}

function forward(
  timers: Timers,
  source: PodStreamSource,
  channel: ByteChannel,
  nodeName: string,
  podUid: string,
): void {
  /** Of those whose second stream has not come, by request id. */
  const pairs = new Map<string, Pair>();
  channel.onClose(() => {
    for (const { timer } of pairs.values()) timer.cancel();
    pairs.clear();
  });

  function pairOf(requestId: string): Pair {
    let pair = pairs.get(requestId);
    if (pair === undefined) {
      const streams = new Map<string, SpdyStream>();
      const timer = timers.after(pairWithinMs, () => {
        pairs.delete(requestId);
        for (const stream of streams.values()) stream.reset();
      });
      pair = { streams, timer };
      pairs.set(requestId, pair);
    }
    return pair;
  }

  serveSpdy(channel, (stream) => {
    const { streamtype = '', requestid = '', port } = stream.headers;
    const { streams, timer } = pairOf(requestid);
    if ((streamtype !== 'data' && streamtype !== 'error') || streams.has(streamtype)) {
      stream.reset();
      return;
    }
    streams.set(streamtype, stream);
    const [data, error] = [streams.get('data'), streams.get('error')];
    if (data === undefined || error === undefined) return;
    timer.cancel();
    pairs.delete(requestid);
    connect(data, error, Number(port));
  });

  function connect(data: SpdyStream, error: SpdyStream, port: number): void {
    const tell = (message: string): void => {
      void error.send(utf8(message)).finally(() => error.end());
      data.reset();
    };
    if (!Number.isInteger(port) || port < 1 || port > portMax) {
      tell(`there is no port ${port}`);
      return;
    }
    let isOver = false;
    const stream = source.open(nodeName, 'pod.forward', { podUid, port });
    // An empty message: the pod sends nothing more.
    stream.onMessage((bytes) => (bytes.length === 0 ? data.end() : data.send(bytes)));
    stream.onClose((failure) => {
      isOver = true;
      if (failure !== undefined) {
        tell(`error forwarding port ${port} to pod: ${failure.message}`);
        return;
      }
      data.end();
      error.end();
    });
    const send = (bytes: Uint8Array): Promise<void> => stream.send(bytes).catch(() => undefined);
    data.onData(send);
    data.onEnd(() => {
      if (!isOver) void send(new Uint8Array(0));
    });
    data.onClose(() => {
      if (data.isReset) stream.fail({ code: 'CLIENT_GONE', message: 'the client has gone away' });
      else if (!isOver) stream.end();
    });
  }
}
