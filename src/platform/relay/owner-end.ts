/**
 * The end of a relay at the owner of the log: hands the requests that come over it to the
 * handler, as if they had come over a socket of its own.
 *
 * Invariant: who asks is what the front says, so a relay is spoken only with a process that
 * this one has started, over a socket that it has inherited.
 */
import { assert, errorText, utf8 } from '#base/mod.ts';
import {
  type ByteSink,
  type HttpBody,
  type HttpHandler,
  type HttpResponse,
  type Logger,
  NetError,
  type PeerIdentity,
} from '#platform/io/mod.ts';
import {
  LinkConnection,
  type LinkSession,
  type LinkStream,
  type StreamHandler,
} from '#platform/wire/mod.ts';
import { peersKnownMax } from './limits.ts';
import {
  type AnswerHead,
  decodeMessage,
  encodeMessage,
  messageTypes,
  type RequestHead,
  wholeBodyBytesMax,
} from './messages.ts';

export interface RelayOwnerOptions {
  readonly handler: HttpHandler;
  readonly logger: Logger;
  /** Answers at once. */
  readonly onAsk: (question: unknown) => unknown;
  readonly onTell: (news: unknown) => void;
}

export interface RelayOwner {
  /** To be given what the front opens; false where the stream is somebody else's. */
  takeStream(...opened: Parameters<StreamHandler>): boolean;
}

interface Asking {
  readonly aborts: (() => void)[];
  isAborted: boolean;
}

const unread = { code: 'BODY_UNREAD', message: 'the body was not read to its end' };
const here = { host: 'relay', port: 0 };
const failed = utf8(
  `${JSON.stringify({
    ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' },
    message: 'the server failed to handle this request',
    ...{ reason: 'InternalError', code: 500 },
  })}\n`,
);

export function createRelayOwner(session: LinkSession, options: RelayOwnerOptions): RelayOwner {
  const { handler, logger } = options;
  const asking = new Map<number, Asking>();
  const bodies = new Map<number, StreamedBody>();
  const peers = new Map<string, PeerIdentity>();

  const peerOf = (text: string | undefined): PeerIdentity | undefined => {
    if (text === undefined) return undefined;
    let peer = peers.get(text);
    if (peer === undefined) {
      peer = JSON.parse(text) as PeerIdentity;
      if (peers.size >= peersKnownMax) peers.clear();
      peers.set(text, peer);
    }
    return peer;
  };

  const bodyOf = (number: number): StreamedBody => {
    const body = bodies.get(number) ?? new StreamedBody();
    bodies.set(number, body);
    return body;
  };

  const serve = async (
    calls: LinkStream,
    number: number,
    head: RequestHead,
    whole: Uint8Array,
  ): Promise<void> => {
    const own: Asking = { aborts: [], isAborted: false };
    asking.set(number, own);
    const streamed = head.isStreamed === true ? bodyOf(number) : undefined;
    let response: HttpResponse;
    try {
      response = await handler({
        method: head.method,
        path: head.path,
        query: head.query,
        headers: headersOf(head.headers),
        peer: peerOf(head.peer),
        remoteAddress: head.remoteAddress,
        body: streamed ?? wholeBody(whole),
        onAbort: (listener) => {
          if (own.isAborted) void Promise.resolve().then(listener);
          else own.aborts.push(listener);
        },
      });
    } catch (thrown) {
      logger.log('error', 'a handler failed', { method: head.method, error: errorText(thrown) });
      const headers = { 'content-type': 'application/json' };
      response = { status: 500, headers, body: failed };
    }
    asking.delete(number);
    answer(session, calls, number, response)?.onClose((error) => {
      if (error !== undefined) abort(own);
    });
    streamed?.leave();
    if (streamed?.isFilled === true) bodies.delete(number);
  };

  const takeCalls = (calls: LinkStream): void => {
    calls.onMessage((bytes) => {
      const { type, number, head, body } = decodeMessage(bytes);
      switch (type) {
        case messageTypes.request:
          void serve(calls, number, head as RequestHead, body);
          return;
        case messageTypes.abort: {
          const own = asking.get(number);
          if (own !== undefined) abort(own);
          return;
        }
        case messageTypes.ask:
          void calls.send(encodeMessage(messageTypes.reply, number, options.onAsk(head)));
          return;
        case messageTypes.tell:
          options.onTell(head);
          return;
        case messageTypes.answer:
        case messageTypes.reply:
          assert(false, 'a front asks and does not answer');
      }
    });
    calls.onClose(() => {
      for (const own of asking.values()) abort(own);
    });
  };

  return {
    takeStream(method, parameters, stream) {
      if (method === 'relay.calls') takeCalls(stream);
      else if (method === 'relay.body') {
        const number = Number(parameters['number']);
        const body = bodyOf(number);
        body.fill(stream);
        if (body.isLeft) bodies.delete(number);
      } else return false;
      return true;
    },
  };
}

