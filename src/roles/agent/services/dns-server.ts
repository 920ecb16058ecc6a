/**
 * The node's name server, for its pods: names of services from the node's own copy
 * of its slice, everything else from the machine's resolvers. Over datagrams, and
 * over streams for answers that do not fit.
 *
 * Invariant: a stream has one query at a time, so that whoever sends many makes the
 * node hold no more than one connection and one answer for it.
 */
import { concatBytes, errorText } from '#base/mod.ts';
import {
  type Address,
  type Datagrams,
  type DatagramSocket,
  type Listener,
  type Logger,
  NetError,
  type PlainConnection,
  type PlainNet,
  type Timer,
  type Timers,
} from '#platform/io/mod.ts';
import {
  type DnsAnswer,
  type DnsQuery,
  decodeAnswerRecords,
  decodeQuery,
  encodeAnswer,
  encodeQuery,
  encodeRefusal,
  recordTypes,
  responseCodes,
} from './dns-message.ts';
import type { NameAnswer } from './names.ts';
import { framed, framedSize, type Upstream } from './upstream.ts';

/** What every client takes; larger answers are asked for again over a stream. */
const datagramAnswerBytesMax = 1_232;
const streamAnswerBytesMax = 65_535;
const queryBytesMax = 4_096;
const streamsMax = 100;
const streamIdleMs = 10_000;
const bindAgainMs = 5_000;

export interface DnsServerDependencies {
  readonly datagrams: Datagrams;
  readonly plainNet: PlainNet;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly upstream: Upstream;
  readonly answer: (question: DnsQuery['question']) => NameAnswer;
}

export interface DnsServer {
  close(): Promise<void>;
}

/** Serves at `address` from when it can be had on; one that is taken is tried again. */
export function startDnsServer(dependencies: DnsServerDependencies, address: Address): DnsServer {
  const { datagrams, plainNet, timers, logger, upstream } = dependencies;
  let socket: DatagramSocket | undefined;
  let listener: Listener | undefined;
  let again: Timer | undefined;
  let isClosed = false;
  let isWarned = false;

  async function bind(): Promise<void> {
    try {
      socket ??= await datagrams.bind({ address });
      socket.onMessage((bytes, from) => {
        if (bytes.length > queryBytesMax) return;
        void reply(bytes, datagramAnswerBytesMax).then((answer) => {
          if (answer !== undefined) socket?.send(answer, from);
        });
      });
      listener = await plainNet.listen({ address, connectionsMax: streamsMax }, serveStream);
      if (isClosed) await close();
      else logger.log('info', 'names are resolved for pods', { address: address.host });
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      await close();
      if (isClosed) return;
      if (!isWarned) {
        logger.log('warn', 'names cannot be resolved for pods yet; it is tried again', {
          address: `${address.host}:${address.port}`,
          error: errorText(error),
        });
      }
      isWarned = true;
      again = timers.after(bindAgainMs, () => void bind());
    }
  }

  async function close(): Promise<void> {
    const [bound, listening] = [socket, listener];
    [socket, listener] = [undefined, undefined];
    await bound?.close();
    await listening?.close();
  }

  /** Never rejects: whatever goes wrong is an answer, or silence. */
  async function reply(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array | undefined> {
    const query = decodeQuery(bytes);
    if (query === undefined) return undefined;
    if ('code' in query) return encodeRefusal(query.id, query.code);
    const found = dependencies.answer(query.question);
    if (found.type === 'answer') return encodeAnswer(query, found.answer, bytesMax);
    if (found.type === 'alias') {
      return encodeAnswer(query, await followAlias(query, found), bytesMax);
    }
    if (!upstream.hasResolvers) return encodeAnswer(query, empty(responseCodes.refused), bytesMax);
    const isStream = bytesMax === streamAnswerBytesMax;
    const answer = await (isStream ? upstream.askWhole(bytes) : upstream.ask(bytes));
    return answer ?? encodeAnswer(query, empty(responseCodes.serverFailure), bytesMax);
  }

  /** The other name and, from elsewhere, what is there. */
  async function followAlias(
    { question }: DnsQuery,
    { record, target }: NameAnswer & { readonly type: 'alias' },
  ): Promise<DnsAnswer> {
    const wants = question.type === recordTypes.A || question.type === recordTypes.AAAA;
    const answer = wants
      ? await upstream.ask(encodeQuery(0, { name: target, type: question.type }))
      : undefined;
    const further = answer === undefined ? [] : decodeAnswerRecords(answer);
    return { code: responseCodes.ok, isAuthoritative: true, answers: [record, ...further] };
  }

  function serveStream(connection: PlainConnection): void {
    /** Beyond the first query only what arrived in one go: it is not read from meanwhile. */
    let received: Uint8Array = new Uint8Array(0);
    let isAnswering = false;
    let hasEnded = false;
    let isGone = false;
    let idle = timers.after(streamIdleMs, () => connection.destroy());
    const touch = (): void => {
      idle.cancel();
      idle = timers.after(streamIdleMs, () => connection.destroy());
    };
    /** One query at a time, and none before the last answer has left. */
    const answerNext = (): void => {
      if (isAnswering || isGone || connection.bufferedBytes() > 0) return;
      const sizeBytes = received.length < 2 ? 0 : framedSize(received);
      if (sizeBytes > queryBytesMax) {
        connection.destroy();
        return;
      }
      if (received.length < 2 + sizeBytes) {
        if (hasEnded) connection.end();
        else connection.resume();
        return;
      }
      const query = received.slice(2, 2 + sizeBytes);
      received = received.subarray(2 + sizeBytes);
      isAnswering = true;
      connection.pause();
      // It is not the client that takes its time.
      idle.cancel();
      void reply(query, streamAnswerBytesMax).then((answer) => {
        isAnswering = false;
        if (isGone) return;
        touch();
        if (answer !== undefined) connection.write(framed(answer));
        answerNext();
      });
    };
    connection.onClose(() => {
      isGone = true;
      idle.cancel();
    });
    connection.onEnd(() => {
      hasEnded = true;
      answerNext();
    });
    connection.onDrain(answerNext);
    connection.onData((bytes) => {
      if (!isAnswering) touch();
      received = concatBytes([received, bytes]);
      answerNext();
    });
  }

  void bind();
  return {
    async close() {
      isClosed = true;
      again?.cancel();
      await close();
    },
  };
}

function empty(code: number): DnsAnswer {
  return { code, isAuthoritative: false, answers: [] };
}
