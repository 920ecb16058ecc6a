/**
 * The end of a relay that faces clients: passes requests on to the owner of the log and
 * answers with what that answers, byte for byte.
 *
 * Invariants:
 * 1. A request is passed on once. Where the relay ends before its answer, the client's
 *    connection is cut: whether it was carried out is unknown.
 * 2. An answer is read from the owner no faster than its client takes it.
 */
import { assert } from '#base/mod.ts';
import {
  type ByteSink,
  type HttpRequest,
  type HttpResponse,
  NetError,
  type PeerIdentity,
  readBody,
} from '#platform/io/mod.ts';
import {
  LinkConnection,
  type LinkSession,
  type LinkStream,
  splice,
  type StreamHandler,
} from '#platform/wire/mod.ts';
import { unansweredRequestsMax, unsentBytesHigh } from './limits.ts';
import {
  type AnswerHead,
  decodeMessage,
  encodeMessage,
  messageTypes,
  type RequestHead,
  wholeBodyBytesMax,
} from './messages.ts';

export interface RelayFront {
  readonly handler: (request: HttpRequest) => Promise<HttpResponse>;
  /** Asks the owner; rejects where the relay ends. */
  ask(question: unknown): Promise<unknown>;
  tell(news: unknown): void;
  /** To be given what the owner opens; false where the stream is somebody else's. */
  takeStream(...opened: Parameters<StreamHandler>): boolean;
}

interface Waiting<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (error: Error) => void;
}

const here = { host: 'relay', port: 0 };

/** Opens the common stream; there is one for a session. */
export function createRelayFront(session: LinkSession): RelayFront {
  const calls = session.open('control', 'relay.calls', {});
  const answers = new Map<number, Waiting<HttpResponse>>();
  const replies = new Map<number, Waiting<unknown>>();
  const peerTexts = new WeakMap<PeerIdentity, string>();
  let lastNumber = 0;
  let ended: string | undefined;

  const nextNumber = (): number => {
    lastNumber = (lastNumber + 1) % 2 ** 32;
    return lastNumber;
  };

  calls.onMessage((bytes) => {
    const { type, number, head, body } = decodeMessage(bytes);
    if (type === messageTypes.answer) {
      const waiting = answers.get(number);
      answers.delete(number);
      waiting?.resolve({ ...(head as AnswerHead), body });
    } else {
      assert(type === messageTypes.reply, 'an owner answers and replies');
      const waiting = replies.get(number);
      replies.delete(number);
      waiting?.resolve(head);
    }
  });
  calls.onClose((failure) => {
    ended = `the relay has ended: ${failure?.message ?? 'it was closed'}`;
    for (const waiting of [...answers.values(), ...replies.values()]) {
      waiting.reject(new NetError('NET_CLOSED', ended));
    }
    answers.clear();
    replies.clear();
  });

  const peerTextOf = (peer: PeerIdentity): string => {
    let text = peerTexts.get(peer);
    if (text === undefined) peerTexts.set(peer, (text = JSON.stringify(peer)));
    return text;
  };

  return {
    async handler(request) {
      if (ended !== undefined) throw new NetError('NET_CLOSED', ended);
      if (answers.size >= unansweredRequestsMax) {
        throw new NetError('NET_REFUSED', `${unansweredRequestsMax} requests wait for the owner`);
      }
      const number = nextNumber();
      const { method, path, query, headers, peer, remoteAddress } = request;
      const isStreamed = hasLongBody(headers);
      const head: RequestHead = {
        ...{ method, path, query, headers, remoteAddress },
        ...(peer === undefined ? {} : { peer: peerTextOf(peer) }),
        ...(isStreamed ? { isStreamed } : {}),
      };
      const body = isStreamed ? undefined : await readBody(request.body, wholeBodyBytesMax);
      const answered = new Promise<HttpResponse>((resolve, reject) => {
        answers.set(number, { resolve, reject });
      });
      void calls.send(encodeMessage(messageTypes.request, number, head, body));
      if (isStreamed) {
        const stream = session.open('telemetry', 'relay.body', { number });
        void sendBody(stream, request);
      }
      request.onAbort(() => {
        if (!answers.has(number)) return;
        void calls.send(encodeMessage(messageTypes.abort, number, null));
      });
      return answered;
    },
    ask: (question) =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) throw new NetError('NET_CLOSED', ended);
        const number = nextNumber();
        replies.set(number, { resolve, reject });
        void calls.send(encodeMessage(messageTypes.ask, number, question));
      }),
    tell(news) {
      void calls.send(encodeMessage(messageTypes.tell, 0, news));
    },
    takeStream(method, parameters, stream) {
      if (method !== 'relay.answer') return false;
      const { number, status, headers } = parameters as unknown as AnswerHead & { number: number };
      const waiting = answers.get(number);
      answers.delete(number);
      const connection = new LinkConnection(stream, here);
      if (waiting === undefined) connection.destroy();
      else waiting.resolve(streamedAnswer({ status, headers }, connection));
      return true;
    },
  };
}

function hasLongBody(headers: Readonly<Record<string, string>>): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  return Number(headers['content-length'] ?? 0) > wholeBodyBytesMax;
}

/** The whole body, at the pace of its reader. A client that breaks off breaks the stream off. */
async function sendBody(stream: LinkStream, request: HttpRequest): Promise<void> {
  stream.onMessage(() => undefined);
  // The owner has read what it wanted.
  let isOver = false;
  stream.onClose(() => {
    isOver = true;
  });
  try {
    for await (const part of request.body) {
      if (isOver) return;
      await stream.send(part);
    }
    stream.end();
  } catch {
    stream.fail({ code: 'BODY_BROKEN_OFF', message: 'the body broke off' });
  }
}

function streamedAnswer({ status, headers }: AnswerHead, connection: LinkConnection): HttpResponse {
  if (status === 101) {
    const upgrade: HttpResponse['upgrade'] = (client) => splice(client, connection);
    return { status, headers, body: '', upgrade };
  }
  return { status, headers, body: (sink) => passOn(connection, sink) };
}

function passOn(connection: LinkConnection, sink: ByteSink): void {
  let isWhole = false;
  connection.onData((bytes) => {
    sink.write(bytes);
    if (sink.bufferedBytes() > unsentBytesHigh) connection.pause();
  });
  connection.onEnd(() => {
    isWhole = true;
    sink.end();
  });
  connection.onClose(() => {
    if (!isWhole) sink.destroy();
  });
  sink.onDrain(() => connection.resume());
  sink.onClose(() => connection.destroy());
  // Nothing goes the other way.
  connection.end();
  connection.resume();
}
