/**
 * Listens where services are to be taken, for connections and for datagrams alike, and
 * tries addresses again that cannot be had yet.
 *
 * Invariants:
 * 1. A frontend that stays keeps its listener, and with it all that was begun there.
 * 2. Never more than `listenersMax` listeners: beyond that frontends are left out, and that is
 *    said.
 */
import { errorText } from '#base/mod.ts';
import { type Address, type Logger, NetError, type Timer, type Timers } from '#platform/io/mod.ts';

const listenAgainMs = 5_000;

/** Where one port of a service is to be taken, and who else may take it there. */
export interface Frontend {
  readonly address: Address;
  readonly isShared: boolean;
  readonly namespace: string;
  readonly service: string;
  /** Name of the service's port; empty for the only one. */
  readonly portName: string;
}

interface Closeable {
  close(): Promise<void>;
}

export interface Open<Listening extends Closeable> {
  readonly frontend: Frontend;
  /** Undefined while the address cannot be had. */
  readonly listening: Listening | undefined;
}

export interface FrontendsOptions<Listening extends Closeable> {
  readonly timers: Timers;
  readonly logger: Logger;
  /** What the services are called where there are too many. */
  readonly what: string;
  readonly listenersMax: number;
  readonly listen: (open: Open<Listening>) => Promise<Listening>;
  /** Called before what listens is closed. */
  readonly onEnd?: (open: Open<Listening>) => void;
}

export interface Frontends {
  readonly size: number;
  /** Makes the listeners those of `frontends`. */
  update(frontends: readonly Frontend[]): void;
  close(): Promise<void>;
}

interface Kept<Listening extends Closeable> extends Open<Listening> {
  frontend: Frontend;
  listening: Listening | undefined;
  again: Timer | undefined;
  isClosed: boolean;
  isWarned: boolean;
}

export function createFrontends<Listening extends Closeable>(
  options: FrontendsOptions<Listening>,
): Frontends {
  const { timers, logger, what, listenersMax } = options;
  const opened = new Map<string, Kept<Listening>>();

  async function listen(key: string, open: Kept<Listening>): Promise<void> {
    try {
      const listening = await options.listen(open);
      open.listening = listening;
      if (open.isClosed) await listening.close();
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      if (open.isClosed) return;
      if (!open.isWarned) {
        logger.log('warn', 'a service cannot be reached at its address here; it is tried again', {
          service: serviceNameOf(open.frontend),
          address: key,
          error: errorText(error),
        });
      }
      open.isWarned = true;
      open.again = timers.after(listenAgainMs, () => void listen(key, open));
    }
  }

  async function end(key: string, open: Kept<Listening>): Promise<void> {
    open.isClosed = true;
    open.again?.cancel();
    opened.delete(key);
    options.onEnd?.(open);
    await open.listening?.close();
  }

  return {
    get size() {
      return opened.size;
    },
    update(frontends) {
      const wanted = new Map(frontends.map((frontend) => [addressTextOf(frontend), frontend]));
      for (const [key, open] of opened) if (!wanted.has(key)) void end(key, open);
      for (const [key, frontend] of wanted) {
        const known = opened.get(key);
        if (known !== undefined) {
          known.frontend = frontend;
          continue;
        }
        if (opened.size >= listenersMax) {
          logger.log('error', `too many ${what}: some are not reachable from this node`, {
            limit: listenersMax,
          });
          return;
        }
        const open: Kept<Listening> = {
          frontend,
          listening: undefined,
          again: undefined,
          isClosed: false,
          isWarned: false,
        };
        opened.set(key, open);
        void listen(key, open);
      }
    },
    async close() {
      await Promise.all([...opened].map(([key, open]) => end(key, open)));
    },
  };
}

export function serviceNameOf({ namespace, service }: Frontend): string {
  return `${namespace}/${service}`;
}

export function addressTextOf({ address }: Frontend): string {
  return `${address.host}:${address.port}`;
}
