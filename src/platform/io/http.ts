/**
 * HTTP as the API front and its clients see it, apart from sockets: the same
 * handler serves node:https in production and the simulated network in
 * simulation.
 *
 * Invariants:
 * 1. Header names are lower case; a request has exactly one Host.
 * 2. A handler answers exactly once; a throw becomes a 500 without details.
 * 3. A body is never buffered beyond what its consumer asked for.
 */
import { concatBytes, SelvageError } from '#base/mod.ts';
import type { Address, ClientTls, Listener, PeerIdentity, ServerTls } from './net.ts';
import type { PlainConnection } from './plain-net.ts';

export interface HttpBody extends AsyncIterable<Uint8Array> {
  /** All of it in one go, where the driver can do that for less. As `readBody`. */
  collect?(maxBytes: number): Promise<Uint8Array>;
}

export interface HttpRequest {
  readonly method: string;
  /** The path as sent, percent-encoded, without the query. Begins with `/`. */
  readonly path: string;
  /** Without the `?`; empty where there is none. */
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly peer: PeerIdentity | undefined;
  readonly remoteAddress: string;
  readonly body: HttpBody;
  /** Called once when the client has gone away before the answer was complete. */
  onAbort(listener: () => void): void;
}

/** Where a streaming handler writes its answer. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
  /**
   * Where the reader is in this process: takes one JSON value of a stream of lines by
   * reference, in order with what is written as bytes. Neither side changes it any more.
   * `sizeBytes`, about that of the line, counts as buffered until the reader has it.
   */
  writeValue?(value: unknown, sizeBytes: number): void;
  /** Bytes written that have not left this process: a producer bounds this. */
  bufferedBytes(): number;
  onDrain(listener: () => void): void;
  onClose(listener: () => void): void;
  end(): void;
  /** Cuts the connection, so that the client does not take the answer for complete. */
  destroy(): void;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Text is sent as UTF-8. */
  readonly body: Uint8Array | string | ((sink: ByteSink) => void);
  /**
   * With status 101 only, to a request that asked for it: the connection is the
   * handler's from then on. A server that cannot hand it over answers 501.
   */
  readonly upgrade?: (connection: PlainConnection) => void;
}

/** A request whose certificate was not believed: whoever asked is nobody. */
export interface RefusedRequest extends Pick<
  HttpRequest,
  'method' | 'path' | 'query' | 'headers' | 'remoteAddress'
> {
  readonly why: string;
}

export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

export interface HttpServer {
  listen(
    options: {
      readonly address: Address;
      readonly tls: ServerTls;
      readonly connectionsMax: number;
      /** Other processes that say the same may listen there too; each connection reaches one. */
      readonly isShared?: boolean;
      /** Hears of requests that are answered 401 for their certificate, and so reach no handler. */
      readonly onRefused?: (refused: RefusedRequest) => void;
    },
    handler: HttpHandler,
  ): Promise<Listener>;
}

export interface HttpClientRequest {
  readonly address: Address;
  readonly tls: ClientTls;
  readonly method: string;
  /** Path with query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Until the head of the answer is there. */
  readonly timeoutMs: number;
  /**
   * From the head until the whole answer is there, however it is read: a server that
   * loses power in between says nothing any more. Absent: it may stream for ever.
   */
  readonly bodyTimeoutMs?: number;
}

export interface HttpClientResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up on the rest of the body. */
  cancel(): void;
}

export interface HttpClient {
  request(request: HttpClientRequest): Promise<HttpClientResponse>;
}

/** The `remoteAddress` of a request that comes from this very process; no socket has it. */
export const inProcessAddress = 'in-process';

export class BodyTooLargeError extends SelvageError {
  override readonly name = 'BodyTooLargeError';
  readonly maxBytes: number;

  constructor(maxBytes: number) {
    super('HTTP_BODY_TOO_LARGE', `the body is larger than the limit of ${maxBytes} bytes`);
    this.maxBytes = maxBytes;
  }
}

/** Collects a body. Throws BodyTooLargeError as soon as it exceeds `maxBytes`. */
export function readBody(body: HttpBody, maxBytes: number): Promise<Uint8Array> {
  return body.collect === undefined ? collected(body, maxBytes) : body.collect(maxBytes);
}

async function collected(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of body) {
    sizeBytes += part.length;
    if (sizeBytes > maxBytes) throw new BodyTooLargeError(maxBytes);
    parts.push(part);
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : concatBytes(parts);
}
