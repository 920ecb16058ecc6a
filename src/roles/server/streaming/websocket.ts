/**
 * One WebSocket of a client: messages both ways over a connection that was handed
 * over, kept alive and closed as the protocol asks.
 *
 * Invariants:
 * 1. `onClose` is called exactly once, after the last message; from then on nothing is sent.
 * 2. A client that sends what is no WebSocket is told the code and cut off.
 * 3. While more than `unsentBytesHigh` wait for the client, nothing more is asked
 *    of the source: `send` says so by its promise.
 */
import { hash } from 'node:crypto';
import type { HttpRequest, PlainConnection, Timer, Timers } from '#platform/io/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { refuseOtherSites } from '../other-sites.ts';
import { StreamingError } from './errors.ts';
import {
  closePayload,
  encodeWebSocketFrame,
  WebSocketDecoder,
  type WebSocketFrame,
} from './websocket-frames.ts';

export interface WebSocketOptions {
  readonly messageBytesMax: number;
  readonly timers: Timers;
}

const unsentBytesHigh = 256 * 1024;
/** Beyond this nothing more is read: not even pings, so a client may give up. */
const queuedBytesMax = 1024 * 1024;
/** How long a client may take to answer a close before the connection is cut. */
const closeWithinMs = 5_000;
const pingEveryMs = 15_000;
/** Without a word for so long a client counts as gone. */
const silentMaxMs = 45_000;
const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** True for a request that wants to become a WebSocket, whether or not it asks as it should. */
export function isWebSocketRequest({ headers }: HttpRequest): boolean {
  return (headers['upgrade'] ?? '').toLowerCase() === 'websocket';
}

/**
 * The headers of the 101 that answers, with the first of `protocols` that the client
 * offers. Throws BadRequest where it offers none of them, or its request is no handshake.
 */
export function webSocketAcceptance(
  { headers, method }: HttpRequest,
  protocols: readonly string[],
): { readonly protocol: string; readonly headers: Readonly<Record<string, string>> } {
  refuseOtherSites(headers, 'reach into containers');
  const key = headers['sec-websocket-key'] ?? '';
  if (method !== 'GET' || headers['sec-websocket-version'] !== '13') {
    throw new StatusError('BadRequest', 'a WebSocket is asked for with GET and version 13');
  }
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) {
    throw new StatusError('BadRequest', 'the key of a WebSocket is 16 bytes in base64');
  }
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  const protocol = protocols.find((name) => offered.includes(name));
  if (protocol === undefined) {
    throw new StatusError(
      'BadRequest',
      `unable to upgrade: this server speaks ${protocols.join(', ')}; the client offers ${offered.join(', ') || 'nothing'}`,
    );
  }
  return {
    protocol,
    headers: {
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-accept': hash('sha1', `${key}${acceptSuffix}`, 'base64'),
      'sec-websocket-protocol': protocol,
    },
  };
}

export interface WebSocket {
  /** Resolves when the client has taken enough for the next one. */
  send(bytes: Uint8Array): Promise<void>;
  /** Set at once. While the returned promise is open nothing more is read. */
  onMessage(listener: (bytes: Uint8Array) => void | Promise<void>): void;
  onClose(listener: () => void): void;
  /** Ends it in good order; `code` as in RFC 6455, 1000 for done. */
  close(code: number): void;
}

export function openWebSocket(
  connection: PlainConnection,
  { messageBytesMax, timers }: WebSocketOptions,
): WebSocket {
  const decoder = new WebSocketDecoder(messageBytesMax);
  const closeListeners: (() => void)[] = [];
  const waiting: (() => void)[] = [];
  let onMessage: (bytes: Uint8Array) => void | Promise<void> = () => {};
  let isClosing = false;
  let isGone = false;
  let isHandling = false;
  /** Messages that wait for the listener. */
  const queue: Uint8Array[] = [];
  let queuedBytes = 0;
  let isPaused = false;
  let closeTimer: Timer | undefined;
  let heardSincePing = true;
  let silentMs = 0;
  let pingTimer = timers.after(pingEveryMs, ping);

  function ping(): void {
    silentMs = heardSincePing ? 0 : silentMs + pingEveryMs;
    if (silentMs >= silentMaxMs) {
      connection.destroy();
      return;
    }
    heardSincePing = false;
    if (!isClosing) connection.write(encodeWebSocketFrame('ping', new Uint8Array(0)));
    pingTimer = timers.after(pingEveryMs, ping);
  }

  function close(code: number): void {
    if (isClosing || isGone) return;
    isClosing = true;
    connection.write(encodeWebSocketFrame('close', closePayload(code)));
    closeTimer = timers.after(closeWithinMs, () => connection.destroy());
    wakeAll();
  }

  function wakeAll(): void {
    for (const wake of waiting.splice(0)) wake();
  }

  /** What asks for nothing of anybody else is answered at once, whatever waits. */
  function takeControl(frame: WebSocketFrame): void {
    if (frame.type === 'ping' && !isClosing) {
      connection.write(encodeWebSocketFrame('pong', frame.bytes));
    }
    if (frame.type !== 'close') return;
    close(1000);
    connection.end();
  }

  async function handle(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      queuedBytes -= next.length;
      if (isPaused && queuedBytes < queuedBytesMax) {
        isPaused = false;
        connection.resume();
      }
      if (!isClosing && !isGone) await onMessage(next);
    }
  }

  connection.onData((bytes) => {
    heardSincePing = true;
    let frames: readonly WebSocketFrame[];
    try {
      frames = decoder.push(bytes);
    } catch (error) {
      if (!(error instanceof StreamingError)) throw error;
      close(error.code === 'WEBSOCKET_TOO_LARGE' ? 1009 : 1002);
      connection.end();
      return;
    }
    for (const frame of frames) {
      if (frame.type !== 'message') {
        takeControl(frame);
        continue;
      }
      queue.push(frame.bytes);
      queuedBytes += frame.bytes.length;
    }
    if (queuedBytes >= queuedBytesMax && !isPaused) {
      isPaused = true;
      connection.pause();
    }
    if (isHandling || queue.length === 0) return;
    isHandling = true;
    handle()
      .catch(() => close(1011))
      .finally(() => {
        isHandling = false;
      });
  });
  connection.onEnd(() => connection.end());
  connection.onDrain(wakeAll);
  connection.onClose(() => {
    isGone = true;
    closeTimer?.cancel();
    pingTimer.cancel();
    wakeAll();
    for (const listener of closeListeners.splice(0)) listener();
  });

  return {
    send(bytes) {
      if (isClosing || isGone) return Promise.resolve();
      connection.write(encodeWebSocketFrame('binary', bytes));
      if (connection.bufferedBytes() < unsentBytesHigh) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.push(resolve);
      });
    },
    onMessage(listener) {
      onMessage = listener;
    },
    onClose(listener) {
      if (isGone) listener();
      else closeListeners.push(listener);
    },
    close,
  };
}
