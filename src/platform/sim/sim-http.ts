/**
 * HTTP over simulated connections: one connection a request, and frames of our
 * own instead of HTTP/1.1's text, which nobody here reads. What handlers and
 * clients can see (identity, streaming, back-pressure, aborts) is the same.
 *
 * A frame is a type byte, a length of four bytes, and the payload.
 */
import { hash } from 'node:crypto';
import { assert, concatBytes, textOf, utf8 } from '#base/mod.ts';
import {
  NetError,
  type ByteSink,
  type Connection,
  type HttpClient,
  type HttpClientRequest,
  type HttpClientResponse,
  type HttpHandler,
  type HttpResponse,
  type HttpServer,
  type RefusedRequest,
} from '#platform/io/mod.ts';
import type { Kernel, Lifetime, ScheduledEvent } from './kernel.ts';
import type { NetMachine, Network } from './sim-net.ts';

const frameHead = 1;
const frameBody = 2;
const frameEnd = 3;
const frameHeaderBytes = 5;
const framePayloadBytesMax = 65_536;
/** Body bytes that may wait for a slow consumer before its connection is paused. */
const unreadBytesMax = 262_144;

function frame(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes + payload.length);
  bytes[0] = type;
  new DataView(bytes.buffer).setUint32(1, payload.length);
  bytes.set(payload, frameHeaderBytes);
  return bytes;
}

function* bodyFrames(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += framePayloadBytesMax) {
    yield frame(frameBody, bytes.subarray(at, at + framePayloadBytesMax));
  }
}

/** Cuts what arrives into frames. */
function readFrames(
  connection: Connection,
  onFrame: (type: number, payload: Uint8Array) => void,
): void {
  let pending: Uint8Array = new Uint8Array(0);
  connection.onData((bytes) => {
    pending = pending.length === 0 ? bytes : concatBytes([pending, bytes]);
    let at = 0;
    while (pending.length - at >= frameHeaderBytes) {
      const lengthBytes = new DataView(pending.buffer, pending.byteOffset + at).getUint32(1);
      if (pending.length - at < frameHeaderBytes + lengthBytes) break;
      const payloadAt = at + frameHeaderBytes;
      onFrame(pending[at] ?? 0, pending.subarray(payloadAt, payloadAt + lengthBytes));
      at = payloadAt + lengthBytes;
    }
    pending = pending.slice(at);
  });
}

