/**
 * How a request gets to the server: over HTTPS, or straight into the handler of
 * the server in the same process. Both end at the same door.
 */
import { utf8 } from '#base/mod.ts';
import {
  type Address,
  type ClientTls,
  type HttpClient,
  type HttpHandler,
  type HttpResponse,
  inProcessAddress,
  type PeerIdentity,
} from '#platform/io/mod.ts';
import { type BodyPart, BodyPipe, onceOnly } from './body-pipe.ts';

export interface TransportRequest {
  readonly method: string;
  /** Path with query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** The answer goes on for as long as somebody reads it. */
  readonly isStream?: boolean;
}

export interface TransportResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** May be read once. Ends by a throw where the answer was cut. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The same, in place of `body`, with values by reference from a writer in this process. */
  readonly parts?: AsyncIterable<readonly BodyPart[]>;
  /** Gives up on the rest of the body. */
  cancel(): void;
}

export type Transport = (request: TransportRequest) => Promise<TransportResponse>;

/** Calls `handler` in this process, as `peer`. No sockets; streams are bounded by BodyPipe. */
export function handlerTransport(handler: HttpHandler, peer: PeerIdentity): Transport {
  return async (request) => {
    const { path, query } = partsOf(request.target);
    const abortListeners: (() => void)[] = [];
    const response = await handler({
      method: request.method,
      path,
      query,
      headers: { host: inProcessAddress, ...request.headers },
      peer,
      remoteAddress: inProcessAddress,
      body: onceOnly(request.body),
      onAbort: (listener) => abortListeners.push(listener),
    });
    return answerOf(response, abortListeners);
  };
}

function answerOf(
  response: HttpResponse,
  abortListeners: readonly (() => void)[],
): TransportResponse {
  const { status, headers, body } = response;
  if (typeof body !== 'function') {
    const bytes = typeof body === 'string' ? utf8(body) : body;
    return { status, headers, body: onceOnly(bytes), cancel() {} };
  }
  const pipe = new BodyPipe(() => {
    for (const listener of abortListeners) listener();
  });
  body(pipe);
  // Made when it is asked for, since a body is read in one of the two ways.
  const parts = { [Symbol.asyncIterator]: () => pipe.parts() };
  return { status, headers, body: pipe, parts, cancel: () => pipe.cancel() };
}

function partsOf(target: string): { path: string; query: string } {
  const mark = target.indexOf('?');
  if (mark === -1) return { path: target, query: '' };
  return { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

export interface HttpTransportOptions {
  readonly address: Address;
  readonly tls: ClientTls;
  /** Until the head of the answer is there. */
  readonly timeoutMs?: number;
}

const headTimeoutMsDefault = 30_000;
/** For the rest of an answer that is no stream, once its head is there. */
const bodyTimeoutMs = 120_000;

/** Over HTTPS. Rejects with NetError where there is no answer. */
export function httpTransport(httpClient: HttpClient, options: HttpTransportOptions): Transport {
  return ({ method, target, headers, body, isStream }) =>
    httpClient.request({
      address: options.address,
      tls: options.tls,
      method,
      target,
      headers,
      ...(body === undefined ? {} : { body }),
      timeoutMs: options.timeoutMs ?? headTimeoutMsDefault,
      ...(isStream === true ? {} : { bodyTimeoutMs }),
    });
}