/** Without a prototype, as those of a socket. */
function headersOf(given: Readonly<Record<string, string>>): Record<string, string> {
  return Object.assign(Object.create(null) as Record<string, string>, given);
}

function wholeBody(bytes: Uint8Array): HttpBody {
  return {
    async *[Symbol.asyncIterator]() {
      if (bytes.length > 0) yield bytes;
    },
  };
}

function abort(asking: Asking): void {
  asking.isAborted = true;
  for (const listener of asking.aborts.splice(0)) listener();
}

/** Gives the stream of an answer that goes on; its end with an error is that of its reader. */
function answer(
  session: LinkSession,
  calls: LinkStream,
  number: number,
  response: HttpResponse,
): LinkConnection | undefined {
  const { status, headers, body, upgrade } = response;
  const head: AnswerHead = { status, headers };
  if (upgrade === undefined && typeof body !== 'function') {
    const bytes = typeof body === 'string' ? utf8(body) : body;
    if (bytes.length <= wholeBodyBytesMax) {
      void calls.send(encodeMessage(messageTypes.answer, number, head, bytes));
      return undefined;
    }
  }
  const stream = session.open('telemetry', 'relay.answer', { number, ...head });
  const connection = new LinkConnection(stream, here);
  if (upgrade !== undefined) {
    upgrade(connection);
    return connection;
  }
  connection.resume();
  if (typeof body === 'function') body(sinkOver(connection));
  else {
    connection.write(typeof body === 'string' ? utf8(body) : body);
    connection.end();
  }
  return connection;
}

function sinkOver(connection: LinkConnection): ByteSink {
  return {
    write: (bytes) => connection.write(bytes),
    bufferedBytes: () => connection.bufferedBytes(),
    onDrain: (listener) => connection.onDrain(listener),
    onClose: (listener) => connection.onClose(listener),
    end: () => connection.end(),
    destroy: () => connection.destroy(),
  };
}

/** A body that comes in a stream of its own, which may be there before or after its request. */
class StreamedBody implements HttpBody {
  readonly #parts: { readonly bytes: Uint8Array; readonly taken: () => void }[] = [];
  #stream: LinkStream | undefined;
  #wake: (() => void) | undefined;
  #isEnded = false;
  #failure: string | undefined;
  isLeft = false;

  get isFilled(): boolean {
    return this.#stream !== undefined;
  }

  fill(stream: LinkStream): void {
    this.#stream = stream;
    if (this.isLeft) {
      stream.fail(unread);
      return;
    }
    stream.end();
    stream.onMessage(
      (bytes) =>
        new Promise((taken) => {
          this.#parts.push({ bytes, taken });
          this.#wake?.();
        }),
    );
    stream.onClose((failure) => {
      this.#isEnded = true;
      this.#failure = failure?.message;
      this.#wake?.();
    });
  }

  /** Nobody reads any more. */
  leave(): void {
    this.isLeft = true;
    for (const { taken } of this.#parts.splice(0)) taken();
    if (!this.#isEnded) this.#stream?.fail(unread);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const part = this.#parts.shift();
      if (part !== undefined) {
        yield part.bytes;
        part.taken();
        continue;
      }
      if (this.#failure !== undefined) {
        throw new NetError('NET_CLOSED', this.#failure, { retryable: true });
      }
      if (this.#isEnded) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
