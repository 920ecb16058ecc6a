/**
 * HTTP/1.1 over TLS for the API, the registry and the join.
 *
 * Invariants:
 * 1. A client certificate that was sent and is not believed is answered 401 here; a
 *    handler sees `peer` undefined only where none was sent. Expiry and revocation
 *    are looked at on every request, trust on every connection.
 * 2. A request whose head could be read in two ways never reaches a handler.
 * 3. An answer to a request whose body is still being sent is followed by reading on
 *    for a while, so that the client sees the answer rather than a reset.
 * 4. Large answers that wait for clients who do not read are bounded, all together and in
 *    time: a client that takes nothing for a while is cut off.
 */
import { ServerResponse, STATUS_CODES, type IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { X509Certificate } from 'node:crypto';
import { assert } from '#base/mod.ts';
import type {
  ByteSink,
  HttpHandler,
  HttpRequest,
  HttpResponse,
  HttpServer,
  RefusedRequest,
} from '../http.ts';
import { silentLogger, type Logger } from '../log-sink.ts';
import type { ServerTls } from '../net.ts';
import { authoritiesOf, checkCredentials, judgeClient, type Judgement } from './certificates.ts';
import { bodyOf, drainBody, expectsBody } from './http-body.ts';
import { handshakeTimeoutMs, listenOn } from './listening.ts';
import { SocketConnection } from './plain-net.ts';

const headersTimeoutMs = 15_000;
/** For a whole request with its body: a large image over a slow line. */
const requestTimeoutMs = 30 * 60_000;
const keepAliveTimeoutMs = 75_000;
const headerMaxBytes = 32_768;
const headersMax = 100;
const onePieceBytesMax = 8 * 1024;

export interface LargeAnswerLimits {
  /** An answer from this size on is a large one. */
  readonly sizeBytesMin: number;
  /** Of large answers of one server that have not been taken by their clients, together. */
  readonly unsentBytesMax: number;
  /** Without any of it being taken for so long, the connection is cut. */
  readonly stalledMs: number;
}

const largeAnswerLimitsDefault: LargeAnswerLimits = {
  sizeBytesMin: 1024 * 1024,
  unsentBytesMax: 1024 * 1024 * 1024,
  stalledMs: 60_000,
};

/** Headers that must not come twice: Node would silently pick one or join them. */
const singleHeaders = new Set(['host', 'authorization', 'content-type', 'content-length']);

function statusAnswer(status: number, reason: string, message: string): HttpResponse {
  const body = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' };
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(`${JSON.stringify({ ...body, message, reason, code: status })}\n`),
  };
}

const tooManyUnsent = statusAnswer(
  503,
  'ServiceUnavailable',
  'too many large answers wait for clients that read slowly: ask again, or for less at a time (limit)',
);
const notUpgraded = statusAnswer(501, 'InternalError', 'this connection cannot be upgraded');
const badRequest = (message: string): HttpResponse => statusAnswer(400, 'BadRequest', message);

function firstRepeated(rawHeaders: readonly string[]): string | undefined {
  let seen: string[] | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (!singleHeaders.has(name)) continue;
    if (seen?.includes(name) === true) return name;
    (seen ??= []).push(name);
  }
  return undefined;
}

