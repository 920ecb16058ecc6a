/**
 * The child's side of staying connected: connect, shake hands, and when the
 * link goes, come back after a random time below a bound that doubles.
 */
import { assert, errorText } from '#base/mod.ts';
import type {
  Address,
  ClientTls,
  Clock,
  Logger,
  Net,
  Random,
  Timer,
  Timers,
} from '#platform/io/mod.ts';
import { LinkError } from './errors.ts';
import { comeBackAfterMsMax, comeBackWithinMsMax, type LinkLimits } from './limits.ts';
import { openLink } from './open-link.ts';
import type { LinkSession, StreamHandler } from './types.ts';

export interface MaintainDependencies {
  readonly net: Net;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export interface MaintainOptions {
  readonly address: Address;
  /** Asked before every attempt, so that a renewed certificate is used at once. */
  readonly tls: () => ClientTls;
  readonly product: string;
  /** Called with every new session, before any stream that the parent opens on it. */
  readonly onSession: (session: LinkSession) => void;
  readonly onStream: StreamHandler;
  /** First bound of the wait before another attempt; doubles up to `backoffMaxMs`. */
  readonly backoffMinMs?: number;
  readonly backoffMaxMs?: number;
  readonly connectTimeoutMs?: number;
  readonly limits?: Partial<LinkLimits>;
}

/** A session that lasted this long starts the back-off anew. */
const stableAfterMs = 5_000;
/** No attempt follows another sooner. */
const pauseMsMin = 50;

/** Keeps one link to the parent until `close`, which also closes the link. */
export function maintainLink(
  dependencies: MaintainDependencies,
  options: MaintainOptions,
): { close(): void } {
  const { net, clock, timers, random, logger } = dependencies;
  const { backoffMinMs = 500, connectTimeoutMs = 10_000 } = options;
  const { backoffMaxMs = comeBackWithinMsMax } = options;
  assert(backoffMinMs > 0 && backoffMaxMs >= backoffMinMs, 'the back-off grows');
  let isClosed = false;
  let failuresInRow = 0;
  let timer: Timer | undefined;
  let current: LinkSession | undefined;

  const comeBack = (afterMs: number | undefined): void => {
    if (isClosed) return;
    const boundMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(failuresInRow, 30));
    failuresInRow += 1;
    // Told a time, all children would otherwise come back in the same instant.
    const delayMs =
      afterMs === undefined
        ? pauseMsMin + random.unit() * boundMs
        : Math.min(afterMs, comeBackAfterMsMax) * (1 + random.unit() / 2);
    timer = timers.after(delayMs, () => {
      timer = undefined;
      void attempt();
    });
  };

  const attempt = async (): Promise<void> => {
    try {
      const connection = await net.connect({
        address: options.address,
        tls: options.tls(),
        timeoutMs: connectTimeoutMs,
      });
      if (isClosed) {
        connection.destroy();
        return;
      }
      await openLink(
        { connection, clock, timers, logger },
        {
          role: 'child',
          product: options.product,
          onStream: options.onStream,
          ...(options.limits === undefined ? {} : { limits: options.limits }),
          onOpen: begin,
        },
      );
    } catch (thrown) {
      if (isClosed) return;
      logger.log('info', 'no link to the parent', { reason: errorText(thrown), failuresInRow });
      comeBack(thrown instanceof LinkError ? thrown.comeBackAfterMs : undefined);
    }
  };

  const begin = (session: LinkSession): void => {
    if (isClosed) {
      session.close({ code: 'LINK_CLOSED', message: 'this side has shut down' });
      return;
    }
    current = session;
    const sinceMs = clock.monotonicMs();
    session.onClose((failure) => {
      current = undefined;
      if (clock.monotonicMs() - sinceMs >= stableAfterMs) failuresInRow = 0;
      logger.log('info', 'the link to the parent is gone', { reason: failure?.message });
      comeBack(undefined);
    });
    options.onSession(session);
  };

  void attempt();
  return {
    close(): void {
      isClosed = true;
      timer?.cancel();
      current?.close({ code: 'LINK_CLOSED', message: 'this side has shut down' });
    },
  };
}
