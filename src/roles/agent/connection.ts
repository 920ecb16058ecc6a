/**
 * The agent's link to its hub: kept up, its heartbeat, and what is done with
 * every new session.
 */
import {
  type Address,
  type ClientTls,
  type Clock,
  type Logger,
  type Net,
  type Random,
  type Timer,
  type Timers,
} from '#platform/io/mod.ts';
import { maintainLink, type LinkSession, type LinkStream } from '#platform/wire/mod.ts';

export interface ConnectionDependencies {
  readonly net: Net;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export interface ConnectionOptions {
  readonly address: Address;
  readonly tls: () => ClientTls;
  readonly product: string;
  readonly heartbeatIntervalMs: number;
  readonly onSession: (session: LinkSession) => void;
  /** A stream that the hub opened. */
  readonly onStream: (
    method: string,
    parameters: Readonly<Record<string, unknown>>,
    stream: LinkStream,
  ) => void;
}

/** Monotonic times. */
export interface HubContact {
  /** When the newest heartbeat that was answered was sent; undefined for none so far. */
  readonly lastMs: number | undefined;
  /** Since when there is a link; undefined while there is none. */
  readonly linkedSinceMs: number | undefined;
}

export interface HubConnection {
  /** Undefined while there is no link. */
  readonly session: LinkSession | undefined;
  contact(): HubContact;
  close(): void;
}

/** Heartbeats without an answer before the link is given up. */
const unansweredMax = 4;

export function connectToHub(
  dependencies: ConnectionDependencies,
  options: ConnectionOptions,
): HubConnection {
  let session: LinkSession | undefined;
  let lastMs: number | undefined;
  let linkedSinceMs: number | undefined;
  const link = maintainLink(dependencies, {
    address: options.address,
    tls: options.tls,
    product: options.product,
    onSession(opened) {
      session = opened;
      linkedSinceMs = dependencies.clock.monotonicMs();
      opened.onClose(() => {
        if (session !== opened) return;
        session = undefined;
        linkedSinceMs = undefined;
      });
      beat(opened, dependencies, options.heartbeatIntervalMs, (sentMs) => {
        lastMs = sentMs;
      });
      options.onSession(opened);
    },
    onStream: options.onStream,
  });
  return {
    get session() {
      return session;
    },
    contact: () => ({ lastMs, linkedSinceMs }),
    close: () => link.close(),
  };
}

/** `node.heartbeat`: a counter of four bytes, big end first, that the hub sends back. */
function beat(
  session: LinkSession,
  { timers, clock }: Pick<ConnectionDependencies, 'timers' | 'clock'>,
  intervalMs: number,
  onAnswered: (sentMs: number) => void,
): void {
  const stream = session.open('control', 'node.heartbeat', {});
  let counter = 0;
  let answered = 0;
  /** Of the heartbeats that are not answered yet, by counter. */
  const sentMs = new Map<number, number>();
  let timer: Timer | undefined;
  let isOver = false;
  stream.onMessage((message) => {
    if (message.length !== 4) return;
    answered = readUint32(message);
    const atMs = sentMs.get(answered);
    for (const earlier of sentMs.keys()) if (earlier <= answered) sentMs.delete(earlier);
    if (atMs !== undefined) onAnswered(atMs);
  });
  const end = (): void => {
    isOver = true;
    timer?.cancel();
  };
  stream.onClose((failure) => {
    end();
    // Without a heartbeat the hub takes this node for lost, whatever else works.
    if (failure?.code !== 'LINK_CLOSED') {
      session.close({ code: 'HEARTBEAT_ENDED', message: failure?.message ?? 'the hub ended it' });
    }
  });
  session.onClose(end);
  const next = (): void => {
    if (isOver) return;
    if (counter - answered >= unansweredMax) {
      const message = `no answer to ${unansweredMax} heartbeats`;
      session.close({ code: 'HEARTBEAT_LOST', message });
      return;
    }
    counter += 1;
    sentMs.set(counter, clock.monotonicMs());
    // A heartbeat that waits for credit is one that is not answered.
    stream.send(uint32(counter)).catch(() => undefined);
    timer = timers.after(intervalMs, next);
  };
  next();
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function readUint32(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}