function headersOf(message: IncomingMessage): Record<string, string> {
  // Without a prototype, so that no name that a client may send means anything.
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  const given = message.headers;
  for (const name of Object.keys(given)) {
    const value = given[name];
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return headers;
}

function writeHead(response: ServerResponse, answer: HttpResponse, isLast: boolean): void {
  const headers: Record<string, string> = { ...answer.headers };
  if (typeof answer.body !== 'function' && response.req.method !== 'HEAD') {
    headers['content-length'] = String(Buffer.byteLength(answer.body));
  }
  if (isLast) headers['connection'] = 'close';
  response.writeHead(answer.status, headers);
}

const nobody: readonly (() => void)[] = [];

/**
 * The sink of one streamed answer. A server may hold thousands: few closures, and arrays no
 * longer than what is in them (which `push` and spreading do not make).
 */
class ResponseSink implements ByteSink {
  readonly #response: ServerResponse;
  #onDrain = nobody;
  #onClose = nobody;
  #bufferedBytes = 0;
  #closed = false;

  constructor(response: ServerResponse) {
    this.#response = response;
    // It comes once; what `once` would add to see to that is held as long as the answer.
    response.on('close', () => this.#close());
  }

  write(bytes: Uint8Array): void {
    if (this.#closed || this.#response.writableEnded || bytes.length === 0) return;
    this.#bufferedBytes += bytes.length;
    this.#response.write(bytes, (error) => {
      if (error === undefined || error === null) this.#left(bytes.length);
    });
  }

  bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  onDrain(listener: () => void): void {
    this.#onDrain = this.#onDrain.concat(listener);
  }

  onClose(listener: () => void): void {
    if (this.#closed) queueMicrotask(listener);
    else this.#onClose = this.#onClose.concat(listener);
  }

  end(): void {
    this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }

  #left(bytes: number): void {
    if (this.#closed) return;
    this.#bufferedBytes -= bytes;
    assert(this.#bufferedBytes >= 0, 'no more leaves than was written');
    if (this.#bufferedBytes > 0) return;
    for (const listener of this.#onDrain) listener();
  }

  #close(): void {
    this.#closed = true;
    this.#bufferedBytes = 0;
    const listeners = this.#onClose;
    this.#onClose = nobody;
    for (const listener of listeners) listener();
  }
}

async function send(response: ServerResponse, answer: HttpResponse): Promise<void> {
  const { req: message } = response;
  if (response.destroyed) return;
  const isUnread = expectsBody(message) && !message.complete;
  writeHead(response, answer, isUnread);
  if (typeof answer.body === 'function') {
    response.flushHeaders();
    answer.body(new ResponseSink(response));
    if (isUnread) await drainBody(message);
    return;
  }
  if (isUnread) {
    // The whole answer goes out now; the connection ends when the client is done sending.
    if (message.method !== 'HEAD') response.write(answer.body);
    await drainBody(message);
    response.end();
    return;
  }
  endWith(response, answer.body);
}

/** Head and body of a small answer leave as one piece: one record of TLS, one call to the system. */
function endWith(response: ServerResponse, body: Uint8Array | string): void {
  if (typeof body === 'string') {
    // Where every character is one byte, both encodings give the same, one of them for less.
    const isAscii = Buffer.byteLength(body) === body.length;
    response.end(body, isAscii ? 'latin1' : 'utf8');
    return;
  }
  if (body.length > onePieceBytesMax) {
    response.end(body);
    return;
  }
  // Node puts text behind the head; in this encoding every byte is itself.
  response.end(Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1'), 'latin1');
}

/** Protocols that a client may change to; any other wish is read as if it were not there. */
const upgrades = new Set(['websocket', 'spdy/3.1']);

/** The head of 101, and then the connection is the handler's. `head` came behind the request's. */
function handOver(socket: Socket, head: Buffer, answer: HttpResponse): void {
  assert(answer.upgrade !== undefined, 'an upgrade has somebody who takes it');
  const lines = Object.entries(answer.headers).map(([name, value]) => {
    assert(!/[\r\n]/.test(name + value), 'a header is one line');
    return `${name}: ${value}\r\n`;
  });
  socket.write(`HTTP/1.1 101 ${STATUS_CODES[101]}\r\n${lines.join('')}\r\n`);
  if (head.length > 0) socket.unshift(head);
  socket.setTimeout(0);
  answer.upgrade(new SocketConnection(socket));
}

function addressOf(target: string): { readonly path: string; readonly query: string } {
  const queryStart = target.indexOf('?');
  return queryStart < 0
    ? { path: target, query: '' }
    : { path: target.slice(0, queryStart), query: target.slice(queryStart + 1) };
}

class Front {
  readonly #tls: ServerTls;
  readonly #handler: HttpHandler;
  readonly #logger: Logger;
  readonly #authorities: readonly X509Certificate[];
  readonly #onRefused: (refused: RefusedRequest) => void;
  readonly #judgements = new WeakMap<object, Judgement | 'anonymous'>();
  readonly #largeAnswers: LargeAnswerLimits;
  #unsentLargeBytes = 0;

  constructor(
    tls: ServerTls,
    handler: HttpHandler,
    logger: Logger,
    onRefused: (refused: RefusedRequest) => void,
    largeAnswers: LargeAnswerLimits,
  ) {
    this.#largeAnswers = largeAnswers;
    this.#onRefused = onRefused;
    this.#tls = tls;
    this.#handler = handler;
    this.#logger = logger;
    this.#authorities = authoritiesOf(tls.trustPem);
  }

  /** Once a connection: the costly part, the signature. */
  judge(socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate();
    const judgement =
      certificate === undefined
        ? 'anonymous'
        : judgeClient(certificate, this.#authorities, Date.now());
    this.#judgements.set(socket, judgement);
  }

  /** Once a request: undefined for nobody, a text where the certificate is not believed. */
  #identify(socket: Socket): HttpRequest['peer'] | string {
    const judgement = this.#judgements.get(socket);
    assert(judgement !== undefined, 'a connection is judged before its first request');
    if (judgement === 'anonymous') {
      return this.#tls.clientCertificate === 'request' ? undefined : 'a certificate is required';
    }
    if (!judgement.trusted) return judgement.why;
    const { peer } = judgement;
    if (peer.notAfterMs <= Date.now()) return 'the certificate has expired';
    if (this.#tls.isRevoked?.(peer.serialNumber) === true) {
      return 'the certificate was revoked and stays so: have the machine join again with a new key';
    }
    return peer;
  }

  async #answer(
    message: IncomingMessage,
    response: ServerResponse,
    onFirstRead: () => void,
  ): Promise<HttpResponse> {
    const repeated = firstRepeated(message.rawHeaders);
    if (repeated !== undefined) return badRequest(`the header ${repeated} was sent more than once`);
    if ((message.headers.host ?? '') === '') return badRequest('a request names its Host');
    const target = message.url ?? '';
    if (!target.startsWith('/')) return badRequest('the target of a request is a path');
    const peer = this.#identify(message.socket);
    if (typeof peer === 'string') {
      const asked = { ...addressOf(target), headers: headersOf(message) };
      const remoteAddress = message.socket.remoteAddress ?? '';
      this.#onRefused({ ...asked, method: message.method ?? 'GET', remoteAddress, why: peer });
      const message401 = `the client certificate was not accepted: ${peer}. Use a valid one that this server issued`;
      return statusAnswer(401, 'Unauthorized', message401);
    }
    let aborts = nobody;
    let isAborted = false;
    response.on('close', () => {
      isAborted = !response.writableFinished;
      if (isAborted) for (const listener of aborts) listener();
    });
    const { path, query } = addressOf(target);
    return this.#handler({
      method: message.method ?? 'GET',
      path,
      query,
      headers: headersOf(message),
      peer,
      remoteAddress: message.socket.remoteAddress ?? '',
      body: bodyOf(message, onFirstRead),
      onAbort: (listener) => {
        if (isAborted) queueMicrotask(listener);
        else aborts = aborts.concat(listener);
      },
    });
  }

  /** The answer, counted while it waits for its client where it is large; or a refusal. */
  #held(response: ServerResponse, answer: HttpResponse): HttpResponse {
    const { body } = answer;
    const { sizeBytesMin, unsentBytesMax, stalledMs } = this.#largeAnswers;
    if (typeof body === 'function' || body.length < sizeBytesMin || response.destroyed) {
      return answer;
    }
    if (this.#unsentLargeBytes + body.length > unsentBytesMax) return tooManyUnsent;
    this.#unsentLargeBytes += body.length;
    response.once('close', () => {
      this.#unsentLargeBytes -= body.length;
    });
    // Node counts what is taken of it as activity.
    response.setTimeout(stalledMs, () => response.destroy());
    return answer;
  }

  async serve(
    message: IncomingMessage,
    response: ServerResponse,
    onFirstRead: () => void,
    upgrade?: (answer: HttpResponse) => void,
  ): Promise<void> {
    // A connection that breaks is told by 'close'; without this it would be an exception.
    message.on('error', () => {});
    response.on('error', () => {});
    try {
      let answer: HttpResponse;
      try {
        answer = await this.#answer(message, response, onFirstRead);
      } catch (thrown) {
        // Where the client is gone, its broken body is no failure of the handler.
        const level = response.destroyed ? 'debug' : 'error';
        this.#logger.log(level, 'a handler failed', { method: message.method, error: thrown });
        answer = statusAnswer(500, 'InternalError', 'the server failed to handle this request');
      }
      if (answer.status === 101 && upgrade !== undefined) {
        if (!response.destroyed) upgrade(answer);
        return;
      }
      await send(response, answer.status === 101 ? notUpgraded : this.#held(response, answer));
    } catch (thrown) {
      this.#logger.log('error', 'an answer could not be sent', { error: thrown });
      response.destroy();
    }
  }
}

/** Answers what is no HTTP (or too much of it) and closes. */
function refuseBytes(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [line, answer] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [
          '431 Request Header Fields Too Large',
          statusAnswer(431, 'BadRequest', `the headers exceed ${headerMaxBytes} bytes`),
        ]
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', statusAnswer(408, 'Timeout', 'the request took too long')]
        : ['400 Bad Request', badRequest('the request is not HTTP/1.1')];
  const body = answer.body instanceof Uint8Array ? Buffer.from(answer.body).toString() : '';
  socket.end(
    `HTTP/1.1 ${line}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  // A peer that does not close its side must not keep the place.
  socket.setTimeout(handshakeTimeoutMs, () => socket.destroy());
}

/** Real HTTPS. What a handler throws goes to `logger`, and to the client only as a 500. */
export function createNodeHttpServer(
  logger: Logger = silentLogger,
  largeAnswers: LargeAnswerLimits = largeAnswerLimitsDefault,
): HttpServer {
  return {
    listen: (
      { address, tls, connectionsMax, isShared = false, onRefused = () => undefined },
      handler,
    ) => {
      checkCredentials(tls.credentials);
      const front = new Front(tls, handler, logger, onRefused, largeAnswers);
      const server = createServer({
        cert: tls.credentials.certificatePem,
        key: tls.credentials.privateKeyPem,
        ca: tls.trustPem,
        minVersion: 'TLSv1.2',
        requestCert: true,
        rejectUnauthorized: tls.clientCertificate === 'require',
        handshakeTimeout: handshakeTimeoutMs,
        headersTimeout: headersTimeoutMs,
        requestTimeout: requestTimeoutMs,
        keepAliveTimeout: keepAliveTimeoutMs,
        maxHeaderSize: headerMaxBytes,
        // A missing Host is refused by the front, with a Status.
        requireHostHeader: false,
        insecureHTTPParser: false,
        noDelay: true,
        shouldUpgradeCallback: ({ headers }) => upgrades.has((headers.upgrade ?? '').toLowerCase()),
      });
      server.maxHeadersCount = headersMax;
      server.on('tlsClientError', (_, socket) => socket.destroy());
      server.prependListener('secureConnection', (socket: TLSSocket) => front.judge(socket));
      server.on('clientError', refuseBytes);
      server.on('request', (message, response) => {
        void front.serve(message, response, () => {});
      });
      server.on('upgrade', (message, socket: Socket, head) => {
        const response = new ServerResponse(message);
        response.assignSocket(socket);
        response.shouldKeepAlive = false;
        response.once('finish', () => socket.end());
        void front.serve(
          message,
          response,
          () => {},
          (answer) => {
            response.detachSocket(socket);
            handOver(socket, head, answer);
          },
        );
      });
      // A client that asks before it sends is told to go on when the handler reads.
      server.on('checkContinue', (message, response) => {
        void front.serve(message, response, () => {
          if (!response.headersSent) response.writeContinue();
        });
      });
      return listenOn(server, address, connectionsMax, { isShared });
    },
  };
}
