/**
 * The agent's link to its hub: kept up, its heartbeat, and what is done with
 * every new session.
 */
import type { Address, ClientTls, Clock, Logger, Net, Random, Timers } from '#platform/io/mod.ts';
import {
  comeBackWithinMsFor,
  defaultLinkLimits,
  heartbeatsUnansweredMax,
  livenessTimeoutMsFor,
  maintainLink,
  type LinkSession,
  type LinkStream,
} from '#platform/wire/mod.ts';
import { carriedMax } from './services/away.ts';

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
      opened.beat({
        intervalMs: options.heartbeatIntervalMs,
        unansweredMax: heartbeatsUnansweredMax,
        onAnswered: (sentMs) => {
          lastMs = sentMs;
        },
      });
      options.onSession(opened);
    },
    onStream: options.onStream,
    backoffMaxMs: comeBackWithinMsFor(options.heartbeatIntervalMs),
    limits: {
      livenessTimeoutMs: livenessTimeoutMsFor(options.heartbeatIntervalMs),
      // Connections that others make to pods here, beside all else that the hub asks for.
      streamsMax: defaultLinkLimits.streamsMax + carriedMax,
    },
  });
  return {
    get session() {
      return session;
    },
    contact: () => ({ lastMs, linkedSinceMs }),
    close: () => link.close(),
  };
}
