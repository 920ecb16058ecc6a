/**
 * Questions about names elsewhere, passed on to the resolvers that the machine has,
 * one after the other until one answers.
 */
import { assert, concatBytes } from '#base/mod.ts';
import type {
  Address,
  Datagrams,
  DatagramSocket,
  PlainNet,
  Random,
  Timer,
  Timers,
} from '#platform/io/mod.ts';
import { dnsHeaderBytes } from './dns-message.ts';

const answerWithinMs = 2_000;
const waitingMax = 1_000;
const wholeWithinMs = 5_000;
/** Connections to resolvers at a time: one descriptor each. */
const wholeMax = 100;

/** Neither way of asking rejects, nor waits where too many questions are open already. */
export interface Upstream {
  /** The answer with the id of `query`; undefined where nobody gave one in time. */
  ask(query: Uint8Array): Promise<Uint8Array | undefined>;
  /** The same over a stream, for answers that do not fit into a datagram. */
  askWhole(query: Uint8Array): Promise<Uint8Array | undefined>;
  readonly hasResolvers: boolean;
  close(): Promise<void>;
}

export interface UpstreamDependencies {
  readonly datagrams: Datagrams;
  readonly plainNet: PlainNet;
  readonly timers: Timers;
  readonly random: Random;
}

interface Waiting {
  readonly resolver: Address;
  readonly originalId: readonly [number, number];
  readonly timer: Timer;
  readonly resolve: (answer: Uint8Array | undefined) => void;
}

export function createUpstream(
  { datagrams, plainNet, timers, random }: UpstreamDependencies,
  resolvers: readonly Address[],
): Upstream {
  const waiting = new Map<number, Waiting>();
  let wholes = 0;
  let opening: Promise<DatagramSocket> | undefined;

  function open(): Promise<DatagramSocket> {
    opening ??= datagrams.bind({ address: { host: '0.0.0.0', port: 0 } }).then((socket) => {
      socket.onMessage(take);
      return socket;
    });
    // One that could not be opened now may be later.
    opening.catch(() => {
      opening = undefined;
    });
    return opening;
  }

  function take(bytes: Uint8Array, from: Address): void {
    // Anything may come: what is no message answers nothing.
    if (bytes.length < dnsHeaderBytes) return;
    const id = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    const waits = waiting.get(id);
    // Only from whom it was asked: anybody may send to the port.
    if (waits === undefined || from.host !== waits.resolver.host) return;
    if (from.port !== waits.resolver.port) return;
    waiting.delete(id);
    waits.timer.cancel();
    const answer = bytes.slice();
    answer.set(waits.originalId, 0);
    waits.resolve(answer);
  }

  function askOne(
    socket: DatagramSocket,
    resolver: Address,
    query: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      let id = random.below(65_536);
      while (waiting.has(id)) id = (id + 1) % 65_536;
      const timer = timers.after(answerWithinMs, () => {
        waiting.delete(id);
        resolve(undefined);
      });
      const originalId = [query[0] ?? 0, query[1] ?? 0] as const;
      waiting.set(id, { resolver, originalId, timer, resolve });
      const own = query.slice();
      own.set([id >>> 8, id & 0xff], 0);
      socket.send(own, resolver);
    });
  }

  async function askWholeOne(
    resolver: Address,
    query: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    const connection = await plainNet.connect({ address: resolver, timeoutMs: answerWithinMs });
    return new Promise((resolve) => {
      let received: Uint8Array = new Uint8Array(0);
      const done = (answer: Uint8Array | undefined): void => {
        timer.cancel();
        resolve(answer);
        connection.destroy();
      };
      const timer = timers.after(wholeWithinMs, () => done(undefined));
      connection.onData((bytes) => {
        received = concatBytes([received, bytes]);
        const sizeBytes = received.length < 2 ? Infinity : framedSize(received);
        if (received.length < 2 + sizeBytes) return;
        done(sizeBytes < dnsHeaderBytes ? undefined : received.slice(2, 2 + sizeBytes));
      });
      connection.onClose(() => done(undefined));
      connection.write(framed(query));
    });
  }

  return {
    hasResolvers: resolvers.length > 0,
    async ask(query) {
      assert(query.length >= dnsHeaderBytes, 'a query has a header');
      for (const resolver of resolvers) {
        const socket = await open().catch(() => undefined);
        // Only now: others may have begun while the socket was being opened.
        if (socket === undefined || waiting.size >= waitingMax) return undefined;
        const answer = await askOne(socket, resolver, query);
        if (answer !== undefined) return answer;
      }
      return undefined;
    },
    async askWhole(query) {
      if (wholes >= wholeMax) return undefined;
      wholes += 1;
      try {
        for (const resolver of resolvers) {
          // One that cannot be reached is like one that does not answer.
          const answer = await askWholeOne(resolver, query).catch(() => undefined);
          if (answer !== undefined) return answer;
        }
        return undefined;
      } finally {
        wholes -= 1;
      }
    },
    async close() {
      for (const { timer, resolve } of waiting.values()) {
        timer.cancel();
        resolve(undefined);
      }
      waiting.clear();
      const socket = await opening?.catch(() => undefined);
      await socket?.close();
    },
  };
}

/** Over streams a message has its length in front. */
export function framed(message: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(message.length >>> 8, message.length & 0xff), message]);
}

export function framedSize(bytes: Uint8Array): number {
  return ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
}