/** A body on its way in: an async iterable that pauses the connection when nobody reads. */
class IncomingBody implements AsyncIterable<Uint8Array> {
  readonly #connection: Connection;
  #parts: Uint8Array[] = [];
  #unreadBytes = 0;
  #isComplete = false;
  #error: Error | undefined;
  #isDropped = false;
  #wake: (() => void) | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  push(bytes: Uint8Array): void {
    if (this.#isDropped) return;
    this.#parts.push(bytes);
    this.#unreadBytes += bytes.length;
    if (this.#unreadBytes > unreadBytesMax) this.#connection.pause();
    this.#wakeUp();
  }

  complete(): void {
    this.#isComplete = true;
    this.#wakeUp();
  }

  fail(error: Error): void {
    if (this.#isComplete) return;
    this.#error = error;
    this.#wakeUp();
  }

  /** Nobody wants the rest: it is read and thrown away. */
  drop(): void {
    this.#isDropped = true;
    this.#parts = [];
    this.#connection.resume();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const part = this.#parts.shift();
      if (part !== undefined) {
        this.#unreadBytes -= part.length;
        if (this.#unreadBytes <= unreadBytesMax) this.#connection.resume();
        yield part;
      } else if (this.#isComplete) {
        return;
      } else if (this.#error !== undefined) {
        throw this.#error;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

function statusAnswer(code: number, reason: string, message: string): HttpResponse {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' };
  return {
    status: code,
    headers: { 'content-type': 'application/json' },
    body: utf8(JSON.stringify({ ...status, message, reason, code })),
  };
}

interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface ResponseHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Serves the one request of a connection. */
function serveConnection(
  connection: Connection,
  refusal: string | undefined,
  handler: HttpHandler,
  onRefused: (refused: RefusedRequest) => void,
): void {
  const body = new IncomingBody(connection);
  const abortListeners: (() => void)[] = [];
  const closeListeners: (() => void)[] = [];
  let isAnswered = false;
  const answer = (response: HttpResponse, isHead: boolean): void => {
    const { status, headers } = response;
    connection.write(frame(frameHead, utf8(JSON.stringify({ status, headers }))));
    const finish = (): void => {
      if (isAnswered) return;
      isAnswered = true;
      body.drop();
      connection.write(frame(frameEnd, new Uint8Array(0)));
      connection.end();
    };
    if (isHead) return finish();
    if (typeof response.body !== 'function') {
      const bytes = typeof response.body === 'string' ? utf8(response.body) : response.body;
      for (const part of bodyFrames(bytes)) connection.write(part);
      return finish();
    }
    const sink: ByteSink = {
      write: (bytes) => {
        for (const part of bodyFrames(bytes)) connection.write(part);
      },
      bufferedBytes: () => connection.bufferedBytes(),
      onDrain: (listener) => connection.onDrain(listener),
      onClose: (listener) => closeListeners.push(listener),
      end: finish,
      destroy: () => connection.destroy(),
    };
    response.body(sink);
  };
  const handle = async (head: RequestHead): Promise<void> => {
    const mark = head.target.indexOf('?');
    const asked = {
      method: head.method,
      path: mark < 0 ? head.target : head.target.slice(0, mark),
      query: mark < 0 ? '' : head.target.slice(mark + 1),
      headers: head.headers,
      remoteAddress: connection.remoteAddress,
    };
    if (refusal !== undefined) onRefused({ ...asked, why: refusal });
    let response: HttpResponse;
    try {
      response =
        refusal === undefined
          ? await handler({
              ...asked,
              peer: connection.peer,
              body,
              onAbort: (listener) => abortListeners.push(listener),
            })
          : statusAnswer(401, 'Unauthorized', `the client certificate is refused: ${refusal}`);
    } catch {
      response = statusAnswer(500, 'InternalError', 'the server failed to answer');
    }
    answer(response, head.method === 'HEAD');
  };
  connection.onClose(() => {
    body.fail(new NetError('NET_CLOSED', 'the client went away', { retryable: true }));
    if (!isAnswered) for (const listener of abortListeners) listener();
    for (const listener of closeListeners) listener();
  });
  readFrames(connection, (type, payload) => {
    if (type === frameHead) void handle(JSON.parse(textOf(payload)) as RequestHead);
    else if (type === frameBody) body.push(payload);
    else body.complete();
  });
}

export function simHttpServer(
  network: Network,
  machine: NetMachine,
  process: Lifetime,
): HttpServer {
  return {
    listen: async (options, handler) => {
      if (!process.alive) return await new Promise<never>(() => {});
      return network.listen(machine, process, { ...options, acceptRefused: true }, (...accepted) =>
        serveConnection(...accepted, handler, options.onRefused ?? (() => undefined)),
      );
    },
  };
}

/** Sends the head and the body, as fast as the connection takes it. */
async function sendRequest(connection: Connection, request: HttpClientRequest): Promise<void> {
  const { method, target, body } = request;
  const host = `${request.address.host}:${request.address.port}`;
  const headers = { host, ...lowerCased(request.headers) };
  connection.write(frame(frameHead, utf8(JSON.stringify({ method, target, headers }))));
  let isClosed = false;
  let wake: (() => void) | undefined;
  const wakeUp = (): void => wake?.();
  connection.onDrain(wakeUp);
  connection.onClose(() => {
    isClosed = true;
    wakeUp();
  });
  const parts = body === undefined ? [] : body instanceof Uint8Array ? [body] : body;
  for await (const part of parts) {
    for (const bytes of bodyFrames(part)) connection.write(bytes);
    if (connection.bufferedBytes() > unreadBytesMax && !isClosed) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (isClosed) return;
  }
  connection.write(frame(frameEnd, new Uint8Array(0)));
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

export function simHttpClient(
  kernel: Kernel,
  network: Network,
  machine: NetMachine,
  process: Lifetime,
): HttpClient {
  return {
    request: async (request) => {
      assert(request.target.startsWith('/'), 'a target begins with /');
      const startedMs = kernel.nowMs;
      const connection = await network.connect(machine, process, request);
      const leftMs = Math.max(0, startedMs + request.timeoutMs - kernel.nowMs);
      const detail = `${request.method} ${hash('sha256', request.target, 'hex').slice(0, 8)}`;
      return await new Promise<HttpClientResponse>((resolve, reject) => {
        const body = new IncomingBody(connection);
        const deadline = kernel.schedule(leftMs, process, 'http.timeout', detail, () => {
          const why = `no answer within ${request.timeoutMs} ms`;
          reject(new NetError('NET_TIMEOUT', why, { retryable: true }));
          connection.destroy();
        });
        let bodyLimit: ScheduledEvent | undefined;
        const limitBody = (): void => {
          const { bodyTimeoutMs } = request;
          if (bodyTimeoutMs === undefined) return;
          bodyLimit = kernel.schedule(bodyTimeoutMs, process, 'http.timeout', detail, () => {
            const why = `the answer was not whole in ${bodyTimeoutMs} ms`;
            body.fail(new NetError('NET_TIMEOUT', why, { retryable: true }));
            connection.destroy();
          });
        };
        readFrames(connection, (type, payload) => {
          if (type === frameHead) {
            deadline.cancel();
            limitBody();
            const head = JSON.parse(textOf(payload)) as ResponseHead;
            const { status } = head;
            const cancel = (): void => connection.destroy();
            resolve({ status, headers: lowerCased(head.headers), body, cancel });
          } else if (type === frameBody) {
            body.push(payload.slice());
          } else {
            bodyLimit?.cancel();
            body.complete();
          }
        });
        connection.onClose((error) => {
          deadline.cancel();
          bodyLimit?.cancel();
          const why = 'the connection closed before the answer was complete';
          const closed = new NetError('NET_CLOSED', why, { cause: error, retryable: true });
          reject(closed);
          body.fail(closed);
        });
        sendRequest(connection, request).catch((thrown: unknown) => {
          deadline.cancel();
          reject(thrown);
          connection.destroy();
        });
      });
    },
  };
}
